"""Scores on the holdout: rows that no fitting and no choice has seen, scored once, beside a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ml.holdout import row_keys
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from smartml.errors import TrainingFailed

if TYPE_CHECKING:
    from pandas import DataFrame

_LOWER_IS_BETTER = frozenset(
    {"root_mean_squared_error", "mean_absolute_error", "median_absolute_error", "log_loss"}
)


def lower_is_better(metric: str) -> bool:
    """Whether a metric, in its natural sign, measures an error."""
    return metric in _LOWER_IS_BETTER


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model of the leaderboard. Scores in the metric's natural sign (an RMSE is positive).

    ``val_score`` of a model refitted on all training rows is that of the model it was refitted from.
    ``fit_seconds`` and ``predict_seconds_per_row`` include the models it is stacked on; the latter is the time
    for the whole holdout divided by its rows, not the latency of a single row.
    """

    name: str
    val_score: float | None
    holdout_score: float | None
    fit_seconds: float | None
    predict_seconds_per_row: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the holdout says about one training. Plain values only; an undefined figure is None.

    ``score`` and ``baseline`` are the headline metric of the best model (chosen by validation) and of always
    saying the majority class or the training mean, on the same holdout rows. ``undefined`` says in a sentence
    why a metric is None. ``positive_class`` is the class that ROC AUC and binary F1 are about.
    ``dropped_rows`` had no target and are in neither part. ``duplicate_rows`` of the others repeat another row in
    all columns (of three equal rows two do); None where this was not counted. ``seen_rows`` of the holdout equal a
    training row: none, unless a class is one row over and over.
    """

    metric_name: str
    lower_is_better: bool
    score: float
    baseline: float
    best_model: str
    metrics: dict[str, float | None]
    baseline_metrics: dict[str, float | None]
    undefined: dict[str, str]
    leaderboard: tuple[ModelRow, ...]
    train_rows: int
    holdout_rows: int
    dropped_rows: int = 0
    classes: tuple[str, ...] = ()
    positive_class: str | None = None
    duplicate_rows: int | None = None
    seen_rows: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable, without NaN."""
        plain = asdict(self)
        plain["leaderboard"] = list(plain["leaderboard"])
        plain["classes"] = list(plain["classes"])
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """The inverse of ``as_dict``; keys it does not know are left out."""
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        values["leaderboard"] = tuple(ModelRow(**row) for row in data["leaderboard"])
        values["classes"] = tuple(data["classes"])
        return cls(**values)


def evaluate(
    predictor: Any,
    *,
    train: DataFrame,
    holdout: DataFrame,
    target: str,
    problem_type: ProblemType,
    dropped_rows: int = 0,
) -> Evaluation:
    """Score every model of ``predictor`` on ``holdout``, and the best one by validation in other metrics too.

    Raises TrainingFailed when the best model gives no finite score.
    """
    classification = problem_type is not ProblemType.REGRESSION
    with quiet_autogluon():
        metric = str(predictor.eval_metric.name)
        best = str(predictor.model_best)
        rows = _leaderboard(predictor, holdout, negated=lower_is_better(metric))
        labels: list[Any] = list(predictor.class_labels) if classification else []
        positive = predictor.positive_class if problem_type is ProblemType.BINARY else None
        if classification:
            figures = _classification_figures(predictor, train[target], holdout, target, labels, positive)
        else:
            figures = _regression_figures(predictor, train[target], holdout, target)
    metrics, baseline_metrics, undefined = figures
    score, baseline = metrics[metric], baseline_metrics[metric]
    if score is None or baseline is None:
        raise TrainingFailed(
            "The best model gives no usable numbers on the rows that were set aside.",
            hint="Look for extreme values in the target column and train again.",
        )
    duplicates, seen = _repeated(train, holdout)
    return Evaluation(
        metric_name=metric,
        lower_is_better=lower_is_better(metric),
        score=score,
        baseline=baseline,
        best_model=best,
        metrics=metrics,
        baseline_metrics=baseline_metrics,
        undefined=undefined,
        leaderboard=rows,
        train_rows=len(train),
        holdout_rows=len(holdout),
        dropped_rows=dropped_rows,
        classes=tuple(class_name(label) for label in labels),
        positive_class=None if positive is None else class_name(positive),
        duplicate_rows=duplicates,
        seen_rows=seen,
    )


def _repeated(train: DataFrame, holdout: DataFrame) -> tuple[int, int]:
    """How many rows of both parts repeat another, and how many of the holdout equal one of the training rows."""
    import numpy as np

    known, checked = row_keys(train), row_keys(holdout)
    distinct = len(np.unique(np.concatenate((known, checked))))
    return len(known) + len(checked) - distinct, int(np.isin(checked, known).sum())


