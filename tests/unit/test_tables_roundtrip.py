"""Random tables in random dialects, encodings, line ends and chunks come back exactly."""

import csv
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.dialects import parse_records
from ml.records import Layout, split_records
from ml.scan import open_table, read_head
from ml.tables import Dialect, RecordScanner, normalise, preview

_SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_LETTERS = "ab 1.-é€漢😀,;\t|\"'\n\r"


@dataclass
class Written:
    data: bytes
    dialect: Dialect
    rows: list[list[str]]
    bad: int
    newline: str


def write(rows, *, delimiter, quotechar, newline, encoding, quote_all, bom, blank_lines=()):
    """A file as some program would write it, with blank lines before the records of these indices."""
    out = []
    for index, row in enumerate(rows):
        if index in blank_lines:
            out.append(newline)
        line = io.StringIO(newline="")
        csv.writer(
            line,
            delimiter=delimiter,
            quotechar=quotechar,
            lineterminator="\r\n",
            quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
        ).writerow(row)
        out.append(line.getvalue().removesuffix("\r\n") + newline)
    return ("\ufeff" if bom else "").encode(encoding) + "".join(out).encode(encoding)


@st.composite
def tables(draw, letters=_LETTERS):
    delimiter = draw(st.sampled_from(",;\t|"))
    quotechar = draw(st.sampled_from("\"'"))
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "cp1252"]))
    if encoding == "cp1252":
        letters = letters.replace("漢", "").replace("😀", "")
    width = draw(st.integers(1, 4))
    value = st.text(letters, max_size=6)
    good = st.lists(value, min_size=width, max_size=width)
    # One empty field more than the header may be the file's habit, which is tested elsewhere.
    ragged = st.lists(value, min_size=1, max_size=width + 2).filter(
        lambda row: len(row) != width and not (len(row) == width + 1 and row[-1] == "")
    )
    rows = draw(st.lists(good, min_size=1, max_size=12))
    header = [f"n{index}" for index in range(width)]
    bad = draw(st.lists(ragged, max_size=len(rows)))
    body = draw(st.permutations([*rows, *bad]))
    blank_lines = draw(st.sets(st.integers(1, len(body)), max_size=2))
    data = write(
        [header, *body],
        delimiter=delimiter,
        quotechar=quotechar,
        newline=newline,
        encoding=encoding,
        quote_all=draw(st.booleans()),
        bom=encoding != "cp1252" and draw(st.booleans()),
        blank_lines=blank_lines,
    )
    if draw(st.booleans()):
        data = data.removesuffix(newline.encode(encoding))
    dialect = Dialect(encoding=encoding, delimiter=delimiter, quotechar=quotechar, has_header=True)
    return Written(data, dialect, [header, *body], len(bad), newline), width


def chunks_of(data, sizes):
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


