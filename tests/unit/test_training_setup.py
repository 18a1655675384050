"""Fits with chosen metrics, weights, families and ways of validating, and whether they can be repeated."""

import time

import numpy as np
import pandas as pd
import pytest

from ml import evaluation, splits
from ml.options import METRICS, HoldoutKind
from ml.problem import Preset, ProblemType
from ml.splits import HoldoutPlan
from tests.unit.ml_samples import cancer, diabetes, fit, split, wine

BINARY, MULTICLASS, REGRESSION = ProblemType.BINARY, ProblemType.MULTICLASS, ProblemType.REGRESSION
GROUP, TIME = HoldoutKind.GROUP, HoldoutKind.TIME


def evaluate(result, train, holdout, problem_type, target="outcome"):
    return evaluation.evaluate(
        result.predictor, train=train, holdout=holdout, target=target, problem_type=problem_type
    )


def test_with_a_fixed_family_the_same_seed_gives_the_same_holdout_score(tmp_path):
    """Accuracy on few rows ties often; which of the tied models is taken must not hang on the clock."""
    scores = []
    for n in range(2):
        train, holdout = split(cancer(), "outcome", BINARY, seed=3)
        result = fit(train, "outcome", BINARY, tmp_path / str(n), seed=3, families=("GBM",), time_limit=300)
        assert not result.ran_out_of_time
        scores.append((result.best_model, evaluate(result, train, holdout, BINARY).metrics))
    assert scores[0] == scores[1]


def test_a_tie_is_the_simplest_models_whatever_was_quickest(tmp_path):
    result = fit(wine(), "cultivar", MULTICLASS, tmp_path / "p", families=("LR", "KNN"))
    trainer = result.predictor._trainer
    scores = trainer.get_models_attribute_dict(models=trainer.get_model_names(), attribute="val_score")
    tied = [name for name, score in scores.items() if score == max(scores.values())]
    assert result.best_model == result.predictor.model_best == tied[0]


@pytest.mark.parametrize(
    ("problem_type", "metric"),
    [(kind, name) for kind, names in METRICS.items() for name in names if name != names[0]],
)
def test_the_chosen_metric_decides_and_is_the_headline(tmp_path, problem_type, metric):
    frame, target = {
        BINARY: (cancer(), "outcome"),
        MULTICLASS: (wine(), "cultivar"),
        REGRESSION: (diabetes(), "progression"),
    }[problem_type]
    train, holdout = split(frame, target, problem_type)
    events = []
    result = fit(train, target, problem_type, tmp_path / "p", metric=metric, on_event=events.append)
    report = evaluate(result, train, holdout, problem_type, target=target)
    assert result.metric == report.metric_name == metric == events[0].metric
    assert report.score == report.metrics[metric]
    assert (result.threshold is None) is (problem_type is not BINARY)
    better = report.score < report.baseline if report.lower_is_better else report.score > report.baseline
    assert better


@pytest.mark.parametrize(
    ("preset", "kind"), [(Preset.QUICK, GROUP), (Preset.BALANCED, GROUP), (Preset.QUICK, TIME)]
)
def test_balanced_classes_are_found_more_often_and_the_scores_stay_unweighted(tmp_path, preset, kind):
    """Also where the fit's own validation rows follow groups or time."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(1500, 2)), columns=["a", "b"])
    frame["y"] = np.where(frame["a"] + rng.normal(scale=1.2, size=1500) > 2.4, "rare", "usual")
    frame["part"] = np.arange(1500) % 30
    plan = HoldoutPlan(kind=kind, column="part", column_is_feature=False)
    parts = splits.split(frame, target="y", problem_type=BINARY, plan=plan, leave_out=["part"])
    assert parts.structure
    found = {}
    for balance in (False, True):
        result = fit(
            parts.train, "y", BINARY, tmp_path / str(balance), preset=preset, balance_classes=balance,
            structure=parts.structure, ignored=parts.ignored, metric="log_loss",
        )  # fmt: skip
        train, holdout = parts.features_only()
        found[balance] = (result.predictor.predict(holdout) == "rare").sum()
        report = evaluate(result, train, holdout, BINARY, target="y")
        shares = result.predictor.predict_proba(holdout)[["rare", "usual"]].to_numpy()
        truth = holdout["y"].map({"rare": 0, "usual": 1}).to_numpy()
        assert report.score == pytest.approx(-np.log(shares[np.arange(len(truth)), truth]).mean(), rel=1e-4)
        assert list(result.predictor.features()) == ["a", "b"]
    assert found[True] > 2 * found[False]


def test_validation_inside_the_fit_keeps_groups_together(tmp_path):
    """Twins in both parts would make the nearest neighbour look perfect."""
    rng = np.random.default_rng(0)
    # Near, not equal: equal rows stay on one side anyhow.
    near = np.repeat(rng.normal(size=150), 4) + 1e-7 * rng.normal(size=600)
    twins = pd.DataFrame({"a": near, "pair": np.repeat(np.arange(150), 4)})
    twins["y"] = np.repeat(rng.choice(["p", "q"], 150), 4)
    scores = {}
    for structure in ({}, {"group_on": "pair"}):
        result = fit(
            twins, "y", BINARY, tmp_path / str(len(structure)), families=("XT",), structure=structure,
            ignored=["pair"], time_limit=300,
        )  # fmt: skip
        scores[bool(structure)] = result.predictor.leaderboard(display=False)["score_val"].max()
    assert scores[True] < 0.75 < scores[False]


def test_running_out_of_time_is_known(tmp_path, monkeypatch):
    from autogluon.tabular.models import LinearModel

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=[f"x{n}" for n in range(3)])
    frame["y"] = frame["x0"] + rng.normal(size=200)
    plain = LinearModel._fit

    def slow(self, **arguments):
        time.sleep(2.5)
        return plain(self, **arguments)

    monkeypatch.setattr(LinearModel, "_fit", slow)
    assert fit(frame, "y", REGRESSION, tmp_path / "p", time_limit=3, families=("LR",)).ran_out_of_time
