"""The corpus of small nasty files: each has the right answer or the right refusal, whichever way it is read."""

import csv
from itertools import chain

import pytest

from ml.profiling import full_schema, read_frame
from ml.tables import Dialect, RecordScanner, detect, normalise, preview
from smartml.errors import InvalidTable
from tests.corpus import collected, faults, layouts, values

PARTS = [layouts.CASES, values.CASES, faults.CASES, collected.CASES]
CASES = dict(chain.from_iterable(part.items() for part in PARTS))
READ = [name for name, case in CASES.items() if case.columns]
REFUSED = [name for name, case in CASES.items() if not case.columns]


def scan(data, *, size, dialect=None):
    bad = []
    scanner = RecordScanner(max_columns=100, dialect=dialect, on_bad=bad.append)
    for at in range(0, len(data), size):
        scanner.feed(data[at : at + size])
    return scanner.finish(), bad


def test_the_corpus_is_large_enough():
    assert len(CASES) >= 60
    assert len(CASES) == sum(map(len, PARTS))


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_as_it_should_be(name, tmp_path):
    case = CASES[name]
    result, bad = scan(case.data, size=len(case.data))
    found = {key: getattr(result.dialect, key) for key in case.dialect}
    assert (result.columns, found) == (case.columns, case.dialect)
    assert [(row.line, str(row.reason)) for row in bad] == list(case.bad)
    assert (result.row_count, result.bad_row_count, result.records) == (
        case.rows, len(case.bad), case.rows + len(case.bad),
    )  # fmt: skip
    assert (result.comment_lines, result.blank_lines) == (case.comments, case.blanks)
    assert tuple(question.field for question in result.ambiguities) == case.asked
    assert all(row.text and row.sentence.endswith(".") for row in bad)

    seen = preview(case.data, result.dialect, complete=True)
    assert (seen.columns, seen.bad) == (case.columns, tuple(bad))
    assert seen.rows[0][: len(case.first)] == case.first

    path = tmp_path / "clean.csv"
    assert normalise([case.data], result.dialect, path) == case.rows
    with path.open(encoding="utf-8", newline="") as file:
        assert [len(row) for row in csv.reader(file)] == [len(case.columns)] * (case.rows + 1)

    schema = full_schema(path, result.dialect.formats)
    types = {column.name: str(column.type) for column in schema}
    assert {name: types[name] for name in case.types} == case.types
    assert dict(zip(seen.columns, seen.types, strict=True)) == types
    assert len(read_frame(path, schema, result.dialect.formats)) == case.rows


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_with_a_sentence(name):
    with pytest.raises(InvalidTable) as caught:
        scan(CASES[name].data, size=5)
    assert CASES[name].error in caught.value.message
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize("name", READ)
def test_neither_pieces_nor_a_given_dialect_change_anything(name):
    data = CASES[name].data
    result, bad = scan(data, size=len(data))
    for size in (1, 7):
        assert scan(data, size=size) == (result, bad)
    again, same = scan(data, size=len(data), dialect=Dialect.from_dict(result.dialect.as_dict()))
    assert (again.columns, again.row_count, same) == (result.columns, result.row_count, bad)
    assert detect(data, complete=True).ambiguities == result.ambiguities
