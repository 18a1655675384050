"""The two parts of a training, found again: the same table, read and split with the settings of then.

What is looked into afterwards must not mix the parts up, so the split that is found is held against the rows that
were kept (``ml.holdout_rows``); a table that parts otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import holdout_rows, overriding, profiling, splits, training
from ml.callbacks import FitEvent
from ml.column_types import ColumnType, ValueFormat
from ml.options import HoldoutKind
from ml.problem import Preset, ProblemType
from ml.splits import HoldoutPlan, Split
from smartml.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


class TableChanged(Conflict):
    """The table does not part into the rows that the version was trained on and judged by."""

    code = "table_changed"

    def __init__(self) -> None:
        super().__init__(
            "The dataset does not part into the same rows as when this version was trained.",
            hint="Train again: the new version can be looked into.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a version was asked for, as far as reading, splitting and fitting go. ``types`` are those that a person
    had chosen; ``families`` AutoGluon's model keys, None for those of the preset."""

    target: str
    problem_type: ProblemType
    plan: HoldoutPlan
    leave_out: tuple[str, ...]
    types: dict[str, ColumnType]
    formats: ValueFormat
    preset: Preset
    metric: str
    families: tuple[str, ...] | None
    balance_classes: bool
    train_rows: int
    holdout_rows: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        plan = data["plan"] | {"kind": HoldoutKind(data["plan"]["kind"])}
        families = data["families"]
        changed = {
            "problem_type": ProblemType(data["problem_type"]),
            "plan": HoldoutPlan(**plan),
            "leave_out": tuple(data["leave_out"]),
            "types": {name: ColumnType(kind) for name, kind in data["types"].items()},
            "formats": ValueFormat(**data["formats"]),
            "preset": Preset(data["preset"]),
            "families": None if families is None else tuple(families),
        }
        return cls(**{**data, **changed})


def split_again(table: Path, settings: Settings, kept: Path | None) -> Split:
    """The parts of a normalised table. ``kept``: the file of the rows that were held out, if there is one.

    :raises TableChanged: they are not those of the training.
    """
    found = profiling.full_schema(table, settings.formats)
    schema, _ = overriding.apply_types(table, found, settings.types, settings.formats)
    split = splits.split(
        profiling.read_frame(table, schema, settings.formats),
        target=settings.target,
        problem_type=settings.problem_type,
        plan=settings.plan,
        leave_out=settings.leave_out,
    )
    if (len(split.train), len(split.holdout)) != (settings.train_rows, settings.holdout_rows):
        raise TableChanged
    if kept is not None and not _holds(split, holdout_rows.read(kept), settings.target):
        raise TableChanged
    return split


def _holds(split: Split, kept: Any, target: str) -> bool:
    """Whether the rows that were kept are among those held out now, with the same answers."""
    now = split.holdout[target].set_axis(split.places)
    if not kept.index.isin(now.index).all():
        return False
    return bool((now.loc[kept.index].astype(str) == kept[target].astype(str)).all())


def without(split: Split, columns: Collection[str]) -> Split:
    """The same rows without some columns. One that the fit needs to set its own rows aside stays, unseen."""
    needed = [name for name in columns if name in split.structure.values()]
    dropped = [name for name in columns if name not in needed]
    return replace(
        split,
        train=split.train.drop(columns=dropped),
        holdout=split.holdout.drop(columns=dropped),
        ignored=(*split.ignored, *needed),
    )


def fit_again(
    split: Split,
    settings: Settings,
    *,
    seconds: float,
    directory: Path,
    on_event: Callable[[FitEvent], None],
    families: Sequence[str] | None = None,
    preset: Preset | None = None,
) -> training.FitResult:
    """A fit as the training's, in its own time. ``families`` and ``preset`` in the place of what was asked for."""
    return training.fit(
        split.train,
        target=settings.target,
        problem_type=settings.problem_type,
        preset=preset or settings.preset,
        time_limit=seconds,
        directory=directory,
        seed=settings.plan.seed,
        on_event=on_event,
        families=families if families is not None else settings.families,
        metric=settings.metric,
        balance_classes=settings.balance_classes,
        structure=split.structure,
        ignored=split.ignored,
    )
