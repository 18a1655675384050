"""Small nasty files, each with the right answer or the right refusal."""

import io
import random
import zipfile
import zlib

import pytest

from ml.tables import SNIFF_BYTES, BadReason, Dialect, RecordScanner, normalise, preview, sniff
from smartml.errors import InvalidTable


def scan(data, *, max_columns=1000, chunk=65536):
    scanner = RecordScanner(max_columns=max_columns)
    for at in range(0, len(data), chunk):
        scanner.feed(data[at : at + chunk])
    return scanner.finish()


def feed_only(data, *, max_columns):
    scanner = RecordScanner(max_columns=max_columns)
    for at in range(0, len(data), 65536):
        scanner.feed(data[at : at + 65536])


def rows_of(data, result):
    return [list(row) for row in preview(data, result.dialect, complete=True).rows]


def zip_with(name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "x" * 10)
    return out.getvalue()


POLISH = "imię;miasto\nŁukasz;Łódź\nŻaneta;Kraków\nZdzisław;Gdańsk\nMałgorzata;Częstochowa\n"
RUSSIAN = "имя,город\nИван,Москва\nОльга,Санкт-Петербург\nДмитрий,Новосибирск\n"
JAPANESE = "名前,都市\n田中太郎,東京\n鈴木花子,大阪\n山田さくら,京都\n"
TURKISH = "isim,şehir\nİbrahim,İstanbul\nŞükrü,Eskişehir\nÇağla,Muğla\n"
GREEK = "όνομα,πόλη\nΓιώργος,Αθήνα\nΜαρία,Θεσσαλονίκη\n"

