"""A Kaggle on this machine: the operations that the app uses, spoken to by the real kagglesdk client.

Two servers, because on Kaggle the files lie on another host than the API: what arrives there carries no credential.
Faults are switched on by the test that wants them.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

API = "/v1/datasets.DatasetApiService/"
SIGNATURE = "signature-that-opens-the-file"
PIECE = 64 * 2**10


@dataclass
class StubDataset:
    """One dataset; ``files`` by name."""

    title: str
    files: dict[str, bytes]
    license_name: str = "CC0-1.0"
    version: int = 3
    # What the list says of a size, where that is not the length of the file.
    sizes: dict[str, int] = field(default_factory=dict)
    # How the transfer of a file is packed, where that is not as it is.
    packed: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Seen:
    """One request as it arrived."""

    operation: str
    authorization: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Kaggle:
    """The stand-in's content, its faults, and what it was asked."""

    datasets: dict[str, StubDataset] = field(default_factory=dict)
    # Accepted Authorization headers; None accepts every one that is not empty.
    accepts: set[str] | None = None
    page_size: int = 2
    # Operation name -> status, or a list of statuses for one request after the other (200 goes on as usual).
    fail: dict[str, Any] = field(default_factory=dict)
    retry_after: str = "30"
    # Cuts the connection after so many bytes of a body, once for each number.
    cuts: list[int] = field(default_factory=list)
    # Called before every piece of a file: slows down, waits for a test, changes the file.
    before_piece: Any = None
    ranges: bool = True
    etag: bool = True
    length: bool = True
    chunked: bool = False
    checksum: str | None = None
    # Where the API sends the client for a file; the files' own server when it is empty.
    redirect_to: str = ""
    direct: bool = False
    stall: float = 0.0
    # Answers with these bytes, whatever was asked.
    garbage: bytes | None = None
    seen: list[Seen] = field(default_factory=list)
    files_seen: list[Seen] = field(default_factory=list)
    url: str = ""
    files_url: str = ""

    def count(self, operation: str) -> int:
        return sum(each.operation == operation for each in self.seen)

    def body_of(self, ref: str, name: str) -> bytes:
        found = self.datasets[ref]
        return found.packed.get(name, found.files[name])


@contextmanager
def kaggle_stub() -> Iterator[Kaggle]:
    """A running stand-in; both its servers end with the block."""
    kaggle = Kaggle()
    servers = [_Server(("127.0.0.1", 0), handler) for handler in (_Api, _Files)]
    threads = []
    for server in servers:
        server.kaggle = kaggle
        threads.append(threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}))
        threads[-1].start()
    kaggle.url, kaggle.files_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield kaggle
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    kaggle: Kaggle
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def kaggle(self) -> Kaggle:
        return self.server.kaggle

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the app's own log is what tests look at."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, content: object, status: int = 200, **headers: str) -> None:
        self.answer(status, json.dumps(content).encode(), Content_Type="application/json", **headers)

    def note(self, operation: str, body: dict[str, Any]) -> Seen:
        headers = dict(self.headers.items())
        return Seen(operation, headers.get("Authorization", ""), body, headers)


