"""The schema of whole tables: types, counts and bounds, the same in Python and in DuckDB."""

import csv
import gzip
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.column_types import PLAIN, ColumnType, ValueFormat, decide_type, facts_of
from ml.profiling import ColumnSchema, full_schema, nearest_name, read_frame, target_summary
from ml.scan import open_table
from ml.tables import normalise, sniff
from ml.targets import decide_problem
from smartml.errors import InvalidTable, InvalidTarget


@pytest.fixture
def table(tmp_path):
    def make(**columns):
        path = tmp_path / "table.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return make


def column(path, name):
    return next(found for found in full_schema(path) if found.name == name)


def type_of(table, values, name="x"):
    return column(table(**{name: values, "pad": ["p"] * len(values)}), name).type


MANY = 40
TYPES = {
    "integers": ([str(n % 7) for n in range(MANY)], "x", "integer"),
    "signed integers": (["+1", "-2", "0"], "x", "integer"),
    "integers beyond 2^53": (["9007199254740993", "9223372036854775807"], "x", "integer"),
    "integers beyond 64 bits": (["9223372036854775808", "1"], "x", "category"),
    "integers beyond 64 bits, all different": ([str(2**70 + n) for n in range(MANY)], "x", "id"),
    "integers beyond 64 bits and a fraction": (["9223372036854775808", "1.5"], "x", "numeric"),
    "words for missing among numbers": (["1", "missing", "2.5", ".", "Unknown"], "x", "numeric"),
    "words for missing among dates": (["2024-01-01", "n.a."], "x", "date"),
    "words for missing among words": (["red", "unknown"] * 20, "x", "category"),
    "words for missing only": (["unknown", "--"], "x", "category"),
    "errors of a spreadsheet": (["1", "#N/A", "#DIV/0!"], "x", "integer"),
    "leading zeros": (["00123", "00124"] * 20, "x", "category"),
    "a single leading zero number": (["1", "2", "03"], "x", "category"),
    "zero point something": (["0.5", "-0.5", "0"], "x", "numeric"),
    "exponents": (["1e5", "2.5E-3"], "x", "numeric"),
    "points at the ends": (["1.", ".5"], "x", "numeric"),
    "integers with one float": ([*map(str, range(30)), "0.5"], "x", "numeric"),
    "out of range": (["1e999", "1"], "x", "category"),
    "infinity": (["inf", "1", "-inf"], "x", "category"),
    "underscores": (["1_000", "2_000"], "x", "category"),
    "hexadecimal": (["0x10", "0x11"], "x", "category"),
    "decimal commas": (["1,5", "2,5"], "x", "category"),
    "numbers with blanks": ([" 1", "2 ", "\t3"], "x", "integer"),
    "numbers and missing": (["1", "NA", "?", "-", "null", "2.5", "N/A", "None", "NaN", " "], "x", "numeric"),
    "numbers and a word": (["1", "2", "many"], "x", "category"),
    "true and false": (["True", "FALSE", "true"], "x", "boolean"),
    "yes and no": (["Yes", "no", ""], "x", "boolean"),
    "yes and true": (["yes", "true"], "x", "category"),
    "zero and one": (["0", "1"] * 20, "x", "integer"),
    "iso dates": (["2024-02-29", "1999-12-31"], "x", "date"),
    "iso times": (["2024-02-29T10:00:00.5Z", "2024-01-01 23:59", "2024-01-01 10:00:00+02:00"], "x", "date"),
    "no such day": (["2024-02-30", "2024-01-01"], "x", "category"),
    "no such hour": (["2024-02-28 24:00", "2024-01-01"], "x", "category"),
    "dates of other countries": (["31/12/2024", "01/02/2024"], "x", "category"),
    "times with more digits": (["2024-02-29T10:00:00+0100", "2024-01-01 10:00:00.123456789Z"], "x", "date"),
    "prices, all different": ([f"${n}.50" for n in range(MANY)], "x", "text"),
    "shares, all different": ([f"{n}%" for n in range(MANY)], "x", "text"),
    "times of day, all different": ([f"{n}:30" for n in range(MANY)], "x", "text"),
    "codes, all different": ([f"u{n}" for n in range(MANY)], "x", "id"),
    "codes, few": ([f"u{n}" for n in range(5)], "x", "category"),
    "codes, one missing": ([*(f"u{n}" for n in range(MANY)), ""], "x", "text"),
    "names, all different": ([f"name {n}" for n in range(MANY)], "x", "text"),
    "names, half repeated": ([f"name {n % 20}" for n in range(MANY)], "x", "category"),
    "names, hardly repeated": ([f"name {n % 30}" for n in range(MANY)], "x", "text"),
    "integers named id": (list(map(str, range(MANY))), "PassengerId", "id"),
    "integers named user_id": (list(map(str, range(MANY))), "user_id", "id"),
    "integers named ID": (list(map(str, range(MANY))), "ID", "id"),
    "integers named paid": (list(map(str, range(MANY))), "paid", "integer"),
    "integers named id, repeated": ([str(n % 20) for n in range(MANY)], "id", "integer"),
    "nothing": ([""] * MANY, "x", "text"),
    "value with a line break": (["1\n2", "3"], "x", "category"),
}


