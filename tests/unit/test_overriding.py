"""Types that a person chose: what fits them, and that profile, training and target see the same."""

import pytest

from ml.column_types import ColumnType, ValueFormat
from ml.overriding import ChosenType, apply_types
from ml.profile import profile_table
from ml.profiling import full_schema, read_frame, target_summary

ROWS = [
    ("1", "yes", "5", "2020-01-01", "x"),
    ("2", "no", "six", "2020-01-02", "y"),
    ("3", "1", "7.5", "tomorrow", "unknown"),
    ("?", "maybe", "8", "2020-01-04", ""),
]
NOT_OF_TYPE = {
    ("a", ColumnType.CATEGORY): 0,
    ("a", ColumnType.DATE): 3,
    ("b", ColumnType.BOOLEAN): 1,
    ("c", ColumnType.INTEGER): 2,
    ("c", ColumnType.NUMERIC): 1,
    ("c", ColumnType.TEXT): 0,
    ("d", ColumnType.DATE): 1,
    ("d", ColumnType.ID): 0,
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,c,d,e\n" + "".join(",".join(row) + "\n" for row in ROWS))
    return path


@pytest.mark.parametrize(("column", "kind"), list(NOT_OF_TYPE), ids=lambda value: str(value))
def test_what_does_not_fit_is_missing_and_counted_alike_everywhere(path, column, kind):
    expected = NOT_OF_TYPE[column, kind]
    found = full_schema(path)
    schema, chosen = apply_types(path, found, {column: kind, "nowhere": ColumnType.TEXT})
    (told,) = chosen
    before = next(each for each in found if each.name == column)
    after = next(each for each in schema if each.name == column)

    assert told == ChosenType(column=column, type=kind, detected_type=before.type, not_of_type=expected)
    assert ChosenType.from_dict(told.as_dict()) == told
    assert after.type == kind
    gaps = sum(row["abcde".index(column)] in ("", "?") for row in ROWS)
    assert after.missing == expected + gaps
    assert int(read_frame(path, schema)[column].isna().sum()) == expected + gaps
    assert target_summary(path, column, kind=kind).missing == expected + gaps
    profiled = {each.name: each for each in profile_table(path, overrides={column: kind}).columns}
    assert (profiled[column].type, profiled[column].not_of_type) == (kind, expected)


def test_a_type_that_is_the_found_one_changes_nothing(path):
    found = full_schema(path)
    assert apply_types(path, found, {"a": ColumnType.INTEGER}) == (found, ())


def test_words_for_a_gap_are_no_values_of_a_number(path):
    _, (told,) = apply_types(path, full_schema(path), {"e": ColumnType.NUMERIC})
    assert told.not_of_type == 2  # "unknown" is missing anyhow


def test_bounds_are_those_of_what_fits(path):
    schema, _ = apply_types(path, full_schema(path), {"c": ColumnType.INTEGER, "d": ColumnType.DATE})
    assert (schema[2].minimum, schema[2].maximum) == ("5", "8")
    assert schema[3].maximum.startswith("2020-01-04")


def test_values_are_read_as_the_file_writes_them(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a\n"1.234,5"\n"2,5"\nx\n')
    formats = ValueFormat(decimal=",", thousands=".")
    schema, (told,) = apply_types(path, full_schema(path, formats), {"a": ColumnType.NUMERIC}, formats)
    assert told.not_of_type == 1
    assert read_frame(path, schema, formats)["a"].tolist()[:2] == [1234.5, 2.5]


def test_a_target_is_judged_as_its_chosen_type(path):
    words = target_summary(path, "a", kind=ColumnType.CATEGORY)
    assert (words.type, words.distinct, words.has_fractions) == (ColumnType.CATEGORY, 3, False)
    numbers = target_summary(path, "c", kind=ColumnType.NUMERIC)
    assert (numbers.distinct, numbers.has_fractions) == (3, True)
    booleans = target_summary(path, "b", kind=ColumnType.BOOLEAN)
    assert dict(booleans.classes) == {"1": 1, "no": 1, "yes": 1}
