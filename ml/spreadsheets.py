"""Excel workbooks (.xlsx, .xlsm): their sheets, and a sheet as UTF-8 CSV.

Read with openpyxl, a row at a time. It believes what it is given, so a workbook is measured before it is handed
over: the sizes of its parts, the number of texts, the longest row of the chosen sheet.

What a cell becomes: the stored result of a formula; a date in ISO 8601, without the time when that is midnight; a
whole number without ".0"; ``true`` and ``false``; an error as Excel shows it ("#N/A"). Empty rows are left out, and
so are empty columns before the table. Of merged cells the first has the value, as in the file.
"""

import csv
import io
import logging
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from ml.containers_common import MIB, PIECE_BYTES, GuardedFile, Limits, Member, Meter, refuse_unfolding
from smartml.errors import InvalidTable, SmartMLError, TooLarge, trace_without_values

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from openpyxl.reader.excel import ExcelReader

_SAVE_AS_CSV: Final = "Save the sheet as CSV in the spreadsheet program and upload that."
_SAVE_AGAIN: Final = "Open it in the spreadsheet program, save it again as .xlsx and upload that."
_MAX_ROWS: Final = 1_048_576  # Excel's own
# openpyxl keeps every text of the workbook in memory, and one row of a sheet as a tree.
_MAX_TEXT_BYTES: Final = 128 * MIB
_MAX_TEXTS: Final = 3_000_000
_MAX_ROW_BYTES: Final = 8 * MIB
_MAX_PART_BYTES: Final = 8 * MIB
# XML is several times as long as the table in it.
_XML_PER_CSV: Final = 4
_LAYOUT_ROWS: Final = 1000
_EMPTY_SHEET_BYTES: Final = 64 * 2**10

_CELL = re.compile(rb"<(?:\w+:)?c[\s>/]")
_ROW_END = re.compile(rb"</(?:\w+:)?row>|<(?:\w+:)?row[^<>]*/>")
# A formula and no value after it. Excel stores an empty text (t="str") as an empty value, others leave it open.
_FORMULA = rb"<(?:\w+:)?f\b[^<>]*(?:/>|>[^<]*</(?:\w+:)?f>)"
_NO_VALUE = rb"(<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?"
_NO_RESULT = re.compile(rb"<(?:\w+:)?c\b([^<>]*)>\s*" + _FORMULA + rb"\s*" + _NO_VALUE + rb"\s*</(?:\w+:)?c>")
# No cell with a formula is longer, so that what is cut between two pieces is seen whole.
_OVERLAP: Final = 32 * 2**10
_STRICT = b"http://purl.oclc.org/ooxml/"
# What openpyxl and the XML parser raise on a broken workbook; ParseError is a SyntaxError.
_BROKEN = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError),
    *(OSError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
)


def sheet_members(file: BinaryIO, archive: zipfile.ZipFile) -> tuple[Member, ...]:
    """The sheets that have a cell, hidden ones last; ``size`` is what is read for one: its XML and all texts."""
    with _readable_workbook():
        reader = _reader(file)
        parts = _parts(reader)
        texts = _texts_path(reader)
        shared = archive.getinfo(texts).file_size if texts else 0
        found = [
            Member(name=name, size=archive.getinfo(path).file_size + shared)
            for name, path in parts.items()
            if not _is_empty(archive, path)
        ]
    if not found:
        raise InvalidTable("The workbook has no sheet with a cell in it.", hint=_SAVE_AS_CSV)
    return tuple(found)


def sheet_csv(file: BinaryIO, archive: zipfile.ZipFile, name: str, limits: Limits) -> Iterator[bytes]:
    """The sheet ``name`` as CSV in pieces of about a MiB."""
    from openpyxl.styles.stylesheet import apply_stylesheet

    with _readable_workbook():
        reader = _reader(file)
        path = _parts(reader).get(name)
        if path is None:
            raise InvalidTable("There is no such sheet in the workbook.", hint="Choose one of those that it has.")
        _measure_texts(archive, reader)
        _measure_sheet(archive, path, limits)
        reader.read_strings()
        apply_stylesheet(reader.archive, reader.wb)
    return _as_csv(_laid_out(_filled_rows(reader, path)), limits)


def is_workbook(names: Iterable[str]) -> bool:
    """Whether an archive with these entries is an Excel workbook that can be read."""
    return {"[Content_Types].xml", "xl/workbook.xml"} <= set(names)


