"""Delimiters, quotes, escapes, headers, preambles, comments, line ends."""

from tests.corpus.cases import Case, lines

CASES = {
    "a title above the header": Case(
        data=lines("Sales report 2024", "region,item,n", "N,x,1", "S,y,2", "E,z,3"),
        columns=("region", "item", "n"), rows=3, first=("N", "x", "1"),
        dialect={"skip_lines": 1, "has_header": True}, types={"n": "integer"},
    ),
    "titles, a blank line and a header": Case(
        data=lines("Station 4", "Exported: 2024-05-01", "", "time;value", *(f"{n};{n / 2}" for n in range(9))),
        columns=("time", "value"), rows=9, first=("0", "0.0"), dialect={"skip_lines": 3, "delimiter": ";"},
    ),
    "a title with a comma": Case(
        data=lines("Report, first half of the year", "a,b,c", "1,2,3", "4,5,6"),
        columns=("a", "b", "c"), rows=2, first=("1", "2", "3"), dialect={"skip_lines": 1},
    ),
    "a title that is a whole sentence": Case(
        data=lines("This file was made by the export of the shop.", "a|b|c", "1|2|3", "4|5|6", "7|8|9"),
        columns=("a", "b", "c"), rows=3, first=("1", "2", "3"), dialect={"skip_lines": 1, "delimiter": "|"},
    ),
    "a title in CRLF": Case(
        data=lines("Title", "", "a,b", "1,2", "3,4", end="\r\n"),
        columns=("a", "b"), rows=2, first=("1", "2"), dialect={"skip_lines": 2},
    ),
    "titles filled up by a spreadsheet": Case(
        data=lines("Budget 2024,,", ",,", "item,cost,paid", "chair,5,yes", "table,7,no"),
        columns=("item", "cost", "paid"), rows=2, first=("chair", "5", "yes"),
        dialect={"skip_lines": 2}, types={"paid": "boolean"},
    ),
    "a line of counts above numbers": Case(
        data=lines("3,2,low,high", *("1.5,2.5,3.5,4.5,0,1,2" for _ in range(5))),
        columns=tuple(f"column_{n}" for n in range(1, 8)), rows=5, dialect={"skip_lines": 1, "has_header": False},
    ),
    "the spreadsheet's own hint": Case(
        data=lines("sep=;", "a;b", "1,5;x", "2,5;y", end="\r\n"),
        columns=("a", "b"), rows=2, first=("1,5", "x"),
        dialect={"skip_lines": 1, "delimiter": ";", "decimal": ","}, types={"a": "numeric"},
    ),
    "a header with a name too few": Case(data=lines("a,b", "x,1,2", "y,3,4", "z,5,6"), error="has 2 fields"),
    "a header with two names too few": Case(
        data=lines("a,b", "x,1,2,9", "y,3,4,9", "z,5,6,9"), error="has 2 fields",
    ),
    "comments above": Case(
        data=lines("# made by a program", '# with "quotes, and commas', "a,b", "1,2", "3,4"),
        columns=("a", "b"), rows=2, first=("1", "2"), dialect={"comment": "#", "skip_lines": 0}, comments=2,
    ),
    "comments in between": Case(
        data=lines("a,b", "1,2", "# pause, for, lunch", "3,4", "", "#end"),
        columns=("a", "b"), rows=2, first=("1", "2"), dialect={"comment": "#"}, comments=2, blanks=1,
    ),
    "comments with quotes beside quoted fields": Case(
        data=lines('# it\'s 5", or so', "a,b", '"x, y",1', '# "', '"z\n# no comment",2'),
        columns=("a", "b"), rows=2, first=("x, y", "1"), dialect={"comment": "#"}, comments=2,
    ),
    "comments of percent signs": Case(
        data=lines("% source: nobody", "a;b", "1;2", "3;4"),
        columns=("a", "b"), rows=2, dialect={"comment": "%", "delimiter": ";"}, comments=1,
    ),
    "comments of slashes": Case(
        data=lines("// one, two and three", "// four", "a,b", "1,2", "3,4"),
        columns=("a", "b"), rows=2, dialect={"comment": "//"}, comments=2,
    ),
    "a header behind a number sign": Case(
        data=lines("#gene,start,end", "x,1,2", "y,3,4"),
        columns=("#gene", "start", "end"), rows=2, first=("x", "1", "2"), dialect={"comment": ""},
    ),
    "comments and a header behind a number sign": Case(
        data=lines("##version 4", "#gene\tstart\tend", "x\t1\t2", "y\t3\t4"),
        columns=("#gene", "start", "end"), rows=2, first=("x", "1", "2"), dialect={"comment": "", "skip_lines": 1},
    ),
    "colours are no comments": Case(
        data=lines("colour,n", "#ff0000,1", "#00ff00,2", "#0000ff,3"),
        columns=("colour", "n"), rows=3, first=("#ff0000", "1"), dialect={"comment": ""},
    ),
    "a column of hash tags": Case(
        data=lines("tag", "#one", "#two", "#three"),
        columns=("tag",), rows=3, first=("#one",), dialect={"comment": ""},
    ),
    "a comment above one column": Case(
        data=lines("# in euros", "price", "10", "20"), columns=("price",), rows=2, first=("10",), comments=1,
        dialect={"comment": "#"},
    ),
    "a delimiter at the end of every row but the header": Case(
        data=lines("a,b", "1,x,", "2,y,", "3,z,"), columns=("a", "b"), rows=3, first=("1", "x"),
        dialect={"skip_lines": 0},
    ),
    "the same, quoted and with a row that lacks it": Case(
        data=lines("a;b", '1;"x;y";', '2;"z";', "3;w", "4;v;"), columns=("a", "b"), rows=4, first=("1", "x;y"),
    ),
    "the same below a title": Case(
        data=lines("Title", "a,b,c", "1,2,3,", "4,5,6,"), columns=("a", "b", "c"), rows=2, first=("1", "2", "3"),
        dialect={"skip_lines": 1},
    ),
    "an empty field more in one row only": Case(
        data=lines("a,b", "1,x", "2,y,", "3,z"), columns=("a", "b"), rows=2, bad=((3, "too_many_fields"),),
    ),
    "a delimiter at the end of every row": Case(
        data=lines("a,b,", "1,x,", "2,y,"), columns=("a", "b", "column_3"), rows=2, first=("1", "x", None),
        types={"column_3": "text"},
    ),
    "escaped quotes": Case(
        data=lines("a,b", '"say \\"hi, you\\"",1', '"plain",2', '"back\\\\",3'),
        columns=("a", "b"), rows=3, first=('say "hi, you"', "1"), dialect={"escapechar": "\\"},
    ),
    "escaped delimiters": Case(
        data=lines("name,n", "Smith\\, John,1", "Jones\\, Ann,2", "Poe\\, Edgar,3"),
        columns=("name", "n"), rows=3, first=("Smith, John", "1"), dialect={"escapechar": "\\"},
    ),
    "paths are not escaped": Case(
        data=lines("path,n", '"C:\\temp\\",1', '"D:\\new\\",2'),
        columns=("path", "n"), rows=2, first=("C:\\temp\\", "1"), dialect={"escapechar": ""},
    ),
    "a database's null": Case(
        data=lines("a\tb", "1\t\\N", "\\N\tx"), columns=("a", "b"), rows=2, first=("1", None),
        types={"a": "integer"},
    ),
    "line ends of three kinds": Case(
        data=b'a,b\r\n1,x\n2,"y\r\nz"\r3,w\r\r\n4,v', columns=("a", "b"), rows=4, first=("1", "x"), blanks=1,
    ),
    "CR only with quoted line ends": Case(
        data=b'a,b\r1,"x\ry"\r2,z\r', columns=("a", "b"), rows=2, first=("1", "x\ry"),
    ),
    "blanks between numbers": Case(
        data=lines("Chins Situps Jumps", "5 162 60", "2 110 60", "12 101 101"),
        columns=("Chins", "Situps", "Jumps"), rows=3, first=("5", "162", "60"), dialect={"delimiter": " "},
    ),
    "numbers padded with blanks": Case(
        data=lines(" 0.00632  18.00   2.310  0", " 0.02731   0.00   7.070  0  ", " 10.0273  0.00  27.070  1"),
        columns=tuple(f"column_{n}" for n in range(1, 5)), rows=3, first=("0.00632", "18.00", "2.310", "0"),
        dialect={"delimiter": " ", "skip_blanks": True, "has_header": False}, types={"column_1": "numeric"},
    ),
    "words padded with blanks": Case(
        data=lines("name    age  town", "anna     33  rome", "", "bo      120  york", "chris     4  lima"),
        columns=("name", "age", "town"), rows=3, first=("anna", "33", "rome"), types={"age": "integer"},
        dialect={"delimiter": " ", "skip_blanks": True, "has_header": True}, blanks=1,
    ),
    "padded columns with quoted values and a row too short": Case(
        data=lines("a     b   c", *(f'{n}.5   {n * 90}   "x y"' for n in range(22)), "3.5  100"),
        columns=("a", "b", "c"), rows=22, first=("0.5", "0", "x y"), bad=((24, "too_few_fields"),),
        dialect={"delimiter": " ", "skip_blanks": True},
    ),
    "padded columns of several words": Case(
        data=lines("full name   age", "John Smith  23", "Mary Jones  45", "Al Poe      33"),
        error="lined up with blanks",
    ),
    "blanks between delimiter and quote": Case(
        data=lines('"a", "b"', '"x, y", "z"', '1, "q ""w"" e, r"', '3,  "4"'),
        columns=("a", "b"), rows=3, first=("x, y", "z"), dialect={"skip_blanks": True, "has_header": True},
    ),
    "the same with a line end in quotes": Case(
        data=lines("id; text", '1; "two;', 'lines" ', '2; "x"', "3; plain"),
        columns=("id", "text"), rows=3, first=("1", "two;\nlines "), dialect={"skip_blanks": True},
    ),
    "the same in single quotes": Case(
        data=lines("'a', 'b'", "'x, y', 'z'", "'1', 'q, w'"),
        columns=("a", "b"), rows=2, first=("x, y", "z"), dialect={"skip_blanks": True, "quotechar": "'"},
    ),
    "inches behind a blank are no quotes": Case(
        data=lines("a,b", '1, "wide', '2, 5" pipe', '3, "thin'),
        columns=("a", "b"), rows=3, first=("1", ' "wide'), dialect={"skip_blanks": False},
    ),
    "two words are not two columns": Case(
        data=lines("name", "John Smith", "Ann Jones", "Bob Poe"), columns=("name",), rows=3, first=("John Smith",),
    ),
    "date and time are not two columns": Case(
        data=lines("at", "2024-01-01 10:00", "2024-01-02 11:00", "2024-01-03 12:00"),
        columns=("at",), rows=3, types={"at": "date"},
    ),
    "carets": Case(
        data=lines("a^b", "1^2", "3^4", "5^6"), columns=("a", "b"), rows=3, first=("1", "2"),
        dialect={"delimiter": "^"},
    ),
    "control characters as delimiters": Case(
        data=lines("a\x01b", "1\x01x, y", "2\x01z", "3\x01w"), columns=("a", "b"), rows=3, first=("1", "x, y"),
        dialect={"delimiter": "\x01"},
    ),
    "names that are empty or repeated": Case(
        data=lines("id,,id,,x", "1,2,3,4,5", "6,7,8,9,0"),
        columns=("id", "column_2", "id_2", "column_4", "x"), rows=2, first=("1", "2", "3", "4", "5"),
    ),
    "no header, with dates": Case(
        data=lines("2024-01-01,5", "2024-01-02,6"), columns=("column_1", "column_2"), rows=2,
        dialect={"has_header": False}, types={"column_1": "date"},
    ),
    "inches at the end of quoted fields": Case(
        data=lines("size,n", '"5"" pipe",1', '"6""",2'), columns=("size", "n"), rows=2, first=('5" pipe', "1"),
    ),
    "the header only quoted": Case(
        data=lines('"a;1";"b"', "1;2", "3;4"), columns=("a;1", "b"), rows=2, first=("1", "2"),
    ),
}  # fmt: skip
