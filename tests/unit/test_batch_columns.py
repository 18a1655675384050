"""A part of a file is checked column by column; what comes of it is what the contract says of each row."""

import csv
import io

import pandas as pd
import pyarrow as pa
import pytest

from ml import batch
from ml.batch_columns import Columns
from ml.batch_lines import Answers, lines, new_columns
from ml.conformal import Reach, set_of
from ml.drift import Tally, reference_of
from ml.prediction import check_rows, feature_schema, to_frame
from ml.reading import as_csv
from ml.value_formats import ValueFormat

TYPES = {"age": "integer", "pay": "numeric", "born": "date", "town": "category", "vip": "boolean", "note": "text"}


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    rows = 60
    return pd.DataFrame(
        {
            "age": [20 + i % 40 for i in range(rows)],
            "pay": [None if i % 10 == 0 else 1000.5 + i for i in range(rows)],
            "born": pd.to_datetime([f"19{50 + i % 40}-03-0{1 + i % 9}" for i in range(rows)]),
            "town": [("Bern", "São Paulo", "3", 'a "b", c')[i % 4] for i in range(rows)],
            "vip": ["yes" if i % 3 else "no" for i in range(rows)],
            "note": [f"text number {i}" for i in range(rows)],
            "outcome": [i % 2 for i in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def schema(train):
    return feature_schema(train, target="outcome", columns_types=TYPES)


GOOD = {"age": "33", "pay": "1030.5", "born": "1970-03-02", "town": "Bern", "vip": "yes", "note": "all well"}
ODD = {
    "age": [
        "",
        " 33 ",
        "33.0",
        "33.4",
        "+33",
        "007",
        "-0",
        "1e1",
        "99",
        "abc",
        "NA",
        "unknown",
        "1_0",
        "9" * 25,
        "٣",
    ],
    "pay": ["", ".5", "1030.", "1e3", "-1", "nan", "inf", "1,030.5", " 1030.5", "n.a.", "1030.123456789012345678"],
    "born": ["", "1970-03-02T10:30", "02.03.1970", "1970-02-30", "2999-01-01", "1600-01-01", "?", " 1970-03-02"],
    "town": ["", "bern", "Bern ", "Nowhere", "-", 'a "b", c', "3.0", "x\ny", "NULL"],
    "vip": ["", "YES", "true", "0", "maybe", " no", "n/a"],
    "note": ["", "none", " padded ", "fine", "#N/A", "two\nlines"],
}


def columns_of(rows, names):
    return [pa.array([row[name] for row in rows], pa.string()) for name in names]


def test_values_and_findings_are_those_of_the_contract(schema):
    rows = [GOOD, *(GOOD | {name: text} for name, texts in ODD.items() for text in texts)]
    rows += [dict(zip(ODD, texts, strict=True)) for texts in zip(*(ODD[name][:6] for name in ODD), strict=True)]
    checker = Columns(schema, list(GOOD), rows=2 * len(rows))
    expected = check_rows(schema, rows)
    for _ in range(2):  # the second time verdicts are remembered
        part = checker.check(columns_of(rows, list(GOOD)))
        pd.testing.assert_frame_equal(part.frame, to_frame(schema, expected.rows))
        said = [" ".join(each.message for each in about) or None for about in expected.findings]
        assert part.findings == said
        assert part.odd_rows == sum(text is not None for text in said)
        first = next(row for row, about in enumerate(expected.findings) if about)
        assert part.first == (first, expected.findings[first][0])
    assert checker.table_findings == ()
    counted = {}
    for about in expected.findings:
        for each in about:
            counted[each.field, each.kind] = counted.get((each.field, each.kind), 0) + 2
    assert checker.counts == counted


def test_columns_that_are_missing_or_too_many_are_said_once(schema):
    names = ["Age", "pay", "born", "vip", "note", "outcome"]
    rows = [{**GOOD, "Age": "33", "outcome": "1"}] * 3
    checker = Columns(schema, names, rows=3, unused={"outcome"})
    part = checker.check(columns_of(rows, names))
    expected = check_rows(schema, [{name: row[name] for name in names if name != "outcome"} for row in rows])
    assert checker.table_findings == expected.table_findings
    assert {(each.field, each.kind) for each in checker.table_findings} == {
        ("age", "missing"),
        ("town", "missing"),
        ("Age", "unknown"),
    }
    assert "Age" in next(each.message for each in checker.table_findings if each.field == "age")
    pd.testing.assert_frame_equal(part.frame, to_frame(schema, expected.rows))
    assert part.findings == [None] * 3


def test_numbers_and_dates_are_read_as_the_file_writes_them(schema):
    german = ValueFormat(decimal=",", thousands=".", date_order="dmy")
    rows = [
        GOOD | {"pay": "1.030,5", "born": "2.3.1970"},
        GOOD | {"pay": "1030,5", "born": "02.03.70 10:30 PM"},
        GOOD | {"pay": "1030,5", "born": "1970-03-02 22:30"},
    ]
    checker = Columns(schema, list(GOOD), rows=3, formats=german)
    part = checker.check(columns_of(rows, list(GOOD)))
    assert part.findings == [None] * 3
    assert part.frame["pay"].tolist() == [1030.5] * 3
    late = pd.Timestamp("1970-03-02 22:30")
    assert part.frame["born"].tolist() == [pd.Timestamp("1970-03-02"), late, late]


def test_a_table_is_counted_as_the_training_was(train, schema):
    tally = Tally(reference_of(train, schema))
    names = [name for name in GOOD if name != "vip"]
    checker = Columns(schema, names, rows=len(train), tally=tally)
    texts = train.assign(born=train["born"].dt.strftime("%Y-%m-%d")).astype(object)
    rows = [{name: "" if pd.isna(row[name]) else str(row[name]) for name in names} for _, row in texts.iterrows()]
    for part in (rows[:25], rows[25:]):
        checker.check(columns_of(part, names))
    drift = tally.drift()
    assert drift["rows"] == drift["training_rows"] == len(train)
    assert {each["column"] for each in drift["columns"]} == set(names)
    for each in drift["columns"]:
        assert each["psi"] in (None, pytest.approx(0.0))
        assert each["missing_now"] == each["missing_then"] == (0.1 if each["column"] == "pay" else 0.0)


def test_lines_keep_the_file_and_can_be_read_again():
    cells = ["plain", 'a "quoted" one', "two\nlines", "a,b", "", "=1+1", "\r"]
    texts = [pa.array(cells, pa.string()), pa.array(["1.50"] * len(cells), pa.string())]
    shares = [[0.7, 0.3, 0.0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.05, 0.475, 0.475]] + [[0.4, 0.35, 0.25]] * 3
    pa_shares = pd.DataFrame(shares).to_numpy()
    names, reach = ["duck", "a,b", "c"], Reach(level=0.9, reach=0.6)
    answers = Answers(labels=pa_shares.argmax(axis=1), shares=pa_shares)
    findings = [None, "Odd, but taken.", *[None] * 5]
    given, header = new_columns(["text", "prediction"], names, reach)
    assert given["prediction"] == "prediction_2"
    written = bytes(lines(texts, answers, names, reach, findings)).decode()
    table = list(csv.reader(io.StringIO(written, newline="")))
    assert [row[0] for row in table] == cells
    assert {row[1] for row in table} == {"1.50"}
    assert {len(row) for row in table} == {len(header)}
    assert [row[2] for row in table] == ["duck", "a,b", "c", "a,b", "duck", "duck", "duck"]
    assert [[float(cell) for cell in row[3:6]] for row in table] == shares
    sets = [" | ".join(set_of(dict(zip(names, row, strict=True)), reach).classes) for row in shares]
    assert [row[6] for row in table] == sets
    assert table[1][7] == "Odd, but taken."


def test_records_are_never_cut_in_two(tmp_path, monkeypatch):
    rows = [
        ["a", "b"],
        *([str(i), 'a "quote"\nand, a line' * (i % 7)] for i in range(300)),
        ["", ""],
        ["x", "y" * 500],
    ]
    path = tmp_path / "table.csv"
    path.write_bytes(as_csv(rows))
    for size in (1, 7, 64, 1 << 20):
        monkeypatch.setattr(batch, "_BLOCK_BYTES", size)
        read = [
            list(row) for part in batch._parts(path, 2) for row in zip(*(c.to_pylist() for c in part), strict=True)
        ]
        assert read == rows[1:]
    path.write_bytes(as_csv(rows[:1]))
    assert list(batch._parts(path, 2)) == []
    path.write_bytes(b'a\n""\n1\n')
    assert [part[0].to_pylist() for part in batch._parts(path, 1)] == [["", "1"]]
