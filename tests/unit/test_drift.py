"""The stability of a column: nothing where only luck speaks, something where the column is another one."""

import numpy as np
import pandas as pd
import pytest

from ml.drift import STRONG, Tally, reference_of, stability
from ml.prediction import feature_schema

RNG = np.random.default_rng(5)
TYPES = {"amount": "numeric", "zeros": "integer", "town": "category", "note": "text"}


def table(rows: int, *, shift: float = 0.0, zeros: float = 0.9, new_town: float = 0.0, gaps: float = 0.0):
    frame = pd.DataFrame(
        {
            "amount": RNG.normal(shift, 1.0, rows),
            "zeros": np.where(RNG.random(rows) < zeros, 0, RNG.integers(1, 9, rows)),
            "town": np.where(RNG.random(rows) < new_town, "Nowhere", RNG.choice(["Bern", "Oslo", "Nice"], rows)),
            "note": [f"note {i}" for i in range(rows)],
        }
    )
    frame.loc[RNG.random(rows) < gaps, "note"] = None
    return frame


TRAIN = table(5000)
SCHEMA = feature_schema(TRAIN, target="", columns_types=TYPES)
REFERENCE = reference_of(TRAIN, SCHEMA)


def drift_of(frame):
    tally = Tally(REFERENCE)
    for start in range(0, len(frame), 700):
        part = frame.iloc[start : start + 700]
        tally.add_rows(len(part))
        for name in frame.columns:
            found = part[name].astype(object).value_counts(dropna=False)
            values = [None if pd.isna(value) else value for value in found.index]
            tally.add(name, values, found.to_numpy())
    return tally.drift()


@pytest.mark.parametrize("rows", [300, 5000])
def test_rows_of_the_same_kind_are_stable(rows):
    for _ in range(10):
        found = drift_of(table(rows))
        assert found["level"] == "none", found
        assert all(each["level"] == "none" for each in found["columns"])


@pytest.mark.parametrize(
    ("column", "changes", "level"),
    [
        ("amount", {"shift": 1.0}, "strong"),
        ("amount", {"shift": 0.4}, "some"),
        ("zeros", {"zeros": 0.4}, "strong"),
        ("town", {"new_town": 0.3}, "strong"),
        ("note", {"gaps": 0.3}, "strong"),
    ],
)
def test_a_column_that_is_another_is_named_first(column, changes, level):
    found = drift_of(table(2000, **changes))
    assert found["level"] == level
    assert (found["columns"][0]["column"], found["columns"][0]["level"]) == (column, level)
    assert {each["level"] for each in found["columns"][1:]} == {"none"}


def test_a_few_rows_cannot_tell_but_a_great_change_can():
    assert drift_of(table(20))["columns"][0]["level"] in {"unknown", "none"}
    assert {each["column"]: each["psi"] for each in drift_of(table(20))["columns"]}["amount"] is None
    assert drift_of(table(60, shift=3.0))["columns"][0]["level"] == "strong"


def test_the_formula():
    then, now = np.array([50.0, 50.0]), np.array([90.0, 10.0])
    psi, luck = stability(then, now)
    assert psi == pytest.approx(0.4 * np.log(1.8) - 0.4 * np.log(0.2))
    assert luck < STRONG