class _Api(_Handler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        operation = self.path.removeprefix(API)
        seen = self.note(operation, body)
        self.kaggle.seen.append(seen)
        time.sleep(self.kaggle.stall)
        if self.kaggle.garbage is not None:
            return self.answer(200, self.kaggle.garbage, Content_Type="application/json")
        status = self._status(operation, seen.authorization)
        if status != 200:
            later = {"Retry_After": self.kaggle.retry_after} if status == 429 else {}
            return self.answer_json({"code": status, "message": f"hush {seen.authorization}"}, status, **later)
        return getattr(self, operation)(body)

    def _status(self, operation: str, authorization: str) -> int:
        accepts = self.kaggle.accepts
        if not authorization or (accepts is not None and authorization not in accepts):
            return 401
        failing = self.kaggle.fail.get(operation, 200)
        if isinstance(failing, list):
            return failing.pop(0) if failing else 200
        return failing

    def _found(self, body: dict[str, Any]) -> tuple[str, StubDataset | None]:
        ref = f"{body.get('ownerSlug')}/{body.get('datasetSlug')}"
        found = self.kaggle.datasets.get(ref)
        if found is None:
            self.answer_json({"code": 404, "message": "Not found"}, 404)
        return ref, found

    def _page(self, items: list[Any], body: dict[str, Any]) -> tuple[list[Any], str]:
        start = int(body.get("pageToken") or 0)
        end = start + self.kaggle.page_size
        return items[start:end], str(end) if end < len(items) else ""

    def ListDatasets(self, body: dict[str, Any]) -> None:
        wanted = body.get("search", "").lower()
        found = [(ref, each) for ref, each in self.kaggle.datasets.items() if wanted in each.title.lower()]
        page, token = self._page(found, body)
        items = [
            {
                "ref": ref,
                "title": each.title,
                "totalBytes": sum(map(len, each.files.values())),
                "lastUpdated": "2026-03-04T05:06:07.1234567Z",
                "licenseName": each.license_name,
            }
            for ref, each in page
        ]
        self.answer_json({"datasets": items, "nextPageToken": token})

    def GetDataset(self, body: dict[str, Any]) -> None:
        ref, found = self._found(body)
        if found is not None:
            self.answer_json(
                {
                    "ref": ref,
                    "title": found.title,
                    "subtitle": "As found in the wild",
                    "totalBytes": sum(map(len, found.files.values())),
                    "lastUpdated": "2026-03-04T05:06:07Z",
                    "licenseName": found.license_name,
                    "currentVersionNumber": found.version,
                }
            )

    def GetDatasetMetadata(self, body: dict[str, Any]) -> None:
        _, found = self._found(body)
        if found is not None:
            self.answer_json({"info": {"title": found.title, "licenses": [{"name": "ODbL-1.0"}]}})

    def ListDatasetFiles(self, body: dict[str, Any]) -> None:
        _, found = self._found(body)
        if found is None:
            return
        page, token = self._page(list(found.files.items()), body)
        items = [
            {"name": name, "totalBytes": found.sizes.get(name, len(data)), "creationDate": "2026-01-02T03:04:05Z"}
            for name, data in page
        ]
        self.answer_json({"datasetFiles": items, "nextPageToken": token})

    def DownloadDataset(self, body: dict[str, Any]) -> None:
        ref, found = self._found(body)
        if found is None:
            return None
        name = body.get("fileName", "")
        if name not in found.files:
            return self.answer_json({"code": 404, "message": "Not found"}, 404)
        if self.kaggle.direct:
            return self.answer(200, self.kaggle.body_of(ref, name), Content_Type="text/csv")
        query = f"ref={quote(ref)}&name={quote(name)}&X-Goog-Signature={SIGNATURE}"
        target = self.kaggle.redirect_to or f"{self.kaggle.files_url}/file?{query}"
        return self.answer(302, Location=target)


class _Files(_Handler):
    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.kaggle.files_seen.append(self.note("file", query))
        status = self.kaggle.fail.get("file", 200)
        if isinstance(status, list):
            status = status.pop(0) if status else 200
        if status != 200:
            return self.answer(status)
        return self._send(self.kaggle.body_of(query["ref"], query["name"]))

    def _send(self, data: bytes) -> None:
        kaggle = self.kaggle
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        start = 0
        wanted = self.headers.get("Range", "")
        if wanted and kaggle.ranges and self.headers.get("If-Range") in (None, etag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        if kaggle.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if kaggle.etag:
            self.send_header("ETag", etag)
        if kaggle.checksum != "none":
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            self.send_header(
                "x-goog-hash", f"crc32c=AAAAAA==,md5={kaggle.checksum or base64.b64encode(digest).decode()}"
            )
        if kaggle.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif kaggle.length:
            self.send_header("Content-Length", str(len(data) - start))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self._body(data[start:])

    def _body(self, data: bytes) -> None:
        cut = self.kaggle.cuts.pop(0) if self.kaggle.cuts else None
        sent = 0
        for position in range(0, len(data), PIECE):
            if self.kaggle.before_piece is not None:
                self.kaggle.before_piece(position)
            piece = data[position : position + PIECE]
            if cut is not None and sent + len(piece) > cut:
                piece = piece[: cut - sent]
            self._write(piece)
            sent += len(piece)
            if cut is not None and sent >= cut:
                self.wfile.flush()
                self.close_connection = True
                return
        if self.kaggle.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, piece: bytes) -> None:
        if self.kaggle.chunked:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        else:
            self.wfile.write(piece)