@contextmanager
def _readable_workbook() -> Iterator[None]:
    try:
        yield
    except SmartMLError:
        raise
    except _BROKEN as error:
        # A fault of this program would look the same to its owner; the operator can tell.
        logger.warning("a workbook could not be read: %s", trace_without_values(error))
        raise InvalidTable("The workbook is damaged and cannot be read.", hint=_SAVE_AGAIN) from error


# --- Before openpyxl ---------------------------------------------------------------------------------------------
def _measure_texts(archive: zipfile.ZipFile, reader: "ExcelReader") -> None:
    """Refuse more texts than may be held in memory."""
    path = _texts_path(reader)
    if path is None:
        return
    count = size = 0
    tail = b""
    with archive.open(path) as source:
        while piece := source.read(PIECE_BYTES):
            size += len(piece)
            count += (tail + piece).count(b"<si")
            tail = piece[-2:]
            if size > _MAX_TEXT_BYTES or count > _MAX_TEXTS:
                raise TooLarge("The workbook has more text than is read from a workbook.", hint=_SAVE_AS_CSV)


def _measure_sheet(archive: zipfile.ZipFile, path: str, limits: Limits) -> None:
    """One quick pass over the sheet's XML: its true size, checksum, longest row, and formulas without a result."""
    info = archive.getinfo(path)
    refuse_unfolding(_xml(limits), packed=info.compress_size, unpacked=info.file_size)
    row = rows = unknown = 0
    tail = b""
    with archive.open(info) as source:
        while piece := source.read(PIECE_BYTES):
            text = tail + piece
            ends = [match.end() for match in _ROW_END.finditer(text)]
            rows += len(ends)
            blanks = [m.end() for m in _NO_RESULT.finditer(text) if not (m[2] and b't="str"' in m[1])]
            unknown += len(blanks)
            cut = max([0, *ends[-1:], *blanks[-1:], len(text) - _OVERLAP])
            longest = row + (ends[0] - len(tail) if ends else len(piece))
            row = len(text) - ends[-1] if ends else longest
            if longest > _MAX_ROW_BYTES or rows > _MAX_ROWS:
                raise TooLarge("The sheet is larger than a sheet of Excel can be.", hint=_SAVE_AS_CSV)
            tail = text[cut:]
    if unknown:
        cells = "1 cell has a formula" if unknown == 1 else f"{unknown:,} cells have a formula"
        raise InvalidTable(
            f"In the sheet {cells} whose result is not stored: the file was not saved by a spreadsheet program.",
            hint=_SAVE_AGAIN,
        )


def _is_empty(archive: zipfile.ZipFile, path: str) -> bool:
    with archive.open(path) as source:
        start = source.read(_EMPTY_SHEET_BYTES)
        return not source.read(1) and _CELL.search(start) is None


def _xml(limits: Limits) -> Limits:
    return Limits(max_output_bytes=_XML_PER_CSV * limits.max_output_bytes, max_ratio=limits.max_ratio)


# --- openpyxl ----------------------------------------------------------------------------------------------------
class _Archive(zipfile.ZipFile):
    """What openpyxl reads in one piece (all but sheets and texts) has a limit."""

    def read(self, name: "str | zipfile.ZipInfo", pwd: bytes | None = None) -> bytes:
        info = name if isinstance(name, zipfile.ZipInfo) else self.getinfo(name)
        if info.file_size > _MAX_PART_BYTES:
            raise TooLarge("The workbook's formats and settings are too large to be read.", hint=_SAVE_AS_CSV)
        return super().read(info, pwd)


def _reader(file: BinaryIO) -> "ExcelReader":
    from openpyxl.reader.excel import ExcelReader

    # Its warnings quote cells, and a log must not.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"openpyxl\.")
    guarded = cast(Any, GuardedFile(file))
    reader = ExcelReader(guarded, read_only=True, data_only=True, keep_links=False)
    reader.archive = _Archive(guarded)
    return reader


def _parts(reader: "ExcelReader") -> dict[str, str]:
    """The paths of the sheets in the archive by their names, visible ones first; no sheet has been read yet."""
    if _STRICT in reader.archive.read("xl/workbook.xml")[:4096]:
        raise InvalidTable(
            "This workbook is of the kind “Strict Open XML”, which is not read here.",
            hint="Save it as an ordinary Excel workbook (.xlsx) and upload that.",
        )
    reader.read_manifest()
    reader.read_workbook()
    there = set(reader.archive.namelist())
    sheets = [
        (sheet.state != "visible", sheet.name, link.target)
        for sheet, link in reader.parser.find_sheets()
        if link.Type.endswith("/worksheet") and link.target in there
    ]
    sheets.sort(key=lambda found: found[0])
    paths: dict[str, str] = {}
    for _, name, path in sheets:
        paths.setdefault(str(name), path)
    return paths


