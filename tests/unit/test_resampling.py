"""Intervals that hold the truth as often as they say, and ties that are ties."""

import numpy as np
import pytest

from ml.metrics import ClassAnswers, NumberAnswers
from ml.resampling import (
    RESAMPLES,
    interval,
    is_tie,
    resample_counts,
    resampled_metrics,
    share_interval,
)

RMSE = "root_mean_squared_error"


def errors_of(size: float, rows: int, seed: int):
    rng = np.random.default_rng(seed)
    return NumberAnswers(np.zeros(rows), rng.normal(0, size, rows))


def test_every_resample_draws_as_many_rows_as_there_are():
    counts = np.concatenate(list(resample_counts(50, resamples=7, seed=1)))
    assert counts.shape == (7, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert not (counts[0] == counts[1]).all()


def test_the_same_seed_draws_the_same_however_many_are_held_at_a_time(monkeypatch):
    whole = np.concatenate(list(resample_counts(30, resamples=9, seed=4)))
    monkeypatch.setattr("ml.resampling._BLOCK_CELLS", 60)
    assert (np.concatenate(list(resample_counts(30, resamples=9, seed=4))) == whole).all()


def test_an_interval_holds_the_true_score_about_as_often_as_it_says():
    held = 0
    for seed in range(100):
        drawn = resampled_metrics({"m": [RMSE]}, {"m": errors_of(2.0, 200, seed)}, seed=seed)
        low, high = interval(drawn["m"][RMSE])
        held += low <= 2.0 <= high
    # 95 of 100 are promised; 88 or fewer would happen once in 200 times.
    assert held >= 88


def test_groups_are_drawn_whole():
    units = np.array([0, 0, 0, 1, 2, 2])
    counts = np.concatenate(list(resample_counts(6, resamples=50, seed=1, units=units)))
    assert (counts[:, 0] == counts[:, 1]).all()
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, 4] == counts[:, 5]).all()
    assert (counts[:, [0, 3, 4]].sum(axis=1) == 3).all()
    assert len(np.unique(counts[:, 0])) > 1


def test_an_interval_over_groups_holds_what_rows_that_go_together_would_miss():
    """30 groups of 20 rows, whose errors share one of their group."""
    rng, units = np.random.default_rng(8), np.repeat(np.arange(30), 20)
    held = {"groups": 0, "rows": 0}
    for seed in range(60):
        errors = rng.normal(0, 1, 30)[units] + rng.normal(0, 0.5, 600)
        answers = {"m": NumberAnswers(np.zeros(600), errors)}
        for kind, of in (("groups", units), ("rows", None)):
            low, high = interval(resampled_metrics({"m": [RMSE]}, answers, seed=seed, units=of)["m"][RMSE])
            held[kind] += low <= np.sqrt(1.25) <= high
    # 57 are promised; with 30 groups percentile intervals hold a little less.
    assert held["groups"] >= 48
    assert held["rows"] <= 36


def test_more_rows_make_a_narrower_interval():
    def width(rows):
        low, high = interval(resampled_metrics({"m": [RMSE]}, {"m": errors_of(1.0, rows, 1)})["m"][RMSE])
        return high - low

    assert width(1600) < 0.6 * width(100)


def test_models_that_differ_by_luck_are_a_tie_and_others_are_not():
    rng = np.random.default_rng(3)
    common = rng.normal(0, 1, 500)
    answers = {
        "one": NumberAnswers(np.zeros(500), common),
        "alike": NumberAnswers(np.zeros(500), common + rng.normal(0, 0.02, 500)),
        "worse": NumberAnswers(np.zeros(500), 1.08 * common),
    }
    drawn = resampled_metrics({name: [RMSE] for name in answers}, answers)
    assert all(len(found[RMSE]) == RESAMPLES for found in drawn.values())
    assert is_tie(drawn["alike"][RMSE], drawn["one"][RMSE])
    # Their own intervals overlap by far; only pairing tells them apart.
    assert interval(drawn["worse"][RMSE])[0] < interval(drawn["one"][RMSE])[1]
    assert not is_tie(drawn["worse"][RMSE], drawn["one"][RMSE])


def test_resamples_that_tell_nothing_make_no_interval():
    assert interval(np.ones(100)) is None
    assert interval(np.where(np.arange(100) < 99, 0.1 + 0.2, 0.3)) is None
    assert interval(np.where(np.arange(1000) < 990, 0.5, 0.0)) is None
    mostly_undefined = np.where(np.arange(100) < 20, np.nan, np.arange(100.0))
    assert interval(mostly_undefined) is None
    assert not is_tie(mostly_undefined, np.zeros(100))


def test_no_mistake_in_few_rows_is_no_certainty():
    shares = np.tile([0.2, 0.8], (60, 1))
    perfect = ClassAnswers(np.ones(60, dtype=int), np.ones(60, dtype=int), shares, 1)
    assert interval(resampled_metrics({"m": ["accuracy"]}, {"m": perfect})["m"]["accuracy"]) is None
    low, high = share_interval(60, 60)
    # The rule of three's two-sided neighbour: 1 - 0.025 ** (1 / 60).
    assert (low, high) == (pytest.approx(0.025 ** (1 / 60)), 1.0)