# name: (bytes, columns, first row or None, rows, bad rows, expected dialect values)
GOOD = {
    "plain": (b"a,b\n1,x\n2,y\n", ("a", "b"), ["1", "x"], 2, 0, {"delimiter": ",", "encoding": "utf-8"}),
    "no newline at end": (b"a,b\n1,x\n2,y", ("a", "b"), ["1", "x"], 2, 0, {}),
    "crlf": (b"a,b\r\n1,x\r\n2,y\r\n", ("a", "b"), ["1", "x"], 2, 0, {}),
    "cr only": (b"a,b\r1,x\r2,y\r", ("a", "b"), ["1", "x"], 2, 0, {}),
    "mixed line ends": (b"a,b\r\n1,x\n2,y\r3,z", ("a", "b"), ["1", "x"], 3, 0, {}),
    "semicolon": (b"a;b\n1;x\n2;y\n", ("a", "b"), ["1", "x"], 2, 0, {"delimiter": ";"}),
    "tab": (b"a\tb\n1\tx, y\n2\tz\n", ("a", "b"), ["1", "x, y"], 2, 0, {"delimiter": "\t"}),
    "pipe": (b"a|b\n1|x\n2|y\n", ("a", "b"), ["1", "x"], 2, 0, {"delimiter": "|"}),
    "decimal comma": (b"a;b\n1,5;2,5\n3,5;4,5\n", ("a", "b"), ["1,5", "2,5"], 2, 0, {"delimiter": ";"}),
    "decimal comma without header": (
        b"1,5;2,5\n3,5;4,5\n5,5;6,5\n", ("column_1", "column_2"), ["1,5", "2,5"], 3, 0, {"delimiter": ";"},
    ),
    "one column": (b"price\n10\n20\n30\n", ("price",), ["10"], 3, 0, {"has_header": True}),
    "one column, decimal comma": (b"price\n1,5\n2,5\n", ("price",), ["1,5"], 2, 0, {}),
    "one column of sentences": (
        b"review\nGood, but dear.\nI would buy it again, and again\nNo\n",
        ("review",), ["Good, but dear."], 3, 0, {},
    ),
    "one column, quoted empty": (b'a\n1\n""\n3\n', ("a",), ["1"], 3, 0, {}),
    "one column, no header": (b"10\n20\n30\n", ("column_1",), ["10"], 3, 0, {"has_header": False}),
    "quoted delimiter": (b'a,b\n"x, y",1\n"z",2\n', ("a", "b"), ["x, y", "1"], 2, 0, {}),
    "quoted newline": (b'a,b\n"x\ny",1\nz,2\n', ("a", "b"), ["x\ny", "1"], 2, 0, {}),
    "quoted crlf": (b'a,b\r\n"x\r\ny",1\r\nz,2\r\n', ("a", "b"), ["x\r\ny", "1"], 2, 0, {}),
    "doubled quote": (b'a,b\n"say ""hi""",1\nz,2\n', ("a", "b"), ['say "hi"', "1"], 2, 0, {}),
    "inches": (b'a,b\n5" pipe,1\n6" pipe,2\n', ("a", "b"), ['5" pipe', "1"], 2, 0, {}),
    "single quotes": (b"'a','b'\n'x, y','1'\n'z','2'\n", ("a", "b"), ["x, y", "1"], 2, 0, {"quotechar": "'"}),
    "apostrophes are no quotes": (b"a,b\nit's,1\n'tis,2\n", ("a", "b"), ["it's", "1"], 2, 0, {"quotechar": '"'}),
    "utf-8 mark": (b"\xef\xbb\xbfa,b\n1,\xc3\xa9\n", ("a", "b"), ["1", "é"], 1, 0, {"encoding": "utf-8"}),
    "utf-8 mark before a quote": (b'\xef\xbb\xbf"a",b\n1,2\n', ("a", "b"), ["1", "2"], 1, 0, {}),
    "utf-16 le": ("a,b\n1,é\n".encode("utf-16-le"), ("a", "b"), ["1", "é"], 1, 0, {"encoding": "utf-16-le"}),
    "utf-16 be mark": (
        b"\xfe\xff" + "a\tb\n1\t漢\n".encode("utf-16-be"), ("a", "b"), ["1", "漢"], 1, 0, {"encoding": "utf-16-be"},
    ),
    "utf-32": ("a,b\n1,é\n".encode("utf-32"), ("a", "b"), ["1", "é"], 1, 0, {"encoding": "utf-32-le"}),
    "cp1252": (
        "item,price\nCafé,“3 €”\nThé,4 €\n".encode("cp1252"), ("item", "price"), ["Café", "“3 €”"], 2, 0,
        {"encoding": "cp1252"},
    ),
    "latin-1": ("a,b\nJosé,1\n".encode("latin-1"), ("a", "b"), ["José", "1"], 1, 0, {"encoding": "cp1252"}),
    "degree signs": ("t,n\n20°C,5\n21°C,6\n".encode("latin-1"), ("t", "n"), ["20°C", "5"], 2, 0, {}),
    "cp1250": (POLISH.encode("cp1250"), ("imię", "miasto"), ["Łukasz", "Łódź"], 4, 0, {"encoding": "cp1250"}),
    "cp1251": (RUSSIAN.encode("cp1251"), ("имя", "город"), ["Иван", "Москва"], 3, 0, {"encoding": "cp1251"}),
    "koi8-r": (RUSSIAN.encode("koi8_r"), ("имя", "город"), ["Иван", "Москва"], 3, 0, {"encoding": "koi8_r"}),
    "shift-jis": (JAPANESE.encode("cp932"), ("名前", "都市"), ["田中太郎", "東京"], 3, 0, {"encoding": "cp932"}),
    "turkish": (TURKISH.encode("cp1254"), ("isim", "şehir"), ["İbrahim", "İstanbul"], 3, 0, {"encoding": "cp1254"}),
    "greek": (GREEK.encode("cp1253"), ("όνομα", "πόλη"), ["Γιώργος", "Αθήνα"], 2, 0, {"encoding": "cp1253"}),
    "no header": (b"1,x\n2,y\n3,z\n", ("column_1", "column_2"), ["1", "x"], 3, 0, {"has_header": False}),
    "no header, text that repeats": (
        b"red,big\nblue,big\nred,small\nred,big\n", ("column_1", "column_2"), ["red", "big"], 4, 0, {},
    ),
    "header over text only": (b"colour,size\nred,big\nblue,big\n", ("colour", "size"), ["red", "big"], 2, 0, {}),
    "years as header": (
        b"country,1990,1991\nFrance,1,2\nSpain,3,4\n", ("country", "1990", "1991"), ["France", "1", "2"], 2, 0, {},
    ),
    "blank header": (b",x\n0,5\n1,6\n", ("column_1", "x"), ["0", "5"], 2, 0, {}),
    "same header twice": (b"a,a,a_2\n1,2,3\n", ("a", "a_3", "a_2"), ["1", "2", "3"], 1, 0, {}),
    "header that is taken": (b"column_2,\n1,2\n", ("column_2", "column_2_2"), ["1", "2"], 1, 0, {}),
    "header with blanks": (b'" a ","b\nc"\n1,2\n', ("a", "b c"), ["1", "2"], 1, 0, {}),
    "blank lines": (b"\n\na,b\n\n1,x\n  \n2,y\n\n\n", ("a", "b"), ["1", "x"], 2, 0, {}),
    "rows of missing values": (b"a,b\n,\n1,2\n", ("a", "b"), [None, None], 2, 0, {}),
    "ragged": (b"a,b\n1,x\n2\n3,y,z\n4,w\n5,v\n", ("a", "b"), ["1", "x"], 3, 2, {}),
    "disguised missing": (b"a,b,c\nNA,?,-\n1,n/a,NULL\n", ("a", "b", "c"), [None, None, None], 2, 0, {}),
    "leading zeros": (b"a,b\n00123,1\n00456,2\n", ("a", "b"), ["00123", "1"], 2, 0, {}),
    "spreadsheet export of one row": (b"a,b\n1,2\n", ("a", "b"), ["1", "2"], 1, 0, {}),
    "no-break spaces are content": ("a,b\n1\u00a0000,x\n".encode(), ("a", "b"), ["1\u00a0000", "x"], 1, 0, {}),
    "emoji": ("a,b\n😀,1\n".encode(), ("a", "b"), ["😀", "1"], 1, 0, {}),
    "unicode line separators are content": (
        "a,b\nx\u2028y\x85z,1\n".encode(), ("a", "b"), ["x\u2028y\x85z", "1"], 1, 0, {},
    ),
}  # fmt: skip