@pytest.mark.parametrize("name", TYPES)
def test_types(table, name):
    values, header, expected = TYPES[name]
    assert type_of(table, values, header) == expected
    assert decide_type(header, facts_of(values)) == expected


VALUES = st.one_of(
    st.text("0123456789+-.eE_ xinfa", max_size=6),
    st.sampled_from(["NA", "nan", "None", "?", "-", "", " null ", "true", "FALSE", "yes", "No", "1e999", "-1e999"]),
    st.sampled_from(["unknown", ".", "Missing", "not available", "1", "2.5", "2024-01-01", "#N/A", "\\N"]),
    st.sampled_from(["unknown", "--", str(2**63), str(2**70), "1"]),
    st.sampled_from(["1.234,5", "1.000", "12,5", "7", "13/02/2024", "1/2/2024", "1.2.24", "2024/1/31", "*"]),
    st.sampled_from(["$5", "12%", "0:45", "(3)", "5-", "€7", "-5", "+5", "−5", "5 kg", "2024-01-01T10:00+0100"]),
    st.integers(-(2**65), 2**65).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.tuples(
        st.integers(0, 2100), st.integers(0, 13), st.integers(0, 32), st.integers(0, 25), st.integers(0, 61)
    ).map(lambda parts: "{:04}-{:02}-{:02} {:02}:{:02}".format(*parts)),
    st.sampled_from(["ab", "a b", "é", "a\nb", "a\tb", "\t7\r\n", "\x0b7", "\u00a07", "٧", "7\u2003"]),
    st.sampled_from(["0001-01-01", "0000-01-01", "9999-12-31 23:59:59.999999"]),
)  # fmt: skip


ROWS = 25
KINDS = st.one_of(*(st.lists(kind, min_size=ROWS, max_size=ROWS) for kind in (*VALUES.original_strategies, VALUES)))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    columns=st.lists(KINDS, min_size=10, max_size=12),
    formats=st.sampled_from([PLAIN, ValueFormat(decimal=",", thousands=".", date_order="dmy")]),
)
def test_python_and_sql_agree(columns, formats):
    """Also value by value: the first row alone is a table of one row for every column."""
    with tempfile.TemporaryDirectory() as directory:
        for rows in (1, ROWS):
            path = Path(directory) / f"{rows}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
                writer.writerow([f"c{index}" for index in range(len(columns))])
                writer.writerows(zip(*(values[:rows] for values in columns), strict=True))
            found = full_schema(path, formats, use_head=False)
            assert found == full_schema(path, formats)
            for schema, values in zip(found, columns, strict=True):
                facts = facts_of(values[:rows], formats)
                assert (schema.type, schema.missing, schema.unique) == (
                    decide_type(schema.name, facts),
                    facts.missing,
                    facts.distinct,
                ), values[:rows]


@pytest.mark.parametrize("beyond", [-(2**63) - 1, 2**63])
def test_whole_numbers_just_beyond_64_bits_are_codes(table, beyond):
    """As a double, -(2**63) - 1 is the smallest number of 64 bits."""
    values = [str(beyond), *map(str, range(10, 60))]
    [column] = full_schema(table(n=values), use_head=False)
    assert column.type == decide_type("n", facts_of(values)) == ColumnType.ID


