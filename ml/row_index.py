"""Finding a row of a large file without reading what stands before it.

:class:`RowIndexer` reads a file once, as its bytes go by, and notes every MiB or so which row comes next and where
that is. :func:`rows_at` reads on from there. Both read as everything else does (:mod:`ml.reading`), so the rows are
those that the table counts: what is in quarantine is none.

A mark names a byte of the *stored* file at which a character begins, and how much of the UTF-8 text from there on
still belongs to rows before: like that it holds in every encoding, and where bytes are no text.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from ml.dialects import Dialect, parse_records
from ml.reading import Reader, Rows
from ml.records import MAX_RECORD_BYTES
from ml.transcoding import Transcoder

# How far apart the places are that a mark may name; a page reads at most this much too much.
_STEP_BYTES: Final = 256 * 2**10
# A record that is not complete yet may go back as far as the longest one, and text is at most three times as long.
_PLACES_KEPT: Final = 4 * (MAX_RECORD_BYTES // _STEP_BYTES) + 16
# The first request for the part of a file in which a page is; the next ones are longer, up to a MiB.
_FIRST_BYTES: Final = 2**18
_READ_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Mark:
    """``row`` rows come before the text that begins ``skip`` bytes of UTF-8 behind byte ``offset`` of the file."""

    row: int
    offset: int
    skip: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIndex:
    """Where the rows of a file are. ``width``, ``overhanging`` and ``header`` are those of
    :class:`ml.reading.Reader`."""

    rows: int
    width: int | None
    overhanging: bool | None
    marks: tuple[Mark, ...]
    header: bytes = b""

    def before(self, row: int) -> Mark | None:
        """The last mark that is not behind the row (counted from 0); None: begin at the beginning."""
        at = bisect_right(self.marks, row, key=lambda mark: mark.row)
        return self.marks[at - 1] if at else None

    def as_dict(self) -> dict[str, Any]:
        marks = [[mark.row, mark.offset, mark.skip] for mark in self.marks]
        return {
            "rows": self.rows,
            "width": self.width,
            "overhanging": self.overhanging,
            "header": self.header.decode(),
            "marks": marks,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            rows=values["rows"],
            width=values["width"],
            overhanging=values["overhanging"],
            marks=tuple(Mark(*mark) for mark in values["marks"]),
            header=values.get("header", "").encode(),
        )


class RowIndexer:
    """One pass over a file; memory grows by a mark for every MiB."""

    def __init__(self, dialect: Dialect) -> None:
        self._reader = Reader(dialect)
        self._rows = 0
        self._marks: list[Mark] = []
        self._places: deque[tuple[int, int]] = deque([(0, 0)], maxlen=_PLACES_KEPT)

    def feed(self, data: bytes) -> None:
        for start in range(0, len(data), _STEP_BYTES):
            for rows in self._reader.feed(data[start : start + _STEP_BYTES]):
                self._add(rows)
            self._places.append(self._reader.position)

    def finish(self) -> RowIndex:
        for rows in self._reader.finish():
            self._add(rows)
        width, overhanging, header = self._reader.shape
        return RowIndex(
            rows=self._rows, width=width, overhanging=overhanging, header=header, marks=tuple(self._marks)
        )

    def _add(self, rows: Rows) -> None:
        count = int(np.count_nonzero(rows.fits))
        # The first rows are read from the beginning of the file, with the header and what is above it.
        if count and self._rows:
            self._mark(rows)
        self._rows += count

    def _mark(self, rows: Rows) -> None:
        # A batch is cut when all text so far has been put to it, so it ends where the text does.
        begin = self._reader.position[1] - len(rows.batch.buffer)
        place = next(((offset, text) for offset, text in reversed(self._places) if text <= begin), None)
        if place is not None:
            offset, text = place
            self._marks.append(Mark(self._rows, offset, begin - text))


Read = Callable[[int, int], bytes]
"""``read(offset, length)``: bytes of the stored file, fewer only at its end."""


def rows_at(
    read: Read, dialect: Dialect, index: RowIndex | None, *, first: int, count: int, most_bytes: int | None = None
) -> list[list[str]]:
    """``count`` rows from ``first`` (counted from 0) on, fewer at the end of the file.

    :param index: without it the file is read from its beginning.
    :param most_bytes: give up after so many bytes of the file; what was found by then is returned.
    """
    mark = index.before(first) if index is not None else None
    seen = mark.row if mark is not None else 0
    found: list[list[str]] = []
    for rows in _rows_from(read, dialect, index, mark, most_bytes):
        fitting = np.flatnonzero(rows.fits) + rows.first
        wanted = fitting[max(first - seen, 0) :][: count - len(found)]
        if len(wanted):
            table = parse_records(rows.batch.buffer, rows.batch.split, wanted.tolist(), rows.layout)
            found += [row[: rows.width] for row in table]
        seen += len(fitting)
        if len(found) == count:
            break
    return found


def _rows_from(
    read: Read, dialect: Dialect, index: RowIndex | None, mark: Mark | None, most_bytes: int | None
) -> Iterator[Rows]:
    """The rows from a mark on, or all of them; a range is read whenever more are asked for."""
    offset = 0 if mark is None else mark.offset
    stop = None if most_bytes is None else offset + most_bytes
    if mark is None or index is None:
        reader, text_of = Reader(dialect), None
    else:
        # What follows is text already, with neither preamble nor header.
        inner = replace(dialect, encoding="utf-8", has_header=False, skip_lines=0)
        reader = Reader(inner, width=index.width, overhanging=index.overhanging, header=index.header)
        text_of = _TextFrom(dialect.encoding, mark.skip)
    length = _FIRST_BYTES
    while stop is None or offset < stop:
        data = read(offset, length)
        offset += len(data)
        final = len(data) < length
        length = min(2 * length, _READ_BYTES)
        yield from reader.feed(data if text_of is None else text_of(data, final=final))
        if final:
            yield from reader.finish()
            return
        yield from reader.flush()


class _TextFrom:
    """The file's bytes from a mark on as UTF-8, without what belongs to rows before it."""

    def __init__(self, encoding: str, skip: int) -> None:
        self._transcoder = Transcoder(encoding, at_start=False)
        self._skip = skip

    def __call__(self, data: bytes, *, final: bool) -> bytes:
        text = self._transcoder.convert(data, final=final)
        rest = text[self._skip :]
        self._skip -= len(text) - len(rest)
        return rest
