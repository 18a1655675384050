"""Models that know one column only, and their cross-validated scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.associations import series_of
from ml.column_scan import Scanner
from ml.column_types import ColumnType
from ml.profile_records import ColumnProfile

FOLDS = 5
_LEAVES = 32
_CLASSES = 100
# A value's own answers count from the second row on; before that the average of all speaks.
_PRIOR_ROWS = 1.0
_SEED = 7
_BY_NUMBER = (ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.DATE)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A column over the rows: numbers with NaN for missing, or codes with -1; ``keys`` tell its values apart."""

    numbers: Floats | None
    codes: Integers | None

    @property
    def keys(self) -> NDArray[np.uint64]:
        found = self.numbers.view(np.uint64) if self.numbers is not None else self.codes
        assert found is not None
        return found.astype(np.uint64)

    @property
    def present(self) -> NDArray[np.bool_]:
        if self.numbers is not None:
            return ~np.isnan(self.numbers)
        assert self.codes is not None
        return self.codes >= 0

    def only(self, rows: NDArray[np.bool_]) -> Feature:
        return Feature(
            numbers=None if self.numbers is None else self.numbers[rows],
            codes=None if self.codes is None else self.codes[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The target of the rows that have one (``known`` of all rows): classes from 0, or numbers."""

    known: NDArray[np.bool_]
    classes: Integers | None
    numbers: Floats | None

    @property
    def metric(self) -> str:
        return "R²" if self.classes is None else "balanced accuracy"

    @property
    def baseline(self) -> float:
        return 0.0 if self.classes is None else 1 / max(1, len(np.unique(self.classes)))

    def strength(self, score: float) -> float:
        return min(1.0, max(0.0, (score - self.baseline) / (1 - self.baseline))) if self.baseline < 1 else 0.0


def features_of(scanner: Scanner, columns: Mapping[int, ColumnProfile], *, every: int) -> dict[int, Feature]:
    """Some columns, of every so many rows. Texts and identifiers are told apart like categories."""
    scanner.load(list(columns))
    read_as = {index: replace(column, type=_read_as(column)) for index, column in columns.items()}
    series, _ = series_of(scanner, read_as, every=every, levels=None)
    features = [Feature(numbers=found.numbers, codes=found.codes) for found in series]
    return dict(zip(columns, features, strict=True))


def _read_as(column: ColumnProfile) -> ColumnType:
    if column.type == ColumnType.ID and column.detected_type == ColumnType.ID and column.minimum is not None:
        return ColumnType.INTEGER  # the order of numbers that name rows may tell
    return column.type if column.type in _BY_NUMBER else ColumnType.CATEGORY


def class_answers(target: Feature) -> Answers:
    known = target.present
    if target.numbers is not None:
        classes = np.unique(target.numbers[known], return_inverse=True)[1]
    else:
        assert target.codes is not None
        # Codes are in the order of frequency.
        known = known & (target.codes < _CLASSES)
        classes = np.unique(target.codes[known], return_inverse=True)[1]
    return Answers(known=known, classes=classes.astype(np.int64), numbers=None)


def number_answers(target: Feature) -> Answers:
    assert target.numbers is not None
    known = target.present
    return Answers(known=known, classes=None, numbers=target.numbers[known])


def folds_of(keys: NDArray[np.uint64], answers: Answers) -> Integers:
    """The fold of each row: rows with one key in one fold, and the classes spread over all of them."""
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    order = np.random.default_rng(_SEED).permutation(len(first))
    if answers.classes is not None:
        order = order[np.argsort(answers.classes[first][order], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    return fold[where]


def score(feature: Feature, answers: Answers, folds: Integers) -> tuple[float, float]:
    """The cross-validated score, and the strength of knowing only whether there is a value."""
    present = feature.present
    if not present.any():
        return answers.baseline, 0.0
    figure = _cross_validated(feature, answers, folds)
    if present.all():
        return figure, 0.0
    filled = Feature(numbers=None, codes=present.astype(np.int64))
    return figure, answers.strength(_cross_validated(filled, answers, folds))


def _cross_validated(feature: Feature, answers: Answers, folds: Integers) -> float:
    truth = answers.numbers if answers.classes is None else answers.classes
    assert truth is not None
    guesses = np.empty(len(truth), dtype=truth.dtype)
    for fold in range(FOLDS):
        test = folds == fold
        if test.all():
            return answers.baseline
        if test.any():
            guesses[test] = _fit_predict(feature.only(~test), truth[~test], feature.only(test), answers)
    if answers.classes is None:
        return _r2(truth, guesses)
    hits = np.bincount(truth[guesses == truth], minlength=int(truth.max()) + 1)
    counts = np.bincount(truth)
    return float(np.mean(hits[counts > 0] / counts[counts > 0]))


def _r2(truth: Any, guesses: Any) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.sum((truth - truth.mean()) ** 2))
        left = float(np.sum((truth - guesses) ** 2))
    return 1 - left / total if 0 < total < np.inf and np.isfinite(left) else 0.0


def _fit_predict(train: Feature, truth: Any, test: Feature, answers: Answers) -> Any:
    if train.numbers is not None:
        return _by_tree(train.numbers, truth, test.numbers, answers)
    return _by_table(train.codes, truth, test.codes, answers)


def _by_tree(train: Any, truth: Any, test: Any, answers: Answers) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    settings = {
        "max_leaf_nodes": _LEAVES,
        "min_samples_leaf": max(2, len(truth) // 1000),
        "random_state": _SEED,
    }
    if answers.classes is None:
        model = DecisionTreeRegressor(**settings)
    else:
        model = DecisionTreeClassifier(**settings, class_weight="balanced")
    # Trees work in 32 bits; ranks keep apart what these would not, such as large identifiers.
    values = np.unique(train[~np.isnan(train)])
    model.fit(_ranks(train, values), truth)
    return model.predict(_ranks(test, values))


def _ranks(numbers: Floats, values: Floats) -> Any:
    ranks = np.searchsorted(values, numbers) - 0.5 * ~np.isin(numbers, values)
    return np.where(np.isnan(numbers), np.nan, ranks).reshape(-1, 1)


def _by_table(train: Any, truth: Any, test: Any, answers: Answers) -> Any:
    """What the target was for each value, drawn a little to what it is on average; so for a value not seen."""
    size = int(max(train.max(initial=-1), test.max(initial=-1))) + 2
    rows = np.bincount(train + 1, minlength=size)
    if answers.classes is None:
        mean = truth.mean()
        sums = np.bincount(train + 1, weights=truth - mean, minlength=size)
        return (mean + sums / (rows + _PRIOR_ROWS))[test + 1]
    classes = int(answers.classes.max()) + 1
    frequency = np.bincount(truth, minlength=classes)
    # Every class weighs the same, as it does in balanced accuracy.
    weight = np.where(frequency > 0, len(truth) / (classes * np.maximum(frequency, 1)), 0.0)
    best = np.full(size, int(frequency.argmax()), dtype=np.int64)
    top = np.zeros(size)
    for label in range(classes):
        votes = np.bincount(train[truth == label] + 1, minlength=size) * weight[label]
        best[votes > top] = label
        top = np.maximum(top, votes)
    return best[test + 1]
