"""How a file is written, and the names of its columns."""

import codecs
import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Final

from ml.records import MAX_RECORD_BYTES, Layout, Split
from ml.value_formats import DATE_ORDERS, DECIMALS, THOUSANDS, ValueFormat
from smartml.errors import InvalidTable

# A field may be as long as a record; the csv module's own limit is for the whole process.
csv.field_size_limit(MAX_RECORD_BYTES)

# codec: what people call it. Every one is its own superset of ASCII or made of wide characters, so that delimiters
# and line ends are what they seem.
ENCODINGS: Final[Mapping[str, str]] = {
    "utf-8": "UTF-8",
    "cp1252": "Western (Windows-1252)",
    "iso8859-1": "Western (Latin-1)",
    "iso8859-15": "Western (Latin-9)",
    "cp1250": "Central European (Windows-1250)",
    "iso8859-2": "Central European (Latin-2)",
    "cp1251": "Cyrillic (Windows-1251)",
    "koi8_r": "Cyrillic (KOI8-R)",
    "cp1253": "Greek (Windows-1253)",
    "cp1254": "Turkish (Windows-1254)",
    "cp1255": "Hebrew (Windows-1255)",
    "cp1256": "Arabic (Windows-1256)",
    "cp1257": "Baltic (Windows-1257)",
    "cp1258": "Vietnamese (Windows-1258)",
    "cp932": "Japanese (Shift-JIS)",
    "euc_jp": "Japanese (EUC-JP)",
    "gb18030": "Chinese, simplified (GB 18030)",
    "big5": "Chinese, traditional (Big5)",
    "cp949": "Korean (CP949)",
    "utf-16-le": "UTF-16, little endian",
    "utf-16-be": "UTF-16, big endian",
    "utf-32-le": "UTF-32, little endian",
    "utf-32-be": "UTF-32, big endian",
    "mac-roman": "Western (Mac Roman)",
    "cp437": "Western (DOS 437)",
    "cp850": "Western (DOS 850)",
    "cp852": "Central European (DOS 852)",
    "cp866": "Cyrillic (DOS 866)",
}
MAX_SKIP_LINES: Final = 10_000
_MAX_SIGN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a file is written. ``encoding`` is one of :data:`ENCODINGS`; a byte order mark is never part of the text.

    ``quotechar`` and ``escapechar`` are "" where there is none. With ``skip_blanks`` blanks ahead of a value are no
    part of it, and if the delimiter is the blank, any number of them is one delimiter. ``skip_lines`` physical
    lines stand before the header or the first record; a line that begins with ``comment`` ("": none) is no record.
    ``decimal``, ``thousands`` and ``date_order`` are those of :class:`ml.column_types.ValueFormat`.

    :raises InvalidTable: these values contradict each other or are no dialect; the sentence says which.
    """

    encoding: str
    delimiter: str
    quotechar: str
    has_header: bool
    escapechar: str = ""
    skip_lines: int = 0
    comment: str = ""
    decimal: str = "."
    thousands: str = ""
    date_order: str = ""
    skip_blanks: bool = False

    def __post_init__(self) -> None:
        fault = _encoding_fault(self.encoding) or _signs_fault(self) or _values_fault(self)
        if fault:
            raise InvalidTable(fault, hint="Choose another value for it.")

    @property
    def formats(self) -> ValueFormat:
        return ValueFormat(decimal=self.decimal, thousands=self.thousands, date_order=self.date_order)

    @property
    def layout(self) -> Layout:
        return Layout(self.delimiter, self.quotechar, self.escapechar, self.comment, self.skip_blanks)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Dialect":
        """From what was stored; fields that were not known then have their defaults."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


@cache
def _known_codecs() -> frozenset[str]:
    return frozenset(codecs.lookup(name).name for name in ENCODINGS)


def _encoding_fault(encoding: str) -> str | None:
    try:
        known = codecs.lookup(encoding).name in _known_codecs()
    except (LookupError, ValueError):
        known = False
    return None if known else "This text encoding is not known here."


