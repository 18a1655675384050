"""Explanations of models whose truth is known: the target depends on one column alone."""

import numpy as np
import pandas as pd
import pytest

from ml import explaining
from ml.explaining import Model, explain
from ml.prediction import feature_schema
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from tests.unit import ml_samples


def planted(rows=400):
    """``y`` is ten times ``a``, and a little luck; ``noise`` and ``group`` say nothing."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=rows),
            "noise": rng.normal(size=rows),
            "group": rng.choice(["x", "y", "z"], size=rows),
        }
    )
    frame["y"] = 10 * frame["a"] + rng.normal(scale=0.5, size=rows)
    return frame


def model_of(train, target, problem_type, directory, metric):
    fitted = ml_samples.fit(train, target, problem_type, directory)
    types = {"group": "category"}
    features = feature_schema(train, target=target, columns_types=types)
    return Model(fitted.predictor, features, problem_type, metric, target)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    frame = planted()
    directory = tmp_path_factory.mktemp("explaining") / "numbers"
    kind = ProblemType.REGRESSION
    return model_of(frame.head(300), "y", kind, directory, "root_mean_squared_error"), frame.tail(100)


def told(model, rows, **changes):
    with quiet_autogluon():
        return explain(model, rows, all_rows=len(rows), **changes)


def test_the_column_that_decides_matters_and_noise_does_not(numbers):
    found = told(*numbers)
    by_name = {each["column"]: each for each in found["importances"]}
    assert found["importances"][0]["column"] == "a"
    assert by_name["a"]["low"] > 5
    assert by_name["a"]["low"] < by_name["a"]["worse"] < by_name["a"]["high"]
    for column in ("noise", "group"):
        assert by_name[column]["low"] <= 0 <= by_name[column]["high"]
    assert (found["rows"], found["shuffles"], found["left_out"]) == (100, explaining.SHUFFLES, [])


def test_a_column_that_changes_no_answer_makes_no_difference_by_rounding():
    """The mean of five equal scores may differ from them in the last digit: that is not importance."""
    score = 0.1 + 0.2
    drawn = explaining._without_rounding(np.array([0.0, 5.6e-17, -5.6e-17, 0.001]), score)
    assert drawn.tolist() == [0.0, 0.0, 0.0, 0.001]


def test_a_linear_effect_rises_and_a_category_has_its_values(numbers):
    effects = {each["column"]: each for each in told(*numbers)["effects"]}
    [mean] = effects["a"]["mean"]
    assert mean == sorted(mean)
    slope = np.polyfit(effects["a"]["values"], mean, 1)[0]
    assert slope == pytest.approx(10, rel=0.05)
    assert len(effects["a"]["curves"]) == explaining.CURVES
    assert {len(curve) for curve in effects["a"]["curves"]} == {len(mean)}
    assert sorted(effects["group"]["values"]) == ["x", "y", "z"]


def test_without_time_columns_are_left_out_and_named(numbers, monkeypatch):
    monkeypatch.setattr(explaining, "IMPORTANCE_SECONDS", -1.0)
    found = told(*numbers)
    assert (found["importances"], found["left_out"]) == ([], ["a", "noise", "group"])
    monkeypatch.undo()
    monkeypatch.setattr(explaining, "EFFECT_SECONDS", -1.0)
    assert {why for _, why in told(*numbers)["no_effect"]} == {"the time was up"}


def test_classes_have_a_line_each_and_gaps_do_no_harm(tmp_path):
    frame = ml_samples.wine().sample(frac=1, random_state=0)
    frame.loc[frame.index[::9], "proline"] = None
    model = model_of(frame.head(130), "cultivar", ProblemType.MULTICLASS, tmp_path / "model", "log_loss")
    found = told(model, frame.tail(48))
    assert found["lower_is_better"]
    for effect in found["effects"]:
        assert effect["classes"] == ["0", "1", "2"]
        np.testing.assert_allclose(np.sum(effect["mean"], axis=0), 1, atol=1e-5)
        assert effect["curves"] == []
