"""Reading tables from bytes: what an upload is, its first rows, and the clean copy that everything else reads.

The original bytes are what is stored; a :class:`Dialect` is kept beside them. The same row filter serves the scan
at upload (:class:`RecordScanner`), the first rows (:func:`preview`) and the clean copy (:func:`normalise`): a
record fits when it has as many fields as the header.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.column_types import COLUMN_TYPES, ColumnType, decide_type, facts_of, is_missing
from ml.dialects import (
    SNIFF_BYTES,
    Dialect,
    decode_head,
    header_names,
    numbered_names,
    parse_records,
    sniff,
    undecodable,
)
from ml.encodings import detect_encoding
from ml.records import BATCH_BYTES, Batch, RecordStream, Transcoder, UndecodableBytes, split_records
from smartml.errors import InvalidTable

__all__ = [
    "COLUMN_TYPES",
    "SNIFF_BYTES",
    "ColumnType",
    "Dialect",
    "Preview",
    "RecordScanner",
    "ScanResult",
    "normalise",
    "preview",
    "sniff",
]

_BAD_LINES_KEPT = 20
# The preview says the types of this many rows; more take longer to read than they tell.
_TYPED_ROWS = 1000
# Bytes after the first one beyond ASCII that are waited for before an encoding is judged.
_EVIDENCE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What one pass over a file found. ``row_count`` and ``bad_row_count`` add up to its records but the header.

    ``first_bad_lines`` are physical line numbers, counted from 1, on which the first bad rows begin.
    """

    dialect: Dialect
    columns: tuple[str, ...]
    row_count: int
    bad_row_count: int
    first_bad_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The first rows that fit; None stands for a missing value. ``types`` hold for the first thousand rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


class RecordScanner:
    """One pass over a file as its bytes go by, with flat memory.

    ``feed`` raises InvalidTable as soon as the file is known to be no usable table; ``finish`` gives the result.
    """

    def __init__(self, *, max_columns: int) -> None:
        self._max_columns = max_columns
        self._head: list[bytes] = []
        self._head_size = 0
        self._reader: _Reader | None = None
        self._columns: tuple[str, ...] = ()
        self._rows = 0
        self._bad = 0
        self._bad_lines: list[int] = []

    def feed(self, data: bytes) -> None:
        if self._reader is None:
            self._head.append(data)
            self._head_size += len(data)
            if self._head_size < SNIFF_BYTES:
                return
            data = self._begin(complete=False)
        self._read(data)

    def finish(self) -> ScanResult:
        if self._reader is None:
            self._read(self._begin(complete=True))
        assert self._reader is not None
        self._count(self._reader.finish())
        self._check_counts()
        return ScanResult(
            dialect=self._reader.dialect,
            columns=self._columns,
            row_count=self._rows,
            bad_row_count=self._bad,
            first_bad_lines=tuple(self._bad_lines),
        )

    def _begin(self, *, complete: bool) -> bytes:
        head = b"".join(self._head)
        self._head.clear()
        dialect = sniff(head[:SNIFF_BYTES], complete=complete)
        self._reader = _Reader(dialect, undecided=dialect.encoding == "utf-8" and head.isascii())
        return head

    def _read(self, data: bytes) -> None:
        assert self._reader is not None
        self._count(self._reader.feed(data))

    def _count(self, batches: "Iterator[_Rows]") -> None:
        assert self._reader is not None
        for rows in batches:
            if rows.header is not None:
                self._columns = rows.header
            fitting = int(np.count_nonzero(rows.fits))
            self._rows += fitting
            self._bad += len(rows.fits) - fitting
            if fitting < len(rows.fits) and len(self._bad_lines) < _BAD_LINES_KEPT:
                for index in np.flatnonzero(~rows.fits)[: _BAD_LINES_KEPT - len(self._bad_lines)].tolist():
                    self._bad_lines.append(rows.batch.line_of(rows.first + index))
        width = len(self._columns) or self._reader.rest_fields
        if width > self._max_columns:
            count = f"{width:,}" if self._columns else f"at least {width:,}"
            raise InvalidTable(
                f"The table has {count} columns; the limit is {self._max_columns:,}.",
                hint="Leave out columns that are not needed and upload the file again.",
            )

    def _check_counts(self) -> None:
        if self._bad > self._rows:
            lines = ", ".join(map(str, self._bad_lines[:5]))
            raise InvalidTable(
                f"{self._bad:,} of {self._rows + self._bad:,} rows do not have {len(self._columns):,} "
                f"field{'s' * (len(self._columns) != 1)} like the header (the first on line {lines}), "
                "so this does not look like one table."
            )
        if self._rows == 0:
            raise InvalidTable("The file has a header row but no rows under it.")


def preview(head: bytes, dialect: Dialect, *, rows: int = 20, complete: bool) -> Preview:
    """The first rows and the types of the columns, from the first bytes of a file (:data:`SNIFF_BYTES` will do)."""
    text = decode_head(head, dialect.encoding, complete=complete)
    split = split_records(text, delimiter=dialect.delimiter, quotechar=dialect.quotechar, final=complete)
    if not len(split.starts):
        return Preview(columns=(), types=(), rows=())
    width = int(split.fields[0])
    fits = np.flatnonzero(split.fields == width)[: max(rows, _TYPED_ROWS) + dialect.has_header]
    table = parse_records(text, split, fits.tolist(), dialect.delimiter, dialect.quotechar)
    columns = header_names(table.pop(0)) if dialect.has_header else numbered_names(width)
    values = list(zip(*table, strict=True)) or [()] * width
    types = tuple(str(decide_type(name, facts_of(cells))) for name, cells in zip(columns, values, strict=True))
    shown = tuple(tuple(None if is_missing(value) else value for value in row) for row in table[:rows])
    return Preview(columns=columns, types=types, rows=shown)


