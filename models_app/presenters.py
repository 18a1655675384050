"""Records as the templates want them: times left, signs of scores, percentages. No input or output here."""

from dataclasses import dataclass, replace
from datetime import datetime

from ml.evaluation import Evaluation, ModelRow, lower_is_better
from ml.problem import ProblemType
from models_app.records import FittedModel, Job, JobStatus, LogLine, ModelVersion
from models_app.setup_presenter import Fact, chosen, metric_of

_BADGES = {
    JobStatus.QUEUED: ("secondary", "Waiting"),
    JobStatus.RUNNING: ("blue", "Training"),
    JobStatus.EVALUATING: ("blue", "Evaluating"),
    JobStatus.STORING: ("blue", "Storing"),
    JobStatus.SUCCEEDED: ("green", "Succeeded"),
    JobStatus.FAILED: ("red", "Failed"),
    JobStatus.CANCELLED: ("yellow", "Cancelled"),
}
# A young job changes every second or two; one that has run for minutes does not.
_POLL_SECONDS = ((60, 2), (600, 3))
_POLL_SLOWEST = 5

_TYPICAL_ERRORS = frozenset({"root_mean_squared_error", "mean_absolute_error", "median_absolute_error"})
# Times of one row differ between two trainings of the same model.
_ROOM = 1.5
_ONE_SIDED = frozenset({"f1", "roc_auc"})
METRIC_LABELS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "f1_macro": "F1 (macro)",
    "log_loss": "Log loss",
    "roc_auc": "ROC AUC",
    "root_mean_squared_error": "RMSE",
    "mean_absolute_error": "Mean absolute error",
    "median_absolute_error": "Median absolute error",
    "r2": "R²",
}


def metric_label(name: str) -> str:
    """A metric's name for people."""
    return METRIC_LABELS.get(name, name.replace("_", " "))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job with what its page shows. Durations in seconds; ``percent`` is 0 to 100."""

    job: Job
    colour: str
    label: str
    percent: int
    elapsed: float
    fit_seconds_left: float | None
    metric: str
    best: FittedModel | None
    rows: tuple[FittedModel, ...]
    queue_position: int | None
    memory_limit: int | None
    poll_seconds: int | None
    chosen: tuple[Fact, ...]
    log: tuple[LogLine, ...]


def present_job(
    job: Job, *, now: datetime, queue_position: int | None = None, memory_limit: int | None = None
) -> JobView:
    """The job as its page shows it at ``now``."""
    colour, label = _BADGES[job.status]
    start = job.started_at or job.created_at
    elapsed = max(0.0, ((job.finished_at or now) - start).total_seconds())
    rows = tuple(_in_natural_sign(row, job.metric) for row in sorted(job.leaderboard, key=_by_score))
    return JobView(
        job=job,
        colour=colour,
        label=_stopping_label(job) or label,
        percent=100 if job.status is JobStatus.SUCCEEDED else round(100 * job.progress),
        elapsed=elapsed,
        fit_seconds_left=_fit_seconds_left(job, now),
        metric=metric_label(job.metric) if job.metric else "Score",
        best=rows[0] if rows and rows[0].val_score is not None else None,
        rows=rows,
        queue_position=queue_position,
        memory_limit=memory_limit,
        poll_seconds=None if job.status.is_over else _poll_seconds(elapsed),
        chosen=chosen(job.settings, metric=metric_label(metric_of(job))),
        log=job.log[::-1],
    )


def _stopping_label(job: Job) -> str | None:
    if job.cancel_requested and not job.status.is_over:
        return "Stopping"
    return "Finishing early" if job.stop_requested and job.status is JobStatus.RUNNING else None


def _by_score(row: FittedModel) -> float:
    """Best first; a model without a score last. AutoGluon's sign: higher is better."""
    return float("inf") if row.val_score is None else -row.val_score


def _in_natural_sign(row: FittedModel, metric: str | None) -> FittedModel:
    """AutoGluon negates errors so that higher is better; people read an RMSE as a positive number."""
    if metric is None or row.val_score is None or not lower_is_better(metric):
        return row
    return replace(row, val_score=-row.val_score)


def _fit_seconds_left(job: Job, now: datetime) -> float | None:
    """Seconds until the time limit of the fit, while it is being fitted."""
    if job.status is not JobStatus.RUNNING or job.fit_started_at is None:
        return None
    return max(0.0, job.settings.time_limit - (now - job.fit_started_at).total_seconds())


