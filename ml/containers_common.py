"""What the readers of packed files share: limits, the names of what is inside, and the sentences of a bomb."""

import io
from dataclasses import dataclass
from typing import BinaryIO

from smartml.errors import InvalidTable, TooLarge

MIB = 2**20
# What any library may ask of the packed file in one call: a directory or footer longer than this is no table's.
_LONGEST_READ = 64 * MIB
# Small files of zeros are packed a thousand times over and harm nobody; the ratio is judged beyond this.
RATIO_FROM_BYTES = 16 * MIB
PIECE_BYTES = MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a packed file may unfold: ``max_output_bytes`` of table, ``max_ratio`` times its packed size,
    ``max_members`` entries in an archive."""

    max_output_bytes: int
    max_ratio: float = 300.0
    max_members: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One table inside a packed file: a file of an archive (its path there) or a sheet.

    ``size`` is in bytes, unpacked; None when only reading tells. The name comes from the file: show it escaped,
    never use it as a path.
    """

    name: str
    size: int | None


class Meter:
    """Counts what comes out against what went in; raises TooLarge when either limit is passed."""

    def __init__(self, limits: Limits, *, packed: int = 0) -> None:
        self.packed = packed
        self.unpacked = 0
        self._limits = limits

    def add(self, size: int) -> None:
        """``size`` more bytes came out."""
        self.unpacked += size
        refuse_unfolding(self._limits, packed=self.packed, unpacked=self.unpacked)


def refuse_unfolding(limits: Limits, *, packed: int, unpacked: int) -> None:
    """Raise TooLarge when so many bytes are too many, or too many for a file of ``packed`` bytes."""
    if unpacked > limits.max_output_bytes:
        raise TooLarge(
            f"Unpacked, this file is larger than the limit of {readable(limits.max_output_bytes)}.",
            hint="Upload a part of the table, or ask the operator to raise the limit.",
        )
    if unpacked > RATIO_FROM_BYTES and unpacked > limits.max_ratio * packed:
        raise TooLarge(
            f"Unpacked, this file is more than {limits.max_ratio:,.0f} times as large as it is packed, "
            "so it is not opened.",
            hint="Unpack it yourself and upload the table inside.",
        )


def readable(size: int) -> str:
    """A number of bytes for people."""
    for unit, factor in (("GB", 2**30), ("MB", MIB), ("KB", 2**10)):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"


class GuardedFile(io.RawIOBase):
    """A packed file handed to a library: reads only, and never very much in one call.

    A library believes the file about the length of its directory or footer and reads that in one piece.
    """

    def __init__(self, file: BinaryIO, *, longest_read: int = _LONGEST_READ) -> None:
        super().__init__()
        self._file = file
        self._longest = longest_read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            here = self.tell()
            size = self.seek(0, io.SEEK_END) - here
            self.seek(here)
        if size > self._longest:
            raise InvalidTable(
                f"The directory of this file is larger than {readable(self._longest)}, so it is not opened.",
                hint="Unpack it yourself and upload the table inside.",
            )
        return self._file.read(size)

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def size_of(file: BinaryIO) -> int:
    """The length of an open file in bytes."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size
