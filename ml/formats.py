"""Telling what a file is when it is not a table, so that the refusal can name it."""

import re

from smartml.errors import InvalidTable

_XLSX_HINT = "Open it in the spreadsheet program, save the sheet as CSV and upload that."
_UNPACK_HINT = "Unpack it and upload the CSV file inside."
_EXPORT_HINT = "Export the table as CSV and upload that."

# (first bytes, what it is, next step)
_MAGIC: tuple[tuple[bytes, str, str | None], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", None),
    (b"\xff\xd8\xff", "a JPEG picture", None),
    (b"GIF87a", "a GIF picture", None),
    (b"GIF89a", "a GIF picture", None),
    (b"%PDF-", "a PDF document", None),
    (b"PAR1", "a Parquet file", _EXPORT_HINT),
    (b"ARROW1", "an Arrow (Feather) file", _EXPORT_HINT),
    (b"Obj\x01", "an Avro file", _EXPORT_HINT),
    (b"ORC", "an ORC file", _EXPORT_HINT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _EXPORT_HINT),
    (b"SQLite format 3\0", "an SQLite database", _EXPORT_HINT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office file (such as .xls)", _XLSX_HINT),
    (b"\x1f\x8b", "a gzip archive", _UNPACK_HINT),
    (b"BZh", "a bzip2 archive", _UNPACK_HINT),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK_HINT),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK_HINT),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK_HINT),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK_HINT),
    (b"\x04\x22\x4d\x18", "an LZ4 archive", _UNPACK_HINT),
    (b"\x1f\x9d", "a compressed file (.Z)", _UNPACK_HINT),
    (b"FEA1", "a Feather file", _EXPORT_HINT),
    (b"$FL2@(#)", "an SPSS file", _EXPORT_HINT),
    (b"<stata_dta>", "a Stata file", _EXPORT_HINT),
    (b"RDX3\n", "an R data file", _EXPORT_HINT),
    (b"\x7fELF", "a program", None),
    (b"MZ\x90\0", "a program", None),
    (b"RIFF", "a sound, picture or video file", None),
    (b"ID3", "a sound file", None),
    (b"OggS", "a sound or video file", None),
)
# Magic numbers that are also plausible beginnings of a text need a byte that no text has.
_TEXT_LIKE = (b"ORC", b"BZh", b"RIFF", b"ID3", b"PAR1", b"OggS", b"Obj\x01", b"FEA1")
# A tar archive says so in the header of its first file; a locked workbook in the directory of its Office container.
_TAR, _TAR_AT = b"ustar", 257
_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCKED = "EncryptedPackage".encode("utf-16-le")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MARKUP = re.compile(rb"\s*(?:<!doctype\s+html|<html|<head|<body)", re.IGNORECASE)
_TABLE = re.compile(
    rb"\s*(?:<(?:meta|style|div|table|p|h[1-6]|center|font)\b[^>]*>|<!--).{0,3500}<t(?:able|r|d|h)\b", re.I | re.S
)
_ARFF = re.compile(rb"\s*(?:%[^\n]*\n\s*)*@relation\s", re.I)
_SQL = re.compile(rb"\s*(?:--[^\n]*\n\s*)*(?:insert\s+into\s+\S+\s|create\s+table\s+\S+\s*\(|drop\s+table\s)", re.I)
_XML = re.compile(rb"\s*<\?xml\s")
_JSON = re.compile(rb'\s*(?:\{\s*"[^"\n]*"\s*:|\[\s*(?:\{\s*"|\[))')
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def refuse_other_formats(head: bytes) -> None:
    """Raise InvalidTable when the bytes are of a known kind of file that is no delimited text."""
    if head.startswith(_ZIP):
        raise _zip(head)
    if head.startswith(_OFFICE) and _LOCKED in head:
        raise InvalidTable(
            "This workbook is protected with a password.",
            hint="Open it in the spreadsheet program, save the sheet as CSV and upload that.",
        )
    if head[_TAR_AT:].startswith(_TAR):
        raise InvalidTable("This file is a tar archive, not a CSV table.", hint=_UNPACK_HINT)
    for magic, what, hint in _MAGIC:
        if head.startswith(magic) and (magic not in _TEXT_LIKE or has_control_bytes(head)):
            raise InvalidTable(f"This file is {what}, not a CSV table.", hint=hint)
    text = head[:4096].removeprefix(b"\xef\xbb\xbf")
    if _MARKUP.match(text):
        raise InvalidTable(
            "This file is a web page (HTML), not a CSV table; perhaps the download led to a sign-in page.",
            hint="Download the data file itself and upload that.",
        )
    if _TABLE.match(text):
        raise InvalidTable(
            "This file is a web page (HTML) with a table in it, not a CSV table, whatever its name ends in.",
            hint="Open it in a spreadsheet program, save the table as CSV and upload that.",
        )
    if _ARFF.match(text):
        raise InvalidTable("This file is in Weka's format (ARFF), not a CSV table.", hint=_EXPORT_HINT)
    if _SQL.match(text):
        raise InvalidTable("This file is a list of SQL statements, not a CSV table.", hint=_EXPORT_HINT)
    if _XML.match(text):
        raise InvalidTable("This file is XML, not a CSV table.", hint=_EXPORT_HINT)
    if _JSON.match(text):
        raise InvalidTable("This file is JSON, not a CSV table.", hint=_EXPORT_HINT)


def has_control_bytes(head: bytes) -> bool:
    """Whether the first bytes hold one that no text has."""
    return _CONTROL.search(head[:4096]) is not None


def _zip(head: bytes) -> InvalidTable:
    if b"xl/" in head:
        return InvalidTable("This file is an Excel workbook (.xlsx), not a CSV table.", hint=_XLSX_HINT)
    if b"word/" in head or b"ppt/" in head:
        return InvalidTable("This file is a Microsoft Office document, not a CSV table.", hint=_EXPORT_HINT)
    if b"opendocument" in head[:200]:
        return InvalidTable("This file is an OpenDocument file, not a CSV table.", hint=_XLSX_HINT)
    return InvalidTable("This file is a zip archive, not a CSV table.", hint=_UNPACK_HINT)
