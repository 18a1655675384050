"""Whether the settings of a training fit together and fit the table, said before anything is queued."""

import unicodedata

from django.conf import settings as django_settings

from datasets import services as datasets
from datasets.file_names import clean_name
from datasets.records import Dataset
from ml.column_types import ColumnType
from ml.options import METRICS, ClassWeights, Family, HoldoutKind, model_keys, offered_families
from ml.problem import ProblemDecision, ProblemType
from ml.splits import MIN_GROUPS
from ml.value_checks import nearest
from models_app.job_settings import (
    MAX_ANSWER_MS,
    MAX_HOLDOUT,
    MAX_LEFT_OUT_CHARACTERS,
    MAX_SEED,
    MIN_ANSWER_MS,
    MIN_HOLDOUT,
    JobSettings,
)
from smartml.errors import InvalidInput, TrainingFailed
from storage.mongo_schema import MAX_COLUMN_NAME, MAX_LEFT_OUT

_QUOTED = 60
_TIMES = (ColumnType.DATE, ColumnType.INTEGER, ColumnType.NUMERIC)
# AutoGluon puts the weights into a column of this name.
_WEIGHTS_COLUMN = "balance_weight"


def families_offered() -> tuple[Family, ...]:
    """The model families that are installed and that the operator allows."""
    return offered_families(django_settings.TRAINING_FAMILIES)


def model_keys_of(settings: JobSettings) -> tuple[str, ...] | None:
    """AutoGluon's keys of the models to fit; None for those of the preset.

    :raises TrainingFailed: what was chosen cannot be fitted any more: the operator allows others by now.
    """
    keys = model_keys(settings.families, django_settings.TRAINING_FAMILIES)
    if settings.families and not keys:
        raise TrainingFailed("None of the chosen model families can be fitted here.", hint="Choose others.")
    return keys or None


def check_bounds(settings: JobSettings) -> None:
    """What can be said without the table.

    :raises InvalidInput: by field.
    """
    if not MIN_HOLDOUT <= settings.holdout_share <= MAX_HOLDOUT:
        _refuse("holdout_share", f"The holdout takes {MIN_HOLDOUT:.0%} to {MAX_HOLDOUT:.0%} of the rows.")
    if not 0 <= settings.seed <= MAX_SEED:
        _refuse("seed", f"The seed must be between 0 and {MAX_SEED}.")
    if settings.answer_ms is not None and not MIN_ANSWER_MS <= settings.answer_ms <= MAX_ANSWER_MS:
        _refuse("answer_ms", f"Answers can be asked for within {MIN_ANSWER_MS:g} to {MAX_ANSWER_MS:,.0f} ms.")
    if unknown := set(settings.families) - {family.name for family in families_offered()}:
        offered = ", ".join(family.name for family in families_offered())
        _refuse("families", f"{_listed(unknown)} cannot be fitted here.", hint=f"Choose of {offered}.")


def check_against_table(*, dataset: Dataset, settings: JobSettings, decision: ProblemDecision) -> None:
    """What depends on the columns and on the question.

    :raises InvalidInput: by field.
    """
    _check_metric(settings, decision.problem_type)
    columns = datasets.columns_of(dataset=dataset)
    if settings.class_weights is ClassWeights.BALANCED:
        if decision.problem_type is ProblemType.REGRESSION:
            _refuse("class_weights", f"Class weights need classes; `{settings.target}` is predicted as a number.")
        if _WEIGHTS_COLUMN in columns:
            _refuse("class_weights", f"Balanced classes cannot be used beside a column called `{_WEIGHTS_COLUMN}`.")
    _check_left_out(settings, columns)
    if settings.holdout_kind is not HoldoutKind.RANDOM:
        _check_holdout_column(dataset, settings, columns)
    if not settings.features_of(columns):
        _refuse("leave_out", "Every column besides the target is left out: nothing remains to predict from.")


