"""Scores on the holdout, compared with scikit-learn's own on the same rows."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from ml import evaluation
from ml.evaluation import Evaluation, ModelRow, evaluate
from ml.problem import Preset, ProblemType
from smartml.errors import TrainingFailed
from tests.unit.ml_samples import cancer, diabetes, fit, split, wine

BINARY, MULTICLASS, REGRESSION = ProblemType.BINARY, ProblemType.MULTICLASS, ProblemType.REGRESSION

pytestmark = pytest.mark.slow


class Case:
    """One fitted and evaluated sample."""

    def __init__(self, frame, target, problem_type, directory, **changes):
        self.target = target
        self.train, self.holdout = split(frame, target, problem_type)
        self.predictor = fit(self.train, target, problem_type, directory, **changes).predictor
        self.evaluation = evaluate(
            self.predictor, train=self.train, holdout=self.holdout, target=target, problem_type=problem_type
        )
        self.truth = self.holdout[target]
        self.predicted = self.predictor.predict(self.holdout)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return Case(cancer(), "outcome", BINARY, tmp_path_factory.mktemp("binary") / "p", families=("LR", "CAT"))


@pytest.fixture(scope="module")
def multiclass(tmp_path_factory):
    return Case(wine(), "cultivar", MULTICLASS, tmp_path_factory.mktemp("multiclass") / "p")


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    return Case(diabetes(), "progression", REGRESSION, tmp_path_factory.mktemp("regression") / "p")


def test_binary_metrics_are_scikit_learns(binary):
    found, truth = binary.evaluation.metrics, binary.truth
    shares = binary.predictor.predict_proba(binary.holdout)[["benign", "malignant"]].astype("float64")
    shares = shares.div(shares.sum(axis=1), axis=0)
    positive = truth == "malignant"
    assert binary.evaluation.positive_class == "malignant"
    assert binary.evaluation.classes == ("benign", "malignant")
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, binary.predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, binary.predicted),
            "log_loss": metrics.log_loss(truth, shares),
            "roc_auc": metrics.roc_auc_score(positive, shares["malignant"]),
            "f1": metrics.f1_score(positive, binary.predicted == "malignant"),
        },
        rel=1e-5,
    )


def test_multiclass_metrics_are_scikit_learns(multiclass):
    found, truth = multiclass.evaluation.metrics, multiclass.truth
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, multiclass.predicted))
    assert found["f1_macro"] == pytest.approx(metrics.f1_score(truth, multiclass.predicted, average="macro"))
    assert set(found) == {"accuracy", "balanced_accuracy", "log_loss", "f1_macro"}
    assert multiclass.evaluation.classes == ("0", "1", "2")
    assert multiclass.evaluation.positive_class is None


def test_regression_metrics_are_scikit_learns(regression):
    truth, predicted = regression.truth, regression.predicted
    assert regression.evaluation.metrics == pytest.approx(
        {
            "root_mean_squared_error": metrics.root_mean_squared_error(truth, predicted),
            "mean_absolute_error": metrics.mean_absolute_error(truth, predicted),
            "median_absolute_error": metrics.median_absolute_error(truth, predicted),
            "r2": metrics.r2_score(truth, predicted),
        },
        rel=1e-5,
    )
    assert regression.evaluation.classes == ()


def test_the_baseline_is_the_majority_class_or_the_training_mean(binary, regression):
    majority = binary.train["outcome"].mode().iloc[0]
    assert binary.evaluation.baseline == pytest.approx((binary.truth == majority).mean())
    assert binary.evaluation.baseline_metrics["roc_auc"] == 0.5
    mean = regression.train["progression"].mean()
    assert regression.evaluation.baseline == pytest.approx(math.sqrt(((regression.truth - mean) ** 2).mean()))
    assert regression.evaluation.baseline_metrics.keys() == regression.evaluation.metrics.keys()


def test_the_headline_is_the_best_model_by_validation_in_the_natural_sign(binary, multiclass, regression):
    for case in (binary, multiclass, regression):
        evaluation = case.evaluation
        assert evaluation.score == evaluation.metrics[evaluation.metric_name]
        first = evaluation.leaderboard[0]
        assert first.name == evaluation.best_model
        assert first.holdout_score == pytest.approx(evaluation.score, rel=1e-5)
        better = min if evaluation.lower_is_better else max
        assert first.val_score == better(row.val_score for row in evaluation.leaderboard)
    assert regression.evaluation.metric_name == "root_mean_squared_error"
    assert regression.evaluation.lower_is_better
    assert all(row.holdout_score > 0 and row.val_score > 0 for row in regression.evaluation.leaderboard)


def test_a_real_signal_beats_the_baseline(binary, multiclass, regression):
    assert binary.evaluation.score > binary.evaluation.baseline + 0.1
    assert multiclass.evaluation.score > multiclass.evaluation.baseline + 0.3
    assert regression.evaluation.score < regression.evaluation.baseline * 0.95


def test_random_labels_do_not_beat_the_baseline_beyond_chance(tmp_path):
    rng = np.random.default_rng(3)
    frame = cancer(400)
    frame["outcome"] = rng.permutation(np.repeat(["heads", "tails"], 200))
    evaluation = Case(frame, "outcome", BINARY, tmp_path / "p").evaluation
    three_sigma = 3 * math.sqrt(0.25 / evaluation.holdout_rows)
    assert abs(evaluation.score - 0.5) < three_sigma
    assert abs(evaluation.metrics["roc_auc"] - 0.5) < 3 * 0.58 / math.sqrt(evaluation.holdout_rows)


def test_rows_learned_by_heart_do_not_help_in_a_table_that_stands_twice(tmp_path):
    rng = np.random.default_rng(3)
    frame = cancer(400)
    frame["outcome"] = rng.permutation(np.repeat(["heads", "tails"], 200))
    evaluation = Case(pd.concat([frame, frame]), "outcome", BINARY, tmp_path / "p", families=("GBM",)).evaluation
    # Every row counts twice, so chance spreads as in half as many.
    three_sigma = 3 * math.sqrt(0.25 / (evaluation.holdout_rows / 2))
    assert abs(evaluation.score - 0.5) < three_sigma
    assert (evaluation.duplicate_rows, evaluation.seen_rows) == (400, 0)


def test_rows_in_both_parts_are_counted(multiclass):
    train = pd.concat([multiclass.train, multiclass.holdout.head(3)])
    evaluation = evaluate(
        multiclass.predictor, train=train, holdout=multiclass.holdout, target="cultivar", problem_type=MULTICLASS
    )
    assert (multiclass.evaluation.duplicate_rows, multiclass.evaluation.seen_rows) == (0, 0)
    assert (evaluation.duplicate_rows, evaluation.seen_rows) == (3, 3)


def test_every_model_has_scores_and_times(binary):
    rows = binary.evaluation.leaderboard
    assert {"LinearModel", "CatBoost"} <= {row.name for row in rows}
    assert all(row.fit_seconds > 0 and row.predict_seconds_per_row > 0 for row in rows)
    assert (binary.evaluation.train_rows, binary.evaluation.holdout_rows) == (192, 48)


def test_refitted_models_show_their_parents_validation_score(tmp_path):
    evaluation = Case(cancer(), "outcome", BINARY, tmp_path / "p", preset=Preset.BALANCED).evaluation
    assert all(row.name.endswith("_FULL") for row in evaluation.leaderboard)
    assert all(0 < row.val_score <= 1 and 0 < row.holdout_score <= 1 for row in evaluation.leaderboard)
    assert evaluation.leaderboard[0].name == evaluation.best_model


def test_it_goes_through_json_unchanged(binary, multiclass, regression):
    for case in (binary, multiclass, regression):
        text = json.dumps(case.evaluation.as_dict(), allow_nan=False)
        assert Evaluation.from_dict(json.loads(text)) == case.evaluation


def test_from_dict_ignores_what_it_does_not_know(regression):
    data = {**regression.evaluation.as_dict(), "from_the_future": 1}
    assert Evaluation.from_dict(data) == regression.evaluation
    assert isinstance(Evaluation.from_dict(data).leaderboard[0], ModelRow)


def test_an_older_report_did_not_count_repeated_rows(regression):
    data = regression.evaluation.as_dict()
    del data["duplicate_rows"], data["seen_rows"]
    found = Evaluation.from_dict(data)
    assert (found.duplicate_rows, found.seen_rows) == (None, 0)


def test_an_undefined_metric_is_none_and_said(binary, regression):
    one_class = binary.holdout[binary.truth == "benign"]
    evaluation = evaluate(
        binary.predictor, train=binary.train, holdout=one_class, target="outcome", problem_type=BINARY
    )
    assert evaluation.metrics["roc_auc"] is None
    assert "both classes" in evaluation.undefined["roc_auc"]
    constant = regression.holdout.assign(progression=100.0)
    evaluation = evaluate(
        regression.predictor,
        train=regression.train,
        holdout=constant,
        target="progression",
        problem_type=REGRESSION,
        dropped_rows=3,
    )
    assert evaluation.metrics["r2"] is None
    assert "differ" in evaluation.undefined["r2"]
    assert evaluation.dropped_rows == 3


def test_no_finite_score_is_a_failure_with_a_reason(regression):
    # The square of such an error is beyond what a double holds.
    holdout = regression.holdout.assign(progression=1e200)
    with pytest.raises(TrainingFailed, match="no usable numbers"):
        evaluate(
            regression.predictor,
            train=regression.train,
            holdout=holdout,
            target="progression",
            problem_type=REGRESSION,
        )


def test_each_model_of_the_leaderboard_has_the_score_of_its_own_predictions(binary, regression):
    for case, score in ((binary, metrics.accuracy_score), (regression, metrics.root_mean_squared_error)):
        assert len(case.evaluation.leaderboard) > 1
        for row in case.evaluation.leaderboard:
            predicted = case.predictor.predict(case.holdout, model=row.name)
            assert row.holdout_score == pytest.approx(score(case.truth, predicted), rel=1e-5)
            assert row.predict_seconds_per_row > 0


def test_every_defined_metric_has_an_interval_around_it(binary, multiclass, regression):
    for case in (binary, multiclass, regression):
        evaluation = case.evaluation
        assert evaluation.resamples == 1000
        assert set(evaluation.intervals) == set(evaluation.metrics)
        for name, (low, high) in evaluation.intervals.items():
            assert low <= evaluation.metrics[name] <= high
            assert low < high
        for row in evaluation.leaderboard:
            assert row.interval[0] <= row.holdout_score <= row.interval[1]


def test_the_chosen_model_is_tied_with_itself_and_only_a_plainly_quicker_one_is_recommended(binary, regression):
    for case in (binary, regression):
        rows = {row.name: row for row in case.evaluation.leaderboard}
        chosen = rows[case.evaluation.best_model]
        assert chosen.tied
        assert all(row.one_row_seconds > 0 and row.size > 0 for row in rows.values())
        if (named := case.evaluation.recommended) is not None:
            assert rows[named].tied
            assert rows[named].one_row_seconds <= 0.8 * chosen.one_row_seconds


def test_what_cannot_be_quicker_is_not_recommended_however_it_was_timed():
    row = ModelRow(
        name="A", val_score=0.9, holdout_score=0.9, fit_seconds=1, predict_seconds_per_row=1, one_row_seconds=0.01
    )
    rows = [
        replace(row, tied=True),
        replace(row, name="Blend of A", one_row_seconds=0.002, tied=True),
        replace(row, name="Hardly", one_row_seconds=0.009, tied=True),
        replace(row, name="Worse", one_row_seconds=0.001, tied=False),
    ]
    assert evaluation._quickest(rows, best="A", holds_best={"Blend of A"}) is None
    assert evaluation._quickest(rows, best="A", holds_best=set()) == "Blend of A"
    plainly = [*rows, replace(row, name="Plainly", one_row_seconds=0.007, tied=True)]
    assert evaluation._quickest(plainly, best="A", holds_best={"Blend of A"}) == "Plainly"
    assert evaluation._quickest([replace(row, one_row_seconds=None), *plainly[1:]], best="A", holds_best=()) is None


def test_an_evaluation_of_an_earlier_version_can_be_read(regression):
    stored = json.loads(json.dumps(regression.evaluation.as_dict()))
    assert Evaluation.from_dict(stored) == regression.evaluation
    for newer in ("intervals", "resamples", "recommended"):
        del stored[newer]
    for row in stored["leaderboard"]:
        for newer in ("one_row_seconds", "size", "interval", "tied"):
            del row[newer]
    old = Evaluation.from_dict(stored)
    assert (old.intervals, old.recommended, old.leaderboard[0].interval) == ({}, None, None)


def test_planted_random_labels_do_not_beat_the_baseline_beyond_chance(tmp_path):
    beaten = 0
    for seed in range(4):
        draw = np.random.default_rng(seed)
        frame = pd.DataFrame(draw.normal(size=(400, 5)), columns=list("abcde"))
        frame["outcome"] = draw.choice(["heads", "tails"], 400)
        found = Case(frame, "outcome", BINARY, tmp_path / str(seed), families=("GBM",)).evaluation
        beaten += found.intervals["accuracy"][0] > found.baseline
    # One interval in forty lies above by chance.
    assert beaten <= 1


def test_planted_a_rare_class_is_in_both_parts_and_does_not_hide_behind_accuracy(tmp_path):
    draw = np.random.default_rng(12)
    frame = pd.DataFrame(draw.normal(size=(600, 3)), columns=list("abc"))
    frame["outcome"] = np.where(frame["a"] + 0.1 * draw.normal(size=600) > 1.7, "ill", "well")
    case = Case(frame, "outcome", BINARY, tmp_path / "p", families=("LR",), metric="balanced_accuracy")
    rare = [(part["outcome"] == "ill").mean() for part in (case.train, case.holdout)]
    assert all(0.02 < share < 0.08 for share in rare)
    found = case.evaluation
    assert (found.metric_name, found.baseline) == ("balanced_accuracy", 0.5)
    assert found.baseline_metrics["accuracy"] > 0.9
    assert found.score > 0.7
