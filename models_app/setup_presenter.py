"""What was chosen for a training, in words: on the form, the page of the job and the page of the model."""

from dataclasses import dataclass

from ml.evaluation import Evaluation
from ml.fast import FastChoice
from ml.options import ClassWeights, HoldoutKind, usual_metric
from ml.problem import Preset, ProblemDecision, ProblemType
from ml.readable import plain_number
from ml.setup_report import SetupReport
from ml.splits import HoldoutReport
from models_app.records import Job, JobSettings, ModelVersion

PROBLEM_LABELS = {
    ProblemType.BINARY: "Yes or no (two classes)",
    ProblemType.MULTICLASS: "Classes (three or more)",
    ProblemType.REGRESSION: "A number (regression)",
}
METRIC_NOTES = {
    "accuracy": "the share of rows answered rightly",
    "balanced_accuracy": "the same, with every class counting alike however rare",
    "f1": "how many of the rarer answer are found, and how few false alarms",
    "f1_macro": "finding each class with few false alarms, classes counting alike",
    "roc_auc": "how well likely rows are ranked above unlikely ones",
    "log_loss": "how truthful the probabilities are; lower is better",
    "root_mean_squared_error": "the typical error, large ones weighing more; lower is better",
    "mean_absolute_error": "the average error; lower is better",
    "median_absolute_error": "half of the errors are smaller; lower is better",
    "r2": "the share of the variation that is explained",
}
FAMILY_LABELS = {
    "lightgbm": "LightGBM (boosted trees)",
    "catboost": "CatBoost (boosted trees)",
    "xgboost": "XGBoost (boosted trees)",
    "neural_nets": "Neural nets",
    "forests": "Forests (large and slow to store)",
    "linear": "Linear models",
    "neighbours": "Nearest neighbours (numbers only)",
}
_COLUMNS_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A choice with its value; ``value`` may hold column names between backticks."""

    label: str
    value: str


def other_problems(decision: ProblemDecision) -> str:
    """What else the target could be taken for, where that is a real choice: two values ask yes or no."""
    if decision.problem_type is ProblemType.BINARY:
        return ""
    return " or ".join(PROBLEM_LABELS[kind].lower() for kind in decision.others)


def chosen(settings: JobSettings, *, metric: str) -> tuple[Fact, ...]:
    """What was asked for, beside target, preset and time limit. ``metric``: its name for people."""
    facts = [Fact(label="Metric", value=metric), Fact(label="Holdout", value=_plan(settings))]
    if settings.answer_ms is not None:
        facts.append(Fact(label="Answers", value=f"within {settings.answer_ms:g} ms, if a model is that quick"))
    return tuple(facts + _details(settings))


def cross_validation(evaluation: Evaluation) -> str:
    """Where the score of a small table comes from; empty where the rows held out are enough."""
    found = evaluation.cross_validated
    if found is None and evaluation.not_cross_validated:
        return (
            f"The {evaluation.holdout_rows:,} rows held out are few for this question, so their luck decides much "
            "of the score: read its interval first. Cross-validation over all rows, which would say more, could "
            f"not be made, because {evaluation.not_cross_validated}. Train again to have it."
        )
    if found is None:
        return ""
    times = {1: "once", 2: "twice"}.get(found.repeats, f"{found.repeats} times")
    few = f"Only {evaluation.holdout_rows:,} rows could be held out"
    if found.rare_rows is not None:
        few = f"Only {found.rare_rows} of the {evaluation.holdout_rows:,} rows held out have the rarer answer"
    return (
        f"{few}, too few to trust their luck. So the score is "
        f"that of {found.folds}-fold cross-validation over all {found.rows:,} rows, made {times}. The rows held "
        f"out alone say {evaluation.score:.3g}; the tables and figures below are of them."
    )


def chosen_for_version(version: ModelVersion, report: SetupReport | None) -> tuple[Fact, ...]:
    """What was asked for and, for the holdout, what was done."""
    facts = [] if report is None else [Fact(label="Held out", value=held_out(report.holdout))]
    if report is not None and report.threshold is not None and report.threshold != 0.5:
        value = f"the positive class from a probability of {report.threshold:.3g}; chosen on validation rows"
        facts.append(Fact(label="Threshold", value=value))
    if report is not None and report.fast is not None:
        facts.append(Fact(label="Answers", value=quickness(report.fast)))
    if version.settings is None:
        return tuple(facts)
    facts += _details(version.settings)
    if report is not None:
        facts.append(Fact(label="Repeatable", value=repeatable(version, report)))
    return tuple(facts)


def quickness(fast: FastChoice) -> str:
    """How quick a model had to be, and what that has cost."""
    limit, taken = f"{fast.limit_ms:g} ms", f"{fast.model_ms:.3g} ms"
    said = f"`{fast.model}` takes {taken} for one row, where {limit} were asked for"
    if not fast.is_met:
        said = f"no model answers one row within {limit}; `{fast.model}` is the quickest, {taken}"
    if fast.model == fast.best:
        return f"{said}; it is the best model besides" if fast.is_met else f"{said}, and the best besides"
    known = (fast.best_score, fast.model_score)
    best, own = ("unknown" if score is None else plain_number(score) for score in known)
    return (
        f"{said}. Given up for it: `{fast.best}`, with a validation score of {best} instead of {own} and "
        f"{fast.best_ms:.3g} ms for one row"
    )


def _details(settings: JobSettings) -> list[Fact]:
    facts = []
    if settings.problem_type is not None:
        facts.append(Fact(label="Problem type", value=f"chosen: {PROBLEM_LABELS[settings.problem_type].lower()}"))
    if settings.leave_out:
        facts.append(Fact(label="Left out", value=_columns(settings.leave_out)))
    families = [FAMILY_LABELS.get(name, name).partition(" (")[0] for name in settings.families]
    facts.append(Fact(label="Models", value=", ".join(families) or "those of the preset"))
    if settings.class_weights is ClassWeights.BALANCED:
        facts.append(Fact(label="Rare classes", value="balanced in fitting; scores are not weighted"))
    facts.append(Fact(label="Seed", value=str(settings.seed)))
    return facts


def _columns(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_COLUMNS_NAMED])
    return shown if len(names) <= _COLUMNS_NAMED else f"{shown} and {len(names) - _COLUMNS_NAMED} more"


def _plan(settings: JobSettings) -> str:
    share = f"{settings.holdout_share:.0%}".replace("%", " %")
    if settings.holdout_kind is HoldoutKind.TIME:
        return f"the latest {share} by `{settings.holdout_column}`"
    if settings.holdout_kind is HoldoutKind.GROUP:
        return f"whole groups of `{settings.holdout_column}`, {share} of the rows"
    return f"{share} of the rows, at random"


def held_out(report: HoldoutReport) -> str:
    """Which rows the score comes from."""
    share = f"{100 * report.share:.3g} %"
    if report.kind is HoldoutKind.RANDOM:
        return f"{share} of the rows, at random (seed {report.seed})"
    sentences = []
    if report.kind is HoldoutKind.TIME:
        sentences.append(f"the latest {share} by `{report.column}`, from {report.start}")
    else:
        sentences.append(
            f"{share} of the rows: {report.groups:,} of {report.all_groups:,} groups of `{report.column}`, whole "
            f"(seed {report.seed})"
        )
    if not report.column_is_feature:
        sentences.append("that column is not a feature")
    if report.unplaced_rows:
        rows = "1 row" if report.unplaced_rows == 1 else f"{report.unplaced_rows:,} rows"
        sentences.append(f"{rows} without a value there in neither part")
    if report.validation is not report.kind:
        sentences.append("models were chosen on random rows, as a class would have been missing otherwise")
    sentences.append("intervals take rows for independent, so the true ones are wider")
    return "; ".join(sentences)


def repeatable(version: ModelVersion, report: SetupReport) -> str:
    """What the same data, settings and seed give again."""
    if report.ran_out_of_time:
        return (
            "the same rows are held out again; the fit met its time limit, so another run may get further or less "
            "far and score a little differently"
        )
    if version.preset is not Preset.QUICK:
        return (
            "the same rows are held out again; the folds of this preset share out the time, so the score is the "
            "same only if none of them is cut short"
        )
    return "the same rows and, on this machine with these library versions, the same score"


def metric_of(job: Job) -> str:
    """The metric that decides, by its name in the libraries."""
    return job.settings.metric or usual_metric(job.problem_type)
