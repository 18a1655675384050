"""Packed files: what they are taken for, what is found inside, and what is refused with which sentence."""

import gzip
import io
import struct
import zipfile
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.containers import ContainerKind, GzipReader, Limits, gunzip, kind_of, members, open_member
from ml.formats import refuse_other_formats
from smartml.errors import InvalidTable, SmartMLError, TooLarge

LIMITS = Limits(max_output_bytes=200 * 2**20, max_ratio=100, max_members=50)
MIB = 2**20
TABLE = b"a,b\n1,2\n"


def unpack(data: bytes, name: str = "", *, kind: ContainerKind | None = None, limits: Limits = LIMITS) -> bytes:
    """The one table inside, or the one of this name."""
    file = io.BytesIO(data)
    kind = kind or kind_of(data[:65536], "file")
    found = members(file, kind, limits)
    [member] = [m for m in found if not name or m.name == name]
    return b"".join(open_member(file, kind, member, limits))


def refusal(data: bytes, kind: ContainerKind | None = None, *, limits: Limits = LIMITS) -> SmartMLError:
    with pytest.raises(SmartMLError) as caught:
        unpack(data, kind=kind, limits=limits)
    assert caught.value.hint, "every refusal names the next step"
    return caught.value


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (gzip.compress(TABLE, mtime=0), "a.csv", ContainerKind.GZIP),
        (zipped({"a.csv": TABLE}), "a.xyz", ContainerKind.ZIP),
        (zipped({"a.csv": TABLE}), "a.xlsx", ContainerKind.XLSX),
        (zipped({"[Content_Types].xml": b"x", "xl/workbook.xml": b"x"}), "a", ContainerKind.XLSX),
        (zipped({"[Content_Types].xml": b"x", "word/document.xml": b"x"}), "a", ContainerKind.ZIP),
        (zipped({"book.xlsx": zipped({"xl/workbook.xml": b"x"})}, zipfile.ZIP_STORED), "a", ContainerKind.ZIP),
        (b"PAR1\x15\x04\x15\x00", "a", ContainerKind.PARQUET),
        (b"PAR1,PAR2\n1,2\n", "a.parquet", ContainerKind.PLAIN),
        (TABLE, "a.gz", ContainerKind.PLAIN),
        (b"", "a.csv", ContainerKind.PLAIN),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_first_bytes_tell_what_a_file_is(head: bytes, name: str, kind: ContainerKind):
    assert kind_of(head, name) is kind


# --- gzip -------------------------------------------------------------------------------------------------------
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 50), st.integers(0, 9))
def test_gzip_in_any_pieces_and_members(parts: list[bytes], step: int, padding: int):
    data = b"".join(map(gzip.compress, parts)) + b"\0" * padding
    if not any(parts):
        parts.append(TABLE)
        data = gzip.compress(TABLE, mtime=0)
    reader = GzipReader(LIMITS)
    out = b"".join(reader.feed(data[i : i + step]) for i in range(0, len(data), step))
    reader.finish()
    assert out == b"".join(parts)


def test_gzip_comes_in_bounded_pieces():
    data = gzip.compress(bytes(range(256)) * 40_000)
    pieces = list(gunzip([data], LIMITS))
    assert max(map(len, pieces)) <= MIB
    assert sum(map(len, pieces)) == 256 * 40_000


def test_gzip_tells_its_name():
    out = io.BytesIO()
    with gzip.GzipFile("folder/data.csv", "wb", fileobj=out) as file:
        file.write(TABLE)
    [member] = members(io.BytesIO(out.getvalue()), ContainerKind.GZIP, LIMITS)
    assert member.name == "data.csv"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data[:-1], "ends too early"),
        (lambda data: data[:12], "ends too early"),
        (lambda data: data + b"more", "do not belong"),
        (lambda data: data + b"\0\0\0more", "do not belong"),
        (lambda data: data + b"\0" + data, "do not belong"),
        (lambda data: data + b"\x1f", "do not belong"),
        (lambda data: data + data[:10], "ends too early"),
        (lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], "damaged"),
        (lambda data: data[:10] + b"\xff\xff\xff" + data[13:], "damaged"),
        (lambda data: b"\x1f\x8b\x07" + data[3:], "damaged"),
        (lambda data: gzip.compress(b"", mtime=0), "empty"),
        (lambda data: b"", "empty"),
        (lambda data: b"\x1f", "no complete gzip"),
        (lambda data: TABLE, "no gzip file"),
    ],
    ids=[
        *("cut", "cut in the header", "trailing text", "text after padding", "member after padding", "half magic"),
        *("second member cut", "wrong checksum", "broken bits", "unknown method", "empty member", "no bytes"),
        *("one byte", "a plain table"),
    ],
)
def test_broken_gzip_is_refused(change, sentence: str):
    error = refusal(change(gzip.compress(TABLE, mtime=0)), ContainerKind.GZIP)
    assert isinstance(error, InvalidTable)
    assert sentence in error.message


