"""Metrics by counts of rows, compared with scikit-learn's on the same rows written out or weighted."""

import numpy as np
import pytest
from sklearn import metrics

from ml.metrics import ClassAnswers, NumberAnswers, finite, lower_is_better


def counts_of(rng, rows: int):
    return np.bincount(rng.integers(0, rows, rows), minlength=rows).astype("float64")[None, :]


def written_out(values, counts):
    return np.repeat(values, counts[0].astype(int), axis=0)


def class_case(rng, *, classes: int, rows: int = 60):
    # Rounded, so that some rows share a probability.
    shares = np.round(rng.dirichlet(np.ones(classes), size=rows), 1) + 0.01
    shares /= shares.sum(axis=1, keepdims=True)
    truth = rng.integers(0, classes, rows)
    truth[:classes] = range(classes)
    return truth, shares.argmax(axis=1), shares


@pytest.mark.parametrize("seed", range(5))
def test_a_yes_no_question_is_scored_as_scikit_learn_does(seed):
    rng = np.random.default_rng(seed)
    truth, predicted, shares = class_case(rng, classes=2)
    answers, counts = ClassAnswers(truth, predicted, shares, 1), counts_of(rng, len(truth))
    t, p, s = (written_out(values, counts) for values in (truth, predicted, shares))
    expected = {
        "accuracy": metrics.accuracy_score(t, p),
        "balanced_accuracy": metrics.balanced_accuracy_score(t, p),
        "log_loss": metrics.log_loss(t, s),
        "f1": metrics.f1_score(t, p, zero_division=0),
        "roc_auc": metrics.roc_auc_score(t, s[:, 1]),
    }
    assert answers.names == tuple(expected)
    assert {name: answers.resampled(name, counts)[0] for name in expected} == pytest.approx(expected)
    assert answers.metrics()["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, shares[:, 1]))


@pytest.mark.parametrize("seed", range(5))
def test_several_classes_are_scored_as_scikit_learn_does(seed):
    rng = np.random.default_rng(seed)
    truth, predicted, shares = class_case(rng, classes=4)
    answers, counts = ClassAnswers(truth, predicted, shares, None), counts_of(rng, len(truth))
    t, p, s = (written_out(values, counts) for values in (truth, predicted, shares))
    assert {name: answers.resampled(name, counts)[0] for name in answers.names} == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(t, p),
            "balanced_accuracy": metrics.recall_score(t, p, average="macro", labels=np.unique(t), zero_division=0),
            "log_loss": metrics.log_loss(t, s, labels=range(4)),
            "f1_macro": metrics.f1_score(t, p, average="macro", zero_division=0),
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_scored_as_scikit_learn_does(seed):
    rng = np.random.default_rng(seed)
    truth = rng.normal(1000, 10, 41)
    predicted = truth + rng.normal(0, 5, 41)
    answers, counts = NumberAnswers(truth, predicted), counts_of(rng, 41)
    t, p = written_out(truth, counts), written_out(predicted, counts)
    assert {name: answers.resampled(name, counts)[0] for name in answers.names} == pytest.approx(
        {
            "root_mean_squared_error": metrics.root_mean_squared_error(t, p),
            "mean_absolute_error": metrics.mean_absolute_error(t, p),
            "median_absolute_error": metrics.median_absolute_error(t, p),
            "r2": metrics.r2_score(t, p),
        }
    )


def test_what_is_undefined_is_none_and_never_a_number():
    one_class = ClassAnswers(np.array([1, 1]), np.array([1, 0]), np.array([[0.1, 0.9], [0.8, 0.2]]), 1)
    assert one_class.metrics()["roc_auc"] is None
    broken = ClassAnswers(np.array([0, 1]), np.array([0, 1]), np.array([[np.nan, 1], [0.2, 0.8]]), 1)
    assert set(broken.metrics().values()) == {None}
    constant = NumberAnswers(np.array([7.1, 7.1, 7.1]), np.array([1.0, 2.0, 3.0]))
    assert constant.metrics()["r2"] is None
    overflow = NumberAnswers(np.array([1e200, 0.0]), np.array([0.0, 0.0]))
    assert overflow.metrics()["root_mean_squared_error"] is None
    assert finite(float("inf")) is None


def test_errors_are_known_as_errors():
    assert lower_is_better("root_mean_squared_error")
    assert lower_is_better("log_loss")
    assert not lower_is_better("accuracy")
    assert not lower_is_better("r2")
