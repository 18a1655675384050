"""Scores on the holdout: rows that no fitting and no choice has seen, predicted once, beside a baseline."""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import resampling
from ml.answering import class_name
from ml.answers import HoldoutAnswers, answer_holdout
from ml.cross_validation import CrossValidated
from ml.holdout import row_keys
from ml.left_out import LeftOut
from ml.metrics import Answers, finite, lower_is_better
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from ml.resampling import Interval
from ml.setup_report import SetupReport
from smartml.errors import TrainingFailed

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Evaluation", "ModelRow", "class_name", "evaluate", "lower_is_better"]

# How long the times of single rows may take; models that are not reached have none.
_TIMING_SECONDS = 8.0
_TIMED_ROWS = 5
_TIMED_TURNS = 3
# A model is recommended for its speed when it takes at most this share of the chosen one's time: less than that is
# within what the same model takes from one time to the next.
_QUICKER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model of the leaderboard. Scores in the metric's natural sign (an RMSE is positive).

    ``val_score`` of a model refitted on all training rows is that of the model it was refitted from.
    ``fit_seconds``, ``predict_seconds_per_row``, ``one_row_seconds`` and ``size`` (bytes on disk) include the
    models it is stacked on. ``predict_seconds_per_row`` is the time for the whole holdout divided by its rows;
    ``one_row_seconds`` is the median latency of a single row once the model is in memory, None where the time for
    measuring was up. ``interval``: see ``Evaluation.intervals``. ``tied``: resamples of the holdout do not tell its
    score from that of the chosen model (which is tied with itself).
    """

    name: str
    val_score: float | None
    holdout_score: float | None
    fit_seconds: float | None
    predict_seconds_per_row: float | None
    one_row_seconds: float | None = None
    size: int | None = None
    interval: Interval | None = None
    tied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the holdout says about one training. Plain values only; an undefined figure is None.

    ``score`` and ``baseline`` are the headline metric of the best model (chosen by validation) and of always
    saying the majority class or the training mean, on the same holdout rows. ``undefined`` says in a sentence
    why a metric is None. ``positive_class`` is the class that ROC AUC and binary F1 are about.
    ``dropped_rows`` had no target and are in neither part. ``duplicate_rows`` of the others repeat another row in
    all columns (of three equal rows two do); None where this was not counted. ``seen_rows`` of the holdout equal a
    training row: none, unless a class is one row over and over.
    ``intervals`` are the 95 % bootstrap intervals of ``metrics`` over ``resamples`` resamples of the holdout (of
    its ``resampled_groups`` groups, where whole groups are held out); a metric that does not vary has none, but
    accuracy has an exact one then. ``recommended`` is the quickest of the
    models that are tied with the best, if that is another one. ``stopped_early``: the person ended the fitting
    before all models had been tried. ``left_out``: models that were not brought to an end. ``cross_validated``:
    see there; None where enough rows are held out, or where it could not be made: ``not_cross_validated`` says why
    then. ``setup`` is what was chosen for the training; None in
    evaluations that were stored before it was reported.
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
    intervals: dict[str, Interval] = field(default_factory=dict)
    resamples: int = 0
    resampled_groups: int | None = None
    recommended: str | None = None
    stopped_early: bool = False
    setup: SetupReport | None = None
    left_out: tuple[LeftOut, ...] = ()
    cross_validated: CrossValidated | None = None
    not_cross_validated: str = ""

    @property
    def headline(self) -> tuple[float, float]:
        """The score that a version is known by and the baseline beside it: of the rows held out, or of all rows
        where those were too few."""
        found = self.cross_validated
        return (self.score, self.baseline) if found is None else (found.score, found.baseline)

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable, without NaN."""
        plain = asdict(self)
        plain["leaderboard"] = list(plain["leaderboard"])
        plain["classes"] = list(plain["classes"])
        plain["left_out"] = list(plain["left_out"])
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """The inverse of ``as_dict``; keys it does not know are left out."""
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        values["leaderboard"] = tuple(_row_from_dict(row) for row in data["leaderboard"])
        values["classes"] = tuple(data["classes"])
        values["intervals"] = {name: (low, high) for name, (low, high) in data.get("intervals", {}).items()}
        values["left_out"] = tuple(LeftOut(**each) for each in data.get("left_out", ()))
        found = data.get("cross_validated")
        values["cross_validated"] = CrossValidated.from_dict(found) if found else None
        values["setup"] = SetupReport.from_dict(data["setup"]) if data.get("setup") else None
        return cls(**values)


