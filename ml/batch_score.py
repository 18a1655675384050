"""The score on a table that has the truth in it: on all its rows, or on as many drawn at random as can be kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from ml import resampling
from ml.column_types import BLANKS, is_missing
from ml.metrics import Answers, ClassAnswers, NumberAnswers, lower_is_better
from ml.value_formats import ValueFormat, is_numeric, plain_number

MOST_ROWS: Final = 10_000


class BatchScore(TypedDict):
    """``score`` in the metric's natural sign (None where undefined), with its 95 % interval. It was measured on
    ``rows`` of the ``known_rows`` whose truth can be read; ``other_rows`` have another word than the classes, or no
    number."""

    metric: str
    lower_is_better: bool
    score: float | None
    interval: tuple[float, float] | None
    rows: int
    known_rows: int
    other_rows: int


class _Sample:
    """Rows drawn at random while they pass: the ones with the smallest of random keys."""

    def __init__(self, most: int, seed: int) -> None:
        self._most = most
        self._rng = np.random.default_rng(seed)
        self._keys: NDArray[np.float64] = np.empty(0)
        self.columns: list[NDArray[Any]] = []

    def add(self, columns: Sequence[NDArray[Any]]) -> None:
        keys = np.concatenate([self._keys, self._rng.random(len(columns[0]))])
        joined = (
            [np.concatenate(pair) for pair in zip(self.columns, columns, strict=True)] if self.columns else columns
        )
        kept = np.argpartition(keys, self._most)[: self._most] if len(keys) > self._most else slice(None)
        self._keys, self.columns = keys[kept], [column[kept] for column in joined]


class Scorer:
    """Give it the text of the target and the answers, part by part. Without ``classes`` answers are numbers."""

    def __init__(
        self,
        *,
        metric: str,
        formats: ValueFormat,
        classes: Sequence[Any] = (),
        positive: int | None = None,
        seed: int = 0,
    ) -> None:
        self._metric = metric
        self._formats = formats
        self._classes = list(classes)
        self._by_name = {str(label): place for place, label in enumerate(classes)}
        self._positive = positive
        self._sample = _Sample(MOST_ROWS, seed)
        self._known = 0
        self._other = 0

    def add(self, texts: Any, predicted: NDArray[Any], shares: NDArray[np.float64] | None) -> None:
        """``texts``: a pyarrow array; ``predicted``: places in ``classes``, or numbers."""
        encoded = texts.dictionary_encode()
        read = [self._read(text) for text in encoded.dictionary.to_pylist()]
        truth = np.array([math.nan if value is None else value for value in read])[encoded.indices.to_numpy()]
        is_known = ~np.isnan(truth)
        gaps = np.array([is_missing(text) for text in encoded.dictionary.to_pylist()])[encoded.indices.to_numpy()]
        self._known += int(is_known.sum())
        self._other += int((~is_known & ~gaps).sum())
        if is_known.any():
            columns = [truth[is_known], predicted[is_known]] + ([] if shares is None else [shares[is_known]])
            self._sample.add(columns)

    def result(self) -> BatchScore | None:
        """None where no row has a truth."""
        if not self._known:
            return None
        truth, predicted, *shares = self._sample.columns
        answers: Answers = NumberAnswers(truth, predicted.astype("float64"))
        if self._classes:
            places = truth.astype("int64"), predicted.astype("int64")
            answers = ClassAnswers(*places, shares[0], self._positive)
        score = answers.metrics().get(self._metric)
        bounds = None
        if score is not None and answers.rows > 1:
            drawn = resampling.resampled_metrics({"model": [self._metric]}, {"model": answers})
            bounds = resampling.interval(drawn["model"][self._metric])
            if bounds is None and self._metric == "accuracy" and score in (0.0, 1.0):
                bounds = resampling.share_interval(round(score * answers.rows), answers.rows)
        return {
            "metric": self._metric,
            "lower_is_better": lower_is_better(self._metric),
            "score": score,
            "interval": bounds,
            "rows": answers.rows,
            "known_rows": self._known,
            "other_rows": self._other,
        }

    def _read(self, text: str) -> float | None:
        """The truth in a cell: a number, or the place of a class. "1.0" is the class 1, and "Yes" may be yes."""
        value = text.strip(BLANKS)
        if is_missing(value):
            return None
        number = float(plain_number(value, self._formats)) if is_numeric(value, self._formats) else None
        if not self._classes:
            return number
        if value in self._by_name:
            return self._by_name[value]
        if number is not None:
            same = [place for place, label in enumerate(self._classes) if _number(label) == number]
        else:
            same = [place for name, place in self._by_name.items() if name.casefold() == value.casefold()]
        return same[0] if len(same) == 1 else None


def _number(label: Any) -> float | None:
    try:
        return float(label)
    except (TypeError, ValueError):
        return None
