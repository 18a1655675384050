"""A blob as a file: read by ranges, never downloaded whole, always the very version it was opened on."""

import io
from collections import OrderedDict
from typing import BinaryIO, Final, cast

from smartml.errors import BlobMissing
from storage.blobs import AzureBlobStorage, get_blobs

# A jump reads little; going on from there reads more each time, up to the largest window.
_FIRST_BYTES: Final = 256 * 2**10
_LARGEST_BYTES: Final = 4 * 2**20
# Readers of packed files go to and fro between a few places: the directory, one column and the next.
_WINDOWS: Final = 4


def open_blob_file(container: str, name: str, etag: str | None = None) -> BinaryIO:
    """The blob as a seekable file for reading; it holds at most 16 MiB, whatever the blob's size.

    :param etag: the version it must be; without it, the one that is there now. Reading raises BlobMissing as soon
        as the blob is another or gone, and so does opening.
    """
    blobs = get_blobs()
    info = blobs.info(container, name)
    if info is None:
        raise BlobMissing("The file is no longer in blob storage.")
    if etag is not None and info.etag != etag:
        raise BlobMissing("The file in blob storage is no longer the one that was recorded.")
    raw = _BlobFile(blobs, container, name, etag=info.etag, size=info.size)
    return cast(BinaryIO, raw)


class _BlobFile(io.RawIOBase):
    """Reads through a few windows on the blob. Not for use by several threads at once."""

    def __init__(self, blobs: AzureBlobStorage, container: str, name: str, *, etag: str, size: int) -> None:
        super().__init__()
        self._blobs = blobs
        self._container = container
        self._name = name
        self._etag = etag
        self._size = size
        self._at = 0
        self._windows: OrderedDict[int, bytes] = OrderedDict()  # by where they begin, the last used at the end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("A position before the beginning of a file.")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """``size`` bytes, fewer only at the end: what calls this expects a file, not a pipe."""
        self._checkClosed()
        left = max(self._size - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        parts = []
        while wanted:
            part = self._some(wanted)
            parts.append(part)
            self._at += len(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._windows.clear()
        super().close()

    def _some(self, wanted: int) -> bytes:
        """At least one of the wanted bytes at the position, as many as one window has."""
        for begin, window in self._windows.items():
            if begin <= self._at < begin + len(window):
                self._windows.move_to_end(begin)
                return window[self._at - begin : self._at - begin + wanted]
        window = self._fetch(wanted)
        self._windows[self._at] = window
        while len(self._windows) > _WINDOWS:
            self._windows.popitem(last=False)
        return window[:wanted]

    def _fetch(self, wanted: int) -> bytes:
        """A new window at the position: twice as long as the one it follows."""
        before = next((len(w) for begin, w in self._windows.items() if begin + len(w) == self._at), 0)
        length = min(max(2 * before, _FIRST_BYTES, wanted), _LARGEST_BYTES)
        data = self._blobs.read_range(self._container, self._name, offset=self._at, length=length, etag=self._etag)
        if len(data) < min(length, self._size - self._at):
            raise BlobMissing("The file in blob storage is shorter than it was recorded.")
        return data