def read_back(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def reference_rows(written):
    """The csv module's reading, over lines that keep their ends."""
    text = written.data.decode(written.dialect.encoding).removeprefix("\ufeff")
    lines, start = [], 0
    for at, letter in enumerate(text):
        if letter == "\n" or (letter == "\r" and text[at + 1 : at + 2] != "\n"):
            lines.append(text[start : at + 1])
            start = at + 1
    lines.append(text[start:])
    reader = csv.reader(lines, delimiter=written.dialect.delimiter, quotechar=written.dialect.quotechar)
    rows, last = [], 0
    for row in reader:
        raw = "".join(lines[last : reader.line_num])
        last = reader.line_num
        if raw.strip(" \r\n" + ("" if written.dialect.delimiter == "\t" else "\t")):
            rows.append(row)
    return rows


@_SETTINGS
@given(case=tables(), sizes=st.lists(st.integers(0, 40), max_size=20))
def test_normalise_writes_exactly_the_records_that_fit(case, sizes):
    written, width = case
    expected = reference_rows(written)
    good = [row for row in expected if len(row) == width]
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "clean.csv"
        count = normalise(chunks_of(written.data, sizes), written.dialect, target)
        assert read_back(target) == good
        assert count == len(good) - 1


@_SETTINGS
@given(case=tables(), sizes=st.lists(st.integers(0, 40), max_size=20))
def test_scanner_counts_what_normalise_keeps_and_drops(case, sizes):
    from ml.reading import Reader  # the scanner's own reading, with the dialect given instead of sniffed

    written, width = case
    expected = reference_rows(written)[1:]
    reader = Reader(written.dialect)
    rows = [part for chunk in chunks_of(written.data, sizes) for part in reader.feed(chunk)]
    rows += reader.finish()
    fits = sum(int(part.fits.sum()) for part in rows)
    total = sum(len(part.fits) for part in rows)
    assert fits == sum(len(row) == width for row in expected)
    assert total == len(expected)


@settings(_SETTINGS, max_examples=40)
@given(case=tables())
def test_duckdb_reads_the_clean_copy_as_it_is(case):
    written, width = case
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "clean.csv"
        count = normalise([written.data], written.dialect, target)
        names, _ = read_head(target)
        assert len(names) == width
        rows = [row for row in reference_rows(written)[1:] if len(row) == width]
        with open_table(target, width) as table:
            found = table.select("*", range(width)).fetchall()
    assert len(found) == count
    missing = {"", "?", "-"}
    trimmed = [tuple(None if (v := value.strip(" \t\r\n")) in missing else v for value in row) for row in rows]
    assert found == trimmed


@_SETTINGS
@given(case=tables())
def test_preview_shows_the_first_rows_that_fit(case):
    written, width = case
    rows = [row for row in reference_rows(written)[1:] if len(row) == width]
    seen = preview(written.data, written.dialect, rows=5, complete=True)
    assert len(seen.rows) == min(5, len(rows))
    for shown, row in zip(seen.rows, rows, strict=False):
        assert [value if value is not None else row[at] for at, value in enumerate(shown)] == row


@settings(max_examples=300, deadline=None)
@given(text=st.text('a",\n\r ', max_size=40))
def test_splitting_agrees_with_the_csv_module_on_any_quoting(text):
    data = text.encode()
    split = split_records(data, Layout(","), final=True)
    written = Written(data, Dialect(encoding="utf-8", delimiter=",", quotechar='"', has_header=True), [], 0, "")
    records = [data[start:end].decode() for start, end in zip(split.starts, split.ends, strict=True)]
    expected = reference_rows(written)
    # From an unclosed quote on, the csv module goes on to the next one, in whatever line that is.
    alike = int(split.unclosed[0]) if len(split.unclosed) else len(records)
    rows = list(csv.reader(records[:alike]))
    if len(split.unclosed):
        assert expected[:alike] == rows
    elif split.rest_quoted:  # the csv module takes what is there of an unclosed record
        assert expected[: len(rows)] == rows
        assert len(expected) == len(rows) + 1
    else:
        assert rows == expected
        assert split.fields.tolist() == [len(row) for row in expected]


@settings(max_examples=300, deadline=None)
@given(text=st.text('a",\n\r ', max_size=40))
def test_blanks_ahead_of_fields_are_skipped_as_the_csv_module_does(text):
    data = text.encode()
    layout = Layout(",", skip_blanks=True)
    split = split_records(data, layout, final=True)
    if len(split.unclosed) or split.rest_quoted:
        return  # where the csv module goes on to the next quote
    records = [data[start:end].decode() for start, end in zip(split.starts, split.ends, strict=True)]
    expected = list(csv.reader(records, skipinitialspace=True))
    assert split.fields.tolist() == [len(row) for row in expected]
    assert parse_records(data, split, range(len(records)), layout) == expected


_padding = st.integers(1, 4).map(" ".__mul__)
_margin = st.integers(0, 3).map(" ".__mul__)


@_SETTINGS
@given(data=st.data(), sizes=st.lists(st.integers(0, 40), max_size=20))
def test_columns_padded_with_blanks_come_back(data, sizes):
    width = data.draw(st.integers(2, 4))
    value = st.one_of(st.text("ab1.-é漢,;", min_size=1, max_size=6), st.text('a "\n', max_size=5))
    rows = data.draw(st.lists(st.lists(value, min_size=width, max_size=width), min_size=1, max_size=8))
    newline = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))

    def quoted(text):
        return text if text and not set(text) & set(' "\n') else '"' + text.replace('"', '""') + '"'

    lines = [data.draw(_margin) + quoted(row[0]) for row in rows]
    for at, row in enumerate(rows):
        lines[at] += "".join(data.draw(_padding) + quoted(value) for value in row[1:]) + data.draw(_margin)
    content = (newline.join(lines) + data.draw(st.sampled_from(["", newline]))).encode()
    dialect = Dialect(encoding="utf-8", delimiter=" ", quotechar='"', has_header=False, skip_blanks=True)
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "clean.csv"
        assert normalise(chunks_of(content, sizes), dialect, target) == len(rows)
        assert read_back(target)[1:] == rows


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-999, 999), st.text("abcé ", min_size=1, max_size=8)), min_size=3, max_size=40
    ),
    delimiter=st.sampled_from(",;\t|"),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    sizes=st.lists(st.integers(0, 60), max_size=20),
)
def test_the_dialect_is_found_again(rows, delimiter, newline, encoding, sizes):
    lines = [["number", "word"], *([str(number), word] for number, word in rows)]
    data = "".join(delimiter.join(line) + newline for line in lines).encode(encoding)
    scanner = RecordScanner(max_columns=10)
    for chunk in chunks_of(data, sizes):
        scanner.feed(chunk)
    found = scanner.finish()
    assert found.columns == ("number", "word")
    assert (found.row_count, found.bad_row_count) == (len(rows), 0)
    assert found.dialect.delimiter == delimiter
    assert found.dialect.has_header


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
def test_chunk_borders_do_not_matter(size):
    data = ('name,"note"\r\n' + '"Zoë ""Z"" 漢","two\r\nlines"\r\n' * 50).encode("utf-16")
    scanner = RecordScanner(max_columns=10)
    for at in range(0, len(data), size):
        scanner.feed(data[at : at + size])
    found = scanner.finish()
    assert (found.columns, found.row_count, found.bad_row_count) == (("name", "note"), 50, 0)
    assert found.dialect.encoding == "utf-16-le"