def _row_from_dict(data: Mapping[str, Any]) -> ModelRow:
    known = {field.name for field in fields(ModelRow)}
    values = {key: value for key, value in data.items() if key in known}
    bounds = values.get("interval")
    return ModelRow(**{**values, "interval": None if bounds is None else (bounds[0], bounds[1])})


def evaluate(
    predictor: Any,
    *,
    train: DataFrame,
    holdout: DataFrame,
    target: str,
    problem_type: ProblemType,
    dropped_rows: int = 0,
    answered: HoldoutAnswers | None = None,
    units: resampling.Units | None = None,
) -> Evaluation:
    """Score every model of ``predictor`` on ``holdout``, and the best one by validation in other metrics too.

    ``answered``: its answers to the holdout, where they are known already. ``units``: the group of each row, where
    whole groups are held out.
    Raises TrainingFailed when the best model gives no finite score.
    """
    said = answered or answer_holdout(
        predictor, train=train, holdout=holdout, target=target, problem_type=problem_type
    )
    metric, best, answers = said.metric, said.best, said.answers
    metrics, baseline_metrics = answers[best].metrics(), said.baseline.metrics()
    score, baseline_score = metrics[metric], baseline_metrics[metric]
    if score is None or baseline_score is None:
        raise TrainingFailed(
            "The best model gives no usable numbers on the rows that were set aside.",
            hint="Look for extreme values in the target column and train again.",
        )
    with quiet_autogluon():
        rows = _leaderboard(predictor, said, _one_row_seconds(predictor, holdout))
    duplicates, seen = _repeated(train, holdout)
    trainer = predictor._trainer
    holds_best = {row.name for row in rows if best in trainer.get_minimum_model_set(row.name)} - {best}
    intervals, rows, recommended = _with_intervals(
        answers, rows, best=best, metric=metric, metrics=metrics, holds_best=holds_best, units=units
    )
    return Evaluation(
        metric_name=metric,
        lower_is_better=lower_is_better(metric),
        score=score,
        baseline=baseline_score,
        best_model=best,
        metrics=metrics,
        baseline_metrics=baseline_metrics,
        undefined={name: reason for name, reason in _UNDEFINED.items() if metrics.get(name, score) is None},
        leaderboard=rows,
        train_rows=len(train),
        holdout_rows=len(holdout),
        dropped_rows=dropped_rows,
        classes=tuple(class_name(label) for label in said.labels),
        positive_class=None if said.positive is None else class_name(said.positive),
        duplicate_rows=duplicates,
        seen_rows=seen,
        intervals=intervals,
        resamples=resampling.RESAMPLES,
        resampled_groups=None if units is None else int(units.max()) + 1,
        recommended=recommended,
    )


_UNDEFINED = {
    "roc_auc": "ROC AUC needs rows of both classes, and the rows set aside have only one.",
    "r2": "R² needs rows that differ in the target, and the rows set aside do not.",
}


def _with_intervals(
    answers: Mapping[str, Answers],
    rows: tuple[ModelRow, ...],
    *,
    best: str,
    metric: str,
    metrics: Mapping[str, float | None],
    holds_best: Collection[str],
    units: resampling.Units | None,
) -> tuple[dict[str, Interval], tuple[ModelRow, ...], str | None]:
    """The intervals of the best model's metrics; the leaderboard with its own, and ties; the quickest in the tie.

    All models are scored on the same resamples, so what two of them share by luck does not hide a difference.
    """
    defined = [name for name, value in metrics.items() if value is not None]
    wanted = {name: [metric] for name in answers} | {best: defined}
    drawn = resampling.resampled_metrics(wanted, answers, units=units)
    trials = answers[best].rows if units is None else int(units.max()) + 1
    found: list[ModelRow] = []
    for row in rows:
        tied = row.name == best or resampling.is_tie(drawn[row.name][metric], drawn[best][metric])
        bounds = _interval(metric, row.holdout_score, drawn[row.name][metric], trials)
        found.append(replace(row, interval=bounds, tied=tied))
    intervals = {name: _interval(name, metrics[name], drawn[best][name], trials) for name in defined}
    known = {name: bounds for name, bounds in intervals.items() if bounds is not None}
    return known, tuple(found), _quickest(found, best=best, holds_best=holds_best)


