"""Quality checks: each on a table that has the fault and on one that has not."""

import random
from datetime import date, timedelta

import pytest

from ml.column_types import ColumnType
from tests.unit.profile_tables import findings, profile

ROWS = 400
NUMBERS = random.Random(11)
NORMAL = [f"{NUMBERS.gauss(50, 10):.2f}" for _ in range(ROWS)]
WORDS = [NUMBERS.choice(["red", "green", "blue"]) for _ in range(ROWS)]
AMOUNTS = [f"{NUMBERS.lognormvariate(4, 1):.2f}" for _ in range(ROWS)]
DAYS = [str(date(2020, 1, 1) + timedelta(days=i)) for i in range(ROWS)]


def planted(values, count, what, *, seed=1):
    places = random.Random(seed).sample(range(len(values)), count)
    return [what if i in places else value for i, value in enumerate(values)]


def shuffled(values):
    return random.Random(2).sample(values, len(values))


FAULTS = {
    "constant": ("constant", ["x"] * ROWS, "alert"),
    "empty": ("constant", [""] * ROWS, "alert"),
    "one value and gaps": ("constant", ["x", ""] * (ROWS // 2), "alert"),
    "nearly constant": ("nearly_constant", planted(["no"] * ROWS, 2, "yes"), "alert"),
    "an identifier": ("id_like", [f"k{i * 7919 % 1000003}" for i in range(ROWS)], "alert"),
    "a row number": ("id_like", [str(i + 1) for i in range(ROWS)], "alert"),
    "some gaps": ("missing", planted(NORMAL, 60, ""), "done"),
    "many gaps": ("missing", planted(NORMAL, 200, ""), "alert"),
    "gaps written as words": ("disguised_missing", planted(planted(NORMAL, 9, "NA"), 5, "?", seed=4), "done"),
    "gaps written softly": ("disguised_missing", planted(NORMAL, 9, "unknown"), "done"),
    "-999": ("sentinel", planted(NORMAL, 7, "-999"), "alert"),
    "9999 in whole numbers": ("sentinel", planted([str(i % 90) for i in range(ROWS)], 5, "9999"), "alert"),
    "1900-01-01": ("sentinel", planted(DAYS, 6, "1900-01-01"), "alert"),
    "words among numbers": ("mixed_types", planted(NORMAL, 3, "broken"), "alert"),
    "words among dates": ("mixed_types", planted(DAYS, 3, "soon"), "alert"),
    "prices": ("written_otherwise", [f"${i + 1},{i % 1000:03}.50" for i in range(ROWS)], "alert"),
    "weights": ("written_otherwise", [f"{i % 90}.5 kg" for i in range(ROWS)], "alert"),
    "times": ("written_otherwise", [f"{i}:{i % 60:02}" for i in range(ROWS)], "alert"),
    "names of months": (
        "written_otherwise",
        [f"{1 + i % 28:02}-Jan-{1990 + i % 30}" for i in range(ROWS)],
        "alert",
    ),
    "many categories": ("high_cardinality", [f"shop {i % 150}" for i in range(ROWS)], "alert"),
    "a quarter zeros": ("excess_zeros", planted(NORMAL, 140, "0"), "alert"),
    "zeros far away": ("excess_zeros", planted(NORMAL, 4, "0"), "alert"),
    "far outliers": ("outliers", planted(NORMAL, 2, "5000"), "alert"),
    "a long tail": ("skew", [f"{NUMBERS.paretovariate(1.1):.3f}" for _ in range(ROWS)], "alert"),
    "sorted by date": ("time_order", DAYS, "alert"),
    "sorted by date, backwards": ("time_order", DAYS[::-1], "alert"),
    "groups by name": ("groups", shuffled([str(i // 8) for i in range(ROWS)]), "alert"),
    "groups that stand together": ("groups", [f"ward {i // 8}" for i in range(ROWS)], "alert"),
}
NAMES = {"groups by name": "patient_id"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(tmp_path, fault):
    kind, values, status = FAULTS[fault]
    name = NAMES.get(fault, "it")
    table = profile(tmp_path / "t.csv", {"normal": NORMAL, name: values, "words": WORDS})
    assert findings(table, kind) == {(name, status)}
    [check] = [check for check in table.checks if check.column == name and check.kind == kind]
    assert f"`{name}`" in check.evidence
    assert check.action


SOUND = {
    "two values": ("constant", WORDS),
    "rare values": ("nearly_constant", planted(["no"] * ROWS, 20, "yes")),
    "different numbers": ("id_like", NORMAL),
    "whole numbers that all differ": ("id_like", [str(i * 3) for i in range(ROWS)]),
    "a few gaps": ("missing", planted(NORMAL, 8, "")),
    "empty gaps": ("disguised_missing", planted(NORMAL, 8, "")),
    "an unknown among words": ("disguised_missing", planted(WORDS, 9, "unknown")),
    "99 in its place": ("sentinel", [str(i % 101) for i in range(ROWS)]),
    "one -999": ("sentinel", planted(NORMAL, 1, "-999")),
    "codes with and without zeros": ("mixed_types", [f"{i * 37 % 100000:05}" for i in range(ROWS)]),
    "words with a few numbers": ("mixed_types", planted(WORDS, 9, "7")),
    "codes of digits and letters": ("written_otherwise", [f"{i % 99}AB" for i in range(ROWS)]),
    "months alone": ("written_otherwise", ["May", "June", "July", "March"] * (ROWS // 4)),
    "some categories": ("high_cardinality", [f"shop {i % 40}" for i in range(ROWS)]),
    "texts": (
        "high_cardinality",
        [f"this is text number {i} and it is long enough to be one" for i in range(ROWS)],
    ),
    "counts with zeros": ("excess_zeros", [str(max(0, i % 7 - 3)) for i in range(ROWS)]),
    "numbers around zero": ("excess_zeros", planted([f"{i / 9 - 20:.3f}" for i in range(ROWS)], 5, "0")),
    "normal numbers": ("outliers", NORMAL),
    "a long tail is no outlier": ("outliers", AMOUNTS),
    "normal numbers are not skewed": ("skew", NORMAL),
    "dates in no order": ("time_order", shuffled(DAYS)),
    "sorted numbers are no time": ("time_order", sorted(NORMAL)),
    "classes one after the other": ("groups", ["setosa"] * 200 + ["virginica"] * 200),
    "repeated numbers": ("groups", [str(i % 30) for i in range(ROWS)]),
    "repeated words": ("groups", [f"town {i * 7919 % 37}" for i in range(ROWS)]),
}


@pytest.mark.parametrize("case", SOUND)
def test_no_false_alarm(tmp_path, case):
    kind, values = SOUND[case]
    table = profile(tmp_path / "t.csv", {"normal": NORMAL, "it": values, "words": WORDS})
    assert findings(table, kind) == set()
    [check] = [check for check in table.checks if check.kind == kind]
    assert (check.status, check.column, check.action) == ("passed", None, "")


def test_numbers_set_by_hand_leave_words_out(tmp_path):
    values = planted(NORMAL, 3, "broken")
    table = profile(tmp_path / "t.csv", {"it": values, "w": WORDS}, overrides={"it": ColumnType.NUMERIC})
    assert findings(table, "mixed_types") == {("it", "done")}


def test_equal_rows(tmp_path):
    different = [str(i / 2) for i in range(ROWS)]
    columns = {"a": [*different, *different[:40]], "b": [*WORDS, *WORDS[:40]]}
    table = profile(tmp_path / "t.csv", columns)
    assert table.duplicate_rows == 40
    assert findings(table, "duplicate_rows") == {(None, "alert")}
    one = profile(tmp_path / "u.csv", {"a": [*different, "0.0"], "b": [*WORDS, WORDS[0]]})
    assert findings(one, "duplicate_rows") == {(None, "done")}


def test_equal_columns_and_columns_in_other_words(tmp_path):
    codes = {"red": "1", "green": "2", "blue": "3"}
    columns = {"a": NORMAL, "b": list(NORMAL), "c": WORDS, "d": [codes[word] for word in WORDS], "e": AMOUNTS}
    table = profile(tmp_path / "t.csv", columns)
    assert table.duplicate_columns == (("a", "b"),)
    assert findings(table, "duplicate_columns") == {("b", "alert"), ("d", "alert")}


def test_empty_columns_are_not_called_copies(tmp_path):
    table = profile(tmp_path / "t.csv", {"a": [""] * ROWS, "b": [""] * ROWS, "c": NORMAL})
    assert table.duplicate_columns == ()


def test_a_kind_of_check_with_many_columns_is_shortened(tmp_path):
    table = profile(tmp_path / "t.csv", {**{f"c{i}": ["1"] * 50 for i in range(60)}, "n": NORMAL[:50]})
    found = [check for check in table.checks if check.kind == "constant"]
    assert len(found) == 20
    assert found[-1].column is None
    assert "41 more columns" in found[-1].evidence


@pytest.fixture(scope="module")
def samples():
    from sklearn import datasets

    loaders = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
    }
    return {name: load(as_frame=True).frame for name, load in loaders.items()}


# What there is to say is true: iris has one row twice; breast cancer has long tails, and values six deviations off.
EXPECTED = {
    "iris": {("duplicate_rows", None)},
    "wine": set(),
    "cancer": {
        ("skew", "area error"),
        ("skew", "concavity error"),
        ("outliers", "worst symmetry"),
        ("outliers", "worst fractal dimension"),
    },
    "diabetes": set(),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_known_tables_are_sound(tmp_path, samples, name):
    frame = samples[name]
    columns = {column: [str(value) for value in frame[column].tolist()] for column in frame}
    table = profile(tmp_path / "t.csv", columns)
    assert {(check.kind, check.column) for check in table.checks if check.status != "passed"} == EXPECTED[name]
    assert table.suggestion.column == "target"
