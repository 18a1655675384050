"""What a suspect is among the columns of a training, and what is said of leaving one out."""

from dataclasses import replace

import pandas as pd
import pytest

from ml.autopsy import MOST_SUSPECTS, fits_for, suspects_of
from ml.options import HoldoutKind
from ml.problem import ProblemType
from ml.profile_records import Relation
from ml.retracing import without
from ml.splits import HoldoutPlan, split


def relation(column: str, suspicion: str = "high") -> Relation:
    return Relation(
        column=column,
        score=0.99,
        metric="balanced accuracy",
        baseline=0.5,
        strength=0.98,
        suspicion=suspicion,
        sentence="",
    )


def test_only_suspects_that_were_trained_on_are_left_out():
    relations = [relation("copy"), relation("left out"), relation("honest", "")]
    assert [found.column for found in suspects_of(relations, ["honest", "copy"])] == ["copy"]


@pytest.mark.parametrize(("suspects", "fits"), [(0, 0), (1, 2), (2, 4), (MOST_SUSPECTS + 5, MOST_SUSPECTS + 2)])
def test_one_fit_with_all_one_without_each_and_one_without_any(suspects, fits):
    assert fits_for(suspects) == fits


def test_both_parts_lose_the_column_but_one_that_orders_the_rows_stays_unseen():
    frame = pd.DataFrame({"day": range(100), "copy": [i % 2 for i in range(100)], "y": [i % 2 for i in range(100)]})
    plan = HoldoutPlan(kind=HoldoutKind.TIME, column="day", share=0.2)
    parts = split(frame, target="y", problem_type=ProblemType.BINARY, plan=plan)
    assert parts.train_places.tolist() == list(range(80))
    rest = without(parts, ["copy", "day"])
    assert list(rest.train) == list(rest.holdout) == ["day", "y"]
    assert rest.ignored == ("day",)
    assert list(rest.features_only()[1]) == ["y"]
    assert replace(rest, train=parts.train, holdout=parts.holdout, ignored=()) == parts


def test_the_rows_of_both_parts_are_those_of_the_table():
    frame = pd.DataFrame({"x": range(100), "y": [float(i) if i % 3 else None for i in range(100)]})
    parts = split(frame, target="y", problem_type=ProblemType.REGRESSION, plan=HoldoutPlan(seed=3))
    for part, places in ((parts.train, parts.train_places), (parts.holdout, parts.places)):
        assert frame["x"].to_numpy()[places].tolist() == part["x"].tolist()
    assert len(set(parts.train_places) | set(parts.places)) == len(parts.train) + len(parts.holdout) == 66
