"""Samples of normalised files: whole records, spread over the file, none twice."""

import csv
import random

import pytest

from ml.sampling import take_sample
from tests.unit.profile_tables import write_table


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", ["plain", 'a "quoted"\n\nvalue, with "all" of it', '"', "x" * 9000], ids=range(4))
def test_a_sample_is_of_whole_records_from_all_over_the_file(tmp_path, text):
    numbers = random.Random(1)
    count = 20_000 if len(text) < 100 else 600
    rows = {"n": [str(i) for i in range(count)], "t": [text * numbers.randrange(3) for _ in range(count)]}
    path = write_table(tmp_path / "t.csv", rows)
    sample = take_sample(path, width=2, rows=300, whole_bytes=0)
    header, *found = rows_of(sample.path)
    assert header == ["n", "t"]
    assert {tuple(row) for row in found} <= set(zip(rows["n"], rows["t"], strict=True))
    serial = [int(row[0]) for row in found]
    assert serial == sorted(set(serial))
    assert 200 <= len(serial) <= 301
    assert serial[0] < count * 0.05
    assert serial[-1] > count * 0.95


def test_a_small_file_is_its_own_sample(tmp_path):
    path = write_table(tmp_path / "t.csv", {"a": ["1", "2"], "b": ["x", "y\tz"]})
    sample = take_sample(path, width=2)
    assert (sample.path, sample.is_whole, sample.part, sample.blanks) == (path, True, 2, "\t")


@pytest.mark.parametrize("value", [" a", "a ", " a,b", "a,b ", '" ', ' "', " "])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_space_at_an_end_of_a_value_is_seen(tmp_path, monkeypatch, value, place):
    columns = [["x y"], ["x, y"], ["z z"]]
    columns[place] = [value]
    path = write_table(tmp_path / "t.csv", dict(zip("abc", columns, strict=True)))
    for block in (1, 2, 3, 4 << 20):
        monkeypatch.setattr("ml.sampling._BLOCK", block)
        assert take_sample(path, width=3).blanks.startswith(" ")
    assert take_sample(write_table(path, {"a": ["x y"], "b": ["x,y"]}), width=2).blanks == "\n"


def test_blanks_and_the_longest_record(tmp_path):
    short = write_table(tmp_path / "s.csv", {"a": ["1"] * 400_000})
    assert take_sample(short, width=1).longest == 512 << 10
    assert take_sample(short, width=1).blanks == ""
    long = write_table(tmp_path / "l.csv", {"a": ["1", "\n" * 900_000, "\r"]})
    assert take_sample(long, width=1).longest is None
    assert take_sample(long, width=1).blanks == "\r\n"


def test_a_larger_file_is_its_own_sample_only_where_it_may_be_read_in_parts(tmp_path):
    columns = {f"c{index}": [f"{index}.{row}" for row in range(100)] for index in range(200)}
    path = write_table(tmp_path / "wide.csv", columns)
    in_parts = take_sample(path, width=200, rows=10, whole_bytes=50_000)
    assert (in_parts.path, in_parts.is_whole) == (path, True)
    assert 25 <= in_parts.part < 100
    apart = take_sample(path, width=200, rows=10, whole_bytes=50_000, in_parts=False)
    assert not apart.is_whole
    assert len(rows_of(apart.path)) == 11
    less = take_sample(path, width=200, rows=50, sample_bytes=path.stat().st_size // 20, whole_bytes=0)
    assert 5 <= len(rows_of(less.path)) - 1 <= 10
