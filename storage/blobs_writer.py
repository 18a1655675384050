"""Writing one blob piece by piece: flat memory, nothing visible before the end."""

import base64
import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Self

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError
from azure.storage.blob import BlobBlock, BlobClient

from smartml.errors import Conflict
from storage.blobs_errors import translated

# One block is being filled, two are on their way and one waits: 16 MiB at most, and 50 000 blocks are 195 GiB.
# Larger blocks were slower against the emulator and doubled the memory.
BLOCK_BYTES = 4 * 2**20
_THREADS = 2
_MAX_PENDING = _THREADS + 1
_WRITER_KEY = "writer"
# Much is lost with an upload, so storage gets more time to answer a write than a page gives it for a read.
_PATIENCE: dict[str, Any] = {"read_timeout": 30, "retry_read": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A blob that has just become visible. ``sha256`` is of its bytes, in hexadecimal."""

    name: str
    url: str
    size: int
    etag: str
    sha256: str


class BlobWriter:
    """Takes bytes as they come and makes them a blob on ``commit``.

    Blocks are staged by two threads while the caller goes on; when storage is slower than the caller, ``write``
    waits. Create-only: a blob of that name makes ``commit`` raise Conflict and stays as it is. Not for use by
    several threads at once. The failure of a block is raised by a later ``write`` or by ``commit`` and closes the
    writer.
    """

    def __init__(self, blob: BlobClient, *, on_close: Callable[[], None] | None = None) -> None:
        self.bytes_written = 0
        # From the first request that can make the blob appear; even if its answer never comes.
        self.may_be_visible = False
        # While that request has no answer, the blob may still appear later.
        self.may_appear = False
        self._blob = blob
        self._hash = hashlib.sha256()
        self._buffer = bytearray()
        self._blocks: list[BlobBlock] = []
        self._pending: deque[Future[None]] = deque()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blob-writer")
        # Block ids must be of equal length, and two writers of one name must not pick up each other's blocks.
        self._token = secrets.token_hex(8)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def write(self, data: bytes) -> None:
        """Append. Blocks while more than a few blocks wait to be staged."""
        if self._closed:
            raise ValueError("This writer is closed.")
        rest = memoryview(data)
        while rest:
            piece = rest[: BLOCK_BYTES - len(self._buffer)]
            rest = rest[len(piece) :]
            self._hash.update(piece)
            self._buffer += piece
            self.bytes_written += len(piece)
            if len(self._buffer) == BLOCK_BYTES:
                self._stage()

    def commit(self) -> Stored:
        """Make the blob visible. Raises Conflict when the name is taken; the writer is closed either way."""
        if self._closed:
            raise ValueError("This writer is closed.")
        try:
            if self._buffer:
                self._stage()
            while self._pending:
                self._wait_for_oldest()
            etag = self._commit_blocks()
        finally:
            self.abort()
        return Stored(
            name=self._blob.blob_name,
            url=self._blob.url,
            size=self.bytes_written,
            etag=etag,
            sha256=self._hash.hexdigest(),
        )

    def abort(self) -> None:
        """Stop; what was staged stays invisible and Azure drops it within a week. Harmless after ``commit``."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()
        self._buffer = bytearray()

    def _stage(self) -> None:
        block_id = base64.b64encode(f"{self._token}-{len(self._blocks):06d}".encode()).decode()
        self._blocks.append(BlobBlock(block_id))
        data, self._buffer = bytes(self._buffer), bytearray()
        if len(self._pending) >= _MAX_PENDING:
            self._wait_for_oldest()
        self._pending.append(self._pool.submit(self._send, block_id, data))

    def _send(self, block_id: str, data: bytes) -> None:
        # As a stream, so that time-outs are about a connection that stalls: bytes would have to leave as a whole
        # within one, which a slow line cannot do.
        self._blob.stage_block(block_id, BytesIO(data), length=len(data), **_PATIENCE)

    def _wait_for_oldest(self) -> None:
        try:
            with translated():
                self._pending.popleft().result()
        except BaseException:
            # A blob with a hole must never be committed.
            self.abort()
            raise

    def _commit_blocks(self) -> str:
        self.may_be_visible = self.may_appear = True
        with translated():
            try:
                done = self._blob.commit_block_list(
                    self._blocks,
                    match_condition=MatchConditions.IfMissing,
                    **_PATIENCE,
                    metadata={_WRITER_KEY: self._token, "sha256": self._hash.hexdigest()},
                )
            except (ResourceExistsError, ResourceModifiedError) as error:
                etag = self._own_etag(error)
            else:
                etag = str(done["etag"])
        self.may_appear = False
        return etag

    def _own_etag(self, refusal: AzureError) -> str:
        """The etag when the blob in the way is our own: the first answer was lost and the client asked again."""
        there = self._blob.get_blob_properties()
        if (there.metadata or {}).get(_WRITER_KEY) == self._token:
            return str(there.etag)
        self.may_appear = False
        raise Conflict("There is already a file of that name in blob storage.") from refusal
