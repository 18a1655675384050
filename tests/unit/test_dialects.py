"""Random tables in random dialects come back exactly, and no dialect, however wrong, breaks anything."""

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ml.dialects import ENCODINGS, Dialect
from ml.profiling import full_schema, read_frame
from ml.tables import RecordScanner, normalise, preview, sniff
from ml.value_formats import ValueFormat, is_date, is_numeric
from smartml.errors import InvalidTable

_SETTINGS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_LETTERS = "ab 1.-#é€\\,;\t|\"'^~\n\r"
_SIGNS = "\"'^~|;,\t\\ \x01"


@st.composite
def dialects(draw, encodings=("utf-8", "utf-16-le", "utf-32-be", "cp1252", "iso8859-15", "gb18030")):
    delimiter, quotechar, escapechar, comment = draw(
        st.permutations(list(_SIGNS[:8])).map(lambda signs: (signs[0], signs[1], "\\", "#"))
    )
    return Dialect(
        encoding=draw(st.sampled_from(encodings)),
        delimiter=delimiter,
        quotechar=draw(st.sampled_from([quotechar, quotechar, ""])) if quotechar != "\t" else "",
        has_header=draw(st.booleans()),
        escapechar=draw(st.sampled_from(["", escapechar])),
        skip_lines=draw(st.integers(0, 3)),
        comment=draw(st.sampled_from(["", comment, "//"])),
    )


def field(value, dialect, *, quote):
    """One field as this dialect writes it; None where it cannot."""
    escape, sign = dialect.escapechar, dialect.quotechar
    special = {dialect.delimiter, "\n", "\r"}
    if escape:
        value = value.replace(escape, escape * 2)
    if sign and (quote or any(letter in value for letter in (*special, sign))):
        return sign + value.replace(sign, escape + sign if escape else sign * 2) + sign
    if not any(letter in value for letter in special):
        return value
    if not escape:
        return None
    for letter in special:
        value = value.replace(letter, escape + letter)
    return value


@st.composite
def written(draw):
    dialect = draw(dialects())
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(st.text(_LETTERS, max_size=5), min_size=width, max_size=width), max_size=8))
    header = [f"n{index}" for index in range(width)]
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    out = [draw(st.sampled_from(["Title", 'an "open quote', ""])) + newline for _ in range(dialect.skip_lines)]
    bad = comments = 0
    for row in [header, *rows] if dialect.has_header else rows:
        if dialect.comment and draw(st.booleans()):
            out.append(f'{dialect.comment} "{dialect.delimiter}' + newline)
            comments += 1
        fields = [field(value, dialect, quote=draw(st.booleans())) for value in row]
        assume(None not in fields)
        line = dialect.delimiter.join(fields)
        # An escaped CR and the line end behind it are one line end. A record must not look like a blank line or a
        # comment, as no dialect can tell it from one.
        assume(not fields[-1].endswith("\\\r"))
        assume(line.strip(" \t") and not (dialect.comment and line.startswith(dialect.comment)))
        out.append(line + newline)
    if dialect.has_header and rows and draw(st.booleans()):
        out.append(dialect.delimiter.join(["x"] * (width + 2)) + newline)
        bad = 1
    text = "".join(out)
    try:
        data = text.encode(dialect.encoding)
    except UnicodeEncodeError:
        assume(False)
    return dialect, header, rows, bad, comments, data


@_SETTINGS
@given(case=written(), size=st.integers(1, 50))
def test_a_table_comes_back_exactly(case, size):
    dialect, header, rows, bad, comments, data = case
    assume(rows)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    scanner = RecordScanner(max_columns=10, dialect=dialect)
    for piece in pieces:
        scanner.feed(piece)
    result = scanner.finish(check=False)
    assert (result.row_count, result.bad_row_count, result.comment_lines) == (len(rows), bad, comments)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "clean.csv"
        assert normalise(pieces, dialect, path) == len(rows)
        with path.open(encoding="utf-8", newline="") as file:
            names, *found = csv.reader(file)
    assert found == rows
    assert names == (header if dialect.has_header else [f"column_{n + 1}" for n in range(len(header))])
    seen = preview(data, dialect, complete=True)
    assert [
        [row[i] if v is None else v for i, v in enumerate(s)] for s, row in zip(seen.rows, rows, strict=True)
    ] == rows
    assert len(seen.bad) == bad


@_SETTINGS
@given(
    data=st.one_of(
        st.binary(max_size=120),
        st.text("ab1,;\n\r\"'\\#\t é\0", max_size=80).map(str.encode),
        written().map(lambda case: case[-1]),
    ),
    dialect=dialects(encodings=tuple(ENCODINGS)),
    size=st.integers(1, 60),
)
def test_any_dialect_reads_or_refuses_in_a_sentence(data, dialect, size):
    bad = []
    scanner = RecordScanner(max_columns=200, dialect=dialect, on_bad=bad.append)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "clean.csv"
        try:
            for at in range(0, len(data), size):
                scanner.feed(data[at : at + size])
            result = scanner.finish(check=False)
        except InvalidTable:
            return
        assert result.records == result.row_count + result.bad_row_count == result.row_count + len(bad)
        assert normalise([data], dialect, path) == result.row_count
        seen = preview(data, dialect, complete=True)
        assert (seen.columns, len(seen.rows)) == (result.columns, min(20, result.row_count))
        assert seen.bad == tuple(bad[:100])
        with path.open(encoding="utf-8", newline="") as file:
            assert {len(row) for row in csv.reader(file)} == {len(result.columns)}


