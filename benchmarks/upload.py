"""What does a 1 GB upload cost the web process, and how fast is it?

One gunicorn process gets 1 GB through the upload form; against a bare azure-storage-blob upload of the same bytes.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import requests
from azure.storage.blob import BlobServiceClient

from benchmarks._bench import MIB, make_user, median_seconds, peak_rss, stack, table_chunks

SIZE = 1024 * MIB
BOUNDARY = "----benchmark"


def body(token: str) -> Iterator[bytes]:
    """A multipart form: CSRF token, then the file."""
    for name, value in (("csrfmiddlewaretoken", token),):
        yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    yield (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    ).encode()
    yield from table_chunks(SIZE)
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def import_as_detected(session: requests.Session, page: str) -> tuple[float, float]:
    """Look at the preview and import what was detected; how long each takes, in seconds."""
    start = time.perf_counter()
    preview = session.get(page, timeout=60)
    looked = time.perf_counter() - start
    assert preview.status_code == 200, preview.status_code
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', preview.text)[1]
    start = time.perf_counter()
    answer = session.post(
        page.replace("/preview", "/import"),
        {"csrfmiddlewaretoken": token},
        headers={"Referer": page},
        allow_redirects=False,
        timeout=60,
    )
    assert answer.status_code == 302, (answer.status_code, answer.text[:500])
    assert not answer.headers["Location"].endswith("/preview"), "it is read once more"
    return looked, time.perf_counter() - start


def emulator_service(url: str) -> BlobServiceClient:
    """The library's own client of Azurite."""
    emulator = BlobServiceClient.from_connection_string("UseDevelopmentStorage=true").credential
    credential = {"account_name": emulator.account_name, "account_key": emulator.account_key}
    return BlobServiceClient(url, credential=credential)


def main() -> None:
    with stack():
        from django.conf import settings

        from smartml.local.machine import free_port
        from storage.blobs import get_blobs
        from storage.ids import new_id

        _, email, password = make_user()
        port = free_port()
        site = f"http://127.0.0.1:{port}"
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "smartml.wsgi", "--bind", f"127.0.0.1:{port}"),
                *("--worker-class", "gthread", "--threads", "8", "--log-level", "warning"),
            ]
        )
        try:
            session = requests.Session()
            for _ in range(100):
                try:
                    session.get(f"{site}/healthz", timeout=5)
                    break
                except (requests.ConnectionError, requests.Timeout):
                    time.sleep(0.1)
            form = session.get(f"{site}/accounts/sign-in", timeout=10)
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)[1]
            session.post(
                form.url, {"csrfmiddlewaretoken": token, "username": email, "password": password}, timeout=10
            )
            page = session.get(f"{site}/datasets/new", timeout=10)
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
            action = re.search(r'action="(/datasets/upload/[^"]+)"', page.text)[1]
            length = sum(map(len, body(token)))

            class Sized:
                def __init__(self) -> None:
                    self.chunks = body(token)

                def __iter__(self) -> Iterator[bytes]:
                    return self.chunks

                def __len__(self) -> int:
                    return length

            with peak_rss(server.pid) as seen:
                start = time.perf_counter()
                answer = session.post(
                    site + action,
                    data=Sized(),
                    headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
                    allow_redirects=False,
                    timeout=900,
                )
                through_app = time.perf_counter() - start
            assert answer.status_code == 302, (answer.status_code, answer.text[:500])
            looked, imported = import_as_detected(session, site + answer.headers["Location"])
        finally:
            server.terminate()
            server.wait(20)

        blobs = get_blobs()
        raw = emulator_service(settings.AZURE_ACCOUNT_URL).get_container_client(blobs.datasets_container)
        size = sum(map(len, table_chunks(SIZE)))
        bare = median_seconds(
            lambda: raw.upload_blob(f"bare/{new_id()}", table_chunks(SIZE), length=size), repeat=3
        )
        print(f"upload of 1 GB through the app: {through_app:.1f} s; bare azure-storage-blob: {bare:.1f} s")
        print(f"its preview: {looked * 1000:.0f} ms; its import as it was detected: {imported * 1000:.0f} ms")
        whole = through_app + looked + imported
        print(f"ratio of speeds app / bare : {bare / through_app:.2f}  (at least 0.7)")
        print(f"the same, preview and import counted : {bare / whole:.2f}  (at least 0.7)")
        print(f"web process grew by {seen[1] - seen[0]:.0f} MiB from {seen[0]:.0f} MiB  (at most 150)")
        print(f"ratio growth / file        : {(seen[1] - seen[0]) / 1024:.3f}")


if __name__ == "__main__":
    main()