def normalise(chunks: Iterable[bytes], dialect: Dialect, target: Path) -> int:
    """Write the records that fit as UTF-8 CSV with commas, double quotes, LF and a header; return how many.

    Values are kept to the character, missing ones included. A lone empty field is written as ``""``, so that no
    line of the copy is blank.
    """
    reader = _Reader(dialect)
    written = 0
    with target.open("wb") as out:
        for rows in _all_rows(reader, chunks):
            if rows.header is not None:
                out.write(_as_csv([rows.header]))
            out.write(rows.clean_bytes(dialect))
            written += int(np.count_nonzero(rows.fits))
    return written


def _all_rows(reader: "_Reader", chunks: Iterable[bytes]) -> "Iterator[_Rows]":
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.finish()


@dataclass(frozen=True, slots=True)
class _Rows:
    """The data records of a batch, from index ``first`` on; ``fits`` masks them. The first brings ``header``."""

    batch: Batch
    first: int
    fits: np.ndarray[tuple[int], np.dtype[np.bool_]]
    header: tuple[str, ...] | None

    def clean_bytes(self, dialect: Dialect) -> bytes:
        split, buffer = self.batch.split, self.batch.buffer
        if not len(self.fits):
            return b""
        plain = not split.has_quotes and b"," not in buffer and b'"' not in buffer
        if plain or (split.regular and (dialect.delimiter, dialect.quotechar) == (",", '"')):
            starts, ends = split.starts[self.first :][self.fits], split.ends[self.first :][self.fits]
            lines = [buffer[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
            clean = b"\n".join([*lines, b""])
            return clean.replace(dialect.delimiter.encode(), b",") if plain else clean
        indices = (np.flatnonzero(self.fits) + self.first).tolist()
        return _as_csv(parse_records(buffer, split, indices, dialect.delimiter, dialect.quotechar))


class _Reader:
    """Bytes in, rows out: conversion, splitting, header and row filter."""

    def __init__(self, dialect: Dialect, *, undecided: bool = False) -> None:
        """``undecided``: only ASCII was seen so far, so the first byte beyond it has to tell the encoding."""
        self.dialect = dialect
        self._undecided = undecided
        self._waiting = b""
        self._transcoder = Transcoder(dialect.encoding)
        self._stream = RecordStream(delimiter=dialect.delimiter, quotechar=dialect.quotechar)
        self._width: int | None = None

    @property
    def rest_fields(self) -> int:
        """Fields in the record that is not complete yet, as far as it was looked at."""
        return self._stream.rest_fields

    def feed(self, data: bytes) -> Iterator[_Rows]:
        for start in range(0, len(data), BATCH_BYTES):  # whatever the caller's chunks are, memory stays flat
            for text in self._convert(data[start : start + BATCH_BYTES], final=False):
                yield from self._rows(self._stream.feed(text))

    def finish(self) -> Iterator[_Rows]:
        for text in self._convert(b"", final=True):
            yield from self._rows(self._stream.feed(text))
        yield from self._rows(self._stream.finish())

    def _convert(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        if self._undecided and (self._waiting or not data.isascii()):
            self._waiting += data
            at = _first_high(self._waiting)
            if not final and len(self._waiting) - at < _EVIDENCE_BYTES:
                return
            data, self._waiting = self._waiting, b""
            self._decide(data[data.rfind(b"\n", 0, at) + 1 :], complete=final)
        try:
            text = self._transcoder.convert(data, final=final)
        except UndecodableBytes as error:
            raise undecodable(error, first_line=self._stream.line, ahead=self._stream.pending()) from error
        if text:
            yield text

    def _decide(self, evidence: bytes, *, complete: bool) -> None:
        self._undecided = False
        old = self.dialect
        encoding = detect_encoding(evidence, complete=complete)
        self._transcoder = Transcoder(encoding)
        self.dialect = Dialect(
            encoding=encoding, delimiter=old.delimiter, quotechar=old.quotechar, has_header=old.has_header
        )

    def _rows(self, batches: Iterator[Batch]) -> Iterator[_Rows]:
        for batch in batches:
            first, header = 0, None
            fields = batch.split.fields
            if self._width is None and len(fields):
                self._width = int(fields[0])
                header = numbered_names(self._width)
                if self.dialect.has_header:
                    [names] = parse_records(
                        batch.buffer, batch.split, [0], self.dialect.delimiter, self.dialect.quotechar
                    )
                    header, first = header_names(names), 1
            yield _Rows(batch, first, fields[first:] == self._width, header)


def _first_high(data: bytes) -> int:
    """Where the first byte beyond ASCII is; the length when there is none."""
    return int(np.argmax(np.frombuffer(data, dtype=np.uint8) >= 0x80)) if not data.isascii() else len(data)


def _as_csv(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO(newline="")
    table = list(rows)
    # Before Python 3.13 the writer leaves a carriage return unquoted unless it is part of the line end.
    risky = any("\r" in value for row in table for value in row)
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL if risky else csv.QUOTE_MINIMAL)
    writer.writerows(table)
    return out.getvalue().encode()
