"""Unpacking gzip as it streams by: no file, no seeking, flat memory."""

import zlib
from collections.abc import Generator, Iterator

from ml.containers_common import PIECE_BYTES, Limits, Meter
from smartml.errors import InvalidTable

_MAGIC = b"\x1f\x8b"
_HINT = "Compress the table again, or upload it unpacked."
_FLAG_EXTRA, _FLAG_NAME = 0x04, 0x08
_HEADER_BYTES = 10
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class GzipReader:
    """Compressed bytes in, the table's bytes out; call ``finish`` after the last ones.

    Several gzip members one after the other are one file, as gzip itself has it, and zero bytes behind the last
    are padding. Anything else behind it, a wrong checksum or a missing end is an InvalidTable; what unfolds beyond
    the limits is a TooLarge. After an error the reader is of no more use.
    """

    def __init__(self, limits: Limits) -> None:
        self._meter = Meter(limits)
        self._member: zlib._Decompress | None = None
        self._begun = False
        self._padded = False
        self._ahead = b""  # the first byte of a next member, until the second comes

    def feed(self, data: bytes) -> bytes:
        """What these bytes unfold to. A few MiB may unfold to hundreds; :meth:`pieces` keeps memory flat."""
        return b"".join(self.pieces(data))

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The same as :meth:`feed`, a MiB at a time; read them all before the next call."""
        self._meter.packed += len(data)
        while data:
            if self._member is None:
                data = self._next_member(data)
            if self._member is not None:
                data = yield from self._unpack(self._member, data)

    def finish(self) -> None:
        """Raise InvalidTable when the file stopped before its end."""
        if self._member is None and not self._begun:
            raise InvalidTable("The file is empty." if not self._ahead else "This file is no complete gzip file.")
        if self._member is not None:
            raise InvalidTable("The gzip file ends too early: a part of it is missing.", hint=_HINT)
        if self._ahead:
            raise _trailing()
        if not self._meter.unpacked:
            raise InvalidTable("The gzip file holds an empty file.")

    def _next_member(self, data: bytes) -> bytes:
        """Begin a member when one begins here; returns what is left of the data."""
        if self._begun and not self._ahead:
            rest = data.lstrip(b"\0")
            self._padded |= len(rest) < len(data)
            data = rest
        data, self._ahead = self._ahead + data, b""
        if not data:
            return b""
        if self._padded or not _MAGIC.startswith(data[:2]):
            raise _trailing() if self._begun else InvalidTable("This file is no gzip file.", hint=_HINT)
        if len(data) == 1:
            self._ahead = data
            return b""
        self._member, self._begun = zlib.decompressobj(_GZIP_WINDOW), True
        return data

    def _unpack(self, member: "zlib._Decompress", data: bytes) -> Generator[bytes, None, bytes]:
        """Yields the output, returns the bytes behind the member's end."""
        full = True
        while data or full:  # a full piece may leave more in the decompressor than in its input
            try:
                piece = member.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise InvalidTable("The gzip file is damaged: it cannot be unpacked.", hint=_HINT) from error
            self._meter.add(len(piece))
            if piece:
                yield piece
            if member.eof:
                self._member = None
                return member.unused_data
            data, full = member.unconsumed_tail, len(piece) == PIECE_BYTES
        return b""


def _trailing() -> InvalidTable:
    return InvalidTable(
        "After the end of the gzip file come bytes that do not belong to it, so something was added or damaged.",
        hint=_HINT,
    )


def gzip_name(head: bytes) -> str:
    """The file name that the header of a gzip file gives, without folders; empty when there is none."""
    if len(head) < _HEADER_BYTES or not head[3] & _FLAG_NAME:
        return ""
    at = _HEADER_BYTES
    if head[3] & _FLAG_EXTRA:
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    end = head.find(b"\0", at)
    return head[at:end].decode("latin-1").replace("\\", "/").rpartition("/")[2] if end > at else ""