# name: (bytes, words of the sentence)
BAD = {
    "nothing": (b"", "empty"),
    "blank": (b"\n \r\n\n", "empty"),
    "only a mark": (b"\xef\xbb\xbf", "empty"),
    "header only": (b"a,b\n", "no rows"),
    "header only, one column": (b"price", "no rows"),
    "header and blank lines": (b"a,b\n\n\n", "no rows"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "PNG picture"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(100), "JPEG picture"),
    "pdf": (b"%PDF-1.7\n1 0 obj\n", "PDF document"),
    "xlsx": (zip_with("xl/workbook.xml"), "Excel workbook"),
    "docx": (zip_with("word/document.xml"), "Office document"),
    "zip": (zip_with("data.csv"), "zip archive"),
    "gzip": (b"\x1f\x8b\x08\x00" + zlib.compress(b"a,b\n1,2\n"), "gzip archive"),
    "parquet": (b"PAR1\x15\x04\x15" + bytes(50), "Parquet file"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), "old Microsoft Office"),
    "sqlite": (b"SQLite format 3\0" + bytes(50), "SQLite database"),
    "html": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "web page"),
    "xml": (b'<?xml version="1.0"?>\n<rows><row/></rows>', "XML"),
    "json": (b'[{"a": 1, "b": 2},\n {"a": 3, "b": 4}]\n', "JSON"),
    "json object": (b'{\n  "a": 1,\n  "b": [1, 2]\n}\n', "JSON"),
    "random bytes": (random.Random(5).randbytes(5000), ""),
    "nul byte": (b"a,b\n1,2\n3,\x004\n", "NUL byte on line 3"),
    "one sentence": (b"This is only a sentence, nothing more.", "a text, not a table"),
    "prose": (
        b"It was the best of times, it was the worst of times,\nit was the age of wisdom; it was the age of\n"
        b"foolishness, and so on for the whole of the book.\nThe end of it is known to all who have read it.\n",
        "a text, not a table",
    ),
    "header cut short": (b"region,item\nN,x,1\nS,y,2\nE,z,3\n", "lines after it have 3"),
    "unclosed quote in the header": (b'a,"b\n1,x\n2,y\n3,z\n', "header row on line 1 cannot be read"),
    "mostly ragged": (b"a,b,c\n1,2,3\n1,2\n1\n1,2,3,4\n1,2\n", "do not have 3 fields"),
    "truncated utf-16": ("a,b\n1,2\n".encode("utf-16") + b"3", "no text in utf-16-le (the first on line 3)"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    data, columns, first, rows, bad, dialect = GOOD[name]
    result = scan(data)
    assert result.columns == columns
    assert (result.row_count, result.bad_row_count) == (rows, bad)
    assert rows_of(data, result)[0] == first
    for key, value in dialect.items():
        assert getattr(result.dialect, key) == value, key


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    data, words = BAD[name]
    with pytest.raises(InvalidTable) as caught:
        scan(data)
    assert words in caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")


def test_bad_lines_are_physical_lines():
    data = b'a,b\n"x\n\ny",1\nshort\n\nz,2\n1,2,3\n4,5\n'
    assert scan(data).first_bad_lines == (5, 8)


def test_only_the_first_twenty_bad_lines_are_kept():
    data = b"a,b\n" + b"1\n1,2\n" * 50
    result = scan(data)
    assert (result.row_count, result.bad_row_count) == (50, 50)
    assert result.first_bad_lines == tuple(range(2, 42, 2))


def test_bad_lines_far_into_a_file_keep_their_numbers():
    data = b"a,b\r\n" + b'"x\r\ny",1\r\n' * 200_000 + b"short\r\n"
    assert scan(data, chunk=70_001).first_bad_lines == (400_002,)


def test_too_many_columns_are_refused_before_the_file_is_read():
    header = ",".join(f"column{number}" for number in range(50_000)).encode() + b"\n"
    with pytest.raises(InvalidTable, match="columns; the limit is 2,000"):
        feed_only(header * 4, max_columns=2000)  # never finished


def test_too_many_columns_in_a_small_file():
    with pytest.raises(InvalidTable, match="The table has 3 columns; the limit is 2"):
        scan(b"a,b,c\n1,2,3\n", max_columns=2)


def test_an_endless_quote_does_not_fill_the_memory():
    data = b'a,b\n1,2\n1,"x\n' + b"text, without an end\n" * 400_000
    result = scan(data)
    assert (result.row_count, result.bad_row_count, result.first_bad_lines) == (400_001, 1, (3,))
    assert flat_peak(data) < 48 << 20


def test_a_line_that_is_too_long_is_given_up():
    bad = []
    scanner = RecordScanner(max_columns=10, on_bad=bad.append)
    for data in (b"a,b\r\n1,x\r\n2,", *[b"y" * 65536] * 100, b"\r", b"\n3,z\r\n", *[b"w" * 65536] * 100):
        scanner.feed(data)
    result = scanner.finish()
    assert (result.row_count, result.records) == (2, 4)
    assert [(row.line, row.reason, len(row.text)) for row in bad] == [
        (3, BadReason.TOO_LONG, 10_000),
        (5, BadReason.TOO_LONG, 10_000),
    ]


def test_quotes_that_are_never_closed_all_over_are_refused(monkeypatch):
    monkeypatch.setattr("ml.record_stream._MOST_RESUMED", 1)
    lines = b'1,"x\n' + b"a text\n" * 1_000_000
    with pytest.raises(InvalidTable, match="More than 1 quotes"):
        feed_only(b"a,b\n" + lines * 2, max_columns=10)


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1252", "Málaga"), ("utf-8", "Málaga 漢"), ("cp1251", "Новосибирск")]
)
def test_the_first_byte_beyond_ascii_may_come_late(encoding, text):
    data = b"city,n\n" + b"Paris,1\n" * 300_000 + f"{text},2\n".encode(encoding) * 3
    for chunk in (65536, len(data)):
        result = scan(data, chunk=chunk)
        assert result.dialect.encoding == encoding
        assert (result.row_count, result.bad_row_count) == (300_003, 0)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_wide_characters_without_a_mark_may_leave_ascii_late(encoding):
    data = ("city,n\n" + "Paris,1\n" * 95_000 + "Málaga 漢,2\n" * 3).encode(encoding)  # 1.5 MB and more
    result = scan(data)
    assert result.dialect.encoding == encoding
    assert (result.columns, result.row_count, result.bad_row_count) == (("city", "n"), 95_003, 0)