NUMBERS = [
    ValueFormat(decimal=decimal, thousands=thousands)
    for decimal in ".,"
    for thousands in ("", ",", ".", " ", "'")
    if decimal != thousands
]


@pytest.mark.parametrize("formats", NUMBERS, ids=lambda formats: f"{formats.decimal} {formats.thousands}")
def test_numbers_come_back_exactly_in_every_format(formats, tmp_path):
    numbers = [0.5, -1234.25, 1234567.0, 12.0, 999999.125, -0.001, 10.0**15]
    written = [f"{number:,.3f}" for number in numbers]
    table = str.maketrans({",": formats.thousands, ".": formats.decimal})
    path = tmp_path / "clean.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([["x", "n", "y"], *([w.translate(table), w.translate(table)[:-4], "k"] for w in written)])
    schema = full_schema(path, formats)
    assert [str(column.type) for column in schema] == ["numeric", "integer", "category"]
    frame = read_frame(path, schema, formats)
    assert frame["x"].tolist() == numbers
    assert frame["n"].tolist() == [int(number) for number in numbers]
    assert frame["n"].dtype == "int64"


@pytest.mark.parametrize(("order", "pattern"), [("dmy", "%d/%m/%Y"), ("mdy", "%m-%d-%y"), ("ymd", "%Y.%m.%d")])
def test_dates_come_back_exactly_in_every_order(order, pattern, tmp_path):
    import pandas as pd

    days = pd.date_range("1971-01-15", periods=300, freq="61D")
    data = "d,t,n\n" + "".join(
        f"{day.strftime(pattern)},{day.strftime(pattern)} {n % 12 + 1}:{n % 60:02} PM,1\n"
        for n, day in enumerate(days)
    )
    dialect = sniff(data.encode(), complete=True)
    assert dialect.date_order == order
    path = tmp_path / "clean.csv"
    normalise([data.encode()], dialect, path)
    schema = full_schema(path, dialect.formats)
    assert [str(column.type) for column in schema] == ["date", "date", "integer"]
    frame = read_frame(path, schema, dialect.formats)
    assert frame["d"].tolist() == days.tolist()
    assert frame["t"].dt.hour.tolist() == [12 + (n % 12 + 1) % 12 for n in range(300)]


WRONG = {
    "unknown encoding": {"encoding": "klingon"},
    "no text encoding": {"encoding": "rot13"},
    "an encoding that is none of ours": {"encoding": "utf-7"},
    "no delimiter": {"delimiter": ""},
    "long delimiter": {"delimiter": "||"},
    "letter as delimiter": {"delimiter": "a"},
    "line end as delimiter": {"delimiter": "\n"},
    "delimiter beyond ASCII": {"delimiter": "§"},
    "quote like the delimiter": {"quotechar": ","},
    "escape like the quote": {"escapechar": '"'},
    "comment like the quote": {"comment": '"x'},
    "long comment": {"comment": "#####"},
    "skipped too many": {"skip_lines": 10**9},
    "skipped less than none": {"skip_lines": -1},
    "decimal": {"decimal": ":"},
    "thousands": {"thousands": "_"},
    "both the same": {"decimal": ",", "thousands": ","},
    "order": {"date_order": "ydm"},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_dialect_is_refused_in_a_sentence(name):
    right = {"encoding": "utf-8", "delimiter": ",", "quotechar": '"', "has_header": True}
    with pytest.raises(InvalidTable) as caught:
        Dialect(**{**right, **WRONG[name]})
    assert caught.value.message.endswith(".")


def test_a_dialect_stored_before_there_were_more_fields_loads():
    old = {"encoding": "cp1252", "delimiter": ";", "quotechar": '"', "has_header": True}
    dialect = Dialect.from_dict(old)
    assert (dialect.escapechar, dialect.skip_lines, dialect.comment, dialect.formats) == ("", 0, "", ValueFormat())
    assert Dialect.from_dict(dialect.as_dict()) == dialect


def test_more_lines_to_skip_than_there_are():
    dialect = Dialect(encoding="utf-8", delimiter=",", quotechar='"', has_header=True, skip_lines=5)
    scanner = RecordScanner(max_columns=5, dialect=dialect)
    scanner.feed(b"a,b\n1,2\n")
    with pytest.raises(InvalidTable, match="5 lines are to be skipped"):
        scanner.finish()


@settings(max_examples=150, deadline=None)
@given(value=st.text("0123456789.,-/' eE+:TPMapm\u00a0", max_size=14), formats=st.sampled_from(NUMBERS))
def test_python_and_sql_agree_value_by_value(value, formats):
    import duckdb

    from ml.scan import date_sql, integer_sql, number_sql

    value = value.strip(" ")
    for order in ("", "dmy", "mdy", "ymd"):
        dated = ValueFormat(decimal=formats.decimal, thousands=formats.thousands, date_order=order)
        number, integer, date = duckdb.execute(
            f"SELECT {number_sql('c', dated)}, {integer_sql('c', dated)}, {date_sql('c', dated)} "
            "FROM (SELECT ? AS c)",
            [value],
        ).fetchone()
        assert (number is not None and abs(number) != float("inf")) == is_numeric(value, dated)
        assert (date is not None) == is_date(value, dated)
        assert integer is None or number is not None
