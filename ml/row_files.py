"""The rows of a CSV file for a model, in chunks: read as an upload is, values as programs write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, Final

from ml.column_types import BLANKS
from ml.quarantine import BadRow
from ml.reading import Reader, Rows
from ml.tables import SNIFF_BYTES, detect
from ml.value_formats import PLAIN, ValueFormat, is_numeric, plain_number
from smartml.errors import InvalidTable

ROWS: Final = 2_000
_READ_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows in the order of the file: as they are ``written``, and as ``rows`` of values by column. ``bad`` are
    the records up to their end that do not fit the header and are in neither."""

    columns: tuple[str, ...]
    written: tuple[list[str], ...]
    rows: tuple[dict[str, str], ...]
    bad: tuple[BadRow, ...]


def read_rows(
    source: BinaryIO,
    *,
    numbers: Collection[str],
    most: int = ROWS,
) -> Iterator[Chunk]:
    """The file's rows, at most ``most`` at a time, in flat memory; one chunk at least. Its first row is the header.

    :param numbers: columns whose values are rewritten where the file writes numbers in another way ("1.234,5").
    :raises InvalidTable: it is no table.
    """
    head = source.read(SNIFF_BYTES)
    if not head.strip():
        raise InvalidTable("The file is empty.", hint="Give it a header row and rows under it.")
    dialect = replace(detect(head, complete=len(head) < SNIFF_BYTES).dialect, has_header=True)
    reader = Reader(dialect, undecided=dialect.encoding == "utf-8" and head.isascii())
    plain = _Plain(dialect.formats, frozenset(numbers))
    columns: tuple[str, ...] = ()
    waiting: list[list[str]] = []
    bad: list[BadRow] = []
    is_first = True
    for part in _parts(reader, head, source):
        columns = part.header or columns
        waiting += part.values()
        bad += part.bad_rows()
        while len(waiting) >= most:
            is_first = False
            yield _cut(columns, waiting, bad, plain, most)
    if not columns:
        raise InvalidTable("There is no header row in this file that could be read.")
    if waiting or bad or is_first:
        yield _cut(columns, waiting, bad, plain, most)


def _parts(reader: Reader, head: bytes, source: BinaryIO) -> Iterator[Rows]:
    yield from reader.feed(head)
    for piece in iter(partial(source.read, _READ_BYTES), b""):
        yield from reader.feed(piece)
    yield from reader.finish()


def _cut(columns: tuple[str, ...], waiting: list[list[str]], bad: list[BadRow], plain: _Plain, most: int) -> Chunk:
    """The next chunk, taken out of what waits."""
    written, said = tuple(waiting[:most]), tuple(bad)
    del waiting[:most]
    bad.clear()
    return Chunk(columns, written, tuple(plain.row(columns, values) for values in written), said)


@dataclass(frozen=True, slots=True)
class _Plain:
    formats: ValueFormat
    numbers: frozenset[str]

    def row(self, columns: tuple[str, ...], values: list[str]) -> dict[str, str]:
        row = dict(zip(columns, values, strict=True))
        if self.formats != PLAIN:
            for name, value in row.items():
                trimmed = value.strip(BLANKS)
                if name in self.numbers and is_numeric(trimmed, self.formats):
                    row[name] = plain_number(trimmed, self.formats)
        return row
