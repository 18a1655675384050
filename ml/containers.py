"""Tables that come packed: what a file is packed in, which tables are inside, and their bytes as delimited text.

A gzip file is unpacked as it goes by (:class:`GzipReader`, :func:`gunzip`); every kind is read from a seekable file
by :func:`members` and :func:`open_member`, in pieces, with memory that does not grow with the table as far as their
readers allow. Sheets and Parquet files become UTF-8 CSV with commas, double quotes and LF (:data:`CONVERTED`).

What cannot be opened is an InvalidTable that says why and what to do; what unfolds beyond :class:`Limits` is a
TooLarge.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

from ml.archives import open_zip, zip_member_bytes, zip_members
from ml.containers_common import PIECE_BYTES, Limits, Member, size_of
from ml.formats import has_control_bytes
from ml.gzip_stream import GzipReader, gzip_name
from ml.parquet import parquet_csv, parquet_members
from ml.spreadsheets import is_workbook, sheet_csv, sheet_members
from smartml.errors import InvalidTable

if TYPE_CHECKING:
    from ml.dialects import Dialect

__all__ = [
    "CONVERTED",
    "ContainerKind",
    "GzipReader",
    "Limits",
    "Member",
    "converted_dialect",
    "gunzip",
    "kind_of",
    "members",
    "open_member",
]


class ContainerKind(StrEnum):
    """PLAIN is everything that is not packed: a delimited text, or what ``ml.formats`` will refuse."""

    PLAIN = "plain"
    GZIP = "gzip"
    ZIP = "zip"
    XLSX = "xlsx"
    PARQUET = "parquet"


# The kinds whose tables are not texts: what comes out is UTF-8 CSV (comma, double quote, LF) made here.
CONVERTED = frozenset({ContainerKind.XLSX, ContainerKind.PARQUET})

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_PARQUET = (b"PAR1", b"PARE")
_WORKBOOK_SUFFIXES = (".xlsx", ".xlsm", ".xltx", ".xltm")
# With one of these begins every package of Office; the name of the first entry starts at byte 30 of a zip file.
_PACKAGE = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/", b"customXml/")
_FIRST_NAME = 30
_SAVE_AS_CSV = "Open it in its program, save the table as CSV and upload that."


def kind_of(head: bytes, file_name: str) -> ContainerKind:
    """What a file is packed in, by its first bytes (some KiB will do) and, between look-alikes, its name."""
    if head.startswith(b"\x1f\x8b"):
        return ContainerKind.GZIP
    if head.startswith(_PARQUET) and has_control_bytes(head):
        return ContainerKind.PARQUET
    if head.startswith(_ZIP):
        package = head[_FIRST_NAME:].startswith(_PACKAGE) and b"xl/" in head
        named = file_name.lower().endswith(_WORKBOOK_SUFFIXES)
        return ContainerKind.XLSX if package or named else ContainerKind.ZIP
    return ContainerKind.PLAIN


def members(file: BinaryIO, kind: ContainerKind, limits: Limits) -> tuple[Member, ...]:
    """The tables inside, at least one, in their order. One: take it. Several: let the person choose.

    :raises InvalidTable: nothing inside is a table, or it is encrypted, nested, damaged or of an unreadable kind.
    :raises TooLarge: it has too many members, or what is declared passes the limits.
    """
    if kind is ContainerKind.PARQUET:
        return parquet_members(file, limits)
    if kind is ContainerKind.GZIP:
        file.seek(0)
        return (Member(name=gzip_name(file.read(2**16)), size=None),)
    if kind is ContainerKind.PLAIN:
        return (Member(name="", size=size_of(file)),)
    archive = open_zip(file, limits)
    if _is_workbook(archive):
        return sheet_members(file, archive)
    return zip_members(archive, limits)


def open_member(file: BinaryIO, kind: ContainerKind, member: Member | str, limits: Limits) -> Iterator[bytes]:
    """The bytes of one table, in pieces of about a MiB; as stored, or converted to UTF-8 CSV (:data:`CONVERTED`).

    The file must stay open while they are read. Raises like :func:`members`, also in the middle.

    :param member: one of :func:`members`, or its name.
    """
    name = member.name if isinstance(member, Member) else member
    if kind is ContainerKind.PARQUET:
        return parquet_csv(file, limits)
    if kind in {ContainerKind.GZIP, ContainerKind.PLAIN}:
        file.seek(0)
        chunks = iter(lambda: file.read(PIECE_BYTES), b"")
        return gunzip(chunks, limits) if kind is ContainerKind.GZIP else chunks
    archive = open_zip(file, limits)
    if _is_workbook(archive):
        return sheet_csv(file, archive, name, limits)
    return zip_member_bytes(archive, name, limits)


def gunzip(chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """The unpacked bytes of a gzip file that comes in chunks, a MiB at a time at most."""
    reader = GzipReader(limits)
    for chunk in chunks:
        yield from reader.pieces(chunk)
    reader.finish()


def converted_dialect(kind: ContainerKind, sniffed: "Dialect") -> "Dialect":
    """What was sniffed of a table that was converted here, put right: only a sheet's header is to be found out."""
    known = replace(
        sniffed,
        encoding="utf-8",
        delimiter=",",
        quotechar='"',
        escapechar="",
        comment="",
        decimal=".",
        thousands="",
        date_order="",
    )
    return replace(known, has_header=True, skip_lines=0) if kind is ContainerKind.PARQUET else known


def _is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether it is a workbook that can be read; another kind of document is refused by its name."""
    names = set(archive.namelist())
    if is_workbook(names):
        return True
    for sign, what in (
        ("xl/workbook.bin", "a binary Excel workbook (.xlsb)"),
        ("word/document.xml", "a Word document"),
        ("ppt/presentation.xml", "a PowerPoint presentation"),
        ("META-INF/manifest.xml", "an OpenDocument file (such as .ods)"),
        ("Index/Document.iwa", "an Apple Numbers document"),
    ):
        if sign in names:
            raise InvalidTable(f"This file is {what}, which is not read here.", hint=_SAVE_AS_CSV)
    return False