def test_bytes_that_decode_in_nothing_are_named_by_line():
    data = b"city,n\n" + b"Paris,1\n" * 300_000 + "Zürich,1\n".encode() * 50 + b"Z\xfcrich,2\n"
    result = scan(data)
    assert (result.row_count, result.first_bad_lines, result.dialect.encoding) == (300_050, (300_052,), "utf-8")


def test_a_late_nul_byte_is_named_by_line():
    assert scan(b"city,n\n" + b"Paris,1\n" * 300_000 + b"\0,2\n").first_bad_lines == (300_002,)


def test_a_head_cut_inside_a_character_is_no_fault():
    data = ("a,b\n" + "漢字,1\n" * SNIFF_BYTES).encode()
    for cut in range(SNIFF_BYTES - 3, SNIFF_BYTES):
        assert sniff(data[:cut], complete=False).encoding == "utf-8"
        assert preview(data[:cut], sniff(data[:cut], complete=False), complete=False).rows[0] == ("漢字", "1")


def test_preview_leaves_out_the_record_that_is_cut():
    seen = preview(
        b"a,b\n1,2\n3,4", Dialect.from_dict(sniff(b"a,b\n1,2\n3,4", complete=False).as_dict()), complete=False
    )
    assert seen.rows == (("1", "2"),)


