"""What a person asks a training for, and the same as MongoDB keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from ml.options import ClassWeights, HoldoutKind
from ml.problem import Preset, ProblemType
from ml.splits import HoldoutPlan

MIN_HOLDOUT, MAX_HOLDOUT = 0.05, 0.5
MAX_SEED = 2**31 - 1
MIN_ANSWER_MS, MAX_ANSWER_MS = 0.1, 60_000.0
# Names of columns are kept with the job and with its version: together they must stay small.
MAX_LEFT_OUT_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """``time_limit`` is seconds of fitting; ``holdout_share`` is in [0.05, 0.5].

    ``problem_type`` None is the inferred one, ``metric`` None the usual one of the problem type, no ``families``
    those of the preset. ``holdout_column`` holds the time or the group; a group is a feature only if
    ``group_is_feature`` (a time always is one unless it is among the columns to ``leave_out``). ``answer_ms``:
    milliseconds within which the model has to answer one row; None for the best model whatever it takes.
    """

    target: str
    preset: Preset = Preset.QUICK
    time_limit: int = 60
    problem_type: ProblemType | None = None
    metric: str | None = None
    holdout_share: float = 0.2
    holdout_kind: HoldoutKind = HoldoutKind.RANDOM
    holdout_column: str | None = None
    group_is_feature: bool = False
    leave_out: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    class_weights: ClassWeights = ClassWeights.NONE
    seed: int = 0
    answer_ms: float | None = None

    def holdout_plan(self) -> HoldoutPlan:
        """How rows are to be held out."""
        return HoldoutPlan(
            kind=self.holdout_kind,
            share=self.holdout_share,
            seed=self.seed,
            column=self.holdout_column,
            column_is_feature=self.group_is_feature or self.holdout_kind is not HoldoutKind.GROUP,
        )

    def features_of(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Those of ``columns`` that models may look at."""
        held = self.holdout_column if self.holdout_kind is HoldoutKind.GROUP and not self.group_is_feature else None
        return tuple(name for name in columns if name not in {self.target, held, *self.leave_out})


_KINDS: dict[str, type[StrEnum]] = {
    "preset": Preset,
    "problem_type": ProblemType,
    "holdout_kind": HoldoutKind,
    "class_weights": ClassWeights,
}


def to_document(settings: JobSettings) -> dict[str, Any]:
    """As plain values."""
    document = asdict(settings)
    document["leave_out"] = list(settings.leave_out)
    document["families"] = list(settings.families)
    for name in _KINDS:
        document[name] = None if document[name] is None else document[name].value
    return document


def from_document(document: Mapping[str, Any]) -> JobSettings:
    """The inverse; what an older document lacks has its default, unknown fields are left out."""
    values = {field.name: document[field.name] for field in fields(JobSettings) if field.name in document}
    for name, kind in _KINDS.items():
        if values.get(name) is not None:
            values[name] = kind(values[name])
    for name in ("leave_out", "families"):
        values[name] = tuple(values.get(name, ()))
    return JobSettings(**values)