def test_counts_and_bounds(table):
    path = table(n=["3", "NA", "12", "12"], x=["0.5", "1e3", "", "2"], day=["2024-01-02", "2023-05-06", "?", "-"])
    integer, numeric, date = ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.DATE
    assert full_schema(path) == (
        ColumnSchema(name="n", type=integer, missing=1, unique=2, example="3", minimum="3", maximum="12"),
        ColumnSchema(name="x", type=numeric, missing=1, unique=3, example="0.5", minimum="0.5", maximum="1000"),
        ColumnSchema(
            name="day",
            type=date,
            missing=2,
            unique=2,
            example="2024-01-02",
            minimum="2023-05-06 00:00:00",
            maximum="2024-01-02 00:00:00",
        ),
    )  # fmt: skip


def test_schema_as_dict_and_back(table):
    for schema in full_schema(table(a=["1", "2"], b=["x", ""])):
        assert ColumnSchema.from_dict(schema.as_dict()) == schema


def test_a_float_in_the_last_row_is_not_rounded(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n" + "1,a\n" * 300_000 + "2.5,b\n")
    schema = full_schema(path)
    assert (schema[0].type, schema[0].maximum) == ("numeric", "2.5")
    assert read_frame(path, schema)["x"].iloc[-1] == 2.5


def test_a_word_in_the_last_row_makes_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n" + "1,\n" * 300_000 + "many,late\n")
    assert [(found.type, found.missing, found.example) for found in full_schema(path)] == [
        ("category", 0, "1"),
        ("category", 300_000, "late"),
    ]


def test_names_that_sql_could_stumble_over(table):
    path = table(**{'a"b': ["1"], "A": ["x"], "a": ["2.5"], "select; --'": ["y"], "é 漢": ["z"]})
    assert [found.name for found in full_schema(path)] == ['a"b', "A", "a", "select; --'", "é 漢"]
    assert list(read_frame(path, full_schema(path)).columns) == ['a"b', "A", "a", "select; --'", "é 漢"]


def test_a_wide_table(tmp_path):
    path = tmp_path / "table.csv"
    width = 450
    path.write_text(",".join(f"n{i}" for i in range(width)) + "\n" + (",".join(["1"] * width) + "\n") * 50)
    assert [found.type for found in full_schema(path)] == ["integer"] * width


def test_frame_dtypes(table):
    path = table(
        whole=["1", "2", "9007199254740993"],
        gaps=["1", "", "3"],
        large_gaps=["9007199254740993", "", "1"],
        x=["0.1", "NA", "1e-3"],
        zip=["00123", "?", "00125"],
        ok=["Yes", "no", "-"],
        day=["2024-02-29", "", "9999-12-31 10:30"],
        word=["x", "null", " y "],
    )
    frame = read_frame(path, full_schema(path))
    assert frame["whole"].dtype == "int64"
    assert frame["whole"].tolist() == [1, 2, 9007199254740993]
    assert frame["gaps"].dtype == "float64"
    assert frame["gaps"].isna().tolist() == [False, True, False]
    assert frame["large_gaps"].tolist() == ["9007199254740993", None, "1"]
    assert frame["x"].dtype == "float64"
    assert frame["x"].dropna().tolist() == [0.1, 0.001]
    assert frame["zip"].tolist() == ["00123", None, "00125"]
    assert frame["ok"].tolist() == ["yes", "no", None]
    assert frame["day"].dtype.kind == "M"
    assert str(frame["day"].iloc[2]) == "9999-12-31 10:30:00"
    assert frame["word"].tolist() == ["x", None, "y"]


def test_integer_ids_stay_integers_and_codes_stay_text(table):
    numbers = [str(2**60 + n) for n in range(30)]
    path = table(user_id=numbers, code=[f"0{n}" for n in range(30)], large=[str(2**70 + n) for n in range(30)])
    schema = full_schema(path)
    assert [str(column.type) for column in schema] == ["id", "id", "id"]
    frame = read_frame(path, schema)
    assert (str(frame["user_id"].dtype), frame["user_id"].tolist()) == ("int64", [int(n) for n in numbers])
    assert frame["code"].iloc[7] == "07"
    assert frame["large"].iloc[1] == str(2**70 + 1)


def test_words_for_missing_are_missing_in_frames_and_counts(table):
    path = table(
        x=["1", "unknown", "2", "."], d=["2024-01-01", "--", "2024-01-02", ""], w=["a", "unknown", ".", "b"]
    )
    schema = full_schema(path)
    assert [(found.missing, found.unique) for found in schema] == [(2, 2), (2, 2), (0, 4)]
    frame = read_frame(path, schema)
    assert frame["x"].isna().tolist() == frame["d"].isna().tolist() == [False, True, False, True]
    assert frame["w"].tolist() == ["a", "unknown", ".", "b"]
    found = target_summary(path, "x")
    assert (found.rows, found.missing, found.distinct, found.classes) == (4, 2, 2, (("1", 1), ("2", 1)))


def test_a_type_chosen_against_the_values_makes_the_others_missing(table):
    path = table(x=["1", "2.5", "many"], y=["1", "2", "3"], z=["9007199254740993", "0.5", "7"])
    schema = full_schema(path)

    def frame_as(**types):
        chosen = [replace(column, type=ColumnType(types.get(column.name, column.type))) for column in schema]
        return read_frame(path, chosen)

    assert frame_as(x="numeric")["x"].fillna(-1).tolist() == [1, 2.5, -1]
    assert frame_as(x="integer")["x"].fillna(-1).tolist() == [1, -1, -1]
    assert frame_as(x="date")["x"].isna().all()
    assert frame_as(y="category")["y"].tolist() == ["1", "2", "3"]
    assert frame_as(y="id")["y"].dtype == "int64"
    assert frame_as(z="integer")["z"].tolist() == ["9007199254740993", None, "7"]
    assert frame_as(z="id")["z"].tolist() == ["9007199254740993", "0.5", "7"]


def test_a_float_in_row_one_million_is_not_rounded(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x\n" + "1\n" * 1_000_000 + "2.123456789012345\n")
    [column] = full_schema(path)
    assert (column.type, column.maximum) == ("numeric", "2.123456789012345")
    assert read_frame(path, [column])["x"].iloc[-1] == 2.123456789012345


def test_frame_keeps_the_order_of_rows(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("n,s\n" + "".join(f'{n},"a\nb {n}"\n' for n in range(200_000)))
    frame = read_frame(path, full_schema(path))
    assert frame["n"].tolist() == list(range(200_000))


def test_scikit_learn_data_reads_as_a_person_would(tmp_path):
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

    for load in (load_iris, load_wine, load_breast_cancer, load_diabetes):
        data = load(as_frame=True)
        text = data.frame.to_csv(index=False).encode()
        path = tmp_path / "clean.csv"
        assert normalise([text], sniff(text, complete=True), path) == len(data.frame)
        for found in full_schema(path):
            assert found.type in ("numeric", "integer")
            assert found.missing == 0
        assert (read_frame(path, full_schema(path)) == data.frame).all(axis=None)


# file: (rows, delimiter, lines above, header, types)
PACKAGE_FILES = {
    "iris.csv": (150, ",", 0, True, ["numeric"] * 4 + ["integer"]),
    "wine_data.csv": (178, ",", 1, False, ["numeric"] * 4 + ["integer"] + ["numeric"] * 7 + ["integer"] * 2),
    "breast_cancer.csv": (569, ",", 1, False, ["numeric"] * 30 + ["integer"]),
    "linnerud_exercise.csv": (20, " ", 0, True, ["integer"] * 3),
    "linnerud_physiological.csv": (20, " ", 0, True, ["integer"] * 3),
    "diabetes_data_raw.csv.gz": (442, " ", 0, False, ["integer"] * 2 + ["numeric"] * 2 + ["integer"]),
}


@pytest.mark.parametrize("name", PACKAGE_FILES)
def test_scikit_learns_own_files_read_as_a_person_would(name, tmp_path):
    import sklearn.datasets

    data = (Path(sklearn.datasets.__file__).parent / "data" / name).read_bytes()
    data = gzip.decompress(data) if name.endswith(".gz") else data
    rows, delimiter, skipped, header, types = PACKAGE_FILES[name]
    dialect = sniff(data, complete=True)
    assert (dialect.delimiter, dialect.skip_lines, dialect.has_header) == (delimiter, skipped, header)
    path = tmp_path / "clean.csv"
    assert normalise([data], dialect, path) == rows
    found = full_schema(path, dialect.formats)
    assert [str(column.type) for column in found][: len(types)] == types
    assert {column.missing for column in found} == {0}


def test_target_summary_of_classes(table):
    path = table(y=["b", "a", "a", "NA", "a", "b", "c"])
    found = target_summary(path, "y")
    assert (found.rows, found.missing, found.distinct, found.type) == (7, 1, 3, "category")
    assert found.classes == (("a", 3), ("b", 2), ("c", 1))
    assert found.smallest_class == ("c", 1)
    assert not found.has_fractions


def test_target_summary_counts_equal_numbers_as_one(table):
    found = target_summary(table(y=["1", "1.0", "0", " 0.0 ", ""]), "y")
    assert found.classes == (("0", 2), ("1", 2))
    assert not found.has_fractions
    found = target_summary(table(y=["Yes", "yes", "NO"]), "y")
    assert found.classes == (("yes", 2), ("no", 1))


def test_target_summary_of_many_values(tmp_path):
    rng = random.Random(1)
    path = tmp_path / "table.csv"
    path.write_text("y\n" + "".join(f"{rng.random()}\n" for _ in range(5000)))
    found = target_summary(path, "y")
    assert found.distinct == 5000
    assert found.has_fractions
    assert found.smallest_class is None


def test_target_summary_counts_exactly_in_large_files(tmp_path, monkeypatch):
    monkeypatch.setattr("ml.profiling.EXACT_DISTINCT_BYTES", 0)
    path = tmp_path / "table.csv"
    # One value stands twice; an estimate would take them for all different, or for more or fewer.
    path.write_text("y,k\n" + "".join(f"word {n},{n}\n" for n in [*range(30_000), 7]))
    found = target_summary(path, "y")
    assert (found.rows, found.distinct, found.classes, found.smallest_class) == (30_001, 30_000, (), None)
    with pytest.raises(InvalidTarget, match="30,000 different texts in 30,001 rows"):
        decide_problem(found)
    assert "with 30,000 different values" in decide_problem(target_summary(path, "k")).reason


def test_numbers_beyond_the_kept_classes_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("ml.profiling.EXACT_DISTINCT_BYTES", 0)
    path = tmp_path / "table.csv"
    path.write_text("y\n" + "".join(f"{n % 6000}{'.0' * (n > 6000)}\n" for n in range(20_000)))
    assert target_summary(path, "y").distinct == 6000


def test_a_target_that_is_not_there_suggests_the_nearest(table):
    path = table(Survived=["1"], age=["2"])
    with pytest.raises(InvalidTarget, match=r"no column `survived` in this table\. Did you mean `Survived`"):
        target_summary(path, "survived")
    with pytest.raises(InvalidTarget, match=r"no column `zzz` in this table\.$"):
        target_summary(path, "zzz")


def test_nearest_name():
    assert nearest_name("hosue_value", ["house_value", "age"]) == "house_value"
    assert nearest_name("q", ["house_value", "age"]) is None


def test_pages_do_not_pay_for_pandas_or_duckdb():
    code = "import sys, ml.tables, ml.profiling, ml.targets; print({'pandas', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_file_that_duckdb_cannot_read_is_a_sentence_without_its_lines(tmp_path, caplog):
    path = tmp_path / "table.csv"
    path.write_text('name,n\n"Alice Smith",1\n"Bob"x"Jones",2,3\n', encoding="utf-8", newline="")
    with pytest.raises(InvalidTable, match="could not be read to its end") as caught, open_table(path, 2) as table:
        table.select("count(c0), max(c1)", [0, 1]).fetchall()
    assert caught.value.__cause__ is None
    assert "Jones" not in caplog.text
    assert "Jones" not in str(caught.value)
