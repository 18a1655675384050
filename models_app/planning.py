"""The flight plan of a training for the form, from what is known of the table without reading it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings as django_settings
from django.utils import timezone

from datasets import profiles
from datasets import services as datasets
from datasets.records import Dataset
from ml import flight_plan
from ml.column_types import ColumnType
from ml.cores import usable_cores
from ml.cross_validation import are_too_few
from ml.flight_plan import FlightPlan, Machine, Table
from ml.options import FAMILIES, HoldoutKind, model_keys
from ml.problem import ProblemType
from ml.profile_records import ColumnProfile
from models_app import plans_repository, turns_repository
from models_app.job_settings import JobSettings
from models_app.records import Plan
from models_app.training_limits import lacks_disk_for, memory_limit

logger = logging.getLogger(__name__)

_NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.DATE})
_TEXTS = frozenset({ColumnType.TEXT})
# More different numbers than these are asked for as a number.
_CLASSES = 20
_ENOUGH = 5
_LAST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    type: ColumnType
    unique: int
    # Rows of the rarest value, where that is known.
    fewest: int | None = None
    # Of so many rows, where the others have not been looked through.
    seen: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A plan with what surrounds it: ``wait`` seconds, ``waiting`` trainings before it, ``learned`` from so many
    trainings on this server; ``is_rough``: the table has not been looked through yet."""

    plan: FlightPlan
    problem_type: ProblemType
    rows: int
    waiting: int
    wait: float
    finish: tuple[datetime, datetime]
    learned: int
    memory_limit: int
    is_rough: bool
    lacks_disk: bool

    @property
    def takes_long(self) -> bool:
        """Whether earliest and latest finish are told apart on a clock without seconds."""
        earliest, latest = self.finish
        return (latest - earliest).total_seconds() >= 60

    @property
    def lacks_memory(self) -> bool:
        return self.plan.memory > self.memory_limit


def outlook(*, dataset: Dataset, settings: JobSettings, user_id: str) -> Outlook:
    """What a training with these settings would probably do if it were asked for now."""
    columns, is_rough = _columns(dataset)
    table, problem_type = _table(dataset, settings, columns)
    correction, learned = plans_repository.correction(preset=settings.preset, last=_LAST, at_least=_ENOUGH)
    limit = memory_limit()
    plan = flight_plan.make_plan(
        table,
        problem_type=problem_type,
        preset=settings.preset,
        time_limit=settings.time_limit,
        keys=model_keys(settings.families, django_settings.TRAINING_FAMILIES) or None,
        usable=_usable(),
        machine=Machine(cores=usable_cores(), memory=limit),
        correction=correction,
        cross_validates=_cross_validates(dataset, settings, columns, problem_type),
    )
    waiting, wait = _queue(user_id)
    now = timezone.now()
    low, high = (now + timedelta(seconds=wait + seconds) for seconds in plan.seconds)
    return Outlook(
        plan=plan,
        problem_type=problem_type,
        rows=table.rows,
        waiting=waiting,
        wait=wait,
        finish=(low, high),
        learned=learned,
        memory_limit=limit,
        is_rough=is_rough,
        lacks_disk=lacks_disk_for(dataset.file_size),
    )


def plan_to_keep(
    *, dataset: Dataset, settings: JobSettings, problem_type: ProblemType, user_id: str
) -> Plan | None:
    """What is kept with a job, to be held against what it comes to. A plan is no reason to refuse a training.
    ``problem_type`` is that of the whole table."""
    try:
        known = replace(settings, problem_type=problem_type)
        found = outlook(dataset=dataset, settings=known, user_id=user_id)
    except Exception:
        logger.exception("No plan could be made for a training on dataset %s.", dataset.id)
        return None
    low, high = found.plan.seconds
    models = sum(model.in_time for model in found.plan.models)
    return Plan(seconds=(low + high) / 2, memory=found.plan.memory, models=models)


def _columns(dataset: Dataset) -> tuple[tuple[_Column, ...], bool]:
    """The columns by type, and whether they are known from the first rows only."""
    profile = profiles.current(dataset=dataset)
    if profile is not None:
        return tuple(
            _Column(name=c.name, type=c.type, unique=c.unique, fewest=_fewest(c, dataset.row_count))
            for c in profile.columns
        ), False
    head = datasets.first_rows(dataset=dataset)
    values = zip(*head.rows, strict=True) if head.rows else ((),) * len(head.columns)
    return tuple(
        _Column(name=name, type=ColumnType(kind), unique=len(set(some)), seen=len(some))
        for name, kind, some in zip(head.columns, head.types, values, strict=True)
    ), True


def _fewest(column: ColumnProfile, rows: int) -> int | None:
    if not 2 <= column.unique == len(column.top):
        return None
    fewest = min(count for _, count in column.top)
    return round(fewest * rows / column.sampled_rows) if column.sampled_rows else fewest


def _cross_validates(
    dataset: Dataset, settings: JobSettings, columns: Sequence[_Column], problem_type: ProblemType
) -> bool:
    """Whether the score will come from folds, as ``models_app.pipeline`` decides on the rows themselves."""
    least: int = django_settings.CROSS_VALIDATE_BELOW
    if settings.holdout_kind is not HoldoutKind.RANDOM or not least:
        return False
    if round(dataset.row_count * settings.holdout_share) < least:
        return True
    fewest = next(column.fewest for column in columns if column.name == settings.target)
    if problem_type is not ProblemType.BINARY or fewest is None:
        return False
    return are_too_few(round(fewest * settings.holdout_share), all_rows=dataset.row_count)


def _table(dataset: Dataset, settings: JobSettings, columns: Sequence[_Column]) -> tuple[Table, ProblemType]:
    target = next(column for column in columns if column.name == settings.target)
    problem_type = settings.problem_type or _problem_type(target)
    used = set(settings.features_of(tuple(column.name for column in columns)))
    kinds = [column.type for column in columns if column.name in used and column.type is not ColumnType.ID]
    numbers, texts = sum(kind in _NUMBERS for kind in kinds), sum(kind in _TEXTS for kind in kinds)
    table = Table(
        rows=round(dataset.row_count * (1 - settings.holdout_share)),
        numbers=numbers,
        categories=len(kinds) - numbers - texts,
        texts=texts,
        classes=0 if problem_type is ProblemType.REGRESSION else target.unique,
    )
    return table, problem_type


def _problem_type(target: _Column) -> ProblemType:
    """Near enough for an estimate; the training itself decides on all of the data."""
    if target.unique <= 2:
        return ProblemType.BINARY
    is_number = target.type in (ColumnType.INTEGER, ColumnType.NUMERIC)
    # Of numbers that hardly repeat among a few rows there are many more in all.
    most = _CLASSES if target.seen is None else min(_CLASSES, target.seen // 2)
    return ProblemType.REGRESSION if is_number and target.unique > most else ProblemType.MULTICLASS


def _usable() -> frozenset[str]:
    allowed = django_settings.TRAINING_FAMILIES
    return frozenset(key for family in FAMILIES for key in family.keys if not allowed or key in allowed)


def _queue(user_id: str) -> tuple[int, float]:
    """How many trainings would begin before one that this person asked for now, and how long that takes."""
    before = turns_repository.before_one_of(user_id=user_id)
    workers: int = max(django_settings.Q_CLUSTER["ALT_CLUSTERS"]["training"]["workers"], 1)
    running, seconds = turns_repository.seconds_of_work()
    if running < workers and before == 0:
        return 0, 0.0
    return before, seconds / workers