def _quickest(rows: Sequence[ModelRow], *, best: str, holds_best: Collection[str]) -> str | None:
    """Of the models in the tie the one that is plainly quicker than the chosen one, if there is any. One that asks
    the chosen one and does more (``holds_best``) cannot be."""
    times = {row.name: row.one_row_seconds for row in rows if row.tied and row.one_row_seconds is not None}
    quicker = {name: taken for name, taken in times.items() if name not in holds_best and name != best}
    if best not in times or not quicker:
        return None
    name = min(quicker, key=quicker.__getitem__)
    return name if quicker[name] <= _QUICKER * times[best] else None


def _interval(metric: str, value: float | None, drawn: Any, trials: int) -> Interval | None:
    """``trials``: rows, or groups of them, that were right or wrong by themselves."""
    bounds = resampling.interval(drawn)
    if bounds is None and metric == "accuracy" and value in (0.0, 1.0):
        return resampling.share_interval(round(value * trials), trials)
    return bounds


def _repeated(train: DataFrame, holdout: DataFrame) -> tuple[int, int]:
    """How many rows of both parts repeat another, and how many of the holdout equal one of the training rows."""
    import numpy as np

    known, checked = row_keys(train), row_keys(holdout)
    distinct = len(np.unique(np.concatenate((known, checked))))
    return len(known) + len(checked) - distinct, int(np.isin(checked, known).sum())


def _one_row_seconds(predictor: Any, holdout: DataFrame) -> dict[str, float]:
    """The median latency of one row for each model, in memory; the best model first, as long as the time lasts.

    All take their turn before any has its second, so that a machine that is busy for a moment, or not yet warm,
    does not make one of them look slow.
    """
    give_up = time.perf_counter() + _TIMING_SECONDS
    best = str(predictor.model_best)
    taken: dict[str, list[float]] = {}
    row = holdout.head(1).drop(columns=predictor.label)
    names = sorted(predictor.model_names(can_infer=True), key=lambda name: name != best)
    for name in names * _TIMED_TURNS:
        predictor.persist([name], max_memory=None)
        try:
            predictor.predict(row, model=name)  # the first answer makes what later ones use
            for _ in range(_TIMED_ROWS):
                start = time.perf_counter()
                predictor.predict(row, model=name)
                taken.setdefault(name, []).append(time.perf_counter() - start)
        finally:
            predictor.unpersist()
        if time.perf_counter() > give_up:
            break
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _size(predictor: Any, name: str) -> int:
    """Bytes on disk of a model and of those it is stacked on."""
    models = Path(predictor.path) / "models"
    return sum(
        file.stat().st_size
        for base in predictor._trainer.get_minimum_model_set(name)
        for file in (models / base).rglob("*")
        if file.is_file()
    )


def _leaderboard(
    predictor: Any, said: HoldoutAnswers, one_row_seconds: Mapping[str, float]
) -> tuple[ModelRow, ...]:
    """Best validation score first, as the choice was made. AutoGluon negates errors; here they are positive.

    Bags that were only a step towards a refitted model cannot predict any more and are left out.
    """
    table = predictor.leaderboard(set_refit_score_to_parent=True, display=False)
    table = table[table["model"].isin(said.outputs)]
    # The best stands first among its ties.
    table = table.assign(is_best=table["model"] == predictor.model_best)
    sign = -1.0 if lower_is_better(said.metric) else 1.0

    def score(value: Any) -> float | None:
        number = finite(value)
        # 0.0 and not -0.0 for a perfect model.
        return None if number is None else sign * number + 0.0

    return tuple(
        ModelRow(
            name=str(row.model),
            val_score=score(row.score_val),
            holdout_score=said.answers[row.model].metrics()[said.metric],
            fit_seconds=finite(row.fit_time),
            predict_seconds_per_row=said.outputs[row.model].seconds_per_row,
            one_row_seconds=one_row_seconds.get(row.model),
            size=_size(predictor, row.model),
        )
        for row in table.sort_values(["score_val", "is_best"], ascending=False).itertuples()
    )
