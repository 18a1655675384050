"""The difference of two models: on the same rows with one bootstrap for both, and from two intervals alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from ml.differences import unpaired
from ml.pairing import Said, pair, shared_places, too_few


def numbers(predicted, truth):
    return Said((), None, np.asarray(truth, dtype="float64"), np.asarray(predicted, dtype="float64"), None)


def classes(share_of_yes, truth, labels=("no", "yes")):
    yes = np.asarray(share_of_yes)
    shares = np.column_stack([1 - yes, yes])
    if labels != ("no", "yes"):
        shares = shares[:, ::-1]
    said = np.where(yes >= 0.5, "yes", "no").astype(object)
    return Said(labels, "yes", np.asarray(truth, dtype=object), said, shares)


def found(pairing, name):
    return next(each for each in pairing["metrics"] if each["metric"] == name)


def test_a_small_steady_gain_is_seen_on_the_same_rows_and_not_in_two_intervals():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300) * 10
    noise = rng.normal(size=300)
    left, right = numbers(truth + 1.1 * noise, truth), numbers(truth + noise, truth)
    rmse = found(pair(left, right), "root_mean_squared_error")
    assert rmse["left"] == pytest.approx(1.1 * rmse["right"])
    assert rmse["difference"] == pytest.approx(rmse["right"] - rmse["left"])
    assert rmse["low"] < rmse["difference"] < rmse["high"] < 0
    bounds = {
        side: (value * 0.92, value * 1.08) for side, value in (("left", rmse["left"]), ("right", rmse["right"]))
    }
    low, high = unpaired(rmse["left"], bounds["left"], rmse["right"], bounds["right"])
    assert low < 0 < high


def test_classes_in_another_order_are_the_same_classes_and_scores_are_those_of_sklearn():
    rng = np.random.default_rng(1)
    truth = np.where(rng.random(200) < 0.4, "yes", "no").astype(object)
    share = np.clip(np.where(truth == "yes", 0.7, 0.3) + rng.normal(size=200) * 0.25, 0.01, 0.99)
    same = pair(classes(share, truth), classes(share, truth, labels=("yes", "no")))
    for each in same["metrics"]:
        assert (each["difference"], each["low"], each["high"]) == (0.0, None, None), each["metric"]
    assert same["apart"] == 0
    auc = found(same, "roc_auc")["left"]
    assert auc == pytest.approx(metrics.roc_auc_score(truth == "yes", share))
    assert found(same, "f1")["left"] == pytest.approx(metrics.f1_score(truth == "yes", share >= 0.5))
    other = pair(classes(share, truth), classes(1 - share, truth))
    assert other["apart"] == 1
    accuracy = found(other, "accuracy")
    assert accuracy["high"] < 0
    assert accuracy["right"] == pytest.approx(1 - accuracy["left"])


def test_what_cannot_be_compared_is_said():
    truth = np.array(["no", "yes"] * 20, dtype=object)
    left = classes(np.full(40, 0.6), truth)
    assert "different classes" in pair(left, replace(left, labels=("nein", "yes")))["why_not"]
    assert "read differently" in pair(left, replace(left, truth=truth[::-1]))["why_not"]
    assert pair(numbers([1.0], [1.0]), numbers([1.0], [1.0])) == too_few(1)
    assert too_few(1)["why_not"].startswith("Only 1 row of the table was held out from both")
    assert too_few(0)["why_not"].startswith("No row was held out from both")
    # A question asked about another class has no F1 in common.
    assert "f1" not in {each["metric"] for each in pair(left, replace(left, positive="no"))["metrics"]}


def test_shared_rows_are_found_by_their_place_in_the_table():
    left = pd.DataFrame({"x": [1, 2, 3]}, index=[7, 0, 4])
    right = pd.DataFrame({"x": [9, 8]}, index=[4, 7])
    assert list(shared_places(left, right)) == [4, 7]


def test_the_unpaired_interval_of_symmetric_intervals_is_the_root_of_the_sum_of_squares():
    low, high = unpaired(0.8, (0.77, 0.83), 0.9, (0.86, 0.94))
    assert (low, high) == (pytest.approx(0.1 - 0.05), pytest.approx(0.1 + 0.05))
    skewed = unpaired(0.9, (0.8, 0.93), 0.9, (0.8, 0.93))
    assert skewed == (pytest.approx(-np.hypot(0.1, 0.03)), pytest.approx(np.hypot(0.1, 0.03)))
