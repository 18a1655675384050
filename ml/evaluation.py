"""Scores on the holdout: rows that no fitting and no choice has seen, scored once, beside a baseline."""

from __future__ import annotations

import math
import time
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
        labels: list[Any] = list(predictor.class_labels) if classification else []
        positive = predictor.positive_class if problem_type is ProblemType.BINARY else None
        outputs = _outputs(predictor, holdout)
        if classification:
            figures = _classification_figures(predictor, outputs, train[target], holdout[target], labels, positive)
        else:
            figures = _regression_figures(outputs, train[target], holdout[target])
        rows = _leaderboard(predictor, outputs, {name: found[metric] for name, found in figures.metrics.items()})
    metrics, baseline_metrics = figures.metrics[best], figures.baseline
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
        undefined=figures.undefined,
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


@dataclass(frozen=True, slots=True)
class _Output:
    """What one model says of the holdout, in its order: a frame of probabilities by class, or a series of numbers.

    ``seconds_per_row`` includes the preparation of the columns and the models it is stacked on.
    """

    values: Any
    seconds_per_row: float


def _outputs(predictor: Any, holdout: DataFrame) -> dict[str, _Output]:
    """Every model's answer in a single pass, in which a stacked model uses what its base models have said.

    The public ``predict_proba_multi`` does the same without the times, and ``leaderboard`` without the answers.
    """
    trainer, learner = predictor._trainer, predictor._learner
    start = time.perf_counter()
    prepared = predictor.transform_features(holdout)
    preparing = time.perf_counter() - start
    answers, seconds = trainer.get_model_pred_proba_dict(
        X=prepared, models=predictor.model_names(can_infer=True), record_pred_time=True
    )
    return {
        name: _Output(
            learner._post_process_predict_proba(answers[name], index=holdout.index),
            (preparing + sum(seconds[base] for base in trainer.get_minimum_model_set(name))) / len(holdout),
        )
        for name in predictor.model_names(can_infer=True)
    }


def _leaderboard(
    predictor: Any, outputs: Mapping[str, _Output], holdout_scores: Mapping[str, float | None]
) -> tuple[ModelRow, ...]:
    """Best validation score first, as the choice was made. AutoGluon negates errors; here they are positive.

    Bags that were only a step towards a refitted model cannot predict any more and are left out.
    """
    table = predictor.leaderboard(set_refit_score_to_parent=True, display=False)
    table = table[table["model"].isin(outputs)]
    # The best stands first among its ties.
    table = table.assign(is_best=table["model"] == predictor.model_best)
    sign = -1.0 if lower_is_better(str(predictor.eval_metric.name)) else 1.0

    def score(value: Any) -> float | None:
        number = _finite(value)
        # 0.0 and not -0.0 for a perfect model.
        return None if number is None else sign * number + 0.0

    return tuple(
        ModelRow(
            name=str(row.model),
            val_score=score(row.score_val),
            holdout_score=holdout_scores[row.model],
            fit_seconds=_finite(row.fit_time),
            predict_seconds_per_row=outputs[row.model].seconds_per_row,
        )
        for row in table.sort_values(["score_val", "is_best"], ascending=False).itertuples()
    )


@dataclass(frozen=True, slots=True)
class _Figures:
    """Metrics of every model and of the baseline, and reasons for what is undefined on these rows."""

    metrics: dict[str, dict[str, float | None]]
    baseline: dict[str, float | None]
    undefined: dict[str, str]


def _classification_figures(
    predictor: Any,
    outputs: Mapping[str, _Output],
    train_target: Any,
    holdout_target: Any,
    labels: list[Any],
    positive: Any,
) -> _Figures:
    """The baseline is the majority class, with the training shares as probabilities. Classes are numbered as in
    ``labels``."""
    from sklearn.dummy import DummyClassifier

    number = {label: index for index, label in enumerate(labels)}
    positive_index = None if positive is None else number[positive]
    truth = holdout_target.map(number).to_numpy()
    metrics: dict[str, dict[str, float | None]] = {}
    for name, output in outputs.items():
        predicted = predictor.predict_from_proba(output.values).map(number).to_numpy()
        metrics[name], _ = _class_metrics(truth, predicted, output.values[labels].to_numpy(), positive_index)
    dummy = DummyClassifier(strategy="prior").fit([[0]] * len(train_target), train_target.map(number))
    blank = [[0]] * len(truth)
    baseline, undefined = _class_metrics(truth, dummy.predict(blank), dummy.predict_proba(blank), positive_index)
    return _Figures(metrics, baseline, undefined)


_CLASS_METRICS = {
    True: ("accuracy", "balanced_accuracy", "log_loss", "f1", "roc_auc"),
    False: ("accuracy", "balanced_accuracy", "log_loss", "f1_macro"),
}


def _class_metrics(
    truth: Any, predicted: Any, probabilities: Any, positive: int | None
) -> tuple[dict[str, float | None], dict[str, str]]:
    import numpy as np
    from sklearn import metrics

    undefined: dict[str, str] = {}
    if not np.isfinite(probabilities).all():
        return dict.fromkeys(_CLASS_METRICS[positive is not None]), undefined
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


def _regression_figures(outputs: Mapping[str, _Output], train_target: Any, holdout_target: Any) -> _Figures:
    """The baseline always says the training mean."""
    from sklearn.dummy import DummyRegressor

    truth = holdout_target.to_numpy(dtype="float64")
    metrics = {
        name: _number_metrics(truth, output.values.to_numpy(dtype="float64"))[0] for name, output in outputs.items()
    }
    dummy = DummyRegressor(strategy="mean").fit([[0]] * len(train_target), train_target.to_numpy(dtype="float64"))
    baseline, undefined = _number_metrics(truth, dummy.predict([[0]] * len(truth)))
    return _Figures(metrics, baseline, undefined)


def _number_metrics(truth: Any, predicted: Any) -> tuple[dict[str, float | None], dict[str, str]]:
    import numpy as np

    undefined: dict[str, str] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no figure: None
        errors = np.abs(predicted - truth)
        squares = errors**2
        spread = float(np.sum((truth - truth.mean()) ** 2))
    found: dict[str, float | None] = {
        "root_mean_squared_error": _finite(np.sqrt(np.mean(squares))),
        "mean_absolute_error": _finite(np.mean(errors)),
        "median_absolute_error": _finite(np.median(errors)),
        "r2": None,
    }
    if len(truth) < 2 or spread == 0.0:
        undefined["r2"] = "R² needs rows that differ in the target, and the rows set aside do not."
    else:
        found["r2"] = _finite(1.0 - float(np.sum(squares)) / spread)
    return found, undefined
