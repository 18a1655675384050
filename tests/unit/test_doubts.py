"""Which answers are worth a look: numbers by their distance, classes by confident learning, rows by their place."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml import doubts
from ml.column_types import PLAIN
from ml.options import HoldoutKind
from ml.problem import Preset, ProblemType
from ml.retracing import Settings
from ml.splits import HoldoutPlan, split
from smartml.errors import TrainingFailed

SETTINGS = Settings(
    target="y",
    problem_type=ProblemType.REGRESSION,
    plan=HoldoutPlan(seed=1),
    leave_out=(),
    types={},
    formats=PLAIN,
    preset=Preset.QUICK,
    metric="root_mean_squared_error",
    families=("LR",),
    balance_classes=False,
    train_rows=0,
    holdout_rows=0,
)


class Oracle:
    """A model that knows the rule."""

    def __init__(self, *labels: str) -> None:
        self.columns = ["x"]
        self.labels = list(labels)

    def outputs(self, frame):
        if not self.labels:
            return frame[["x"]].to_numpy(dtype="float64")
        high = 0.9 * (frame["x"].to_numpy() >= 60) + 0.05
        return np.column_stack([1 - high, high])


@pytest.fixture
def unfitted(monkeypatch):
    """No fold is fitted: what a perfect model would say of rows it has not seen."""

    def said(parts, rows, settings, labels, *others):
        return Oracle(*labels).outputs(rows)

    monkeypatch.setattr(doubts, "_out_of_fold", said)


def parts_of(frame, problem_type):
    return split(frame, target="y", problem_type=problem_type, plan=SETTINGS.plan)


def test_numbers_far_beyond_the_reach_of_their_part_are_listed_the_farthest_first(unfitted):
    rng = np.random.default_rng(0)
    x = np.arange(200.0)
    y = x + rng.normal(size=200)
    y[20], y[77], y[150] = 60.0, 0.0, 149.0
    parts = parts_of(pd.DataFrame({"x": x, "y": y}), ProblemType.REGRESSION)
    found = doubts.find_doubts(parts, SETTINGS, Oracle(), seconds=1, holdout_reach=1.6)
    assert [doubt["row"] for doubt in found["doubts"]][:2] == [78, 21]
    assert 151 not in {doubt["row"] for doubt in found["doubts"]}
    held_out = set(parts.places + 1)
    for doubt in found["doubts"]:
        reach = found["holdout_reach"] if doubt["held_out"] else found["train_reach"]
        assert doubt["held_out"] == (doubt["row"] in held_out)
        place = doubt["row"] - 1
        assert doubt["reaches"] == pytest.approx(abs(y[place] - x[place]) / reach)
        assert float(doubt["given"]) == pytest.approx(y[place])
    # Without a reach the rows held out say nothing; nobody is told that they are fine.
    blind = doubts.find_doubts(parts, SETTINGS, Oracle(), seconds=1, holdout_reach=None)
    assert not any(doubt["held_out"] for doubt in blind["doubts"])


def test_classes_that_nobody_expects_are_listed_and_a_class_too_rare_is_left_out(unfitted):
    x = np.arange(120)
    y = np.where(x >= 60, "high", "low").astype(object)
    y[[5, 90]] = ["high", "low"]
    y[[30, 31]] = "rare"
    parts = parts_of(pd.DataFrame({"x": x, "y": y}), ProblemType.MULTICLASS)
    settings = replace(SETTINGS, problem_type=ProblemType.MULTICLASS)
    found = doubts.find_doubts(parts, settings, Oracle("low", "high"), seconds=1, holdout_reach=None)
    assert {doubt["row"]: (doubt["given"], doubt["expected"]) for doubt in found["doubts"]} == {
        6: ("high", "low"),
        91: ("low", "high"),
    }
    assert found["found"] == 2
    assert found["doubts"][0]["given_share"] == pytest.approx(0.05)
    assert found["skipped"] == 2
    assert found["train_rows"] + found["holdout_rows"] == 118


def test_a_table_too_small_to_say_anything_is_refused_with_the_next_step():
    frame = pd.DataFrame({"x": range(12), "y": ["a", "b"] * 6})
    with pytest.raises(TrainingFailed, match="Too few rows") as refused:
        doubts.find_doubts(
            parts_of(frame, ProblemType.BINARY),
            replace(SETTINGS, problem_type=ProblemType.BINARY),
            Oracle("a", "b"),
            seconds=1,
            holdout_reach=None,
        )
    assert "more rows" in refused.value.hint


def test_a_group_is_never_judged_by_a_model_that_has_seen_the_rest_of_it():
    frame = pd.DataFrame({"who": [f"p{i % 10}" for i in range(100)], "y": [float(i) for i in range(100)]})
    settings = replace(SETTINGS, plan=HoldoutPlan(kind=HoldoutKind.GROUP, column="who"))
    for inside, outside in doubts._cut(frame, settings):
        assert not set(frame["who"][inside]) & set(frame["who"][outside])


def test_the_judges_are_of_a_family_that_is_allowed():
    assert doubts.family_of(replace(SETTINGS, families=None)) == "GBM"
    assert doubts.family_of(replace(SETTINGS, families=("LR", "CAT"))) == "CAT"
    with pytest.raises(TrainingFailed):
        doubts.family_of(replace(SETTINGS, families=("FOO",)))