def test_preview_types():
    data = b"id,zip,n,x,ok,day,kind,note\n" + b"".join(
        f"{number},0{number},{number % 7},{number / 3},{'yes' if number % 2 else 'No'},"
        f"2024-02-{1 + number % 28:02},k{number % 3},some words {number % 60}\n".encode()
        for number in range(100)
    )
    seen = preview(data, sniff(data, complete=True), complete=True)
    assert dict(zip(seen.columns, seen.types, strict=True)) == {
        "id": "id",
        "zip": "id",
        "n": "integer",
        "x": "numeric",
        "ok": "boolean",
        "day": "date",
        "kind": "category",
        "note": "text",
    }
    assert len(seen.rows) == 20


def test_normalise_makes_clean_csv(tmp_path):
    data = '\ufeffname;note\r\n"Zoë";x,y\r\n\r\nbad\r\n;"two\r\nlines"\r\n'.encode("utf-16-le")
    target = tmp_path / "clean.csv"
    assert normalise([data], scan(data).dialect, target) == 2
    assert target.read_bytes().decode() == 'name,note\n"Zoë","x,y"\n"","two\r\nlines"\n'


def flat_peak(data, *, times=1):
    import tracemalloc

    scanner = RecordScanner(max_columns=10)
    tracemalloc.start()
    for _ in range(times):
        for at in range(0, len(data), 65536):
            scanner.feed(data[at : at + 65536])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    scanner.finish()
    return peak


@pytest.mark.parametrize("line", [b'1.5,"some, text",2024-01-01,abc\n', b'1.5,a "b" c,01/02/2024,\xc3\xa9\n'])
def test_memory_stays_flat(line):
    assert flat_peak(line * 20_000, times=40) < 24 << 20  # 25 MB and more


def test_a_whole_file_tells_the_order_of_its_dates():
    data = b"note,d\n" + b"13/1/2024,01/02/2024\n" * 60_000 + b"x,1/2/2024\n"
    open_question = scan(data)
    assert open_question.dialect.date_order == "dmy"  # from the other column
    data = b"n,d\n" + b"5,01/02/2024\n" * 60_000
    assert [one.field for one in scan(data).ambiguities] == ["date_order"]
    assert "“d”, such as 01/02/2024" in scan(data).ambiguities[0].sentence
    for late, order in ((b"7,31/12/2023\n", "dmy"), (b"7,12/31/2023\n", "mdy")):
        found = scan(data + late)
        assert (found.dialect.date_order, found.ambiguities) == (order, ())
    both = scan(data + b"7,31/12/2023\n" + b"5,01/02/2024\n" * 60_000 + b"7,12/31/2023\n")
    assert both.row_count == 120_002
