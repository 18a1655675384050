"""Reading tables from bytes: what an upload is, its first rows, and the clean copy that everything else reads.

The original bytes are what is stored; a :class:`Dialect` is kept beside them. The same reading
(:mod:`ml.reading`) serves the scan at upload (:class:`RecordScanner`), the first rows (:func:`preview`) and the
clean copy (:func:`normalise`): a record is read when it has as many fields as the header and can be decoded,
otherwise it is a :class:`BadRow`. Rows and bad rows add up to the records of the file, always.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.column_types import COLUMN_TYPES, ColumnType, decide_type, facts_of, is_missing, is_soft_missing
from ml.date_watch import DateWatch
from ml.dialects import ENCODINGS, Dialect
from ml.formats import refuse_other_formats
from ml.quarantine import BadReason, BadRow
from ml.reading import Reader, Rows, as_csv
from ml.sniffing import SNIFF_BYTES, Ambiguity, Detection, detect, sniff
from smartml.errors import InvalidTable

__all__ = [
    "COLUMN_TYPES",
    "ENCODINGS",
    "SNIFF_BYTES",
    "Ambiguity",
    "BadReason",
    "BadRow",
    "ColumnType",
    "Detection",
    "Dialect",
    "Preview",
    "RecordScanner",
    "ScanResult",
    "detect",
    "normalise",
    "preview",
    "sniff",
    "table_fault",
]

_BAD_LINES_KEPT = 20
# The preview says the types of this many rows; more take longer to read than they tell.
_TYPED_ROWS = 1000
_BAD_ROWS_SHOWN = 100
# When more records than this share cannot be decoded, the encoding is wrong, not the records; alike for NUL bytes.
_RARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What one pass over a file found.

    ``records`` are ``row_count`` and ``bad_row_count``; header, blank lines, comments and preamble are none.
    ``first_bad_lines`` are physical line numbers, counted from 1, on which the first bad rows begin.
    ``ambiguities`` are what the whole file left open.
    """

    dialect: Dialect
    columns: tuple[str, ...]
    row_count: int
    bad_row_count: int
    first_bad_lines: tuple[int, ...]
    records: int = 0
    comment_lines: int = 0
    blank_lines: int = 0
    ambiguities: tuple[Ambiguity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The first rows that fit; None stands for a missing value. ``types`` hold for the first thousand rows.

    ``bad`` are the first hundred records among the head that do not fit.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    bad: tuple[BadRow, ...] = ()


class RecordScanner:
    """One pass over a file as its bytes go by, with flat memory.

    ``feed`` raises InvalidTable as soon as the file is known to be no usable table; ``finish`` gives the result.
    """

    def __init__(
        self,
        *,
        max_columns: int,
        dialect: Dialect | None = None,
        on_bad: Callable[[BadRow], None] | None = None,
    ) -> None:
        """With ``dialect`` nothing is sniffed; ``on_bad`` is told of every record that is not read, in order."""
        self._max_columns = max_columns
        self._given = dialect
        self._on_bad = on_bad
        self._head: list[bytes] = []
        self._head_size = 0
        self._reader: Reader | None = None
        self._watch: DateWatch | None = None
        self._ambiguities: tuple[Ambiguity, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._rows = 0
        self._bad: Counter[BadReason] = Counter()
        self._bad_lines: list[int] = []

    def feed(self, data: bytes) -> None:
        if self._reader is None:
            self._head.append(data)
            self._head_size += len(data)
            if self._head_size < SNIFF_BYTES:
                return
            data = self._begin(complete=False)
        self._read(data)

    def finish(self, *, check: bool = True) -> ScanResult:
        """The result. ``check``: raise what :func:`table_fault` says of it, and whatever else speaks against this
        dialect; otherwise that is for the caller, who may let the person choose another one."""
        if self._reader is None:
            self._read(self._begin(complete=True))
        assert self._reader is not None
        self._count(self._reader.finish())
        fault = self._fault(self._reader.dialect)
        if fault is not None and (check or self._is_hopeless):
            raise fault
        return ScanResult(
            dialect=self._watch.settled(self._reader.dialect) if self._watch else self._reader.dialect,
            columns=self._columns,
            row_count=self._rows,
            bad_row_count=self._bad.total(),
            first_bad_lines=tuple(self._bad_lines),
            records=self._rows + self._bad.total(),
            comment_lines=self._reader.comment_lines,
            blank_lines=self._reader.blank_lines,
            ambiguities=self._watch.remaining(self._ambiguities) if self._watch else self._ambiguities,
        )

    def _begin(self, *, complete: bool) -> bytes:
        head = b"".join(self._head)
        self._head.clear()
        if self._given is not None:
            refuse_other_formats(head[:SNIFF_BYTES])
            self._reader = Reader(self._given)
            return head
        found = detect(head[:SNIFF_BYTES], complete=complete)
        self._ambiguities = found.ambiguities
        self._watch = DateWatch(found.undecided_dates) if found.undecided_dates else None
        # Only what was sniffed: whatever came with the same chunk behind it may be in any encoding.
        is_ascii = found.dialect.encoding == "utf-8" and head[:SNIFF_BYTES].isascii()
        self._reader = Reader(found.dialect, undecided=is_ascii)
        return head

    def _read(self, data: bytes) -> None:
        assert self._reader is not None
        self._count(self._reader.feed(data))

    def _count(self, batches: Iterator[Rows]) -> None:
        assert self._reader is not None
        for rows in batches:
            if rows.header is not None:
                self._columns = rows.header
            fitting = int(np.count_nonzero(rows.fits))
            self._rows += fitting
            if fitting < len(rows.fits):
                self._note_bad(rows)
            if self._watch and not self._watch.is_over:
                self._watch.look(rows)
        width = len(self._columns) or self._reader.rest_fields
        if width > self._max_columns:
            count = f"{width:,}" if self._columns else f"at least {width:,}"
            raise InvalidTable(
                f"The table has {count} columns; the limit is {self._max_columns:,}.",
                hint="Leave out columns that are not needed and upload the file again.",
            )

    def _note_bad(self, rows: Rows) -> None:
        indices = np.flatnonzero(~rows.fits) + rows.first
        self._bad.update(map(rows.reason_of, indices.tolist()))
        missing = _BAD_LINES_KEPT - len(self._bad_lines)
        if missing > 0:
            self._bad_lines += rows.batch.lines_of(indices[:missing])
        if self._on_bad is not None:
            for bad in rows.bad_rows():
                self._on_bad(bad)

    @property
    def _is_hopeless(self) -> bool:
        """Whether no other dialect would make a table of the file either."""
        records = self._rows + self._bad.total()
        return not self._columns or not self._bad or self._bad[BadReason.NUL_BYTE] > _RARE * records

    def _fault(self, dialect: Dialect) -> InvalidTable | None:
        if not self._columns:
            return InvalidTable("There is no row in this file that could be read.")
        return table_fault(
            columns=len(self._columns),
            rows=self._rows,
            reasons=self._bad,
            lines=tuple(self._bad_lines),
            encoding=dialect.encoding,
        )


def table_fault(
    *, columns: int, rows: int, reasons: Mapping[BadReason, int], lines: tuple[int, ...], encoding: str
) -> InvalidTable | None:
    """Why so many records that fit, and so many that do not, are no usable table; None when they are one.

    :param reasons: how many do not fit for each reason.
    :param lines: physical lines of the first of them.
    """
    bad = sum(reasons.values())
    records = rows + bad
    first = f"(the first on line {lines[0]:,})" if lines else ""
    nul, undecodable = reasons.get(BadReason.NUL_BYTE, 0), reasons.get(BadReason.UNDECODABLE, 0)
    if nul > _RARE * records:
        return InvalidTable(
            f"This is a binary file, not a text: {nul:,} of {records:,} rows have NUL bytes {first}."
        )
    if undecodable > _RARE * records:
        return InvalidTable(
            f"{undecodable:,} of {records:,} rows have bytes that are no text in {encoding} {first}, so the file "
            "is probably in another encoding, or put together from files in several.",
            hint="Choose another encoding, or save the file as CSV in UTF-8 and upload it again.",
        )
    if bad > rows:
        where = f" (the first on line{'s' * (len(lines) > 1)} {', '.join(map(str, lines[:5]))})" if lines else ""
        return InvalidTable(
            f"{bad:,} of {records:,} rows do not have {columns:,} field{'s' * (columns != 1)} like the header"
            f"{where}, so this does not look like one table."
        )
    return InvalidTable("The file has a header row but no rows under it.") if rows == 0 else None


def preview(head: bytes, dialect: Dialect, *, rows: int = 20, complete: bool) -> Preview:
    """The first rows and the types of the columns, from the first bytes of a file (:data:`SNIFF_BYTES` will do).

    :raises InvalidTable: this dialect reads no header from these bytes.
    """
    reader = Reader(dialect)
    columns: tuple[str, ...] = ()
    table: list[list[str]] = []
    bad: list[BadRow] = []
    wanted = max(rows, _TYPED_ROWS)
    for part in _all_rows(reader, [head], complete=complete):
        columns = part.header or columns
        table += part.values(wanted - len(table))
        for row in part.bad_rows():
            if len(bad) == _BAD_ROWS_SHOWN:
                break
            bad.append(row)
    formats = dialect.formats
    facts = [facts_of(values, formats) for values in (zip(*table, strict=True) if table else [()] * len(columns))]
    types = tuple(decide_type(name, fact) for name, fact in zip(columns, facts, strict=True))
    soft = [fact.soft_missing > 0 for fact in facts]
    return Preview(
        columns=columns,
        types=tuple(map(str, types)),
        rows=tuple(
            tuple(
                None if is_missing(value) or (also and is_soft_missing(value)) else value
                for value, also in zip(row, soft, strict=True)
            )
            for row in table[:rows]
        ),
        bad=tuple(bad),
    )


def normalise(chunks: Iterable[bytes], dialect: Dialect, target: Path) -> int:
    """Write the records that fit as UTF-8 CSV with commas, double quotes, LF and a header; return how many.

    Values are kept to the character, missing ones included, and numbers and dates as the file writes them. A lone
    empty field is written as ``""``, so that no line of the copy is blank.

    :raises InvalidTable: this dialect reads no header from the file.
    """
    written, has_header = 0, False
    with target.open("wb") as out:
        for rows in _all_rows(Reader(dialect), chunks, complete=True):
            if rows.header is not None:
                out.write(as_csv([rows.header]))
                has_header = True
            out.write(rows.clean_bytes())
            written += int(np.count_nonzero(rows.fits))
    if not has_header:
        raise InvalidTable("There is no row in this file that could be read.")
    return written


def _all_rows(reader: Reader, chunks: Iterable[bytes], *, complete: bool) -> Iterator[Rows]:
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.finish() if complete else reader.flush()
