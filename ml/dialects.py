"""Finding out how a text lays out its table: encoding, delimiter, quote, header row."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ml.column_types import BLANKS, is_date, is_missing, is_numeric
from ml.encodings import detect_encoding
from ml.formats import refuse_other_formats
from ml.records import MAX_RECORD_BYTES, Split, Transcoder, UndecodableBytes, line_ends, split_records
from smartml.errors import InvalidTable

# A field may be as long as a record; the csv module's own limit is for the whole process.
csv.field_size_limit(MAX_RECORD_BYTES)

SNIFF_BYTES = 256 << 10
# When several delimiters fit equally well, the rarer in prose and numbers comes first.
_DELIMITERS = ("\t", "|", ";", ",")
_ENOUGH_ALIKE = 0.5
_CLEARLY_ALIKE = 0.8
_HEADER_ROWS = 200
_DECIMAL_COMMA = re.compile(r"[^,]*[0-9],[0-9][^,]*|[^,]*")
_SINGLE_QUOTED = re.compile(rb"(?:^|[,;\t|\n\r])'[^'\n\r]*'(?=[,;\t|\r\n]|$)")
_DOUBLE_QUOTED = re.compile(rb'(?:^|[,;\t|\n\r])"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a file is written. ``encoding`` is a Python codec; a byte order mark is never part of the text."""

    encoding: str
    delimiter: str
    quotechar: str
    has_header: bool

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Dialect":
        return cls(
            encoding=str(values["encoding"]),
            delimiter=str(values["delimiter"]),
            quotechar=str(values["quotechar"]),
            has_header=bool(values["has_header"]),
        )


def sniff(head: bytes, *, complete: bool) -> Dialect:
    """The dialect of a file, from its first bytes.

    :param complete: ``head`` is the whole file.
    :raises InvalidTable: what the file is instead of a table.
    """
    refuse_other_formats(head)
    encoding = detect_encoding(head, complete=complete)
    text = decode_head(head, encoding, complete=complete)
    nul = text.find(b"\0")
    if nul >= 0:
        raise InvalidTable(
            f"This is a binary file, not a text: it has a NUL byte on line {1 + line_ends(text, nul)}."
        )
    if not text.strip():
        raise InvalidTable("The file is empty." if complete else "The file begins with nothing but blanks.")
    quotechar = _quotechar(text)
    delimiter = _delimiter(text, quotechar, complete=complete)
    split = split_records(text, delimiter=delimiter, quotechar=quotechar, final=complete)
    rows = parse_records(text, split, range(min(len(split.starts), _HEADER_ROWS)), delimiter, quotechar)
    return Dialect(
        encoding=encoding, delimiter=delimiter, quotechar=quotechar, has_header=not rows or _has_header(rows)
    )


def decode_head(head: bytes, encoding: str, *, complete: bool) -> bytes:
    """The head as UTF-8, without a character that is cut at its end."""
    try:
        return Transcoder(encoding).convert(head, final=complete)
    except UndecodableBytes as error:
        raise undecodable(error, first_line=1, ahead=b"") from error


def undecodable(error: UndecodableBytes, *, first_line: int, ahead: bytes) -> InvalidTable:
    line = first_line + line_ends(ahead, len(ahead)) + line_ends(error.before, len(error.before))
    return InvalidTable(
        f"Line {line} has bytes that are no text in the file's encoding ({error.encoding}).",
        hint="Save it as CSV in UTF-8 and upload it again.",
    )


def parse_records(
    buffer: bytes, split: Split, indices: Iterable[int], delimiter: str, quotechar: str
) -> list[list[str]]:
    """The fields of some records of a split buffer."""
    starts, ends = split.starts, split.ends
    records = (buffer[starts[i] : ends[i]].decode() for i in indices)
    return list(csv.reader(records, delimiter=delimiter, quotechar=quotechar, doublequote=True, strict=False))


def header_names(fields: Sequence[str]) -> tuple[str, ...]:
    """Column names from a header row: white space collapsed, blanks and repetitions given names of their own."""
    names = [" ".join(field.split()) for field in fields]
    taken = {name for name in names if name}
    seen: set[str] = set()
    for index, name in enumerate(names):
        stem = name or f"column_{index + 1}"
        choice, number = stem, 1
        while choice in seen or (choice in taken and (number > 1 or not name)):
            number += 1
            choice = f"{stem}_{number}"
        names[index] = choice
        seen.add(choice)
    return tuple(names)


def numbered_names(count: int) -> tuple[str, ...]:
    return tuple(f"column_{number}" for number in range(1, count + 1))


