"""The numbers behind the figures, compared with scikit-learn's, and promises that are kept."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from ml.answers import answer_holdout
from ml.diagnosis import conformal_reach, diagnose
from ml.problem import Preset, ProblemType
from ml.segments import segments_of
from tests.unit.ml_samples import cancer, diabetes, fit, split, wine

BINARY, MULTICLASS, REGRESSION = ProblemType.BINARY, ProblemType.MULTICLASS, ProblemType.REGRESSION


class Case:
    """One fitted sample and its diagnosis."""

    def __init__(self, frame, target, problem_type, directory, **changes):
        train, self.holdout = split(frame, target, problem_type)
        self.predictor = fit(train, target, problem_type, directory, **changes).predictor
        parts = {"holdout": self.holdout, "target": target, "problem_type": problem_type}
        said = answer_holdout(self.predictor, train=train, **parts)
        self.found = diagnose(self.predictor, said=said, **parts)
        self.truth = self.holdout[target]


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return Case(cancer(), "outcome", BINARY, tmp_path_factory.mktemp("binary") / "p", families=("LR",))


@pytest.fixture(scope="module")
def multiclass(tmp_path_factory):
    return Case(wine(), "cultivar", MULTICLASS, tmp_path_factory.mktemp("multiclass") / "p")


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    return Case(diabetes(), "progression", REGRESSION, tmp_path_factory.mktemp("regression") / "p")


@pytest.mark.slow
def test_everything_is_plain_json(binary, multiclass, regression):
    for case in (binary, multiclass, regression):
        assert json.loads(json.dumps(case.found, allow_nan=False)) == case.found


@pytest.mark.slow
def test_the_confusion_matrix_is_scikit_learns(binary, multiclass):
    for case in (binary, multiclass):
        confusion = case.found["confusion"]
        predicted = case.predictor.predict(case.holdout)
        labels = case.predictor.class_labels
        assert confusion["labels"] == [str(label) for label in labels]
        assert confusion["counts"] == metrics.confusion_matrix(case.truth, predicted, labels=labels).tolist()
        assert sum(each["rows"] for each in case.found["classes"]) == len(case.truth) == case.found["rows"]


@pytest.mark.slow
def test_areas_and_probabilities_are_scikit_learns(binary, multiclass):
    shares = binary.predictor.predict_proba(binary.holdout)["malignant"]
    truth = binary.truth == "malignant"
    [roc], [pr] = binary.found["roc"], binary.found["precision_recall"]
    assert roc["label"] == "malignant"
    assert roc["area"] == pytest.approx(metrics.roc_auc_score(truth, shares))
    assert pr["area"] == pytest.approx(metrics.average_precision_score(truth, shares))
    assert binary.found["calibration"]["brier"] == pytest.approx(metrics.brier_score_loss(truth, shares), rel=1e-5)
    assert sum(each["rows"] for each in binary.found["calibration"]["bins"]) == len(truth)
    assert len(multiclass.found["roc"]) == 3
    assert "thresholds" not in multiclass.found


@pytest.mark.slow
def test_a_threshold_is_shown_on_validation_rows_and_what_came_of_it_on_the_holdout(binary):
    shares = binary.predictor.predict_proba(binary.holdout)["malignant"]
    truth = binary.truth == "malignant"
    for each in binary.found["thresholds"]:
        said = shares >= each["threshold"]
        assert each["holdout"]["tp"] == int((truth & said).sum())
        assert sum(each["holdout"].values()) == len(truth)
        # The rows it is chosen on are others, taken from those of the fit.
        assert 0 < sum(each["validation"].values()) < len(cancer()) - len(truth)


@pytest.mark.slow
def test_figures_of_numbers(regression):
    found = regression.found
    predicted = regression.predictor.predict(regression.holdout)
    assert found["predicted"] == pytest.approx(predicted.tolist())
    assert found["actual"] == regression.truth.tolist()
    assert sum(found["residuals"]["counts"]) == len(regression.truth)
    inside = np.abs(regression.truth - predicted) <= found["coverage"]["reach"]
    assert found["coverage"]["covered"] == pytest.approx(inside.mean())


@pytest.mark.slow
def test_a_refitted_bag_is_judged_by_its_out_of_fold_answers(tmp_path):
    case = Case(cancer(), "outcome", BINARY, tmp_path / "p", preset=Preset.BALANCED, families=("LR",))
    assert case.found["coverage"]["calibration_rows"] == len(cancer()) - len(case.truth)


def test_the_reach_holds_as_many_further_rows_as_it_promises():
    rng = np.random.default_rng(5)
    kept = []
    for _ in range(200):
        reach = conformal_reach(np.abs(rng.normal(size=60)), 0.9)
        kept.append((np.abs(rng.normal(size=500)) <= reach).mean())
    assert 0.895 < np.mean(kept) < 0.925


def test_too_few_rows_promise_nothing():
    assert conformal_reach(np.arange(8.0), 0.9) is None
    assert conformal_reach(np.arange(9.0), 0.9) == 8.0


def test_the_columns_where_the_error_differs_come_first():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "noise": rng.normal(size=400),
            "side": ["left", "right"] * 200,
            "size": np.arange(400.0),
            "few": [1, 2] * 200,
            "when": pd.date_range("2024-01-01", periods=400),
        }
    )
    frame.loc[:24, "side"] = None
    errors = np.where(frame["side"] == "left", 5.0, 1.0) + rng.normal(0, 0.1, 400)
    first, *_ = found = segments_of(frame, errors)
    assert first["column"] in {"side", "few"}
    side = next(each for each in found if each["column"] == "side")
    assert [(part["name"], part["rows"]) for part in side["segments"]] == [
        ("right", 188),
        ("left", 187),
        ("missing", 25),
    ]
    left = side["segments"][1]
    assert left["error"] == pytest.approx(5, abs=0.05)
    assert left["low"] < left["error"] < left["high"]
    few = next(each for each in found if each["column"] == "few")
    assert [part["name"] for part in few["segments"]] == ["1", "2"]
    when = next(each for each in found if each["column"] == "when")
    assert when["segments"][0]["name"].startswith("2024-01-01 to 2024-03-")
    assert len(when["segments"]) == 5


def test_the_interval_of_a_share_is_one_of_shares():
    """Errors of 0 and 1 are wrong answers; no share is below none of them, and none in few rows is no certainty."""
    frame = pd.DataFrame({"side": ["left"] * 40 + ["right"] * 40})
    wrong = np.array([1.0] + [0.0] * 39 + [0.0] * 40)
    left, right = segments_of(frame, wrong)[0]["segments"]
    assert 0 < left["low"] < 1 / 40 < left["high"] < 0.15
    assert (right["error"], right["low"]) == (0, 0)
    assert 0.05 < right["high"] < 0.1
    far = np.where(np.arange(80) == 0, 900.0, np.where(frame["side"] == "left", 0.5, 0.0))
    assert min(part["low"] for part in segments_of(frame, far)[0]["segments"]) == 0


def test_columns_that_tell_nothing_are_left_out():
    frame = pd.DataFrame({"constant": [1] * 100, "half": ["a"] * 50 + ["b"] * 50, "rare": list(range(100))})
    assert segments_of(frame, np.ones(100)) == []
    assert segments_of(frame.head(10), np.arange(10.0)) == []
