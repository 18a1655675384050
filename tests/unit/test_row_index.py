"""Rows by their number: the same that reading from the beginning gives, in every encoding, and cheaply."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml import record_stream, row_index
from ml.dialects import Dialect
from ml.row_index import RowIndex, RowIndexer, rows_at
from ml.tables import normalise


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks and requests so close together that small files have many."""
    monkeypatch.setattr(record_stream, "BATCH_BYTES", 64)
    monkeypatch.setattr(row_index, "_STEP_BYTES", 16)
    monkeypatch.setattr(row_index, "_PLACES_KEPT", 10_000)
    monkeypatch.setattr(row_index, "_FIRST_BYTES", 20)
    monkeypatch.setattr(row_index, "_READ_BYTES", 50)


def dialect(**values: object) -> Dialect:
    return Dialect(**({"encoding": "utf-8", "delimiter": ",", "quotechar": '"', "has_header": True} | values))


def indexed(data: bytes, how: Dialect, *, step: int = 1000) -> RowIndex:
    indexer = RowIndexer(how)
    for start in range(0, len(data), step):
        indexer.feed(data[start : start + step])
    return RowIndex.from_dict(indexer.finish().as_dict())


def reader(data: bytes, seen: list[int] | None = None):
    def read(offset: int, length: int) -> bytes:
        if seen is not None:
            seen.append(length)
        return data[offset : offset + length]

    return read


def rows(data: bytes, how: Dialect, index: RowIndex | None, first: int, count: int) -> list[list[str]]:
    return rows_at(reader(data), how, index, first=first, count=count)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("cp1252", b""),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b""),
        ("utf-32-le", b""),
        ("gb18030", b""),
        ("cp932", b""),
    ],
    ids=["utf-8", "utf-8 with mark", "cp1252", "utf-16-le with mark", "utf-16-be", "utf-32-le", "gb18030", "cp932"],
)
@pytest.mark.usefixtures("small_steps")
def test_rows_in_every_encoding(encoding: str, mark: bytes):
    word = {"cp932": "漢字", "gb18030": "汉字", "cp1252": "é€"}.get(encoding, "é漢😀")
    values = [[str(i), word * (i % 5), f'"{word},{i}"'] for i in range(120)]
    text = "id,w,q\r\n" + "".join(",".join(row) + "\r\n" for row in values)
    data = mark + text.encode(encoding)
    how = dialect(encoding=encoding)
    index = indexed(data, how)
    expected = [[row[0], row[1], row[2].strip('"')] for row in values]
    assert index.rows == 120
    assert len(index.marks) > 10
    for first in range(0, 121, 7):
        assert rows(data, how, index, first, 3) == expected[first : first + 3]
        assert rows(data, how, None, first, 3) == expected[first : first + 3]


@pytest.mark.usefixtures("small_steps")
def test_what_is_no_row_is_not_counted():
    data = (
        b"title\n\nid,x\n"
        + b"".join(b"%d,a\n" % i + (b"bad\n\n#note\n" if i % 3 == 0 else b"") for i in range(60))
        + b"60,\xff\n61,b\n62,\0\n63,z"
    )
    how = dialect(skip_lines=2, comment="#")
    index = indexed(data, how)
    expected = [[str(i), "a"] for i in range(60)] + [["61", "b"], ["63", "z"]]
    assert index.rows == len(expected)
    for first in range(len(expected)):
        assert rows(data, how, index, first, 2) == expected[first : first + 2]


@pytest.mark.usefixtures("small_steps")
def test_lines_that_end_with_a_delimiter_keep_their_habit():
    data = b"a,b\n" + b"".join(b"%d,x,\n" % i for i in range(100))
    index = indexed(data, dialect())
    assert index.overhanging
    assert rows(data, dialect(), index, 90, 2) == [["90", "x"], ["91", "x"]]


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(("sign", "gap"), [(" ", "   "), (",", ",  ")])
def test_blanks_that_are_skipped_are_skipped_from_any_row_on(sign: str, gap: str, tmp_path: Path):
    how = dialect(delimiter=sign, skip_blanks=True)
    data = "".join(f'  {i}{gap}"x {i}"{gap * (sign == " ")}\n' for i in ["n", *range(300)]).encode()
    index = RowIndex.from_dict(indexed(data, how, step=7).as_dict())
    assert index.rows == normalise([data], how, tmp_path / "clean.csv") == 300
    for first in (0, 1, 150, 298):
        assert rows(data, how, index, first, 2) == [[str(i), f"x {i}"] for i in range(first, first + 2)]


@pytest.mark.usefixtures("small_steps")
def test_the_header_once_more_is_no_row_wherever_reading_begins():
    part = b"".join(b"%d,x\n" % i for i in range(50))
    index = RowIndex.from_dict(indexed(b"a,b\n" + (part + b"a,b\n") * 3, dialect()).as_dict())
    assert (index.rows, index.header) == (150, b"a,b")
    for first in (45, 95, 140):
        found = rows(b"a,b\n" + (part + b"a,b\n") * 3, dialect(), index, first, 10)
        assert found == [[str(i % 50), "x"] for i in range(first, min(first + 10, 150))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.text(st.sampled_from('ab,"\n\r é\ufeff漢😀'), max_size=6), min_size=2, max_size=3),
        max_size=40,
    ),
    st.sampled_from(["utf-8", "utf-16-le", "gb18030"]),
    st.integers(1, 64),
    st.booleans(),
)
@pytest.mark.usefixtures("small_steps")
def test_every_row_is_where_reading_all_finds_it(
    tmp_path_factory, records: list[list[str]], encoding: str, step: int, has_header: bool
):
    lines = [
        ",".join('"' + value.replace('"', '""') + '"' for value in record) for record in [["h", "k"], *records]
    ]
    data = ("\n".join(lines) + "\n").encode(encoding)
    how = dialect(encoding=encoding, has_header=has_header)
    index = indexed(data, how, step=step)
    every = rows(data, how, None, 0, 10**6)
    clean: Path = tmp_path_factory.mktemp("clean") / "table.csv"
    assert index.rows == len(every) == normalise([data], how, clean)
    for first in range(len(every) + 1):
        assert rows(data, how, index, first, 2) == every[first : first + 2]


def test_a_row_costs_one_range_whatever_the_size():
    numbers = random.Random(3)
    data = b"id,x\n" + b"".join(b"%d,%d\n" % (i, numbers.randrange(10**9)) for i in range(400_000))
    index = indexed(data, dialect(), step=4 * 2**20)
    assert 3 <= len(index.marks) <= len(data) / 2**20 + 1
    for row in (0, 123_456, 250_000, 399_990):
        seen: list[int] = []
        found = rows_at(reader(data, seen), dialect(), index, first=row, count=5)
        assert [int(values[0]) for values in found] == list(range(row, row + 5))
        assert sum(seen) <= 2 * 2**20


def test_reading_without_an_index_gives_up_after_so_much():
    data = b"id\n" + b"".join(b"%d\n" % i for i in range(1_000_000))
    assert rows_at(reader(data), dialect(), None, first=900_000, count=5, most_bytes=2**20) == []
    assert rows_at(reader(data), dialect(), None, first=10, count=1, most_bytes=2**20) == [["10"]]


def test_no_rows():
    index = indexed(b"a,b\n", dialect())
    assert (index.rows, index.marks) == (0, ())
    assert rows(b"a,b\n", dialect(), index, 0, 5) == []