def _texts_path(reader: "ExcelReader") -> str | None:
    """Where the texts of all sheets are."""
    from openpyxl.xml.constants import SHARED_STRINGS

    part = reader.package.find(SHARED_STRINGS)
    return None if part is None else str(part.PartName[1:])


# --- Values ------------------------------------------------------------------------------------------------------
def _filled_rows(reader: "ExcelReader", path: str) -> Iterator[list[str]]:
    """The rows of a sheet that have a value, as texts.

    Not by way of ``ReadOnlyWorksheet``, which reads a sheet that does not give its size once more for that.
    """
    from openpyxl.worksheet._reader import WorkSheetParser

    book = reader.wb
    formats = {"date_formats": book._date_formats, "timedelta_formats": book._timedelta_formats}
    with reader.archive.open(path) as source:
        parser = WorkSheetParser(source, reader.shared_strings, data_only=True, epoch=book.epoch, **formats)
        rows = parser.parse()
        while True:
            with _readable_workbook():
                parser.row_dimensions.clear()  # heights and styles of a million rows
                _, cells = next(rows, (0, None))
                if cells is None:
                    return
                texts = [""] * max((cell["column"] for cell in cells), default=0)
                for cell in cells:
                    value = cell["value"]
                    if value is not None:
                        texts[cell["column"] - 1] = _AS_TEXT.get(type(value), str)(value)
            if any(texts):
                yield texts


def _float(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _text(value: str) -> str:
    # Excel writes a carriage return within a text like this.
    return value.replace("_x000D_\n", "\n").replace("_x000D_", "\n") if "_x000D_" in value else value


def _moment(value: datetime) -> str:
    return value.date().isoformat() if value.time() == time.min else value.isoformat(" ")


def _duration(value: timedelta) -> str:
    hours, rest = divmod(abs(value), timedelta(hours=1))
    sign = "-" if value < timedelta() else ""
    return f"{sign}{hours:02d}:{(datetime.min + rest).time().isoformat()[3:]}"


_AS_TEXT: Final[dict[type, Callable[[Any], str]]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _float,
    str: _text,
    datetime: _moment,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: _duration,
}


# --- Layout ------------------------------------------------------------------------------------------------------
def _laid_out(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Rows of one width, cut to where the table is.

    Place and width are those of the first thousand rows. What stands above the header (a title, a row of merged
    heads) keeps only its own cells, as a reader of CSV expects of a preamble. A later row with a value beside the
    table keeps all its cells: it will not fit the header, and is reported, not cut.
    """
    begin = list(islice(rows, _LAYOUT_ROWS))
    if not begin:
        return
    left = min(_first_filled(row) for row in begin)
    right = max(_filled_length(row) for row in begin)
    width = right - left
    header = _header(begin, width)
    for row in begin[:header]:
        yield row[left : _filled_length(row)]
    for row in chain(begin[header:], rows):
        if len(row) > right and any(row[right:]):
            yield row[left if not any(row[:left]) else 0 : _filled_length(row)]
        elif left and any(row[:left]):
            yield [*row[:right], *[""] * (right - len(row))]
        else:
            cells = row[left:right]
            yield cells if len(cells) == width else [*cells, *[""] * (width - len(cells))]


def _header(rows: Sequence[Sequence[str]], width: int) -> int:
    """The first row that fills the width but for a few cells; 0 when none does."""
    enough = width - width // 5 if width > 2 else width
    return next((i for i, row in enumerate(rows) if sum(map(bool, row)) >= enough), 0)


def _first_filled(row: Sequence[str]) -> int:
    return next(i for i, cell in enumerate(row) if cell)


def _filled_length(row: Sequence[str]) -> int:
    return next(i for i in range(len(row), 0, -1) if row[i - 1])


def _as_csv(rows: Iterable[Sequence[str]], limits: Limits) -> Iterator[bytes]:
    meter = Meter(Limits(max_output_bytes=limits.max_output_bytes, max_ratio=float("inf")))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        if out.tell() >= PIECE_BYTES:
            piece = out.getvalue().encode()
            meter.add(len(piece))
            yield piece
            out.seek(0)
            out.truncate()
    piece = out.getvalue().encode()
    meter.add(len(piece))
    if piece:
        yield piece
