"""Bytes in, rows out: conversion to UTF-8, preamble, records, header, and which records fit it.

The one path on which the scan at upload, the first rows and the clean copy all read, so that they agree.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ml.dialects import Dialect, header_names, numbered_names, parse_records
from ml.encodings import detect_encoding
from ml.quarantine import BadReason, BadRow
from ml.record_stream import BATCH_BYTES, Batch, RecordStream
from ml.records import Layout, Mask
from ml.transcoding import Transcoder
from smartml.errors import InvalidTable

# Bytes after the first one beyond ASCII that are waited for before an encoding is judged.
_EVIDENCE_BYTES = 4096
_RUN = re.compile(rb" +")
_INDENT = re.compile(rb"^ +", re.MULTILINE)
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Rows:
    """The data records of a batch, from index ``first`` on; ``fits`` masks them. The first brings ``header``.

    ``width`` is the number of columns. A record that ``overhangs`` fits with one empty field more. Records that are
    the header once more, byte by byte, do not fit: ``headers`` are their indices in the batch.
    """

    batch: Batch
    first: int
    width: int
    fits: Mask
    overhangs: Mask | None
    headers: frozenset[int]
    header: tuple[str, ...] | None
    layout: Layout

    def bad_rows(self) -> Iterator[BadRow]:
        """What does not fit, with place and reason."""
        indices = np.flatnonzero(~self.fits) + self.first
        for index, line in zip(indices.tolist(), self.batch.lines_of(indices), strict=True):
            yield BadRow(
                line=line,
                reason=self.reason_of(index),
                expected=self.width,
                found=0 if index in self.batch.broken else int(self.batch.split.fields[index]),
                text=self.batch.text_of(index),
            )

    def reason_of(self, index: int) -> BadReason:
        if index in self.headers:
            return BadReason.REPEATED_HEADER
        few = self.batch.split.fields[index] < self.width
        return self.batch.broken.get(index, BadReason.TOO_FEW_FIELDS if few else BadReason.TOO_MANY_FIELDS)

    def values(self, most: int | None = None) -> list[list[str]]:
        """The fields of the (first) records that fit."""
        indices = (np.flatnonzero(self.fits)[:most] + self.first).tolist()
        table = parse_records(self.batch.buffer, self.batch.split, indices, self.layout)
        return table if self.overhangs is None else [row[: self.width] for row in table]

    def clean_bytes(self) -> bytes:
        """The records that fit as UTF-8 CSV with commas, double quotes and LF."""
        split, buffer, layout = self.batch.split, self.batch.buffer, self.layout
        if not self.fits.any():
            return b""
        escaped = bool(layout.escapechar) and layout.escapechar.encode() in buffer
        if layout.skip_blanks and not layout.has_runs and b" " in buffer:
            return as_csv(self.values())
        plain = not split.has_quotes and not escaped and b"," not in buffer and b'"' not in buffer
        if plain or (split.regular and not escaped and (layout.delimiter, layout.quotechar) == (",", '"')):
            starts, ends = split.starts[self.first :][self.fits], split.ends[self.first :][self.fits]
            if self.overhangs is None and np.array_equal(starts[1:], ends[:-1] + 1) and b"\r" not in buffer:
                clean = buffer[starts[0] : ends[-1]] + b"\n"  # nothing but LF stands between these records
            else:
                ends = ends if self.overhangs is None else ends - self.overhangs[self.fits]
                lines = [buffer[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
                clean = b"\n".join([*lines, b""])
            if layout.has_runs:
                return _RUN.sub(b",", _INDENT.sub(b"", clean))
            return clean.replace(layout.delimiter.encode(), b",") if plain and layout.delimiter != "," else clean
        return as_csv(self.values())


class Reader:
    """The records of one file; the first that can be read says how many columns there are.

    When the first record under a header has one empty field more than it, as with a delimiter at the end of every
    line but the header's, then every such record fits.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        undecided: bool = False,
        width: int | None = None,
        overhanging: bool | None = None,
        header: bytes = b"",
    ) -> None:
        """``undecided``: only ASCII was seen so far, so the first byte beyond it has to tell the encoding.

        ``width``, ``overhanging`` and ``header`` are what an earlier reading has found: to go on in the middle of
        the file.
        """
        self.dialect = dialect
        self.comment_lines = 0
        self.blank_lines = 0
        self._undecided = undecided
        self._waiting = b""
        self._transcoder = Transcoder(dialect.encoding)
        self._skip = dialect.skip_lines
        self._held = b""
        self._stream = RecordStream(dialect.layout)
        self._width = width
        self._overhanging = overhanging
        self._header = header

    @property
    def shape(self) -> tuple[int | None, bool | None, bytes]:
        """What a reading that goes on in the middle of the file has to know: ``width``, ``overhanging`` and
        ``header``, the record that names several columns, as UTF-8."""
        return self._width, self._overhanging, self._header

    @property
    def position(self) -> tuple[int, int]:
        """How many bytes of the file have been read as text, and how many bytes of UTF-8 that was."""
        return self._transcoder.taken, self._transcoder.given

    @property
    def rest_fields(self) -> int:
        """Fields in the record that is not complete yet, as far as it was looked at."""
        return self._stream.rest_fields

    def feed(self, data: bytes) -> Iterator[Rows]:
        for start in range(0, len(data), BATCH_BYTES):  # whatever the caller's chunks are, memory stays flat
            for text in self._convert(data[start : start + BATCH_BYTES], final=False):
                yield from self._rows(self._stream.feed(text))

    def flush(self) -> Iterator[Rows]:
        """What is complete so far."""
        yield from self._rows(self._stream.flush())

    def finish(self) -> Iterator[Rows]:
        for text in self._convert(b"", final=True):
            yield from self._rows(self._stream.feed(text))
        if self._skip:
            raise InvalidTable(
                f"{self.dialect.skip_lines:,} lines are to be skipped, but the file has no more than that.",
                hint="Choose a smaller number of lines to skip.",
            )
        yield from self._rows(self._stream.finish())

    def _convert(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        if self._undecided and (self._waiting or not data.isascii()):
            self._waiting += data
            at = _first_high(self._waiting)
            if not final and len(self._waiting) - at < _EVIDENCE_BYTES:
                return
            data, self._waiting = self._waiting, b""
            self._decide(data[data.rfind(b"\n", 0, at) + 1 :], complete=final)
        text = self._transcoder.convert(data, final=final)
        self._stream.marked = self._transcoder.marked
        if self._skip:
            text = self._without_preamble(text, final=final)
        if text:
            yield text

    def _decide(self, evidence: bytes, *, complete: bool) -> None:
        self._undecided = False
        try:
            encoding = detect_encoding(evidence, complete=complete)
        except InvalidTable:
            return  # those records will not be read, and the scan tells whether they are too many
        self._transcoder = Transcoder(encoding)
        self.dialect = replace(self.dialect, encoding=encoding)

    def _without_preamble(self, text: bytes, *, final: bool) -> bytes:
        """Drop lines until all that are to be skipped are gone; a CR at the end waits for its LF."""
        text, self._held = self._held + text, b""
        at = 0
        while self._skip:
            end = _LINE_END.search(text, at)
            if end is None:
                return b""
            if end.group() == b"\r" and end.end() == len(text) and not final:
                self._held = b"\r"
                return b""
            at = end.end()
            self._skip -= 1
            self._stream.line += 1
        return text[at:]

    def _rows(self, batches: Iterator[Batch]) -> Iterator[Rows]:
        for batch in batches:
            self.comment_lines += batch.split.comments
            self.blank_lines += batch.split.blank
            first, header = 0, None
            if self._width is None and len(batch.split.fields):
                header, first = self._begin(batch)
            width = self._width or 0
            fits, overhangs = self._fitting(batch, first, width)
            headers = self._headers(batch, first, fits)
            fits[[index - first for index in headers]] = False
            yield Rows(batch, first, width, fits, overhangs, headers, header, self.dialect.layout)

    def _begin(self, batch: Batch) -> tuple[tuple[str, ...] | None, int]:
        """The column names, and where the data begin; None when not one record of the batch can be read."""
        split, broken = batch.split, batch.broken
        if self.dialect.has_header:
            if 0 in broken:
                [line] = batch.lines_of(np.zeros(1, dtype=np.int64))
                raise InvalidTable(
                    f"The header row on line {line:,} cannot be read. {_HEADER_FAULTS[broken[0]]}",
                    hint="Mend it and upload the file again, or choose how the file is to be read.",
                )
            self._width = int(split.fields[0])
            if self._width > 1:
                self._header = batch.buffer[split.starts[0] : split.ends[0]]
            [names] = parse_records(batch.buffer, split, [0], self.dialect.layout)
            return header_names(names), 1
        readable = next((index for index in range(len(split.fields)) if index not in broken), None)
        if readable is None:
            return None, 0
        self._width = int(split.fields[readable])
        return numbered_names(self._width), 0

    def _headers(self, batch: Batch, first: int, fits: Mask) -> frozenset[int]:
        """Which of the records that fit are the header once more."""
        if not self._header:
            return frozenset()
        starts, ends = batch.split.starts[first:], batch.split.ends[first:]
        alike = np.flatnonzero(fits & (ends - starts == len(self._header)))
        if len(alike):
            data = np.frombuffer(batch.buffer, dtype=np.uint8)
            alike = alike[data[starts[alike]] == self._header[0]]
        places = zip(alike.tolist(), starts[alike].tolist(), strict=True)
        return frozenset(first + index for index, start in places if batch.buffer.startswith(self._header, start))

    def _fitting(self, batch: Batch, first: int, width: int) -> tuple[Mask, Mask | None]:
        """Which records fit, and which of them with an empty field more, where that is this file's habit."""
        fields = batch.split.fields[first:]
        readable = np.full(len(fields), width > 0)
        for index in batch.broken:
            if index >= first:
                readable[index - first] = False
        fits = (fields == width) & readable
        if self._overhanging is None and readable.any():
            leader = int(np.argmax(readable))
            longer = self.dialect.has_header and int(fields[leader]) == width + 1
            self._overhanging = longer and bool(ends_empty(batch, self.dialect.layout)[first + leader])
        if not self._overhanging:
            return fits, None
        overhangs = (fields == width + 1) & readable & ends_empty(batch, self.dialect.layout)[first:]
        return fits | overhangs, overhangs


_HEADER_FAULTS = {
    BadReason.UNCLOSED_QUOTE: "A quote in it is never closed.",
    BadReason.NUL_BYTE: "It has a NUL byte, which no text has.",
    BadReason.UNDECODABLE: "It has bytes that are no text in the file's encoding.",
    BadReason.TOO_LONG: "It is longer than 4 MB.",
}


def ends_empty(batch: Batch, layout: Layout) -> Mask:
    """Which records end with a delimiter."""
    split, data = batch.split, np.frombuffer(batch.buffer, dtype=np.uint8)
    if not len(split.ends):
        return np.zeros(0, dtype=np.bool_)
    empty: Mask = (split.ends > split.starts) & (data[np.maximum(split.ends - 1, 0)] == ord(layout.delimiter))
    return empty


def as_csv(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO(newline="")
    table = list(rows)
    # Before Python 3.13 the writer leaves a carriage return unquoted unless it is part of the line end.
    risky = any("\r" in value for row in table for value in row)
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL if risky else csv.QUOTE_MINIMAL)
    writer.writerows(table)
    return out.getvalue().encode()


def _first_high(data: bytes) -> int:
    """Where the first byte beyond ASCII is; the length when there is none."""
    return int(np.argmax(np.frombuffer(data, dtype=np.uint8) >= 0x80)) if not data.isascii() else len(data)
