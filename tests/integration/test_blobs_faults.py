"""Blob storage that is away, broken, not configured, shared by a fork, or given a very large file."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from smartml.errors import StorageNotConfigured, StorageUnavailable
from storage.blobs import get_blobs, reset_blobs
from storage.blobs_writer import BLOCK_BYTES
from storage.ids import new_id

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 8.0
U, D = new_id(), new_id()


def every_operation(blobs, tmp_path):
    container = blobs.datasets_container
    (tmp_path / "file").write_bytes(b"x")
    return {
        "ensure_containers": blobs.ensure_containers,
        "check": blobs.check,
        "open_writer": lambda: blobs.open_writer(container, "a/b"),
        "upload_bytes": lambda: blobs.upload_bytes(container, "a/b", b"x"),
        "upload_file": lambda: blobs.upload_file(container, "a/b", tmp_path / "file"),
        "iter_chunks": lambda: blobs.iter_chunks(container, "a/b"),
        "download_to": lambda: blobs.download_to(container, "a/b", tmp_path / "out"),
        "read_range": lambda: blobs.read_range(container, "a/b", length=1),
        "info": lambda: blobs.info(container, "a/b"),
        "list_prefix": lambda: list(blobs.list_prefix(container, "a/")),
        "delete_prefix": lambda: blobs.delete_prefix(container, "a/"),
        "upload_dataset": lambda: blobs.upload_dataset(user_id=U, dataset_id=D, file_name="a.csv"),
        "download_dataset": lambda: blobs.download_dataset(
            user_id=U, dataset_id=D, file_name="a.csv", path=tmp_path / "out"
        ),
        "delete_dataset": lambda: blobs.delete_dataset(user_id=U, dataset_id=D),
        "upload_model": lambda: blobs.upload_model(user_id=U, model_id=D, version=1, path=tmp_path / "file"),
        "download_model": lambda: blobs.download_model(user_id=U, model_id=D, version=1, path=tmp_path / "out"),
        "delete_model": lambda: blobs.delete_model(user_id=U, model_id=D),
        "delete_model_version": lambda: blobs.delete_model_version(user_id=U, model_id=D, version=1),
    }


@pytest.fixture
def fresh():
    reset_blobs()
    yield
    reset_blobs()


@contextmanager
def silent_port():
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# --- Not configured ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"AZURE_STORAGE_ENABLED": False}, "AZURE_STORAGE_ENABLED is off"),
        ({"AZURE_ACCOUNT_URL": ""}, "AZURE_ACCOUNT_URL is not set"),
        ({"AZURE_ACCOUNT_URL": "http://example.com/devstoreaccount1"}, "must start with https://"),
        ({"AZURE_ACCOUNT_URL": "https://x.example.com", "AZURE_CLIENT_SECRET": "hush"}, "AZURE_TENANT_ID"),
    ],
)
def test_without_settings_every_operation_says_so(fresh, settings, tmp_path, changes, reason):
    for name, value in changes.items():
        setattr(settings, name, value)
    blobs = get_blobs()
    operations = every_operation(blobs, tmp_path)
    operations["signed_url"] = lambda: blobs.signed_url(
        blobs.datasets_container, "a/b", expires_in=timedelta(minutes=1), download_name="x"
    )
    for operation in operations.values():
        with pytest.raises(StorageNotConfigured, match=reason) as caught:
            operation()
        assert "hush" not in repr(caught.value) + repr(blobs.__dict__)
    # An iterator says so when it is asked for, not when a page already streams it.
    with pytest.raises(StorageNotConfigured):
        blobs.list_prefix(blobs.datasets_container, "a/")
    assert reason in blobs.configuration_fault
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


# --- Away ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "operation", ["check", "upload_bytes", "iter_chunks", "info", "list_prefix", "delete_prefix"]
)
def test_a_dead_endpoint_is_reported_in_seconds(fresh, settings, tmp_path, operation):
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{closed_port()}/devstoreaccount1"
    call = every_operation(get_blobs(), tmp_path)[operation]
    start = time.monotonic()
    with pytest.raises(StorageUnavailable, match="does not answer"):
        call()
    assert time.monotonic() - start < (3 if operation == "check" else SECONDS)


def test_an_endpoint_that_hangs_fails_the_check_in_seconds(fresh, settings):
    with silent_port() as port:
        settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{port}/devstoreaccount1"
        start = time.monotonic()
        with pytest.raises(StorageUnavailable, match="does not answer"):
            get_blobs().check()
        assert time.monotonic() - start < SECONDS


def test_a_missing_container_is_the_operators_fault_not_a_missing_file(stack, settings):
    settings.AZURE_DATASETS_CONTAINER = "not-there"
    blobs = get_blobs()
    for call in (
        blobs.check,
        lambda: blobs.info("not-there", "a/b"),
        lambda: blobs.iter_chunks("not-there", "a/b"),
        lambda: blobs.upload_bytes("not-there", "a/b", b"x"),
        lambda: blobs.delete_prefix("not-there", "a/"),
    ):
        with pytest.raises(StorageUnavailable, match="container is missing"):
            call()


def test_containers_are_made_once(stack):
    get_blobs().ensure_containers()
    get_blobs().check()


class Proxy:
    """Passes bytes on to Azurite, uploads at ``rate`` bytes a second; ``drop`` and ``cut`` end the connections."""

    def __init__(self, target, *, rate=None):
        self._target = target
        self._rate = rate
        self._server = socket.socket()
        # A large buffer would swallow a block whole and hide the slow line.
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**15)
        self._server.bind(("127.0.0.1", 0))
        self._server.listen()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/devstoreaccount1"
        self._open = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    def drop(self):
        """End the connections that are open; new ones work."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """End everything for good."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._threads[0].join()
        self.drop()
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client = self._server.accept()[0]
                upstream = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, upstream]
                for pair in ((client, upstream, self._rate), (upstream, client, None)):
                    self._threads.append(threading.Thread(target=self._pump, args=pair))
                    self._threads[-1].start()

    def _pump(self, source, sink, rate):
        with suppress(OSError):
            while data := source.recv(2**14):
                sink.sendall(data)
                if rate:
                    time.sleep(len(data) / rate)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(stack):
    with Proxy(stack.services.azurite_port) as running:
        yield running


