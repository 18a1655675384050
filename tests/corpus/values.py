"""Encodings, numbers, dates, missing values, types."""

from tests.corpus.cases import Case, lines

_CODES = [f"{n:05}" for n in range(25)]

CASES = {
    "UTF-16 with a mark and tabs": Case(
        data="\ufeffStraße\tn\r\nÖl\t1\r\nÄpfel\t2\r\n".encode("utf-16-le"),
        columns=("Straße", "n"), rows=2, first=("Öl", "1"), dialect={"encoding": "utf-16-le", "delimiter": "\t"},
    ),
    "UTF-32, big endian": Case(
        data="\ufeffa,b\n1,漢\n".encode("utf-32-be"), columns=("a", "b"), rows=1, first=("1", "漢"),
        dialect={"encoding": "utf-32-be"},
    ),
    "Windows quotes and dashes": Case(
        data=lines("a;b", "“so” – Zoë’s;1,5", "naïve…;2,5", encoding="cp1252"),
        columns=("a", "b"), rows=2, first=("“so” – Zoë’s", "1,5"), dialect={"encoding": "cp1252", "decimal": ","},
    ),
    "a Greek header over numbers": Case(
        data=lines("ηλικία,βάρος", "1,2", "3,4", encoding="cp1253"), columns=("ηλικία", "βάρος"), rows=2,
        dialect={"encoding": "cp1253"},
    ),
    "a comma as decimal sign": Case(
        data=lines("x;y", "1,5;a", "-2,25;b", "3;c"), columns=("x", "y"), rows=3,
        dialect={"decimal": ",", "thousands": ""}, types={"x": "numeric"},
    ),
    "quoted numbers with a decimal comma": Case(
        data=lines("x,y", '"1,5",1', '"12,75",2', '"0,5",3'), columns=("x", "y"), rows=3, first=("1,5", "1"),
        dialect={"delimiter": ",", "decimal": ","}, types={"x": "numeric", "y": "integer"},
    ),
    "thousands with commas": Case(
        data=lines("x,y", '"1,234",1', '"12",2', '"1,234,567",3'), columns=("x", "y"), rows=3,
        dialect={"thousands": ",", "decimal": "."}, types={"x": "integer"},
    ),
    "thousands with commas and cents": Case(
        data=lines("x|y", "1,234.50|a", "12.25|b"), columns=("x", "y"), rows=2,
        dialect={"thousands": ",", "decimal": "."}, types={"x": "numeric"},
    ),
    "thousands with points": Case(
        data=lines("x;y", "1.234,50;a", "12,25;b", "1.000.000,00;c"), columns=("x", "y"), rows=3,
        dialect={"thousands": ".", "decimal": ","}, types={"x": "numeric"},
    ),
    "thousands with blanks": Case(
        data=lines("x;y", "1\u00a0234,5;a", "12,5;b", "1\u202f000 000,25;c"), columns=("x", "y"), rows=3,
        dialect={"thousands": " ", "decimal": ","}, types={"x": "numeric"},
    ),
    "thousands with apostrophes": Case(
        data=lines("x;y", "1'234.5;a", "12.5;b"), columns=("x", "y"), rows=2,
        dialect={"thousands": "'", "decimal": "."}, types={"x": "numeric"},
    ),
    "a comma before three digits": Case(
        data=lines("x;y", "1,234;a", "5,678;b", "9,012;c"), columns=("x", "y"), rows=3,
        dialect={"decimal": ","}, asked=("decimal",),
    ),
    "telephone numbers are no numbers": Case(
        data=lines("phone;n", "601 234 567;1", "602 345 678;2", "603 456 789;3"), columns=("phone", "n"), rows=3,
        dialect={"thousands": ""}, types={"phone": "category"},
    ),
    "IP addresses are no numbers": Case(
        data=lines("ip,n", "10.0.0.1,1", "192.168.100.200,2"), columns=("ip", "n"), rows=2,
        dialect={"thousands": ""}, types={"ip": "category"},
    ),
    "points in one column, commas in another": Case(
        data=lines("x;y", "1.5;1,25", "2.25;2,5"), columns=("x", "y"), rows=2, dialect={"decimal": "."},
        types={"x": "numeric", "y": "category"},
    ),
    "day first": Case(
        data=lines("d,n", "01/02/2024,1", "13/02/2024,2"), columns=("d", "n"), rows=2,
        dialect={"date_order": "dmy"}, types={"d": "date"},
    ),
    "month first": Case(
        data=lines("d,n", "01/02/2024,1", "02/13/2024,2"), columns=("d", "n"), rows=2,
        dialect={"date_order": "mdy"}, types={"d": "date"},
    ),
    "month first with a clock of twelve hours": Case(
        data=lines("d,n", "1/31/2024 3:45 PM,1", "12/1/2024 12:05 AM,2"), columns=("d", "n"), rows=2,
        dialect={"date_order": "mdy"}, types={"d": "date"},
    ),
    "day or month first": Case(
        data=lines("d,n", "01/02/2024,1", "03/04/2024,2"), columns=("d", "n"), rows=2, dialect={"date_order": ""},
        types={"d": "category"}, asked=("date_order",),
    ),
    "another column tells": Case(
        data=lines("d,e", "01/02/2024,25/12/2023", "03/04/2024,26/12/2023"), columns=("d", "e"), rows=2,
        dialect={"date_order": "dmy"}, types={"d": "date", "e": "date"},
    ),
    "points say day first": Case(
        data=lines("d;n", "1.2.2024;1", "3.4.2024;2"), columns=("d", "n"), rows=2, dialect={"date_order": "dmy"},
        types={"d": "date"},
    ),
    "years of two digits": Case(
        data=lines("d,n", "31-12-99,1", "01-01-24,2"), columns=("d", "n"), rows=2, dialect={"date_order": "dmy"},
        types={"d": "date"},
    ),
    "year first with slashes": Case(
        data=lines("d,n", "2024/2/9,1", "2024/12/31,2"), columns=("d", "n"), rows=2, dialect={"date_order": "ymd"},
        types={"d": "date"},
    ),
    "ISO dates need no order": Case(
        data=lines("d,n", "2024-02-29,1", "2024-12-31T10:00:00Z,2"), columns=("d", "n"), rows=2,
        dialect={"date_order": ""}, types={"d": "date"},
    ),
    "days that do not exist are no dates": Case(
        data=lines("d,n", "31/02/2024,1", "13/02/2024,2"), columns=("d", "n"), rows=2, types={"d": "category"},
    ),
    "versions are no dates": Case(
        data=lines("v,n", "1.2.3,1", "1.10.0,2"), columns=("v", "n"), rows=2, dialect={"date_order": ""},
        types={"v": "category"},
    ),
    "fractions are no dates": Case(
        data=lines("f,n", "1/2,1", "3/4,2"), columns=("f", "n"), rows=2, types={"f": "category"},
    ),
    "missing in many words": Case(
        data=lines("a,b,c,d", "#N/A,<NA>,NaT,(null)", "1,2,3,4", "#DIV/0!,null,N/A,-"),
        columns=("a", "b", "c", "d"), rows=3, first=(None, None, None, None),
        types=dict.fromkeys("abcd", "integer"),
    ),
    "words that are missing among numbers": Case(
        data=lines("x,y", "1.5,missing", ".,red", "unknown,blue", "2.5,unknown"), columns=("x", "y"), rows=4,
        first=("1.5", "missing"), types={"x": "numeric", "y": "category"},
    ),
    "words that are missing among dates": Case(
        data=lines("d,n", "2024-01-01,1", "--,2", "not available,3"), columns=("d", "n"), rows=3,
        types={"d": "date"},
    ),
    "codes with leading zeros": Case(
        data=lines("zip,n", *(f"{code},1" for code in _CODES)), columns=("zip", "n"), rows=25, first=("00000", "1"),
        types={"zip": "id"},
    ),
    "integers beyond 2^53": Case(
        data=lines("n", "9007199254740993", "9223372036854775807"), columns=("n",), rows=2,
        first=("9007199254740993",), types={"n": "integer"},
    ),
    "integers beyond 64 bits": Case(
        data=lines("n,x", "9223372036854775808,a", "18446744073709551616,b"), columns=("n", "x"), rows=2,
        first=("9223372036854775808", "a"), types={"n": "category"},
    ),
    "one fraction makes numbers": Case(
        data=lines("n,x", "1,a", "2,b", "2.5,c"), columns=("n", "x"), rows=3, types={"n": "numeric"},
    ),
    "ids in words and in numbers": Case(
        data=lines("user_id,code", *(f"{n},u{n}" for n in range(25))), columns=("user_id", "code"), rows=25,
        types={"user_id": "id", "code": "id"},
    ),
    "booleans": Case(
        data=lines("a,b,c", "true,Yes,1", "FALSE,no,0"), columns=("a", "b", "c"), rows=2,
        types={"a": "boolean", "b": "boolean", "c": "integer"},
    ),
}  # fmt: skip
