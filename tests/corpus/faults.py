"""Records that are not read, and files that are none of ours."""

from tests.corpus.cases import Case, lines

_MANY = [f"{n},x" for n in range(30)]

CASES = {
    "ragged rows": Case(
        data=lines("a,b", "1,x", "2", "3,y,z", "4,w", "", "5,v"), columns=("a", "b"), rows=3, blanks=1,
        bad=((3, "too_few_fields"), (4, "too_many_fields")),
    ),
    "line numbers count quoted line ends": Case(
        data=lines("a,b", '"x\n\ny",1', "short", '"z\r\nw",2', "1,2,3"), columns=("a", "b"), rows=2,
        bad=((5, "too_few_fields"), (8, "too_many_fields")),
    ),
    "line numbers count the preamble and comments": Case(
        data=lines("# c", "a,b", "1,2", "# d", "3", "4,5"), columns=("a", "b"), rows=2, comments=2,
        bad=((5, "too_few_fields"),),
    ),
    "line numbers count skipped lines": Case(
        data=lines("Title", "", "a,b,c", "1,2,3", "4,5", "6,7,8", "9,9,9", "9,9,9"),
        columns=("a", "b", "c"), rows=4,
        bad=((5, "too_few_fields"),), dialect={"skip_lines": 2},
    ),
    "a total below": Case(
        data=lines("a,b", "1,2", "3,4", "", "Source: nobody"), columns=("a", "b"), rows=2, blanks=1,
        bad=((5, "too_few_fields"),),
    ),
    "a quote that is not closed on the last line": Case(
        data=lines("a,b", "1,x", '2,"y'), columns=("a", "b"), rows=1, bad=((3, "unclosed_quote"),),
    ),
    "a quote that is not closed in the middle": Case(
        data=lines("a,b", "1,x", '2,"y', "3,z", "4,w"), columns=("a", "b"), rows=3, bad=((3, "unclosed_quote"),),
    ),
    "a quote that is not closed above quoted rows": Case(
        data=lines("a,b", '"1",x', '"2,y', '"3",z', '"4","w, v"'), columns=("a", "b"), rows=3, first=("1", "x"),
        bad=((3, "unclosed_quote"),),
    ),
    "a quote that is not closed behind a quoted line end": Case(
        data=lines("a,b", '"1\n2","x', "3,z", "4,w"), columns=("a", "b"), rows=2, bad=((2, "unclosed_quote"),),
    ),
    "two quotes that are not closed": Case(
        data=lines("a,b", '1,"x', "2,y", '3,"z', "4,w", '5,"v"', "6,u"), columns=("a", "b"), rows=4,
        bad=((2, "unclosed_quote"), (4, "unclosed_quote")),
    ),
    "a NUL byte in one of many rows": Case(
        data=lines("a,b", *_MANY, "9,\0", "8,y"), columns=("a", "b"), rows=31, bad=((32, "nul_byte"),),
    ),
    "zeros at the end of the file": Case(
        data=lines("a,b", *_MANY) + bytes(500), columns=("a", "b"), rows=30, bad=((32, "nul_byte"),),
    ),
    "a row that is not UTF-8": Case(
        data=lines("a,b", *(f"{n},é" for n in range(30))) + b"9,\xff\n" + lines("8,ü"), columns=("a", "b"), rows=31,
        bad=((32, "undecodable"),), dialect={"encoding": "utf-8"},
    ),
    "a row in another encoding": Case(
        data=lines("city,n", *("Zürich,1" for _ in range(30))) + lines("Genève,2", encoding="cp1252"),
        columns=("city", "n"), rows=30, bad=((32, "undecodable"),),
    ),
    "a file cut within a character": Case(
        data=lines("a,b", *(f"{n},漢" for n in range(30)))[:-3], columns=("a", "b"), rows=29,
        bad=((31, "undecodable"),),
    ),
    "all faults at once": Case(
        data=lines("a,b", *(f"{n},é" for n in range(40)), "1", '2,"x', "3,\0", "4,y,z")
        + b"5,\xff\n"
        + lines("6,w"),
        columns=("a", "b"), rows=41,
        bad=(
            (42, "too_few_fields"), (43, "unclosed_quote"), (44, "nul_byte"), (45, "too_many_fields"),
            (46, "undecodable"),
        ),
    ),
    "a binary file": Case(data=bytes(range(256)) * 20, error="binary file"),
    "NUL bytes in every row": Case(data=lines("a,b", *(f"{n},\0" for n in range(9))), error="binary file"),
    "two rows of three in another encoding": Case(
        data=b"a,b\n" + "漢字漢字漢字漢字漢字,1\n".encode() * 3 + b"\xff\xfe\xfd,2\n" * 2, error="no text in",
    ),
    "no row fits": Case(data=lines("a,b,c", "1,2", "1", "1,2,3,4", "1,2", "1,2,3"), error="do not have 3 fields"),
    "a header and comments": Case(data=lines("# x", "a,b", "# z"), error="no rows"),
    "a letter": Case(
        data=lines("Dear Sir or Madam, I am writing to you today.", "It is a file.", "I cannot, alas, read it."),
        error="a text, not a table",
    ),
}  # fmt: skip