def test_a_gzip_bomb_is_refused_by_ratio_before_it_has_unfolded():
    data = gzip.compress(bytes(100 * MIB))
    reader = GzipReader(LIMITS)
    seen: list[int] = []
    with pytest.raises(TooLarge, match="more than 100 times"):
        seen.extend(map(len, reader.pieces(data)))
    assert sum(seen) < len(data) * 100 + 20 * MIB


def test_a_large_gzip_is_refused_by_size():
    with pytest.raises(TooLarge, match="larger than the limit of 1 MB"):
        list(gunzip([gzip.compress(b"0,1\n" * MIB, mtime=0)], Limits(max_output_bytes=MIB)))


def test_a_small_file_may_be_packed_tightly():
    assert unpack(gzip.compress(b"0\n" * MIB, mtime=0)) == b"0\n" * MIB


# --- zip --------------------------------------------------------------------------------------------------------
def test_zip_with_one_table_among_what_systems_add():
    data = zipped(
        {
            "data/": b"",
            "data/table.csv": TABLE,
            "__MACOSX/data/._table.csv": b"resource",
            "data/.hidden.csv": b"x",
            ".git/config.txt": b"x",
            "Thumbs.db": b"x",
            "README.txt": b"about",
            "LICENSE": b"free",
            "empty.csv": b"",
            "plot.png": b"\x89PNG",
        }
    )
    [member] = members(io.BytesIO(data), ContainerKind.ZIP, LIMITS)
    assert (member.name, member.size) == ("data/table.csv", len(TABLE))
    assert unpack(data) == TABLE


def test_zip_with_several_tables_offers_the_choice():
    data = zipped({"train.csv": TABLE, "sub/train.csv": b"x\n1\n", "test.tsv": b"t\n2\n", "notes.txt": b"n\n3\n"})
    names = [m.name for m in members(io.BytesIO(data), ContainerKind.ZIP, LIMITS)]
    assert names == ["train.csv", "sub/train.csv", "test.tsv", "notes.txt"]
    assert unpack(data, "sub/train.csv") == b"x\n1\n"


def test_names_with_paths_are_only_names():
    hostile = {"../../etc/a.csv": TABLE, "/abs.csv": TABLE, "C:\\dir\\b.csv": TABLE}
    data = zipped(hostile)
    assert [m.name for m in members(io.BytesIO(data), ContainerKind.ZIP, LIMITS)] == list(hostile)
    assert unpack(data, "../../etc/a.csv") == TABLE


def test_two_files_of_one_name_are_told_apart():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.csv", TABLE)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.csv", b"second\n1\n")
    assert unpack(out.getvalue(), "a.csv") == TABLE
    assert unpack(out.getvalue(), "a.csv (2)") == b"second\n1\n"


def test_a_file_without_an_ending_is_taken_when_nothing_else_is_there():
    assert unpack(zipped({"table": TABLE, "LICENSE": b"free", "p.png": b"x"})) == TABLE


def test_zip64_and_streamed_zip():
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w", force_zip64=True) as f,
    ):
        f.write(TABLE)
    assert unpack(out.getvalue()) == TABLE

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            streamed.extend(data)
            return len(data)

    streamed = bytearray()
    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:  # sizes come after the data
        archive.writestr("a.csv", TABLE)
    assert unpack(bytes(streamed)) == TABLE


def patched(data: bytes, *, flags: int | None = None, method: int | None = None) -> bytes:
    """A zip of one file with other flags or another method, in both of its headers."""
    changed = bytearray(data)
    central = data.index(b"PK\x01\x02")
    for at, value in ((6, flags), (8, method)):
        if value is not None:
            struct.pack_into("<H", changed, at, value)
            struct.pack_into("<H", changed, central + at + 2, value)
    return bytes(changed)


