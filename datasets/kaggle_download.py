"""The bytes of one file on Kaggle, once and in order, over connections that break.

A broken transfer goes on where it stopped (``Range`` with ``If-Range``) as long as the file is provably the same.
Where the server cannot do that, the file is read from its beginning again and what has been passed on already is
compared, not passed on twice. Nothing is kept on the disk.
"""

import base64
import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import requests
from django.conf import settings
from urllib3.exceptions import HTTPError as Urllib3Error

from datasets.ingest import refuse_size
from datasets.kaggle_client import Client
from datasets.kaggle_errors import BrokenOff, FileChanged, KaggleUnavailable
from datasets.kaggle_records import FileRef

logger = logging.getLogger(__name__)

# What a broken connection may lose of what has arrived.
PIECE_BYTES: Final = 64 * 2**10
MAX_RESUMES: Final = 5
FIRST_PAUSE_SECONDS: Final = 1.0
# What the reader may be ahead of the storing: 2 MiB.
_AHEAD: Final = 32
_LOOK_SECONDS: Final = 0.25
_JOIN_SECONDS: Final = 2.0

_CHANGED: Final = "The file on Kaggle changed while it was being read, so nothing was stored."


class _Stopped(Exception):
    """Nobody wants the rest."""


class Download:
    """One transfer. ``size`` is what will be sent, in bytes, once the first piece has come and if Kaggle says it;
    ``done`` what has been received."""

    def __init__(self, client: Client, ref: FileRef) -> None:
        self.size: int | None = None
        self._client = client
        self._ref = ref
        self._etag = self._modified = self._md5 = ""
        self._takes_ranges = False
        self.done = 0
        self._hash = hashlib.md5(usedforsecurity=False)
        self._stop = threading.Event()
        self._answer: requests.Response | None = None

    @contextmanager
    def pieces(self, check: Callable[[], None]) -> Iterator[Iterator[bytes]]:
        """The file's bytes. ``check`` is called several times a second whatever the network does, and may raise."""
        waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=_AHEAD)
        reader = threading.Thread(target=self._fill, args=(waiting,), name="kaggle", daemon=True)
        reader.start()
        try:
            yield self._taken(waiting, check)
        finally:
            self._stop.set()
            self._interrupt()
            # One that waits for the first byte of an answer ends by its time limit.
            reader.join(_JOIN_SECONDS)

    def _taken(
        self, waiting: "queue.Queue[bytes | BaseException | None]", check: Callable[[], None]
    ) -> Iterator[bytes]:
        while True:
            check()
            try:
                item = waiting.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _fill(self, waiting: "queue.Queue[bytes | BaseException | None]") -> None:
        """The thread: reads ahead, so that the network and the storage are busy at the same time."""
        end: BaseException | None = None
        try:
            for piece in self._read():
                self._put(waiting, piece)
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 -- raised again in the thread that waits for it
            end = error
        with suppress(_Stopped):
            self._put(waiting, end)

    def _put(
        self, waiting: "queue.Queue[bytes | BaseException | None]", item: bytes | BaseException | None
    ) -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=_LOOK_SECONDS)
                return
        raise _Stopped

    def _interrupt(self) -> None:
        """Wake the reader out of a read that waits for the network."""
        raw = getattr(self._answer, "raw", None)
        if raw is not None:
            # It may have ended, or been let go, just now.
            with suppress(RuntimeError, ValueError, OSError):
                raw.shutdown()

    # --- In the thread ----------------------------------------------------------------------------------------
    def _read(self) -> Iterator[bytes]:
        for attempt in range(MAX_RESUMES + 1):
            try:
                yield from self._once()
            except BrokenOff:
                raise
            except (KaggleUnavailable, requests.RequestException, Urllib3Error, OSError) as error:
                if self._stop.is_set():
                    raise _Stopped from None
                if attempt == MAX_RESUMES:
                    raise self._given_up(error) from None
                logger.warning("Kaggle import: %s after %d bytes, trying again.", type(error).__name__, self.done)
                if self._stop.wait(FIRST_PAUSE_SECONDS * 2**attempt):
                    raise _Stopped from None
            else:
                return

    def _given_up(self, error: Exception) -> KaggleUnavailable:
        if isinstance(error, KaggleUnavailable) and not self.done:
            return error
        return BrokenOff("The connection to Kaggle broke again and again, so nothing was stored.")

    def _once(self) -> Iterator[bytes]:
        """From where it is to the end, over one connection."""
        with closing(self._client.open_file(self._ref, headers=self._resuming())) as answer:
            self._answer = answer
            seen = self._begin(answer)
            before = hashlib.md5(usedforsecurity=False)
            for piece in answer.iter_content(PIECE_BYTES):
                if self._stop.is_set():
                    raise _Stopped
                fresh = piece
                if seen < self.done:
                    again = piece[: self.done - seen]
                    before.update(again)
                    fresh = piece[len(again) :]
                    seen += len(again)
                    if seen == self.done and before.digest() != self._hash.digest():
                        raise FileChanged(_CHANGED)
                if fresh:
                    self._hash.update(fresh)
                    self.done += len(fresh)
                    seen += len(fresh)
                    yield fresh
            self._check_end(seen)

    def _resuming(self) -> dict[str, str]:
        same = self._etag or self._modified
        if not self.done or not self._takes_ranges or not same:
            return {}
        return {"Range": f"bytes={self.done}-", "If-Range": same}

    def _begin(self, answer: requests.Response) -> int:
        """Note what the first answer says, compare what later ones say; the offset at which this one begins."""
        headers = answer.headers
        encoded = headers.get("Content-Encoding", "identity") != "identity"
        strong = "" if headers.get("ETag", "").startswith("W/") else headers.get("ETag", "")
        start, size = _extent(answer)
        if answer.status_code == 416 or (start and start != self.done):
            raise FileChanged(_CHANGED)
        if size is None and headers.get("Transfer-Encoding") != "chunked":
            raise BrokenOff("Kaggle's file store does not say how long the file is, so its end could be missing.")
        if encoded:
            size = None
        if not self.done:
            self.size, self._etag, self._modified = size, strong, headers.get("Last-Modified", "")
            self._takes_ranges = not encoded and headers.get("Accept-Ranges") == "bytes"
            self._md5 = "" if encoded else _md5_of(headers.get("x-goog-hash", ""))
            if size is not None and size > settings.MAX_UPLOAD_BYTES:
                raise refuse_size(size)
        elif size != self.size or (strong != self._etag and (strong or answer.status_code != 206)):
            raise FileChanged(_CHANGED)
        return start

    def _check_end(self, seen: int) -> None:
        if seen < self.done:
            raise FileChanged(_CHANGED)
        if self.size is not None and seen != self.size:
            raise KaggleUnavailable("Kaggle sent less than it had announced.")
        if self._md5 and base64.b64encode(self._hash.digest()).decode() != self._md5:
            raise BrokenOff("What arrived from Kaggle does not match its checksum, so nothing was stored.")


def _extent(answer: requests.Response) -> tuple[int, int | None]:
    """Where the body begins in the file, and how long the whole file is if that is said."""
    try:
        if answer.status_code == 206:
            # bytes 100-199/200
            covered, _, whole = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")
            return int(covered.split("-")[0]), int(whole)
        length = answer.headers.get("Content-Length")
        return 0, None if length is None else int(length)
    except (KeyError, ValueError):
        raise KaggleUnavailable("Kaggle's file store gave an answer that cannot be read.") from None


def _md5_of(header: str) -> str:
    """The MD5 in Google's ``crc32c=…,md5=…``; empty when it names none."""
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "md5":
            return value
    return ""
