"""Zip archives: which files inside are tables, and their bytes. Names in an archive are never used as paths."""

import logging
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from ml.containers_common import MIB, PIECE_BYTES, GuardedFile, Limits, Member, Meter, refuse_unfolding
from smartml.errors import InvalidTable, SmartMLError, TooLarge, trace_without_values

logger = logging.getLogger(__name__)

# Ten thousand files with long names fit; a longer directory only costs memory.
_LONGEST_DIRECTORY = 4 * MIB
_TABLES = (".csv", ".tsv", ".tab", ".psv", ".txt", ".dat", ".data")
_PACKED = (".zip", ".gz", ".tgz", ".7z", ".rar", ".tar", ".bz2", ".xz", ".zst", ".xlsx", ".xls", ".ods", ".parquet")
# What accompanies a table without being one, as in "README.txt".
_ABOUT = re.compile(r"(?:read[-_ ]?me|licen[cs]e|notice|copying|citation|change[-_ ]?log|about)\b.*", re.IGNORECASE)
_SYSTEM = frozenset({"thumbs.db", "desktop.ini"})
_ENCRYPTED, _AES = 0x1, 99
_OTHER_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError, IndexError)
_UNPACK = "Unpack it and upload the table inside."


def open_zip(file: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """The archive, its directory read and found to be of bearable size."""
    with readable_archive():
        archive = zipfile.ZipFile(cast(BinaryIO, GuardedFile(file, longest_read=_LONGEST_DIRECTORY)))
    count = len(archive.infolist())
    if count > limits.max_members:
        raise TooLarge(
            f"The zip archive holds {count:,} files; the limit is {limits.max_members:,}.",
            hint="Pack the one table you need, or upload it unpacked.",
        )
    return archive


@contextmanager
def readable_archive() -> Iterator[None]:
    """Say in our words what the zip library says about a damaged archive."""
    try:
        yield
    except SmartMLError:
        raise
    except _DAMAGED as error:
        # A fault of this program would look the same to its owner; the operator can tell.
        logger.warning("an archive could not be read: %s", trace_without_values(error))
        raise InvalidTable(
            "The zip archive is damaged or incomplete.", hint="Pack the table again, or upload it unpacked."
        ) from error


def zip_members(archive: zipfile.ZipFile, limits: Limits) -> tuple[Member, ...]:
    """The tables in an archive; see :func:`ml.containers.members`."""
    tables = _tables(archive)
    if not tables:
        raise _no_table(archive)
    faults = [fault for info in tables.values() if (fault := _fault(info, limits)) is not None]
    if len(faults) == len(tables):
        raise faults[0]
    return tuple(Member(name=name, size=info.file_size) for name, info in tables.items())


def zip_member_bytes(archive: zipfile.ZipFile, name: str, limits: Limits) -> Iterator[bytes]:
    """The bytes of one of :func:`zip_members`, checked against its checksum at the end."""
    info = _tables(archive).get(name)
    if info is None:
        raise InvalidTable("There is no such table in the zip archive.", hint="Choose one of those that it holds.")
    fault = _fault(info, limits)
    if fault is not None:
        raise fault
    return _unpacked(archive, info, limits)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> Iterator[bytes]:
    meter = Meter(limits, packed=info.compress_size)
    with readable_archive():
        source = archive.open(info)
    with source:
        while True:
            with readable_archive():
                piece = source.read(PIECE_BYTES)
            if not piece:
                return
            meter.add(len(piece))
            yield piece


def _tables(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The entries that can be tables, by a name of their own each."""
    files = [info for info in archive.infolist() if not _is_litter(info) and info.file_size]
    found = [info for info in files if _base(info).lower().endswith(_TABLES) and not _ABOUT.match(_base(info))]
    if not found:
        found = [info for info in files if "." not in _base(info) and not _ABOUT.match(_base(info))]
    named: dict[str, zipfile.ZipInfo] = {}
    for info in found:
        name, number = info.filename, 1
        while name in named:
            number += 1
            name = f"{info.filename} ({number})"
        named[name] = info
    return named


def _base(info: zipfile.ZipInfo) -> str:
    return info.filename.replace("\\", "/").rpartition("/")[2]


def _is_litter(info: zipfile.ZipInfo) -> bool:
    """Folders, and what operating systems add of their own."""
    parts = info.filename.replace("\\", "/").split("/")
    hidden = any(part.startswith(".") and part.strip(".") for part in parts)
    return info.is_dir() or not parts[-1] or hidden or "__MACOSX" in parts or parts[-1].lower() in _SYSTEM


def _fault(info: zipfile.ZipInfo, limits: Limits) -> SmartMLError | None:
    """Why this entry cannot be read."""
    if info.flag_bits & _ENCRYPTED or info.compress_type == _AES:
        return InvalidTable("The zip archive is protected with a password.", hint=_UNPACK)
    if info.compress_type not in _METHODS:
        method = _OTHER_METHODS.get(info.compress_type, f"number {info.compress_type}")
        return InvalidTable(
            f"The table in the zip archive is compressed by a method that is not read here ({method}).",
            hint="Pack it with the usual method (Deflate), or upload it unpacked.",
        )
    try:
        refuse_unfolding(limits, packed=info.compress_size, unpacked=info.file_size)
    except TooLarge as error:
        return error
    return None


def _no_table(archive: zipfile.ZipFile) -> InvalidTable:
    files = [info for info in archive.infolist() if not _is_litter(info)]
    if not files:
        return InvalidTable("The zip archive is empty.")
    names = _listed([_base(info) for info in files])
    packed = [_base(info) for info in files if _base(info).lower().endswith(_PACKED)]
    if packed:
        return InvalidTable(
            f"The zip archive holds packed files ({_listed(packed)}), which are not opened inside it.",
            hint="Unpack it and upload the file inside.",
        )
    if not any(info.file_size for info in files):
        return InvalidTable(f"The zip archive holds only empty files ({names}).")
    return InvalidTable(
        f"The zip archive holds no table ({names}).", hint="Pack a .csv, .tsv or .txt file, or upload it unpacked."
    )


def _listed(names: list[str]) -> str:
    """A few names for a sentence, without what would break a page or a line."""
    shown = ["".join(c for c in name if c.isprintable())[:60] for name in names[:3]]
    return ", ".join(shown) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
