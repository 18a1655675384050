"""Excel workbooks as CSV: values, layout, sheets, and what is refused before a library believes it."""

import csv
import io
import re
import warnings
import zipfile
from datetime import date, datetime, time, timedelta

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import spreadsheets
from ml.containers import ContainerKind, Limits, members, open_member
from smartml.errors import InvalidTable, SmartMLError, TooLarge

SHEET = "xl/worksheets/sheet1.xml"
TEXTS = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
TABLE_OF_TEXTS = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">%s</sst>'
LIMITS = Limits(max_output_bytes=50 * 2**20, max_ratio=100, max_members=50)


def book(*rows: list[object], sheet: str = "Sheet1") -> openpyxl.Workbook:
    made = openpyxl.Workbook()
    made.active.title = sheet
    for row in rows:
        made.active.append(row)
    return made


def saved(made: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def edited(data: bytes, path: str, change) -> bytes:
    """The workbook with one of its parts changed, or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    parts[path] = change(parts.get(path, b""))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return out.getvalue()


def with_texts(xml: bytes) -> bytes:
    """A workbook of the one column "a" whose only value is the text number 0, as Excel itself writes it."""
    data = edited(saved(book(["a"], [1])), SHEET, lambda x: x.replace(b't="n"><v>1</v>', b't="s"><v>0</v>'))
    part = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % TEXTS
    data = edited(data, "[Content_Types].xml", lambda types: types.replace(b"</Types>", part))
    return edited(data, "xl/sharedStrings.xml", lambda _: xml)


def as_csv(data: bytes, sheet: str = "", limits: Limits = LIMITS) -> str:
    file = io.BytesIO(data)
    name = sheet or members(file, ContainerKind.XLSX, limits)[0].name
    return b"".join(open_member(file, ContainerKind.XLSX, name, limits)).decode()


def refusal(data: bytes, limits: Limits = LIMITS) -> SmartMLError:
    with pytest.raises(SmartMLError) as caught:
        as_csv(data, limits=limits)
    assert caught.value.hint
    return caught.value


def test_values_are_written_as_a_person_reads_them():
    data = saved(
        book(
            ["whole", "half", "big", "flag", "day", "moment", "clock", "length", "code", "text"],
            [
                1.0,
                0.5,
                10**15,
                True,
                date(2024, 2, 29),
                datetime(2024, 2, 29, 13, 5),
                time(7, 30),
                None,
                "007",
                "a",
            ],
            [
                -3,
                1 / 3,
                1e300,
                False,
                datetime(2024, 1, 1),
                None,
                None,
                timedelta(hours=30, minutes=1),
                "",
                'x,"\ny',
            ],
        )
    )
    assert as_csv(data).splitlines()[:2] == [
        "whole,half,big,flag,day,moment,clock,length,code,text",
        "1,0.5,1000000000000000,true,2024-02-29,2024-02-29 13:05:00,07:30:00,,007,a",
    ]
    assert as_csv(data).endswith('-3,0.3333333333333333,1e+300,false,2024-01-01,,,30:01:00,,"x,""\ny"\n')


def test_a_formula_counts_with_its_stored_result_and_an_error_as_shown():
    data = edited(
        saved(book(["a", "b", "c"], [1, 2, 3])),
        SHEET,
        lambda xml: (
            xml.replace(b'<c r="A2" t="n"><v>1</v></c>', b'<c r="A2"><f>B2*21</f><v>42</v></c>')
            .replace(b'<c r="B2" t="n"><v>2</v></c>', b'<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c>')
            .replace(b'<c r="C2" t="n"><v>3</v></c>', b'<c r="C2" t="str"><f>""</f><v></v></c>')
        ),
    )
    assert as_csv(data) == "a,b,c\n42,#DIV/0!,\n"


def test_formulas_without_results_are_not_read_as_missing():
    error = refusal(saved(book(["a", "b"], [1, "=A2+1"], [2, "=A3+1"])))
    assert "2 cells have a formula whose result is not stored" in error.message


def test_texts_are_read_from_where_excel_keeps_them():
    texts = b"<si><r><t>rich </t></r><r><t>text</t></r></si>"
    assert as_csv(with_texts(TABLE_OF_TEXTS % texts)) == "a\nrich text\n"
    assert as_csv(with_texts(TABLE_OF_TEXTS % b"<si><t>a_x000D_\nb</t></si>")) == 'a\n"a\nb"\n'


def test_a_title_empty_rows_and_empty_columns_do_not_disturb_the_table():
    made = book()
    sheet = made.active
    sheet["B2"] = "Sales 2024"
    sheet.merge_cells("B2:E2")
    for row, values in enumerate([["id", "name", "x", "y"], [1, "a", None, 2], [], [2, "b", 3, None]], start=4):
        for column, value in enumerate(values, start=2):
            sheet.cell(row, column, value)
    sheet.cell(900, 2).font = openpyxl.styles.Font(bold=True)  # formatted, without a value
    assert as_csv(saved(made)) == "Sales 2024\nid,name,x,y\n1,a,,2\n2,b,3,\n"


def test_a_value_beside_the_table_is_kept_for_the_quarantine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spreadsheets, "_LAYOUT_ROWS", 3)
    made = book()
    sheet = made.active
    for row in range(1, 8):
        sheet.cell(row, 2, "h" if row == 1 else row)
        sheet.cell(row, 3, "k" if row == 1 else row)
    sheet["E5"] = "note"
    sheet["A6"] = "left"
    assert as_csv(saved(made)) == "h,k\n2,2\n3,3\n4,4\n5,5,,note\nleft,6,6\n7,7\n"


def test_sheets_are_the_members_hidden_ones_last_and_empty_ones_not():
    made = book(["a"], [1], sheet="Data & more")
    made.create_sheet("Empty")
    hidden = made.create_sheet("Hidden", 0)
    hidden.append(["h"])
    hidden.sheet_state = "hidden"
    made.create_chartsheet("Chart")
    made.create_sheet("Late").append(["z"])
    made.active = 1
    data = saved(made)
    found = members(io.BytesIO(data), ContainerKind.XLSX, LIMITS)
    assert [member.name for member in found] == ["Data & more", "Late", "Hidden"]
    assert as_csv(data, "Hidden") == "h\n"
    with pytest.raises(InvalidTable, match="no such sheet"):
        as_csv(data, "Chart")


def test_the_declared_size_of_a_sheet_is_not_believed():
    data = edited(saved(book(["a", "b"], [1, 2])), SHEET, lambda x: re.sub(rb'ref="A1:B2"', b'ref="A1:A1"', x))
    assert as_csv(data) == "a,b\n1,2\n"


def test_a_date_out_of_range_is_no_warning():
    made = book(["when"], [1])
    made.active["A2"].number_format = "yyyy-mm-dd"
    data = edited(saved(made), SHEET, lambda xml: xml.replace(b"<v>1</v>", b"<v>99999999999</v>"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_csv(data) == "when\n#VALUE!\n"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (saved(openpyxl.Workbook()), "no sheet with a cell"),
        (edited(saved(book(["a"], [1])), SHEET, lambda xml: xml[:-40]), "damaged"),
        (edited(saved(book(["a"], [1])), SHEET, lambda xml: xml.replace(b"A2", b"A0x")), "damaged"),
        (with_texts(TABLE_OF_TEXTS % b""), "damaged"),
        (edited(saved(book(["a"], [1])), "xl/workbook.xml", lambda xml: b"<workbook/>"), "no sheet with a cell"),
        (edited(saved(book(["a"], [1])), "[Content_Types].xml", lambda xml: b"<a><b></a>"), "damaged"),
        (
            edited(
                saved(book(["a"], [1])),
                "xl/workbook.xml",
                lambda xml: xml.replace(
                    b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
                    b"http://purl.oclc.org/ooxml/spreadsheetml/main",
                ),
            ),
            "Strict Open XML",
        ),
    ],
    ids=["no cells", "cut XML", "bad cell", "missing text", "no sheets", "bad types", "strict"],
)
def test_workbooks_that_cannot_be_read_are_refused(data: bytes, sentence: str):
    assert sentence in refusal(data).message


ENTITIES = (
    b'<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    + TABLE_OF_TEXTS % b"<si><t>&b;</t></si>"
)
WIDE = b"<sheetData><row>" + b"<c/>" * 2_200_000 + b"</row></sheetData></worksheet>"
BOOK = saved(book(["a"], [1]))


@pytest.mark.parametrize(
    ("data", "kind", "sentence"),
    [
        (with_texts(ENTITIES), InvalidTable, "damaged"),
        (with_texts(TABLE_OF_TEXTS % (b"<si/>" * 3_000_001)), TooLarge, "more text"),
        (edited(BOOK, "xl/styles.xml", lambda xml: xml + b" " * 9 * 2**20), TooLarge, "formats and settings"),
        (edited(BOOK, SHEET, lambda xml: xml + b" " * 40 * 2**20), TooLarge, "100 times"),
        (edited(BOOK, SHEET, lambda xml: xml.partition(b"<sheetData>")[0] + WIDE), TooLarge, "larger than a sheet"),
    ],
    ids=["entities", "texts", "styles", "ratio", "one row"],
)
def test_bombs_are_refused(data: bytes, kind: type[SmartMLError], sentence: str):
    error = refusal(data)
    assert isinstance(error, kind)
    assert sentence in error.message


def test_the_output_has_a_limit():
    data = saved(book(["a", "b"], *[["text " * 20, "more " * 20]] * 200))
    assert isinstance(refusal(data, Limits(max_output_bytes=20_000, max_ratio=1000)), TooLarge)


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(-1e300, 1e300),
    st.text(st.characters(exclude_categories=("C",), exclude_characters="_="), min_size=1, max_size=8),
    st.dates(date(1901, 1, 1), date(2100, 1, 1)),
    st.datetimes(datetime(1901, 1, 1), datetime(2100, 1, 1)).map(lambda value: value.replace(microsecond=0)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6))
def test_what_is_written_is_read(rows: list[list[object]]):
    data = saved(book(["a", "b", "c"], *rows))
    read = list(csv.reader(io.StringIO(as_csv(data), newline="")))
    kept = [row for row in rows if any(value is not None for value in row)]
    assert read[0] == ["a", "b", "c"]
    assert len(read) == len(kept) + 1
    for texts, values in zip(read[1:], kept, strict=True):
        for text, value in zip(texts, values, strict=True):
            assert_same(text, value)


def assert_same(text: str, value: object) -> None:
    if value is None:
        assert text == ""
    elif isinstance(value, bool):
        assert text == str(value).lower()
    elif isinstance(value, int):
        assert float(text) == pytest.approx(value)
        assert not text.endswith(".0") or abs(value) >= 2**53
    elif isinstance(value, float):
        assert float(text) == pytest.approx(value, rel=1e-12, abs=1e-300)
    elif isinstance(value, datetime):
        assert abs(datetime.fromisoformat(text) - value) <= timedelta(milliseconds=1)
    elif isinstance(value, date):
        assert text == value.isoformat()
    else:
        assert text == value
