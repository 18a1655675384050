"""Finding out from a file's first bytes how it lays out its table, and saying what they leave open."""

import re
from dataclasses import dataclass

from ml.dialects import Dialect, parse_records
from ml.encodings import detect_encoding
from ml.formats import refuse_other_formats
from ml.records import Layout, Split, line_ends, split_records
from ml.sniffing_header import has_header, padded_lines
from ml.sniffing_layout import find_layout
from ml.sniffing_values import Ambiguity, value_format
from ml.transcoding import decode_head
from smartml.errors import InvalidTable

SNIFF_BYTES = 256 << 10
# Rows that are looked at for their values; the header is told from fewer.
_VALUE_ROWS = 1000
_HEADER_ROWS = 200
# More lines with NUL bytes than this, and it is no text.
_BINARY = 0.1
_SINGLE_QUOTED = re.compile(rb"(?:^|[,;\t|\n\r])\x20*+'[^'\n\r]*'(?=[,;\t|\r\n]|$)")
_DOUBLE_QUOTED = re.compile(rb'(?:^|[,;\t|\n\r])\x20*+"')
_SPREADSHEET_HINT = re.compile(rb"sep=([^\r\nA-Za-z0-9])(?:\r\n|\n|\r)", re.IGNORECASE)

__all__ = ["SNIFF_BYTES", "Ambiguity", "Detection", "detect", "sniff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What was found; ``ambiguities`` are choices that these bytes do not settle, so that people can be asked.

    ``undecided_dates`` are the indices of the columns of dates that can be read in two orders.
    """

    dialect: Dialect
    ambiguities: tuple[Ambiguity, ...] = ()
    undecided_dates: tuple[int, ...] = ()


def sniff(head: bytes, *, complete: bool) -> Dialect:
    """The dialect of a file, from its first bytes; see :func:`detect`."""
    return detect(head, complete=complete).dialect


def detect(head: bytes, *, complete: bool) -> Detection:
    """The dialect of a file, from its first bytes, and what they leave open.

    :param complete: ``head`` is the whole file.
    :raises InvalidTable: what the file is instead of a table.
    """
    refuse_other_formats(head)
    encoding = _encoding(head, complete=complete)
    text = decode_head(head, encoding, complete=complete)
    _refuse_binary(text)
    if not text.strip():
        raise InvalidTable("The file is empty." if complete else "The file begins with nothing but blanks.")
    hint = _SPREADSHEET_HINT.match(text)
    skipped = hint.end() if hint else 0
    layout, start = find_layout(
        text[skipped:], _quotechar(text), complete=complete, delimiter=hint.group(1).decode() if hint else None
    )
    start += skipped
    split = split_records(text[start:], layout, final=complete)
    rows = _rows(text[start:], split, layout)
    padded = padded_lines(rows)
    if padded:
        start += int(split.starts[padded])
        rows = rows[padded:]
    return _described(encoding, layout, line_ends(text, start), rows)


def _described(encoding: str, layout: Layout, skip_lines: int, rows: list[list[str]]) -> Detection:
    found = value_format(_fitting(rows), delimiter=layout.delimiter)
    header = not rows or has_header(rows[:_HEADER_ROWS], found.formats)
    dialect = Dialect(
        encoding=encoding,
        delimiter=layout.delimiter,
        quotechar=layout.quotechar,
        has_header=header,
        escapechar=layout.escapechar,
        skip_lines=skip_lines,
        comment=layout.comment,
        decimal=found.formats.decimal,
        thousands=found.formats.thousands,
        date_order=found.formats.date_order,
        skip_blanks=layout.skip_blanks,
    )
    names = rows[0] if header and rows else []
    return Detection(
        dialect=dialect,
        ambiguities=tuple(question.about(names) for question in found.questions),
        undecided_dates=found.undecided_dates,
    )


def _rows(text: bytes, split: Split, layout: Layout) -> list[list[str]]:
    unclosed = set(split.unclosed.tolist())
    indices = [index for index in range(min(len(split.starts), _VALUE_ROWS)) if index not in unclosed]
    return parse_records(text, split, indices, layout)


def _fitting(rows: list[list[str]]) -> list[list[str]]:
    """The rows that will be read: a record that has lost a field shows nothing about the columns."""
    width = len(rows[0]) if rows else 0
    return [row for row in rows if len(row) == width or (len(row) == width + 1 and not row[-1])]


def _encoding(head: bytes, *, complete: bool) -> str:
    try:
        return detect_encoding(head, complete=complete)
    except InvalidTable:
        _refuse_binary(head)
        raise


def _refuse_binary(text: bytes) -> None:
    nul = text.find(b"\0")
    if nul < 0:
        return
    lines = re.split(rb"\r\n|\n|\r", text)
    with_nul = sum(b"\0" in line for line in lines)
    if with_nul > max(1, _BINARY * len(lines)) or len(lines) < 1 / _BINARY / 2:
        raise InvalidTable(
            f"This is a binary file, not a text: it has a NUL byte on line {1 + line_ends(text, nul):,}."
        )


def _quotechar(text: bytes) -> str:
    """The apostrophe only where it frames fields all over the file and the double quote begins none."""
    if b"'" not in text or (b'"' in text and _DOUBLE_QUOTED.search(text)):
        return '"'
    lines = max(1, line_ends(text, len(text)))
    return "'" if len(_SINGLE_QUOTED.findall(text)) >= max(2, lines // 2) else '"'