def _poll_seconds(elapsed: float) -> int:
    return next((seconds for limit, seconds in _POLL_SECONDS if elapsed < limit), _POLL_SLOWEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric of the chosen model beside the same metric of the baseline; None where it is undefined, with the
    reason as ``note``. ``interval`` is its 95 % bootstrap interval."""

    label: str
    value: float | None
    baseline: float | None
    interval: tuple[float, float] | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationView:
    """An evaluation with labels, and one sentence on what the score means. ``interval`` is that of the headline;
    ``ties`` counts the models that the holdout does not tell from the chosen one, ``quickest`` is one of them.
    ``faster_ms``: a limit to train again with, None where no other model answers one row sooner."""

    evaluation: Evaluation
    metric: str
    verdict: str
    beats_baseline: bool
    interval: tuple[float, float] | None
    ties: int
    quickest: ModelRow | None
    chosen: ModelRow | None
    faster_ms: float | None
    metrics: tuple[MetricRow, ...]


def _faster_ms(evaluation: Evaluation, chosen: ModelRow | None) -> float | None:
    """In milliseconds: half of what the chosen model takes for one row, but no less than the quickest needs."""
    if chosen is None or chosen.one_row_seconds is None:
        return None
    quickest = min(row.one_row_seconds for row in evaluation.leaderboard if row.one_row_seconds is not None)
    limit = float(f"{1000 * max(chosen.one_row_seconds / 2, _ROOM * quickest):.2g}")
    return limit if limit < 1000 * chosen.one_row_seconds else None


def present_evaluation(evaluation: Evaluation, version: ModelVersion) -> EvaluationView:
    """The evaluation of one version as its page shows it."""
    score, baseline = evaluation.headline
    beats = score < baseline if evaluation.lower_is_better else score > baseline
    rows = {row.name: row for row in evaluation.leaderboard}
    return EvaluationView(
        evaluation=evaluation,
        metric=metric_label(evaluation.metric_name),
        verdict=_verdict(evaluation, version, beats),
        beats_baseline=beats,
        interval=(evaluation.cross_validated or evaluation).intervals.get(evaluation.metric_name),
        ties=sum(row.tied for row in evaluation.leaderboard if row.name != evaluation.best_model),
        quickest=None if evaluation.recommended is None else rows.get(evaluation.recommended),
        chosen=rows.get(evaluation.best_model),
        faster_ms=_faster_ms(evaluation, rows.get(evaluation.best_model)),
        metrics=tuple(
            MetricRow(
                label=_label_with_class(name, evaluation.positive_class),
                value=value,
                baseline=evaluation.baseline_metrics.get(name),
                interval=evaluation.intervals.get(name),
                note=evaluation.undefined.get(name, ""),
            )
            for name, value in evaluation.metrics.items()
        ),
    )


def _label_with_class(name: str, positive_class: str | None) -> str:
    """F1 and ROC AUC of a yes/no question are about one of its two classes; which one must be said."""
    label = metric_label(name)
    return f"{label} for “{positive_class}”" if positive_class is not None and name in _ONE_SIDED else label


def _verdict(evaluation: Evaluation, version: ModelVersion, beats: bool) -> str:
    """One plain sentence on the headline score, computed from it and its baseline alone."""
    score, baseline = evaluation.headline
    checked = evaluation.cross_validated
    metrics = (checked or evaluation).metrics
    baseline_metrics = (checked or evaluation).baseline_metrics
    rows = f"{evaluation.holdout_rows:,} rows the model had never seen"
    if checked is not None:
        rows = f"all {checked.rows:,} rows, each judged by models made the same way that had never seen it"
    elif evaluation.seen_rows:
        rows = (
            f"{evaluation.holdout_rows:,} rows set aside, {evaluation.seen_rows:,} of them equal to one it had seen"
        )
    if not beats:
        metric = metric_label(evaluation.metric_name)
        poor = f"On {rows}, its {metric} is no better than that of a guess that ignores every feature."
        ranking, guess = metrics.get("roc_auc"), baseline_metrics.get("roc_auc")
        if ranking is not None and guess is not None and ranking > guess:
            return (
                f"{poor} It does tell likely rows from unlikely ones (ROC AUC {ranking:.3g}, a guess {guess:.3g})."
            )
        return f"{poor} Do not rely on it."
    if evaluation.metric_name in _TYPICAL_ERRORS:
        share = 1 - score / baseline
        return f"On {rows}, its typical error is {share:.0%} smaller than always predicting the mean."
    if metrics.get("accuracy") == 1 and version.problem_type is not ProblemType.REGRESSION:
        right = baseline_metrics.get("accuracy")
        known = "" if right is None else f" The most frequent class alone is right {right:.1%}."
        return (
            f"On {rows}, it made no mistake. That is rare in real data: look for a column that only repeats the "
            f"target or is known after it.{known}"
        )
    if evaluation.metric_name == "accuracy":
        right_share = f"On {rows}, it was right {score:.1%} of the time"
        return f"{right_share}; always answering with the most frequent class is right {baseline:.1%}."
    metric = metric_label(evaluation.metric_name)
    lower = " (lower is better)" if evaluation.lower_is_better else ""
    ignorant = f"that of a guess that ignores every feature is {baseline:.3g}"
    return f"On {rows}, its {metric}{lower} is {score:.3g}; {ignorant}."
