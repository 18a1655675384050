"""What a training will probably do, said before it begins: which models, in which order, how long, how much memory.

The order is AutoGluon's own (1.6; a test holds it against a fit). The seconds come from fits on tables of 1,000 to
40,000 rows on a machine with two cores (``benchmarks/flight_plan.py`` measures them again): a share that every fit
costs, and one that grows with the table. Early stopping depends on the data, so an estimate is a range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from ml.cross_validation import FIT_SHARE, FOLDS, LEAST_SECONDS, MOST_REPEATS
from ml.left_out import LeftOut
from ml.problem import Preset, ProblemType

_MEASURED_CORES: Final = 2
# From an estimate to what it may come to, either way.
_LOW, _HIGH = 0.6, 1.7
_FOLDS: Final = 8
_TEXT_FEATURES: Final = 100
_BALANCED_REFITS: Final = 1
# Variations of the same kinds of models that Best goes on with (its list of configurations, 1.6).
BEST_MORE: Final = 76
ENSEMBLE: Final = "WeightedEnsemble_L2"
# Before and after the fit: starting, reading and scoring, whatever the table and for each million cells.
_AROUND_SECONDS: Final = 9.0
_AROUND_PER_MILLION: Final = 3.0
# What a fold of cross-validation costs beside its fit: its predictor is made, written and asked.
_AROUND_FOLD: Final = 1.5
_BASE_MEMORY: Final = 650_000_000
_MEMORY_PER_CELL: Final = 200
_FOREST_MEMORY_PER_ROW: Final = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a fit is given: ``rows``, columns by kind without the target, and how many ``classes`` that has."""

    rows: int
    numbers: int
    categories: int
    texts: int
    classes: int = 0

    @property
    def features(self) -> int:
        return self.numbers + self.categories + self.texts * _TEXT_FEATURES

    @property
    def cells(self) -> int:
        return self.rows * max(self.features, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """``memory`` in bytes is what one training may hold."""

    cores: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModel:
    """``begins`` counts from the start of the fit; ``in_time``: that is before the limit. Both in seconds."""

    name: str
    family: str
    begins: float
    seconds: float
    in_time: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightPlan:
    """Seconds are of the fit (``fit``) and of the whole training, low to high; ``memory`` in bytes at its peak.

    ``left_out``: what will not be tried, with the reason. ``more``: how many further variations the preset goes on
    with while there is time. ``meets_limit``: the time limit probably ends the fit before everything was tried.
    ``checks``: how many fits more cross-validation makes of a small table, fewest to most; None without it.
    """

    models: tuple[PlannedModel, ...]
    left_out: tuple[LeftOut, ...]
    more: int
    folds: int
    fit: float
    seconds: tuple[float, float]
    memory: int
    meets_limit: bool
    checks: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """A model: its family, the key AutoGluon has for it, seconds for a fit, and for each 100,000 cells more; all of
    them grow by ``by_class`` for each class beyond two, as boosting grows a tree for each class in each round."""

    name: str
    family: str
    key: str
    fixed: float
    growing: float
    by_class: float = 0.0


# In AutoGluon's order.
_KINDS: Final = (
    _Kind("KNeighbors", "neighbours", "KNN", 0.05, 0.05),
    _Kind("LightGBMXT", "lightgbm", "GBM", 0.5, 0.5, by_class=1.0),
    _Kind("LightGBM", "lightgbm", "GBM", 0.5, 0.5, by_class=1.0),
    _Kind("RandomForest", "forests", "RF", 0.9, 7.0),
    _Kind("CatBoost", "catboost", "CAT", 1.2, 4.0, by_class=0.8),
    _Kind("ExtraTrees", "forests", "XT", 0.6, 2.2),
    _Kind("XGBoost", "xgboost", "XGB", 0.6, 0.5, by_class=1.0),
    _Kind("LinearModel", "linear", "LR", 0.1, 0.05),
    _Kind("NeuralNetTorch", "neural_nets", "NN_TORCH", 2.0, 0.0, by_class=0.1),
    _Kind("LightGBMLarge", "lightgbm", "GBM", 1.1, 1.8, by_class=2.0),
)
# A neural net grows with the rows; its width matters little.
_NET_SECONDS_PER_ROW: Final = 0.0015
_OF_PRESET: Final[Mapping[Preset, frozenset[str]]] = {
    Preset.QUICK: frozenset({"GBM", "CAT", "XGB", "NN_TORCH"}),
    Preset.BALANCED: frozenset({"GBM", "CAT", "XGB", "NN_TORCH"}),
    Preset.BEST: frozenset({"GBM", "CAT", "XGB", "NN_TORCH", "RF", "XT"}),
}
_TIME_SHARE: Final[Mapping[Preset, float]] = {Preset.QUICK: 1.0, Preset.BALANCED: 0.75, Preset.BEST: 0.9}
_NOT_OF_PRESET: Final = {
    "forests": "large and slow to store for no better score here; tick Forests to have them",
    "linear": "not one of this effort's models; tick Linear to have them",
    "neighbours": "not one of this effort's models; tick Nearest neighbours to have them",
}


def make_plan(
    table: Table,
    *,
    problem_type: ProblemType,
    preset: Preset,
    time_limit: float,
    keys: Collection[str] | None,
    usable: Collection[str],
    machine: Machine,
    correction: float = 1.0,
    cross_validates: bool = False,
) -> FlightPlan:
    """The plan for one training.

    :param keys: AutoGluon's keys of the models that were chosen; None for those of the preset.
    :param usable: the keys whose library is installed and that the operator allows.
    :param correction: what trainings on this server took, as a multiple of what had been estimated for them.
    :param cross_validates: whether the score comes from folds, as few rows are held out (``ml.cross_validation``).
    """
    bagged = preset is not Preset.QUICK
    folds = _FOLDS if bagged else 1
    wanted = _OF_PRESET[preset] if keys is None else frozenset(keys)
    budget = time_limit * _TIME_SHARE[preset] * (FIT_SHARE if cross_validates else 1.0)
    left_out = [LeftOut(name=kind.name, reason=reason) for kind, reason in _left_out(table, wanted, usable, keys)]
    kinds = [kind for kind in _KINDS if kind.key in wanted & frozenset(usable) and _fits_kind(kind, table)]
    models: list[PlannedModel] = []
    clock = 0.0
    for kind in kinds:
        seconds = folds * _seconds(kind, table, problem_type, machine) * correction
        in_time = clock < budget
        seconds = min(seconds, max(budget - clock, 0.0)) if in_time else seconds
        models.append(
            PlannedModel(name=kind.name, family=kind.family, begins=clock, seconds=seconds, in_time=in_time)
        )
        clock += seconds if in_time else 0.0
    more = BEST_MORE if preset is Preset.BEST and keys is None else 0
    if len(models) > 1:
        models.append(PlannedModel(name=ENSEMBLE, family="ensemble", begins=clock, seconds=0.5, in_time=True))
    fit = budget if more else min(clock, budget)
    refit = _BALANCED_REFITS * max((m.seconds / folds for m in models if m.in_time), default=0.0) if bagged else 0.0
    around = (_AROUND_SECONDS + _AROUND_PER_MILLION * table.cells / 1e6) * correction
    low = min(fit * (1.0 if more else _LOW), budget) + around * _LOW
    high = min(fit * _HIGH, budget * (1.5 if bagged else 1.1)) + refit + around * _HIGH
    checks: tuple[int, int] | None = None
    if cross_validates:
        whole = sum(folds * _seconds(kind, table, problem_type, machine) for kind in kinds) * correction
        whole = float("inf") if more else whole
        shortest, longest = (
            _cross_validation(whole * factor, time_limit - fit, share=_TIME_SHARE[preset])
            for factor in (_LOW, _HIGH)
        )
        low, high = low + min(shortest[0], longest[0]), high + max(shortest[0], longest[0])
        checks = min(shortest[1], longest[1]), max(shortest[1], longest[1])
    return FlightPlan(
        models=tuple(models),
        left_out=tuple(left_out),
        more=more,
        folds=folds,
        fit=fit,
        seconds=(low, high),
        memory=_memory(table, kinds, bagged=bagged),
        meets_limit=clock >= budget or more > 0,
        checks=checks,
    )


def _cross_validation(fit: float, seconds: float, *, share: float) -> tuple[float, int]:
    """How long cross-validation takes in ``seconds``, and how many fits it makes, where a fit without a limit takes
    ``fit``: as ``ml.cross_validation`` goes on with it."""
    spent, repeats = 0.0, 0
    while repeats < MOST_REPEATS and (repeats == 0 or seconds - spent >= spent / repeats):
        limit = max((seconds - spent) / FOLDS, LEAST_SECONDS) * share
        spent += FOLDS * (min(fit, limit) + _AROUND_FOLD)
        repeats += 1
    return spent, FOLDS * repeats


def _seconds(kind: _Kind, table: Table, problem_type: ProblemType, machine: Machine) -> float:
    growing = kind.growing * table.cells / 1e5
    if kind.key == "NN_TORCH":
        growing = _NET_SECONDS_PER_ROW * table.rows
    slowness: float = (_MEASURED_CORES / max(machine.cores, 1)) ** 0.7
    classes = max(table.classes - 2, 0) if problem_type is ProblemType.MULTICLASS else 0
    return (kind.fixed + growing * slowness) * (1 + kind.by_class * classes)


def _fits_kind(kind: _Kind, table: Table) -> bool:
    return kind.key != "KNN" or table.numbers > 0


def _left_out(
    table: Table, wanted: Collection[str], usable: Collection[str], keys: Collection[str] | None
) -> list[tuple[_Kind, str]]:
    found = []
    for kind in _KINDS:
        if kind.key not in wanted:
            reason = _NOT_OF_PRESET.get(kind.family, "") if keys is None else "not ticked"
        elif kind.key not in usable:
            reason = "its library is not installed here, or the operator does not allow it"
        elif not _fits_kind(kind, table):
            reason = "it needs columns of numbers, and there is none"
        else:
            continue
        if reason:
            found.append((kind, reason))
    return found


def _memory(table: Table, kinds: Collection[_Kind], *, bagged: bool) -> int:
    forests = _FOREST_MEMORY_PER_ROW * table.rows * sum(kind.family == "forests" for kind in kinds)
    return _BASE_MEMORY + table.cells * _MEMORY_PER_CELL * (2 if bagged else 1) + forests
