"""Metrics of one set of answers to the rows set aside: at once, and again for resamples of those rows.

A resample is a vector of counts, how often each row was drawn, so a thousand of them cost a few passes over
prepared numbers and no copy of the rows. With every count 1 the figures are scikit-learn's (a test compares them,
also with ``sample_weight``).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.float64]

LOWER_IS_BETTER = frozenset({"root_mean_squared_error", "mean_absolute_error", "median_absolute_error", "log_loss"})


def lower_is_better(metric: str) -> bool:
    """Whether a metric, in its natural sign, measures an error."""
    return metric in LOWER_IS_BETTER


def finite(value: Any) -> float | None:
    """A plain float; None for what is no number."""
    number = float(value)
    return number if math.isfinite(number) else None


class Answers(ABC):
    """What a model, or a baseline, says of ``rows`` rows whose truth is known."""

    rows: int
    names: tuple[str, ...]

    @abstractmethod
    def resampled(self, metric: str, counts: Counts) -> Floats:
        """``metric`` for each resample; ``counts`` has a line for each. NaN where it is undefined."""

    def metrics(self) -> dict[str, float | None]:
        """Every metric on the rows as they are; None where it is undefined."""
        once = np.ones((1, self.rows))
        return {name: finite(self.resampled(name, once)[0]) for name in self.names}


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """NaN where the bottom is zero, or the top beyond what a double holds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(bottom != 0, top / bottom, np.nan)
    return found


class ClassAnswers(Answers):
    """Classes are numbered from 0; ``probabilities`` has a column for each, ``positive`` is the one that F1 and ROC
    AUC of a yes/no question are about. Probabilities that are no numbers leave every metric undefined."""

    def __init__(
        self, truth: NDArray[Any], predicted: NDArray[Any], probabilities: NDArray[Any], positive: int | None
    ) -> None:
        self.rows = len(truth)
        self.predicted = predicted
        self.names = ("accuracy", "balanced_accuracy", "log_loss")
        self.names += ("f1_macro",) if positive is None else ("f1", "roc_auc")
        self._positive = positive
        self._usable = bool(np.isfinite(probabilities).all())
        if not self._usable:
            return
        shares = np.asarray(probabilities, dtype="float64")
        # float32 rows miss 1 by a little.
        shares = shares / shares.sum(axis=1, keepdims=True)
        self._classes = shares.shape[1]
        self._correct = (truth == predicted).astype("float64")
        # As scikit-learn clips.
        own = np.clip(shares[np.arange(self.rows), truth], np.finfo("float64").eps, 1.0)
        self._log_loss = -np.log(own)
        self._cell = truth * self._classes + predicted
        if positive is not None:
            self._is_positive = (truth == positive).astype("float64")
            _, self._rank = np.unique(shares[:, positive], return_inverse=True)

    def resampled(self, metric: str, counts: Counts) -> Floats:
        if not self._usable:
            return np.full(len(counts), np.nan)
        if metric == "accuracy":
            return np.asarray(counts @ self._correct / counts.sum(axis=1))
        if metric == "log_loss":
            return np.asarray(counts @ self._log_loss / counts.sum(axis=1))
        one = (
            self._roc_auc
            if metric == "roc_auc"
            else {"balanced_accuracy": self._balanced, "f1": self._f1, "f1_macro": self._f1_macro}[metric]
        )
        return np.array([one(line) for line in counts])

    def _confusion(self, count: Floats) -> Floats:
        """Counts by true class (lines) and predicted class (columns)."""
        flat: Floats = np.bincount(self._cell, weights=count, minlength=self._classes**2).astype("float64")
        return flat.reshape(self._classes, self._classes)

    def _balanced(self, count: Floats) -> float:
        """Recall averaged over the classes that occur."""
        table = self._confusion(count)
        occurring = table.sum(axis=1)
        return float(np.mean(np.diag(table)[occurring > 0] / occurring[occurring > 0]))

    def _f1(self, count: Floats) -> float:
        scores, _ = self._f1_of_each(count)
        assert self._positive is not None
        return float(scores[self._positive])

    def _f1_macro(self, count: Floats) -> float:
        scores, seen = self._f1_of_each(count)
        return float(np.mean(scores[seen]))

    def _f1_of_each(self, count: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """F1 of each class, 0 for one that neither occurs nor is said; and which do."""
        table = self._confusion(count)
        both = table.sum(axis=0) + table.sum(axis=1)
        return np.nan_to_num(_ratio(2 * np.diag(table), both)), both > 0

    def _roc_auc(self, count: Floats) -> float:
        """The share of pairs of a positive and a negative row that stand in the right order; ties count half."""
        positive = np.bincount(self._rank, weights=count * self._is_positive)
        negative = np.bincount(self._rank, weights=count * (1 - self._is_positive))
        pairs = positive.sum() * negative.sum()
        if pairs == 0:
            return math.nan
        below = np.cumsum(negative) - negative
        return float(positive @ (below + negative / 2) / pairs)


class NumberAnswers(Answers):
    """Numbers against numbers. What overflows a double is undefined."""

    names = ("root_mean_squared_error", "mean_absolute_error", "median_absolute_error", "r2")

    def __init__(self, truth: NDArray[Any], predicted: NDArray[Any]) -> None:
        self.rows = len(truth)
        with np.errstate(over="ignore", invalid="ignore"):
            self._errors = np.abs(np.asarray(predicted, dtype="float64") - truth)
            self._squares = self._errors**2
            # Around the mean of all rows: the spread of a resample must not drown in a large level.
            self._levels = truth - np.mean(truth)
            self._level_squares = self._levels**2
        self._by_error = np.argsort(self._errors)

    def resampled(self, metric: str, counts: Counts) -> Floats:
        drawn = counts.sum(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            if metric == "root_mean_squared_error":
                return np.asarray(np.sqrt(counts @ self._squares / drawn))
            if metric == "mean_absolute_error":
                return np.asarray(counts @ self._errors / drawn)
            if metric == "median_absolute_error":
                return np.array([self._median(line) for line in counts])
            spread = counts @ self._level_squares - (counts @ self._levels) ** 2 / drawn
            # Rounding leaves a trace of a spread where all values are equal.
            spread = np.where(spread > 1e-12 * (counts @ self._level_squares), spread, 0.0)
            return 1.0 - _ratio(counts @ self._squares, spread)

    def _median(self, count: Floats) -> float:
        """Of the resample written out row by row: the middle one, or the mean of the two in the middle."""
        upto = np.cumsum(count[self._by_error])
        low, high = np.searchsorted(upto, [(upto[-1] - 1) // 2, upto[-1] // 2], side="right")
        return float(self._errors[self._by_error[[low, high]]].mean())
