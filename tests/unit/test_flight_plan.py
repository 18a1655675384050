"""What is said of a training before it begins."""

from itertools import pairwise

import pytest

from ml.flight_plan import ENSEMBLE, FlightPlan, Machine, Table, make_plan
from ml.problem import Preset, ProblemType

ALL = ("GBM", "CAT", "XGB", "NN_TORCH", "RF", "XT", "LR", "KNN")
SMALL = Table(rows=1_000, numbers=6, categories=2, texts=0, classes=2)


def plan(table: Table = SMALL, **changes: object) -> FlightPlan:
    values = {
        "problem_type": ProblemType.BINARY,
        "preset": Preset.QUICK,
        "time_limit": 60,
        "keys": None,
        "usable": ALL,
        "machine": Machine(cores=2, memory=2**33),
    }
    return make_plan(table, **(values | changes))  # type: ignore[arg-type]


def names(made: FlightPlan) -> list[str]:
    return [model.name for model in made.models]


def test_the_preset_decides_what_is_tried_and_why_the_rest_is_not():
    quick = plan()
    assert names(quick) == [
        *("LightGBMXT", "LightGBM", "CatBoost", "XGBoost", "NeuralNetTorch", "LightGBMLarge", ENSEMBLE)
    ]
    assert {model.name for model in quick.left_out} == {"KNeighbors", "RandomForest", "ExtraTrees", "LinearModel"}
    assert all(model.reason for model in quick.left_out)
    best = plan(preset=Preset.BEST, time_limit=1200)
    assert {"RandomForest", "ExtraTrees"} <= set(names(best))
    assert (quick.more, quick.folds, best.folds) == (0, 1, 8)
    assert best.more > 50
    assert best.meets_limit


def test_what_is_ticked_is_tried_and_what_cannot_be_says_so():
    made = plan(
        keys=("GBM", "KNN", "XGB"), usable=("GBM", "KNN"), table=Table(rows=500, numbers=0, categories=3, texts=0)
    )
    assert names(made) == ["LightGBMXT", "LightGBM", "LightGBMLarge", ENSEMBLE]
    reasons = {model.name: model.reason for model in made.left_out}
    assert "not installed" in reasons["XGBoost"]
    assert "columns of numbers" in reasons["KNeighbors"]
    assert reasons["CatBoost"] == "not ticked"
    assert names(plan(keys=("LR",))) == ["LinearModel"]


@pytest.mark.parametrize("preset", Preset)
def test_a_larger_table_never_takes_less(preset):
    tables = [
        Table(rows=rows, numbers=10, categories=5, texts=1, classes=2) for rows in (100, 1_000, 20_000, 10**6)
    ]
    made = [plan(table, preset=preset, time_limit=3600) for table in tables]
    for smaller, larger in pairwise(made):
        assert larger.seconds >= smaller.seconds
        assert larger.fit >= smaller.fit
        assert larger.memory > smaller.memory


def test_the_time_limit_bounds_the_fit_and_what_is_beyond_it_is_marked():
    made = plan(Table(rows=200_000, numbers=40, categories=0, texts=0, classes=2), time_limit=30)
    assert made.meets_limit
    assert made.fit <= 30
    assert not made.models[-2].in_time
    assert made.models[-1].name == ENSEMBLE
    for model in made.models:
        assert not model.in_time or model.begins + model.seconds <= 30.5
    longest = made.seconds[1]
    assert (
        plan(Table(rows=200_000, numbers=40, categories=0, texts=0, classes=2), time_limit=300).seconds[1] > longest
    )


def test_many_classes_folds_and_a_slower_server_take_longer_and_more_cores_less():
    usual = plan(time_limit=3600)
    many = Table(rows=1_000, numbers=6, categories=2, texts=0, classes=30)
    assert plan(many, problem_type=ProblemType.MULTICLASS, time_limit=3600).fit > usual.fit
    assert plan(preset=Preset.BALANCED, time_limit=3600).fit > 4 * usual.fit
    assert plan(correction=2.0, time_limit=3600).fit > 1.9 * usual.fit
    assert plan(machine=Machine(cores=16, memory=2**33), time_limit=3600).fit < usual.fit


def test_the_folds_that_judge_a_small_table_are_part_of_the_plan():
    small = Table(rows=300, numbers=6, categories=2, texts=0, classes=2)
    usual, judged = plan(small), plan(small, cross_validates=True)
    assert usual.checks is None
    # Once at least, three times at most, each by five fits.
    fewest, most = judged.checks
    assert 5 <= fewest <= most <= 15
    assert judged.seconds[1] > usual.seconds[1] + 5
    assert plan(small, cross_validates=True, time_limit=600).checks == (15, 15)
    # However short the limit is: one round is made, in which a fold has five seconds.
    short = plan(small, cross_validates=True, time_limit=10)
    assert short.checks[0] == 5
    assert short.seconds[1] < usual.seconds[1] + 5 * 8
