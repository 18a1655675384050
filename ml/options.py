"""What a training can be asked for beside target and preset. A light module: no data library is imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ml.problem import ProblemType


class HoldoutKind(StrEnum):
    """Which rows are held out: any (classes in proportion), the latest, or whole groups."""

    RANDOM = "random"
    TIME = "time"
    GROUP = "group"


class ClassWeights(StrEnum):
    """``balanced``: in fitting, each class counts alike however many rows it has. Scores are never weighted."""

    NONE = "none"
    BALANCED = "balanced"


# AutoGluon's names of those metrics that `ml.metrics` computes; the first is the usual one.
METRICS: dict[ProblemType, tuple[str, ...]] = {
    ProblemType.BINARY: ("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"),
    ProblemType.MULTICLASS: ("accuracy", "balanced_accuracy", "f1_macro", "log_loss"),
    ProblemType.REGRESSION: (
        "root_mean_squared_error",
        "mean_absolute_error",
        "median_absolute_error",
        "r2",
    ),
}


def usual_metric(problem_type: ProblemType) -> str:
    """What a score means unless the person says otherwise."""
    return METRICS[problem_type][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A kind of model under one name. ``libraries``: AutoGluon's model keys, each with the module it needs.

    ``weighs_classes``: it takes class weights; the others ignore them (AutoGluon 1.6).
    """

    name: str
    libraries: dict[str, str]
    weighs_classes: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """The model keys whose library is installed."""
        return tuple(key for key, library in self.libraries.items() if _is_installed(library))


FAMILIES = (
    Family(name="lightgbm", libraries={"GBM": "lightgbm"}),
    Family(name="catboost", libraries={"CAT": "catboost"}),
    Family(name="xgboost", libraries={"XGB": "xgboost"}),
    Family(name="neural_nets", libraries={"NN_TORCH": "torch", "FASTAI": "fastai"}, weighs_classes=False),
    Family(name="forests", libraries={"RF": "sklearn", "XT": "sklearn"}),
    Family(name="linear", libraries={"LR": "sklearn"}),
    Family(name="neighbours", libraries={"KNN": "sklearn"}, weighs_classes=False),
)


def is_usable(model_key: str) -> bool:
    """Whether the library behind one of AutoGluon's model keys is installed; unknown keys are left to AutoGluon."""
    libraries = {key: library for family in FAMILIES for key, library in family.libraries.items()}
    return model_key not in libraries or _is_installed(libraries[model_key])


def offered_families(allowed: Collection[str] = ()) -> tuple[Family, ...]:
    """The families that can be fitted here; with ``allowed`` (model keys), those that the operator allows too."""
    return tuple(family for family in FAMILIES if _keys(family, allowed))


def model_keys(names: Sequence[str], allowed: Collection[str] = ()) -> tuple[str, ...]:
    """The model keys of families, in their usual order; no family named: all that is ``allowed``, or none."""
    if not names:
        return tuple(allowed)
    return tuple(key for family in FAMILIES if family.name in names for key in _keys(family, allowed))


def _keys(family: Family, allowed: Collection[str]) -> tuple[str, ...]:
    return tuple(key for key in family.keys if not allowed or key in allowed)


def _is_installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