def _quotechar(text: bytes) -> str:
    """The apostrophe only where it frames fields all over the file and the double quote begins none."""
    if b"'" not in text or (b'"' in text and _DOUBLE_QUOTED.search(text)):
        return '"'
    lines = max(1, line_ends(text, len(text)))
    return "'" if len(_SINGLE_QUOTED.findall(text)) >= max(2, lines // 2) else '"'


@dataclass(frozen=True, slots=True)
class _Fit:
    """How a delimiter cuts the records: fields of the first one, the share of records with as many, the mode."""

    delimiter: str
    width: int
    share: float
    mode: int
    mode_share: float
    records: int


def _delimiter(text: bytes, quotechar: str, *, complete: bool) -> str:
    found = [delimiter for delimiter in _DELIMITERS if delimiter.encode() in text]
    fits = [_fit(text, delimiter, quotechar, complete=complete) for delimiter in found]
    absent = [delimiter for delimiter in _DELIMITERS if delimiter not in found]
    if absent:  # all that do not occur cut alike
        alike = _fit(text, absent[0], quotechar, complete=complete)
        fits += [replace(alike, delimiter=delimiter) for delimiter in absent]
    fits.sort(key=lambda fit: _DELIMITERS.index(fit.delimiter))
    wide = [fit for fit in fits if fit.width > 1 and fit.share >= _ENOUGH_ALIKE]
    best = max(wide, key=lambda fit: (round(fit.share, 2), fit.width), default=None)
    if best and best.delimiter == "," and len(wide) > 1:
        best = _unless_decimal_commas(text, wide, quotechar)
    if best and (best.records > 1 or not _is_prose(text)):
        return best.delimiter
    if _is_prose(text):
        raise InvalidTable("This file is a text, not a table: its lines do not share a delimiter and columns.")
    titled = max(fits, key=lambda fit: (fit.mode > fit.width) * fit.mode_share)
    if titled.mode > titled.width and titled.mode_share >= _CLEARLY_ALIKE and not _is_number_column(text):
        fields = "1 field" if titled.width == 1 else f"{titled.width} fields"
        raise InvalidTable(
            f"The first line has {fields}, but most of the lines after it have {titled.mode}.",
            hint="Remove what stands above the header row, or complete it, and upload the file again.",
        )
    wide = [fit for fit in fits if fit.width > 1]
    if wide and max(fit.share for fit in wide) > 0.1:
        return max(wide, key=lambda fit: (fit.share, fit.width)).delimiter  # ragged, as reading will say
    # One column: its delimiter is whichever does not occur in it, the comma where possible.
    return max(reversed(fits), key=lambda fit: fit.share if fit.width == 1 else 0.0).delimiter


def _fit(text: bytes, delimiter: str, quotechar: str, *, complete: bool) -> _Fit:
    split = split_records(text, delimiter=delimiter, quotechar=quotechar, final=complete)
    counts = split.fields
    if not len(counts):
        return _Fit(delimiter, split.rest_fields, 1.0, split.rest_fields, 1.0, 1)
    width = int(counts[0])
    after = counts[1:] if len(counts) > 1 else counts
    values, times = np.unique(after, return_counts=True)
    mode = int(values[times.argmax()])
    share = float((after == width).mean())
    return _Fit(delimiter, width, share, mode, float(times.max() / len(after)), len(counts))


def _unless_decimal_commas(text: bytes, wide: Sequence[_Fit], quotechar: str) -> _Fit:
    """The comma, unless another delimiter fits and leaves commas only between digits."""
    comma = next(fit for fit in wide if fit.delimiter == ",")
    for other in wide:
        if other is comma or other.share < comma.share - 0.05:
            continue
        split = split_records(text, delimiter=other.delimiter, quotechar=quotechar, final=False)
        rows = parse_records(text, split, range(min(len(split.starts), _HEADER_ROWS)), other.delimiter, quotechar)
        if all(_DECIMAL_COMMA.fullmatch(value) for row in rows for value in row):
            return other
    return comma


def _lines(text: bytes) -> list[str]:
    lines = text[:65536].decode(errors="ignore").splitlines()[:_HEADER_ROWS]
    return [line for line in lines if line.strip()]


def _is_prose(text: bytes) -> bool:
    """A first line that reads as a sentence, and lines of several words after it."""
    lines = _lines(text)
    words = lines[0].split()
    sentence = len(words) >= 6 or (len(words) >= 3 and words[-1][-1] in ".!?:,")
    others = sorted(len(line.split()) for line in lines[1:])
    return sentence and (not others or others[len(others) // 2] >= 4)


def _is_number_column(text: bytes) -> bool:
    """One column of numbers with decimal commas."""
    return all(re.fullmatch(r"\s*[+-]?[0-9]*,?[0-9]+\s*", line) for line in _lines(text)[1:])


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: by the kinds of its values against the kinds below them.

    A name over a column of numbers or dates speaks for a header, a number over numbers against it. A row of
    years (1990, 1991, …) is a header of its own kind. Where everything is text, a first row whose values occur
    again in their columns is data; otherwise it is a header, as nearly every file has one.
    """
    first = [value.strip(BLANKS) for value in rows[0]]
    body = [row for row in rows[1:] if len(row) == len(first)]
    if any(is_missing(value) for value in first[1:]) and not body:
        return True
    for_header = against = repeated = 0
    years: list[int] = []
    for index, value in enumerate(first):
        below = {cell for row in body if not is_missing(cell := row[index].strip(BLANKS))}
        typed = bool(below) and all(_is_typed(cell) for cell in below)
        if is_missing(value):
            continue
        if _is_typed(value):
            against += typed or not below
            if re.fullmatch(r"1[89][0-9]{2}|20[0-9]{2}", value):
                years.append(int(value))
        else:
            for_header += typed
            repeated += value in below
    if len(years) >= 2 and len(years) == against and years == sorted(set(years)):
        return True
    if against or for_header:
        return for_header > 0 and for_header >= against
    named = sum(not is_missing(value) for value in first)
    return named == 0 or repeated < max(1, named / 2)


def _is_typed(value: str) -> bool:
    return is_numeric(value) or ("," in value and is_numeric(value.replace(",", ".", 1))) or is_date(value)