def class_name(label: Any) -> str:
    """A class as people read it; the same here and in predictions."""
    return str(label)


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _leaderboard(predictor: Any, holdout: DataFrame, *, negated: bool) -> tuple[ModelRow, ...]:
    """Best validation score first, as the choice was made. AutoGluon negates errors; here they are positive.

    Bags that were only a step towards a refitted model cannot predict any more and are left out.
    """
    table = predictor.leaderboard(holdout, set_refit_score_to_parent=True, display=False)
    table = table[table["model"].isin(predictor.model_names(can_infer=True))]
    # The best stands first among its ties.
    table = table.assign(is_best=table["model"] == predictor.model_best)
    sign = -1.0 if negated else 1.0

    def score(value: Any) -> float | None:
        number = _finite(value)
        # 0.0 and not -0.0 for a perfect model.
        return None if number is None else sign * number + 0.0

    return tuple(
        ModelRow(
            name=str(row.model),
            val_score=score(row.score_val),
            holdout_score=score(row.score_test),
            fit_seconds=_finite(row.fit_time),
            predict_seconds_per_row=_finite(row.pred_time_test / len(holdout)),
        )
        for row in table.sort_values(["score_val", "is_best"], ascending=False).itertuples()
    )


_Figures = tuple[dict[str, float | None], dict[str, float | None], dict[str, str]]


def _classification_figures(
    predictor: Any, train_target: Any, holdout: DataFrame, target: str, labels: list[Any], positive: Any
) -> _Figures:
    """Metrics of the best model, of the majority class (with the training shares as probabilities), and reasons
    for what is undefined. Classes are numbered as in ``labels``."""
    from sklearn.dummy import DummyClassifier

    number = {label: index for index, label in enumerate(labels)}
    truth = holdout[target].map(number).to_numpy()
    frame = predictor.predict_proba(holdout, as_pandas=True)
    predicted = predictor.predict_from_proba(frame).map(number).to_numpy()
    dummy = DummyClassifier(strategy="prior").fit([[0]] * len(train_target), train_target.map(number))
    blank = [[0]] * len(truth)
    positive_index = None if positive is None else number[positive]
    metrics, undefined = _class_metrics(truth, predicted, frame[labels].to_numpy(), positive_index)
    baseline, _ = _class_metrics(truth, dummy.predict(blank), dummy.predict_proba(blank), positive_index)
    return metrics, baseline, undefined


def _class_metrics(
    truth: Any, predicted: Any, probabilities: Any, positive: int | None
) -> tuple[dict[str, float | None], dict[str, str]]:
    import numpy as np
    from sklearn import metrics

    undefined: dict[str, str] = {}
    # float32 rows miss 1 by more than log_loss tolerates.
    shares = np.asarray(probabilities, dtype="float64")
    shares = shares / shares.sum(axis=1, keepdims=True)
    # Recall averaged over the classes that occur: sklearn's balanced_accuracy_score, without its warning.
    occurring = np.unique(truth)
    recalls = metrics.recall_score(truth, predicted, labels=occurring, average=None, zero_division=0)
    found: dict[str, float | None] = {
        "accuracy": _finite(metrics.accuracy_score(truth, predicted)),
        "balanced_accuracy": _finite(np.mean(recalls)),
        "log_loss": _finite(metrics.log_loss(truth, shares, labels=np.arange(shares.shape[1]))),
    }
    if positive is None:
        found["f1_macro"] = _finite(metrics.f1_score(truth, predicted, average="macro", zero_division=0))
        return found, undefined
    is_positive = truth == positive
    found["f1"] = _finite(metrics.f1_score(is_positive, predicted == positive, zero_division=0))
    if is_positive.all() or not is_positive.any():
        found["roc_auc"] = None
        undefined["roc_auc"] = "ROC AUC needs rows of both classes, and the rows set aside have only one."
    else:
        found["roc_auc"] = _finite(metrics.roc_auc_score(is_positive, shares[:, positive]))
    return found, undefined


def _regression_figures(predictor: Any, train_target: Any, holdout: DataFrame, target: str) -> _Figures:
    """Metrics of the best model, of always saying the training mean, and reasons for what is undefined."""
    from sklearn.dummy import DummyRegressor

    truth = holdout[target].to_numpy(dtype="float64")
    predicted = predictor.predict(holdout).to_numpy(dtype="float64")
    dummy = DummyRegressor(strategy="mean").fit([[0]] * len(train_target), train_target.to_numpy(dtype="float64"))
    metrics, undefined = _number_metrics(truth, predicted)
    baseline, _ = _number_metrics(truth, dummy.predict([[0]] * len(truth)))
    return metrics, baseline, undefined


def _number_metrics(truth: Any, predicted: Any) -> tuple[dict[str, float | None], dict[str, str]]:
    import numpy as np

    undefined: dict[str, str] = {}
    errors = np.abs(predicted - truth)
    spread = float(np.sum((truth - truth.mean()) ** 2))
    found: dict[str, float | None] = {
        "root_mean_squared_error": _finite(np.sqrt(np.mean(errors**2))),
        "mean_absolute_error": _finite(np.mean(errors)),
        "median_absolute_error": _finite(np.median(errors)),
        "r2": None,
    }
    if len(truth) < 2 or spread == 0.0:
        undefined["r2"] = "R² needs rows that differ in the target, and the rows set aside do not."
    else:
        found["r2"] = _finite(1.0 - float(np.sum(errors**2)) / spread)
    return found, undefined
