"""Where a model is right and where it is not: the numbers behind the figures of its page, from its answers to the
holdout. What has to be chosen (a threshold, the width of an interval) is chosen on validation rows of the fit, and
the holdout only tells what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ml.answers import HoldoutAnswers
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from ml.segments import ColumnSegments, segments_of

if TYPE_CHECKING:
    from pandas import DataFrame

COVERAGE = 0.9
CURVE_POINTS = 200
POINTS = 1000
BINS = 10
_ROC_CLASSES = 10
_THRESHOLDS = tuple(round(step / 100, 2) for step in range(1, 100))

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Confusion(TypedDict):
    """``counts``: a line for each true class, a column for each answer."""

    labels: list[str]
    counts: list[list[int]]


class ClassScore(TypedDict):
    label: str
    rows: int
    precision: float | None
    recall: float | None
    f1: float | None


class Curve(TypedDict):
    """One class against all others. ``area`` is exact; the points are thinned out."""

    label: str
    x: list[float]
    y: list[float]
    area: float


class CalibrationBin(TypedDict):
    """Rows of like confidence: the mean of what was said, the share that came true."""

    said: float
    true: float
    rows: int


class Calibration(TypedDict):
    """``ece``: the expected calibration error, the bins' distances weighted by rows (Guo et al., ICML 2017).
    ``brier``: the mean squared distance of the probabilities from the truth (over all classes when there are more
    than two)."""

    bins: list[CalibrationBin]
    brier: float
    ece: float


class Outcome(TypedDict):
    """Counts of rows: said positive and is, said positive and is not, missed, rightly left."""

    tp: int
    fp: int
    fn: int
    tn: int


class Threshold(TypedDict):
    threshold: float
    validation: Outcome
    holdout: Outcome


class Residuals(TypedDict):
    """Actual minus predicted: counts between ``edges``."""

    edges: list[float]
    counts: list[int]


class Coverage(TypedDict):
    """Split conformal prediction (Vovk et al., Algorithmic Learning in a Random World, 2005): with ``reach`` from
    ``calibration_rows`` validation rows, the prediction ± ``reach``, or the set of classes whose probability is at
    least 1 - ``reach``, should hold the truth in ``level`` of all rows. On the holdout it did in ``covered``;
    ``size`` is the mean number of classes, or the width."""

    level: float
    reach: float
    calibration_rows: int
    covered: float
    size: float


class Diagnosis(TypedDict, total=False):
    """Plain JSON. Which keys there are depends on the problem type; a figure that cannot be made is left out."""

    rows: int
    confusion: Confusion
    classes: list[ClassScore]
    roc: list[Curve]
    precision_recall: list[Curve]
    calibration: Calibration
    thresholds: list[Threshold]
    actual: list[float]
    predicted: list[float]
    residuals: Residuals
    segments: list[ColumnSegments]
    coverage: Coverage


def diagnose(
    predictor: Any,
    *,
    said: HoldoutAnswers,
    holdout: DataFrame,
    target: str,
    problem_type: ProblemType,
    seed: int = 0,
) -> Diagnosis:
    """Everything about the chosen model that its answers to ``holdout`` tell."""
    with quiet_autogluon():
        validation = _validation(predictor, said)
    if problem_type is ProblemType.REGRESSION:
        return _diagnose_numbers(said, validation, holdout, target, seed)
    return _diagnose_classes(said, validation, holdout, target)


def _validation(predictor: Any, said: HoldoutAnswers) -> tuple[Any, Any]:
    """What the chosen model said of rows it was not fitted on, inside the fit, and their truth: the validation
    rows, or out-of-fold answers. A model refitted on all rows is judged by the one it was refitted from."""
    ask = predictor.predict_proba_multi if said.labels else predictor.predict_multi
    answers = ask(models=[said.best])[said.best]
    _, truth = predictor.load_data_internal("val" if predictor.has_val else "train", return_X=False)
    return answers, predictor.transform_labels(truth, inverse=True)


def _diagnose_numbers(
    said: HoldoutAnswers, validation: tuple[Any, Any], holdout: DataFrame, target: str, seed: int
) -> Diagnosis:
    truth = holdout[target].to_numpy(dtype="float64")
    predicted = said.outputs[said.best].values.to_numpy(dtype="float64")
    errors = truth - predicted
    chosen = np.sort(np.random.default_rng(seed).permutation(len(truth))[:POINTS])
    counts, edges = np.histogram(errors, bins=30)
    found: Diagnosis = {
        "rows": len(truth),
        "actual": truth[chosen].tolist(),
        "predicted": predicted[chosen].tolist(),
        "residuals": {"edges": edges.tolist(), "counts": counts.tolist()},
        "segments": segments_of(holdout.drop(columns=target), np.abs(errors)),
    }
    answers, known = validation
    distances = np.abs(known.to_numpy(dtype="float64") - answers.to_numpy(dtype="float64"))
    reach = conformal_reach(distances, COVERAGE)
    if reach is not None:
        found["coverage"] = {
            "level": COVERAGE,
            "reach": reach,
            "calibration_rows": len(distances),
            "covered": float(np.mean(np.abs(errors) <= reach)),
            "size": 2 * reach,
        }
    return found


def _diagnose_classes(
    said: HoldoutAnswers, validation: tuple[Any, Any], holdout: DataFrame, target: str
) -> Diagnosis:
    from sklearn import metrics

    labels = [str(label) for label in said.labels]
    number = {label: index for index, label in enumerate(said.labels)}
    truth = holdout[target].map(number).to_numpy()
    shares = _shares(said.outputs[said.best].values, said.labels)
    # The answer of the model itself: its threshold need not be one half.
    predicted = said.answers[said.best].predicted  # type: ignore[attr-defined]
    every = range(len(labels))
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(
        truth, predicted, labels=every, zero_division=np.nan
    )
    found: Diagnosis = {
        "rows": len(truth),
        "confusion": {
            "labels": labels,
            "counts": metrics.confusion_matrix(truth, predicted, labels=every).tolist(),
        },
        "classes": [
            {
                "label": label,
                "rows": int(rows[index]),
                "precision": _known(precision[index]),
                "recall": _known(recall[index]),
                "f1": _known(f1[index]),
            }
            for index, label in enumerate(labels)
        ],
        "roc": [],
        "precision_recall": [],
        "calibration": _calibration(truth, shares),
        "segments": segments_of(holdout.drop(columns=target), (truth != predicted).astype("float64")),
    }
    positive = None if said.positive is None else number[said.positive]
    shown = [positive] if positive is not None else sorted(every, key=lambda index: -rows[index])[:_ROC_CLASSES]
    for index in shown:
        is_class = truth == index
        if is_class.all() or not is_class.any():
            continue
        found["roc"].append(_roc(labels[index], is_class, shares[:, index]))
        found["precision_recall"].append(_precision_recall(labels[index], is_class, shares[:, index]))
    answers, known = validation
    calibration_truth, calibration_shares = known.map(number).to_numpy(), _shares(answers, said.labels)
    if positive is not None:
        found["thresholds"] = [
            {
                "threshold": threshold,
                "validation": _outcome(calibration_truth == positive, calibration_shares[:, positive] >= threshold),
                "holdout": _outcome(truth == positive, shares[:, positive] >= threshold),
            }
            for threshold in _THRESHOLDS
        ]
    reach = conformal_reach(1 - calibration_shares[np.arange(len(calibration_truth)), calibration_truth], COVERAGE)
    if reach is not None:
        inside = shares >= 1 - reach
        found["coverage"] = {
            "level": COVERAGE,
            "reach": reach,
            "calibration_rows": len(calibration_truth),
            "covered": float(np.mean(inside[np.arange(len(truth)), truth])),
            "size": float(np.mean(inside.sum(axis=1))),
        }
    return found


def _shares(frame: Any, labels: Sequence[Any]) -> Floats:
    shares = frame[list(labels)].to_numpy(dtype="float64")
    found: Floats = shares / shares.sum(axis=1, keepdims=True)
    return found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def conformal_reach(distances: Floats, level: float) -> float | None:
    """The smallest distance that at least ``level`` of further rows stay within, if they are like these; None where
    there are too few of these to say."""
    place = math.ceil((len(distances) + 1) * level)
    if place > len(distances):
        return None
    return float(np.partition(distances, place - 1)[place - 1])


def _calibration(truth: Ints, shares: Floats) -> Calibration:
    """Of the second class when there are two, of the class that was given the highest probability otherwise."""
    if shares.shape[1] == 2:
        said, came_true = shares[:, 1], (truth == 1).astype("float64")
        brier = float(np.mean((said - came_true) ** 2))
    else:
        said, came_true = shares.max(axis=1), (shares.argmax(axis=1) == truth).astype("float64")
        brier = float(np.mean(((shares - np.eye(shares.shape[1])[truth]) ** 2).sum(axis=1)))
    # Equal probabilities stay together, so there may be fewer bins.
    place = np.searchsorted(np.unique(np.quantile(said, np.linspace(0, 1, BINS + 1)[1:-1])), said)
    bins: list[CalibrationBin] = [
        {
            "said": float(said[place == index].mean()),
            "true": float(came_true[place == index].mean()),
            "rows": int(np.sum(place == index)),
        }
        for index in np.unique(place)
    ]
    ece = sum(each["rows"] * abs(each["said"] - each["true"]) for each in bins) / len(truth)
    return {"bins": bins, "brier": brier, "ece": ece}


def _roc(label: str, truth: NDArray[np.bool_], score: Floats) -> Curve:
    from sklearn import metrics

    false_positive, true_positive, _ = metrics.roc_curve(truth, score)
    return _curve(label, false_positive, true_positive, float(metrics.auc(false_positive, true_positive)))


def _precision_recall(label: str, truth: NDArray[np.bool_], score: Floats) -> Curve:
    """``area`` is the average precision."""
    from sklearn import metrics

    precision, recall, _ = metrics.precision_recall_curve(truth, score)
    return _curve(label, recall, precision, float(metrics.average_precision_score(truth, score)))


def _curve(label: str, x: Floats, y: Floats, area: float) -> Curve:
    kept = np.unique(np.linspace(0, len(x) - 1, min(CURVE_POINTS, len(x))).round().astype("int64"))
    return {"label": label, "x": x[kept].tolist(), "y": y[kept].tolist(), "area": area}


def _outcome(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> Outcome:
    return {
        "tp": int(np.sum(truth & said)),
        "fp": int(np.sum(~truth & said)),
        "fn": int(np.sum(truth & ~said)),
        "tn": int(np.sum(~truth & ~said)),
    }
