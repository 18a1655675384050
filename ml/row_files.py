"""The rows of a CSV file for a model, in chunks: read as an upload is, values as programs write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, Final

from ml.features import Feature
from ml.file_values import plain_value
from ml.quarantine import BadRow
from ml.reading import Reader, Rows
from ml.tables import SNIFF_BYTES, detect
from ml.value_formats import ValueFormat
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
    source: BinaryIO, *, features: Sequence[Feature], date_order: str | None = None, most: int = ROWS
) -> Iterator[Chunk]:
    """The file's rows, at most ``most`` at a time, in flat memory; one chunk at least. Its first row is the header.

    Values of ``features`` are rewritten where the file writes numbers or dates in another way ("1.234,5");
    ``date_order`` (see ``ValueFormat``) is for a file that leaves it open.

    :raises InvalidTable: it is no table.
    """
    head = source.read(SNIFF_BYTES)
    if not head.strip():
        raise InvalidTable("The file is empty.", hint="Give it a header row and rows under it.")
    dialect = replace(detect(head, complete=len(head) < SNIFF_BYTES).dialect, has_header=True)
    if date_order is not None:
        dialect = replace(dialect, date_order=date_order)
    reader = Reader(dialect, undecided=dialect.encoding == "utf-8" and head.isascii())
    plain = _Plain(dialect.formats, {feature.name: feature for feature in features})
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
    features: Mapping[str, Feature]

    def row(self, columns: tuple[str, ...], values: list[str]) -> dict[str, str]:
        return {name: self._value(name, value) for name, value in zip(columns, values, strict=True)}

    def _value(self, name: str, value: str) -> str:
        feature = self.features.get(name)
        return value if feature is None else plain_value(value, feature, self.formats)
