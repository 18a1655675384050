"""Two models asked the same rows, of which neither has seen one: how far apart are they?

Both are scored on the same resamples (``ml.resampling``), so what they share by the luck of the rows falls out of
their difference. That tells apart what two separate intervals cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Answers, ClassAnswers, Floats, NumberAnswers, finite
from ml.problem import ProblemType
from ml.resampling import RESAMPLES, Interval, interval, resampled_metrics

if TYPE_CHECKING:
    from pandas import DataFrame, Index

    from ml.explaining import Model

FORMAT: Final = 1
# Of fewer rows a bootstrap says little (and a row more or less decides).
FEWEST_ROWS: Final = 30


class PairedMetric(TypedDict):
    """``difference`` is right minus left; ``low`` and ``high`` are its 95 % interval, None where no resample moves
    it."""

    metric: str
    left: float | None
    right: float | None
    difference: float | None
    low: float | None
    high: float | None


class Pairing(TypedDict):
    """``rows`` were held out from both. ``apart``: the share of them that get another class, or the mean distance
    of the two numbers. ``why_not``: a sentence, where there is nothing to say."""

    format: int
    rows: int
    resamples: int
    apart: float | None
    metrics: list[PairedMetric]
    why_not: str


@dataclass(frozen=True, slots=True)
class Said:
    """What one model says of rows, and what is true: numbers, or class names with their probabilities in the order
    of ``labels``."""

    labels: tuple[str, ...]
    positive: str | None
    truth: NDArray[Any]
    predicted: NDArray[Any]
    shares: Floats | None


def shared_places(left: DataFrame, right: DataFrame) -> Index[Any]:
    """Which rows of the table were held out from both, in order; the index of either says which each is."""
    return left.index.intersection(right.index).sort_values()


def ask(model: Model, rows: DataFrame) -> Said:
    """One model's answers, with class names as text."""
    truth, answers = rows[model.target], model.ask(rows[model.columns])
    if not model.labels:
        numbers = np.asarray(answers, dtype="float64")
        return Said((), None, truth.to_numpy(dtype="float64"), numbers, None)
    positive = model.predictor.positive_class if model.problem_type is ProblemType.BINARY else None
    return Said(
        labels=tuple(str(label) for label in model.labels),
        positive=None if positive is None else str(positive),
        truth=truth.map(str).to_numpy(dtype=object),
        predicted=model.predictor.predict_from_proba(answers).map(str).to_numpy(dtype=object),
        shares=np.asarray(answers, dtype="float64"),
    )


def pair(left: Said, right: Said) -> Pairing:
    """The difference of two models in every metric that both have."""
    rows = len(left.truth)
    if rows < FEWEST_ROWS:
        return too_few(rows)
    if not np.array_equal(left.truth, right.truth):
        return nothing(rows, "The target was read differently for the two, so their answers cannot be compared.")
    if sorted(left.labels) != sorted(right.labels):
        return nothing(rows, "The two know different classes, so their answers cannot be compared.")
    answers = _answers(left, right)
    names = [name for name in answers["left"].names if name in answers["right"].names]
    drawn = resampled_metrics({"left": names, "right": names}, answers)
    scores = {side: answers[side].metrics() for side in answers}
    return Pairing(
        format=FORMAT,
        rows=rows,
        resamples=RESAMPLES,
        apart=finite(_apart(left, right)),
        metrics=[
            _metric(name, scores["left"][name], scores["right"][name], drawn["right"][name] - drawn["left"][name])
            for name in names
        ],
        why_not="",
    )


def too_few(rows: int) -> Pairing:
    """What is said of so few rows that both were spared."""
    some = f"Only {rows} row{'' if rows == 1 else 's'} of the table {'was' if rows == 1 else 'were'}"
    return nothing(
        rows, f"{some if rows else 'No row was'} held out from both: too few to compare them row by row."
    )


def nothing(rows: int, why_not: str) -> Pairing:
    """No comparison, and why."""
    return Pairing(format=FORMAT, rows=rows, resamples=RESAMPLES, apart=None, metrics=[], why_not=why_not)


def _metric(name: str, left: float | None, right: float | None, differences: Floats) -> PairedMetric:
    bounds: Interval | None = interval(differences)
    known = left is not None and right is not None
    return PairedMetric(
        metric=name,
        left=left,
        right=right,
        difference=right - left if left is not None and right is not None else None,
        low=bounds[0] if known and bounds else None,
        high=bounds[1] if known and bounds else None,
    )


def _apart(left: Said, right: Said) -> float:
    if left.labels:
        return float(np.mean(left.predicted != right.predicted))
    return float(np.mean(np.abs(left.predicted - right.predicted)))


def _answers(left: Said, right: Said) -> dict[str, Answers]:
    if not left.labels:
        return {
            side: NumberAnswers(said.truth, said.predicted) for side, said in (("left", left), ("right", right))
        }
    # Numbered alike for both; a class that is asked about must be the same one.
    labels = left.labels
    positive = labels.index(left.positive) if left.positive and left.positive == right.positive else None
    return {side: _class_answers(said, labels, positive) for side, said in (("left", left), ("right", right))}


def _class_answers(said: Said, labels: Sequence[str], positive: int | None) -> ClassAnswers:
    assert said.shares is not None
    number = {label: index for index, label in enumerate(labels)}
    columns = [said.labels.index(label) for label in labels]
    truth, predicted = (
        np.array([number[label] for label in values], dtype="int64") for values in (said.truth, said.predicted)
    )
    return ClassAnswers(truth, predicted, said.shares[:, columns], positive)
