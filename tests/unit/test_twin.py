"""A twin's answers: by hand, and the same as those of the library that its trees come from."""

import math

import numpy as np
import pandas as pd
import pytest

from ml import twin as twins
from ml.answering import answer_rows
from ml.features import feature_schema, used_features
from ml.prediction import check_rows
from ml.problem import ProblemType
from ml.twin_making import Original, as_rows, make, plain_tree
from tests.unit.ml_samples import SEED, fit, split

BINARY = {
    "problem_type": "binary",
    "classes": ["no", "yes"],
    "positive": 1,
    "threshold": 0.6,
    "inputs": [
        {"name": "age", "kind": "number"},
        {"name": "city", "kind": "category"},
        {"name": "day", "kind": "date"},
    ],
    "columns": [["value", 0], ["is", 1, "Rome"], ["gap", 1], ["value", 2]],
    "outputs": [{"trees": [[0, 30.0, 1, -1.0, [1, 0.5, 0, 0.0, 2.0]], [3, 1.5, 0, 0.25, -0.25], 0.1]}],
}


def test_sums_of_trees_by_hand():
    rows = [
        {"age": 30, "city": "Rome", "day": "1970-01-02"},
        {"age": 31.5, "city": "Rome", "day": "1970-01-02T12:00:00"},
        {"age": None, "city": None, "day": None},
    ]
    assert twins.encode(BINARY, rows)[:2].tolist() == [[30.0, 1.0, 0.0, 1.0], [31.5, 1.0, 0.0, 1.5]]
    assert twins.raw(BINARY, twins.encode(BINARY, rows))[:, 0].tolist() == pytest.approx([-0.65, 2.35, -1.15])
    answers = twins.answers(BINARY, rows)
    assert [answer["prediction"] for answer in answers] == ["no", "yes", "no"]
    assert answers[1]["probabilities"]["yes"] == pytest.approx(1 / (1 + math.exp(-2.35)))


def test_weighted_sums_by_hand_and_shares_of_several_classes():
    output = {"intercept": 1.0, "weights": [2.0, 0.5, 0.0, 0.0], "centres": [30.0, 0.0, 0.0, 0.0]}
    number = {**BINARY, "problem_type": "regression", "classes": [], "positive": None, "outputs": [output]}
    rows = [{"age": 31, "city": "Rome", "day": None}, {"age": None, "city": "Oslo", "day": None}]
    assert [answer["prediction"] for answer in twins.answers(number, rows)] == [3.5, 1.0]
    several = {**BINARY, "problem_type": "multiclass", "classes": ["a", "b", "c"], "positive": None}
    several["outputs"] = [{"trees": [0.0]}, {"trees": [1.0]}, {"trees": [-1.0]}]
    (answer,) = twins.answers(several, rows[:1])
    assert answer["prediction"] == "b"
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)


def test_trees_answer_as_lightgbm_does_gaps_included():
    import lightgbm

    random = np.random.default_rng(SEED)
    values = random.normal(size=(600, 3))
    wanted = values[:, 0] * 2 + (values[:, 1] > 0) + random.normal(size=600) / 10
    values[::7, 0] = np.nan  # the second column never has a gap in training
    options = {"objective": "regression", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}
    booster = lightgbm.train(options, lightgbm.Dataset(values, wanted), num_boost_round=30)
    trees = [plain_tree(each["tree_structure"]) for each in booster.dump_model()["tree_info"]]
    asked = random.normal(size=(200, 3)) * 2
    asked[::5, 0] = asked[::3, 1] = np.nan
    assert twins.raw({"outputs": [{"trees": trees}]}, asked)[:, 0] == pytest.approx(
        booster.predict(asked), abs=1e-9
    )


@pytest.mark.slow
def test_a_twin_learns_a_model_and_is_measured_on_rows_it_has_not_seen(tmp_path):
    random = np.random.default_rng(SEED)
    rows = 900
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 80, rows),
            "income": np.where(random.random(rows) < 0.1, np.nan, random.normal(2000, 500, rows)),
            "city": random.choice(["Rome", "Oslo", "Lima"], rows),
            "joined": pd.to_datetime("2023-01-01") + pd.to_timedelta(random.integers(0, 300, rows), unit="D"),
            "member": random.random(rows) < 0.5,
        }
    )
    frame["left"] = np.where((frame["age"] > 45) ^ (frame["city"] == "Lima"), "stays", "goes")
    train, holdout = split(frame, "left", ProblemType.BINARY)
    predictor = fit(train, "left", ProblemType.BINARY, tmp_path / "fit", families=("GBM",)).predictor
    types = {"age": "integer", "income": "numeric", "city": "category", "joined": "date", "member": "boolean"}
    features = feature_schema(train, target="left", columns_types=types, used=used_features(predictor))
    original = Original(predictor, features, ProblemType.BINARY, "left", "accuracy")

    twin = make(original, holdout=holdout, train=train, seed=SEED, on_progress=lambda stage, progress: None)
    found = twin["agreement"]
    assert (found["rows"], found["is_good"], twin["kind"]) == (len(holdout), True, "trees")
    assert found["twin_score"] == pytest.approx(found["model_score"], abs=0.05)
    assert twin["learned_from"] == {
        "training_rows": len(train),
        "held_out_rows": 0,
        "made_up_rows": 4000 - len(train),
    }

    # What was measured is what the stored twin says to the rows of the contract.
    given = check_rows(features, as_rows(features, holdout)).rows
    same = [
        one["prediction"] == other["prediction"]
        for one, other in zip(
            twins.answers(twin, given), answer_rows(predictor, features, given, is_regression=False), strict=True
        )
    ]
    assert np.mean(same) == found["fidelity"]

    half = make(original, holdout=holdout, train=None, seed=SEED, on_progress=lambda stage, progress: None)
    assert half["agreement"]["rows"] == len(holdout) - len(holdout) // 2
    assert half["learned_from"]["held_out_rows"] == len(holdout) // 2