def _check_metric(settings: JobSettings, problem_type: ProblemType) -> None:
    known = METRICS[problem_type]
    if settings.metric is not None and settings.metric not in known:
        question = "a number" if problem_type is ProblemType.REGRESSION else "classes"
        if problem_type is ProblemType.MULTICLASS and settings.metric in METRICS[ProblemType.BINARY]:
            question = "more than two classes"
        message = f"This metric does not fit: `{settings.target}` is predicted as {question}."
        _refuse("metric", message, hint=f"Choose one of {', '.join(known)}.")


def _check_left_out(settings: JobSettings, columns: tuple[str, ...]) -> None:
    if settings.target in settings.leave_out:
        message = f"`{_readable(settings.target)}` is the target: it cannot be left out."
        _refuse("leave_out", message, hint="Take it out of the columns to leave out.")
    if absent := set(settings.leave_out) - set(columns):
        _refuse("leave_out", f"There is no column {_listed(absent)} in this table.{_meant(absent, columns)}")
    if len(settings.leave_out) > MAX_LEFT_OUT or sum(map(len, settings.leave_out)) > MAX_LEFT_OUT_CHARACTERS:
        _refuse(
            "leave_out",
            f"At most {MAX_LEFT_OUT} columns, with names of {MAX_LEFT_OUT_CHARACTERS:,} characters together, can "
            "be left out here; remove the others from the file.",
        )
    for name in settings.leave_out:
        _check_name("leave_out", name)


def _check_holdout_column(dataset: Dataset, settings: JobSettings, columns: tuple[str, ...]) -> None:
    name = settings.holdout_column
    if not name:
        what = "time" if settings.holdout_kind is HoldoutKind.TIME else "group"
        _refuse("holdout_column", f"Choose the column that holds the {what}.")
    elif name not in columns:
        meant = _meant({name}, columns)
        _refuse("holdout_column", f"There is no column `{_readable(name)}` in this table.{meant}")
    elif name == settings.target:
        _refuse("holdout_column", f"`{_readable(name)}` is the target; rows are held out by another column.")
    else:
        _check_name("holdout_column", name)
        found = datasets.target_summary_of(dataset=dataset, target=name)
        shown = _readable(name)
        if settings.holdout_kind is HoldoutKind.GROUP:
            if found.distinct < MIN_GROUPS:
                _refuse(
                    "holdout_column",
                    f"`{shown}` has {found.distinct} different value{'' if found.distinct == 1 else 's'}; at least "
                    f"{MIN_GROUPS} groups are needed to hold some of them out.",
                )
        elif found.type not in _TIMES:
            message = f"`{shown}` holds neither dates nor numbers, so it does not order the rows."
            _refuse("holdout_column", message, hint="Choose a column of dates or numbers.")
        elif found.distinct < 2:
            _refuse("holdout_column", f"`{shown}` is the same in every row, so there are no latest rows.")


def _check_name(field: str, name: str) -> None:
    """A name is kept with the job, so it must be one that can be shown and stored."""
    if len(name) > MAX_COLUMN_NAME or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        _refuse(
            field,
            f"The name of the column `{_readable(name)}` is too long or holds a control character; give it a plain "
            "name in the file and upload it again.",
        )


def _readable(column: str) -> str:
    name = clean_name(column)
    return f"{name[:_QUOTED]}…" if len(name) > _QUOTED else name


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{_readable(name)}`" for name in sorted(names)[:5])


def _meant(absent: set[str], columns: tuple[str, ...]) -> str:
    """What one misspelt column is called, as far as that can be guessed."""
    near = nearest(next(iter(absent)), columns) if len(absent) == 1 else None
    return f" Did you mean `{_readable(near)}`?" if near is not None else " Names are those of the file's header."


def _refuse(field: str, message: str, hint: str = "") -> None:
    raise InvalidInput(message, hint=hint, fields={field: message})