ONE = zipped({"a.csv": TABLE * 100})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (patched(ONE, flags=1), "protected with a password"),
        (patched(ONE, method=99), "protected with a password"),
        (patched(ONE, method=9), "Deflate64"),
        (zipped({"a.csv": TABLE}, zipfile.ZIP_BZIP2), "bzip2"),
        (zipped({"a.csv": TABLE}, zipfile.ZIP_LZMA), "LZMA"),
        (zipped({"inner.zip": ONE, "b.csv.gz": b"x"}), "packed files (inner.zip, b.csv.gz)"),
        (zipped({"a.png": b"x", "b.pdf": b"x", "c.jpg": b"x", "d.gif": b"x"}), "(a.png, b.pdf, c.jpg and 1 more)"),
        (zipped({"a.csv": b""}), "only empty files"),
        (zipped({}), "empty"),
        (ONE[:-10], "damaged or incomplete"),
        (ONE[:40], "damaged or incomplete"),
        (ONE.replace(struct.pack("<L", zlib.crc32(TABLE * 100)), b"\1\2\3\4"), "damaged or incomplete"),
        (ONE[:40] + b"\xff\xff\xff" + ONE[43:], "damaged or incomplete"),
        (zipped({f"{i}.csv": TABLE for i in range(51)}), "holds 51 files"),
        (zipped({"[Content_Types].xml": b"x", "word/document.xml": b"x"}), "a Word document"),
        (zipped({"mimetype": b"x", "META-INF/manifest.xml": b"x", "content.xml": b"x"}), "OpenDocument"),
        (zipped({"[Content_Types].xml": b"x", "xl/workbook.bin": b"x"}), "binary Excel workbook"),
    ],
    ids=[
        *("encrypted", "AES", "deflate64", "bzip2", "lzma", "nested", "no table", "empty file", "empty archive"),
        *("no directory", "cut", "wrong checksum", "broken bits", "many", "docx", "ods", "xlsb"),
    ],
)
def test_zip_that_cannot_be_read_is_refused(data: bytes, sentence: str):
    assert sentence in refusal(data, ContainerKind.ZIP).message


def test_one_locked_file_among_several_is_refused_when_it_is_chosen():
    data = zipped({"a.csv": TABLE, "b.csv": TABLE})
    changed = bytearray(data)
    struct.pack_into("<H", changed, data.index(b"PK\x01\x02") + 8, 1)
    file = io.BytesIO(bytes(changed))
    assert len(members(file, ContainerKind.ZIP, LIMITS)) == 2
    with pytest.raises(InvalidTable, match="password"):
        open_member(file, ContainerKind.ZIP, "a.csv", LIMITS)
    with pytest.raises(InvalidTable, match="no such table"):
        open_member(file, ContainerKind.ZIP, "c.csv", LIMITS)


@pytest.mark.parametrize("declared", [None, 5], ids=["honest", "lying about its size"])
def test_a_zip_bomb_is_refused(declared: int | None):
    data = bytearray(zipped({"a.csv": bytes(60 * MIB)}))
    if declared is not None:
        struct.pack_into("<L", data, 22, declared)
        struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, declared)
    error = refusal(bytes(data), ContainerKind.ZIP)
    assert ("100 times" if declared is None else "damaged") in error.message


def test_a_zip_that_is_too_large_is_refused_before_it_is_unpacked():
    error = refusal(zipped({"a.csv": TABLE * 1000}), limits=Limits(max_output_bytes=100))
    assert isinstance(error, TooLarge)


def test_a_directory_of_many_names_is_never_read():
    data = bytearray(zipped({"x" * 60_000 + f"{i}.csv": b"" for i in range(80)}))
    assert isinstance(refusal(bytes(data), ContainerKind.ZIP, limits=Limits(max_output_bytes=MIB)), InvalidTable)


@settings(max_examples=50)
@given(st.binary(max_size=200), st.sampled_from([ONE, gzip.compress(TABLE, mtime=0)]), st.integers(0, 200))
def test_damage_is_always_told_in_a_sentence(noise: bytes, good: bytes, at: int):
    data = good[:at] + noise + good[at + len(noise) :]
    for kind in (ContainerKind.ZIP, ContainerKind.GZIP, ContainerKind.PARQUET, ContainerKind.XLSX):
        with suppress(InvalidTable, TooLarge):
            unpack(data, kind=kind)


# --- What is not opened -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"a.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(247), "tar archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"\.xls"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "7-Zip"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "Zstandard"),
        (b"FEA1\0\0\0\0" + bytes(100), "Feather"),
    ],
    ids=["tar", "xls", "locked xlsx", "7z", "zst", "feather"],
)
def test_other_packed_files_are_refused_with_the_next_step(head: bytes, sentence: str):
    with pytest.raises(InvalidTable, match=sentence) as caught:
        refuse_other_formats(head)
    assert caught.value.hint
