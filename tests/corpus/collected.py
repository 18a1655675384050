"""Files as people have them from other programs, other countries and other times."""

from tests.corpus.cases import Case, lines

_NUMBERS = [f"{n},{n * 2},{n * 0.5}" for n in range(6)]
_POLISH = ("miasto;opis", "Łódź;żółta jaźń", "Gdańsk;źdźbło słońca", "Kraków;święto")
_FRENCH = ("ville;pop", "Orléans;1", "Besançon;2", "Nîmes;3", "Fenêtre;4")
_GERMAN = ("Stadt;Einwohner", "Köln;1", "Düsseldorf;2", "München;3", "Größe;4")

CASES = {
    "two files in different encodings put together": Case(
        data=lines("name;town;n", *(f"Jürgen {n};Köln;{n}" for n in range(39)))
        + lines(*(f"Jörg {n};Düren;{n}" for n in range(30)), encoding="cp1252"),
        error="30 of 69 rows have bytes that are no text in utf-8",
    ),
    "Shift-JIS with kana": Case(
        data=lines("都市,備考", "東京,首都です", "大阪,たこ焼き", "札幌,雪まつり", encoding="cp932"),
        columns=("都市", "備考"), rows=3, first=("東京", "首都です"), dialect={"encoding": "cp932"},
    ),
    "EUC-JP": Case(
        data=lines("都市,備考", "東京,首都です", "大阪,たこ焼き", "札幌,雪まつり", encoding="euc_jp"),
        columns=("都市", "備考"), rows=3, first=("東京", "首都です"), dialect={"encoding": "euc_jp"},
    ),
    "simplified Chinese": Case(
        data=lines("城市,说明", "北京,首都", "上海,经济中心", "深圳,科技", encoding="gb18030"),
        columns=("城市", "说明"), rows=3, first=("北京", "首都"), dialect={"encoding": "gb18030"},
    ),
    "Hebrew": Case(
        data=lines("שם,עיר", "דוד,ירושלים", "יעקב כהן,תל אביב", "שרה,חיפה", encoding="cp1255"),
        columns=("שם", "עיר"), rows=3, first=("דוד", "ירושלים"), dialect={"encoding": "cp1255"},
    ),
    "Arabic": Case(
        data=lines("الاسم,المدينة", "محمد,القاهرة", "فاطمة,دبي", encoding="cp1256"),
        columns=("الاسم", "المدينة"), rows=2, first=("محمد", "القاهرة"), dialect={"encoding": "cp1256"},
    ),
    "Polish of Windows": Case(
        data=lines(*_POLISH, encoding="cp1250"), columns=("miasto", "opis"), rows=3, first=("Łódź", "żółta jaźń"),
        dialect={"encoding": "cp1250"},
    ),
    "Polish of the web": Case(
        data=lines(*_POLISH, encoding="iso8859-2"), columns=("miasto", "opis"), rows=3,
        first=("Łódź", "żółta jaźń"), dialect={"encoding": "iso8859-2"},
    ),
    "Hungarian, which looks Western": Case(
        data=lines("név;város", "Kovács Őrs;Győr", "Szűcs Béla;Pécs", encoding="cp1250"),
        columns=("név", "város"), rows=2, first=("Kovács Őrs", "Győr"), dialect={"encoding": "cp1250"},
    ),
    "Latin-9 with its euro sign": Case(
        data=lines("Stadt;Preis", "Köln;12 €", "Münster;9 €", encoding="iso8859-15"), columns=("Stadt", "Preis"),
        rows=2, first=("Köln", "12 €"), dialect={"encoding": "iso8859-15"},
    ),
    "Spanish questions": Case(
        data=lines("ciudad;n", "Málaga;1", "Coruña;2", "¿qué?;3", encoding="cp1252"), columns=("ciudad", "n"),
        rows=3, first=("Málaga", "1"), dialect={"encoding": "cp1252"},
    ),
    "an old Mac's": Case(
        data=lines(*_FRENCH, encoding="mac-roman"), columns=("ville", "pop"), rows=4, first=("Orléans", "1"),
        dialect={"encoding": "mac-roman"},
    ),
    "DOS, French": Case(
        data=lines(*_FRENCH, encoding="cp850"), columns=("ville", "pop"), rows=4, first=("Orléans", "1"),
        dialect={"encoding": "cp850"},
    ),
    "DOS, German": Case(
        data=lines(*_GERMAN, encoding="cp850"), columns=("Stadt", "Einwohner"), rows=4, first=("Köln", "1"),
        dialect={"encoding": "cp850"},
    ),
    "DOS, Russian": Case(
        data=lines("город;n", "Москва;1", "Казань;2", encoding="cp866"), columns=("город", "n"), rows=2,
        first=("Москва", "1"), dialect={"encoding": "cp866"},
    ),
    "names from right to left, and emoji": Case(
        data=lines("שם,👨‍👩‍👧 family,n", "דוד,🙂,1", "שרה,🙁,2"), columns=("שם", "👨‍👩‍👧 family", "n"), rows=2,
        first=("דוד", "🙂", "1"), types={"n": "integer"},
    ),
    "signs that are not seen in names": Case(
        data=lines("\u200bid,na\u00a0me\u200b", "1,x", "2,y"), columns=("id", "na me"), rows=2,
    ),
    "the header again where files were put together": Case(
        data=lines("a,b,c", *_NUMBERS, "a,b,c", *_NUMBERS), columns=("a", "b", "c"), rows=12,
        bad=((8, "repeated_header"),), types={"a": "integer", "b": "integer", "c": "numeric"},
    ),
    "a column that has its own name as a value": Case(
        data=lines("kind,n", "kind,1", "other,2", "kind,3"), columns=("kind", "n"), rows=3, first=("kind", "1"),
    ),
    "a column for each month": Case(
        data=lines("shop,2024-01-01,2024-02-01", "A,10,20", "B,11,21", "C,12,22"),
        columns=("shop", "2024-01-01", "2024-02-01"), rows=3, first=("A", "10", "20"),
        types={"2024-01-01": "integer"},
    ),
    "a header with a name too many": Case(
        data=lines("a,b,c,d", "1,2,3", "4,5,6", "7,8,9"), error="has 4 fields, but most of the lines after",
    ),
    "semicolons in quotes beside decimal commas": Case(
        data=lines("Artikel;Preis", '"Schraube; ""M4""";1,25', "Dübel;12,5", '"a; b; c";1.250,00'),
        columns=("Artikel", "Preis"), rows=3, first=('Schraube; "M4"', "1,25"),
        dialect={"decimal": ",", "thousands": "."}, types={"Preis": "numeric"},
    ),
    "a page's table called .csv": Case(
        data=lines("<table border=1><tr><th>a</th></tr>", "<tr><td>1</td></tr></table>"), error="web page (HTML)",
    ),
    "a spreadsheet's page called .csv": Case(
        data=lines("", "<meta http-equiv='Content-Type'>", "<div><table><tr><td>1</td></tr></table></div>"),
        error="web page (HTML)",
    ),
    "HTML in fields": Case(
        data=lines("html,n", "<p>one</p>,1", "<table>,2"), columns=("html", "n"), rows=2, first=("<p>one</p>", "1"),
    ),
    "columns lined up with blanks": Case(
        data=lines("NAME  CITY      PAY", "Ann   New York  120", "Bob   Reno       95"), error="fixed width",
    ),
    "numbers lined up with blanks": Case(
        data=lines("5.1  3.5  1.4", "4.9  3.0  1.4", "6.2  2.2  4.5"), error="fixed width",
    ),
    "Weka's format": Case(
        data=lines("% by Weka", "@relation iris", "@attribute a numeric", "@data", "1,2"), error="ARFF",
    ),
    "a dump of a database": Case(
        data=lines("-- dump", "INSERT INTO t VALUES (1, 2);", "INSERT INTO t VALUES (3, 4);"), error="SQL",
    ),
    "objects in lines": Case(data=lines('{"a": 1, "b": "x"}', '{"a": 2, "b": "y"}'), error="JSON"),
}  # fmt: skip