def test_a_connection_lost_during_an_upload_ends_it_and_stores_nothing(stack, settings, proxy):
    direct = get_blobs()
    settings.AZURE_ACCOUNT_URL = proxy.url
    blobs = get_blobs()
    writer = blobs.open_writer(stack.datasets_container, "a/b")
    writer.write(b"x" * BLOCK_BYTES)
    proxy.cut()
    start = time.monotonic()
    with pytest.raises(StorageUnavailable, match="does not answer"):
        writer.write(b"x" * (10 * BLOCK_BYTES))
    with pytest.raises(ValueError, match="closed"):
        writer.commit()
    assert time.monotonic() - start < 2 * SECONDS
    assert direct.info(stack.datasets_container, "a/b") is None


def test_a_connection_lost_during_a_download_is_our_error_too(stack, settings, proxy):
    get_blobs().upload_bytes(stack.datasets_container, "a/b", b"x" * (3 * BLOCK_BYTES))
    settings.AZURE_ACCOUNT_URL = proxy.url
    chunks = get_blobs().iter_chunks(stack.datasets_container, "a/b")
    next(chunks)
    proxy.cut()
    with pytest.raises(StorageUnavailable):
        list(chunks)


def test_a_dropped_connection_is_outlived(stack, settings, proxy):
    settings.AZURE_ACCOUNT_URL = proxy.url
    data = os.urandom(5 * BLOCK_BYTES)
    with get_blobs().open_writer(stack.datasets_container, "a/b") as writer:
        writer.write(data[:BLOCK_BYTES])
        proxy.drop()
        writer.write(data[BLOCK_BYTES:])
        proxy.drop()
        stored = writer.commit()
    chunks = get_blobs().iter_chunks(stack.datasets_container, "a/b", etag=stored.etag)
    first = next(chunks)
    proxy.drop()
    assert first + b"".join(chunks) == data


def test_a_slow_line_is_not_taken_for_a_dead_one(stack, settings, monkeypatch):
    """A block takes much longer to leave than a connection may take to be made, and that is fine."""
    monkeypatch.setattr("storage.blobs._CONNECT_SECONDS", 0.5)
    monkeypatch.setattr("storage.blobs_writer._PATIENCE", {"read_timeout": 20, "retry_total": 0})
    data = b"x" * (3 * BLOCK_BYTES)
    with Proxy(stack.services.azurite_port, rate=BLOCK_BYTES / 3) as slow:
        settings.AZURE_ACCOUNT_URL = slow.url
        assert get_blobs().upload_bytes(stack.datasets_container, "a/b", data).size == len(data)


# --- Processes and memory ------------------------------------------------------------------------------------
# Newer Pythons warn of forking beside threads; the queue does just that.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_makes_its_own_connection(stack):
    blobs = get_blobs()
    blobs.upload_bytes(stack.datasets_container, "a/b", b"parent")
    before = blobs._connected()
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must never return into pytest.
        code = 4
        try:
            blobs.upload_bytes(stack.datasets_container, "a/c", b"child")
            code = 0 if blobs._connected() is not before else 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert blobs._connected() is before
    assert blobs.read_range(stack.datasets_container, "a/c", length=9) == b"child"


STREAM = """
import json, os, resource, sys
from pathlib import Path
from storage.blobs import get_blobs

def peak():
    # Linux hands ru_maxrss on from the process that started this one; VmHWM begins with this program.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

blobs, target, size = get_blobs(), Path(sys.argv[1]), int(sys.argv[2])
container = blobs.datasets_container
blobs.upload_bytes(container, "warm/up", b"x")
start, piece = peak(), os.urandom(2**16)
with blobs.open_writer(container, "a/big") as writer:
    while writer.bytes_written < size:
        writer.write(piece)
    stored = writer.commit()
up = peak()
same = blobs.download_to(container, "a/big", target) == stored.sha256
print(json.dumps({"size": stored.size, "same": same, "up": up - start, "down": peak() - start}))
"""


def test_memory_stays_flat_for_300_megabytes(stack, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(tmp_path / "big"), str(300 * 10**6)],
        cwd=ROOT,
        env={**os.environ, **stack.environment, "DJANGO_SETTINGS_MODULE": "smartml.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert seen["same"]
    assert seen["size"] >= 300 * 10**6
    assert 0 < seen["up"] < 64 * 2**20
    assert seen["down"] < 64 * 2**20