def _signs_fault(dialect: Dialect) -> str | None:
    if not _is_sign(dialect.delimiter):
        return "The delimiter has to be one character of ASCII: no letter, digit or line end."
    for name, sign in (("quote sign", dialect.quotechar), ("escape character", dialect.escapechar)):
        if sign and (not _is_sign(sign) or sign == " "):
            return f"The {name} has to be one character of ASCII, no letter, digit or blank, or nothing."
    signs = [sign for sign in (dialect.delimiter, dialect.quotechar, dialect.escapechar) if sign]
    if len(set(signs)) < len(signs):
        return "Delimiter, quote sign and escape character have to differ from each other."
    comment = dialect.comment
    if comment and not (comment.isascii() and comment.isprintable() and len(comment) <= _MAX_SIGN):
        return f"The comment sign has to be one to {_MAX_SIGN} characters of ASCII, or nothing."
    if comment and (comment[0] in (*signs, " ") or comment[0].isalnum()):
        return (
            "The comment sign may begin with no letter, digit or blank, nor with the delimiter, the quote sign or "
            "the escape character."
        )
    if not 0 <= dialect.skip_lines <= MAX_SKIP_LINES:
        return f"Between 0 and {MAX_SKIP_LINES:,} lines can be skipped."
    return None


def _is_sign(text: str) -> bool:
    return len(text) == 1 and text.isascii() and not text.isalnum() and text not in "\r\n\0"


def _values_fault(dialect: Dialect) -> str | None:
    if dialect.decimal not in DECIMALS:
        return "The decimal sign is a point or a comma."
    if dialect.thousands not in THOUSANDS:
        return "The thousands sign is a comma, a point, a blank, an apostrophe, or there is none."
    if dialect.thousands == dialect.decimal:
        return "The decimal sign and the thousands sign have to differ from each other."
    if dialect.date_order not in DATE_ORDERS:
        return "The order of dates is day-month-year, month-day-year, year-month-day, or only ISO 8601."
    return None


def parse_records(buffer: bytes, split: Split, indices: Iterable[int], layout: Layout) -> list[list[str]]:
    """The fields of some records of a split buffer."""
    starts, ends = split.starts, split.ends
    records = (buffer[starts[i] : ends[i]].decode("utf-8", "replace") for i in indices)
    if layout.escapechar:
        return [_unescaped_fields(record, layout) for record in records]
    if not layout.quotechar:
        return [_unquoted_fields(record, layout) for record in records]
    return list(
        csv.reader(
            records,
            delimiter=layout.delimiter,
            quotechar=layout.quotechar,
            doublequote=True,
            skipinitialspace=layout.skip_blanks,
            strict=False,
        )
    )


def _unquoted_fields(record: str, layout: Layout) -> list[str]:
    if layout.has_runs:
        return re.split(" +", record.lstrip(" "))
    values = record.split(layout.delimiter)
    return [value.lstrip(" ") for value in values] if layout.skip_blanks else values


def _unescaped_fields(record: str, layout: Layout) -> list[str]:
    """The fields of a record in which an escape character takes the meaning from the sign behind it.

    It is dropped before a sign that has one (delimiter, quote, line end, itself); elsewhere it is content, so that
    ``C:\\temp`` and ``\\N`` stay what they are.
    """
    pattern, escaped = _escaped_field(layout)
    values: list[str] = []
    at = 0
    while True:
        match = pattern.match(record, at)
        assert match is not None
        quoted, tail, plain = match.groups()
        if plain is None:
            quoted = quoted.replace(layout.quotechar * 2, layout.quotechar) if layout.quotechar else quoted
            plain = quoted + tail
        values.append(escaped.sub(r"\1", plain))
        at = match.end() + 1
        if match.end() == len(record):
            return values


@cache
def _escaped_field(layout: Layout) -> tuple[re.Pattern[str], re.Pattern[str]]:
    delimiter, escape = re.escape(layout.delimiter), re.escape(layout.escapechar)
    q = re.escape(layout.quotechar)
    plain = rf"(?:[^{delimiter}{escape}]++|{escape}[\s\S]|{escape}\Z)*+"
    blanks = r"\x20*+" if layout.skip_blanks else ""
    quoted = rf"{q}((?:[^{q}{escape}]++|{escape}[\s\S]|{q}{q})*+){q}({plain})" if q else "(?!)()()"
    return re.compile(rf"{blanks}(?:{quoted}|({plain}))"), re.compile(rf"{escape}([{delimiter}{q}{escape}\r\n])")


# Signs without a shape that programs and web pages leave in names; the joiner of emoji is none of them.
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u200e\u200f\u00ad"))


def header_names(fields: Sequence[str]) -> tuple[str, ...]:
    """Column names from a header row: white space collapsed, blanks and repetitions given names of their own."""
    names = [" ".join(field.translate(_INVISIBLE).split()) for field in fields]
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
