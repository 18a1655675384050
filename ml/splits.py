"""Which rows are held out: at random, the latest, or whole groups; and which columns the models may look at.

A random holdout answers "how good is it on more rows like these". Rows that come in groups (visits of a patient) or
in an order of time are not like that: a random row has siblings in the other part, and the score flatters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ml.holdout import draw_holdout, placed_rows, with_column
from ml.options import HoldoutKind
from ml.problem import ProblemType
from smartml.errors import TrainingFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

MIN_GROUPS = 5
# More than this is not a check of a model any more, but most of the data.
_LARGEST_SHARE = 0.6
# So many ways of dealing out the groups are tried; the one nearest to the wanted share, class by class, is taken.
_TRIES = 50
# AutoGluon validates on at most so many blocks of time.
_BLOCKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutPlan:
    """What was asked for. ``column`` holds the time or the group; ``share`` of the rows is in (0, 0.5]."""

    kind: HoldoutKind = HoldoutKind.RANDOM
    share: float = 0.2
    seed: int = 0
    column: str | None = None
    column_is_feature: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutReport:
    """What was done. ``share`` is that of the rows really held out, ``start`` the earliest time among them as text.

    ``unplaced_rows`` had no time or group, so nobody could say on which side they belong: they are in neither part.
    ``groups`` of ``all_groups`` were held out. ``validation`` says how the fit itself set rows aside to choose.
    """

    kind: HoldoutKind
    share: float
    seed: int
    column: str | None = None
    column_is_feature: bool = True
    start: str | None = None
    groups: int | None = None
    all_groups: int | None = None
    unplaced_rows: int = 0
    validation: HoldoutKind = HoldoutKind.RANDOM

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HoldoutReport:
        known: dict[str, Any] = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        for name in ("kind", "validation"):
            if name in known:
                known[name] = HoldoutKind(known[name])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Two parts of the rows. ``ignored`` are columns in them that no model may look at: the fit needs the time or
    group to choose models as fairly as they are checked (``structure``, for AutoGluon). ``places`` says of each row
    held out, ``train_places`` of each other one, which row of the table it was, from 0."""

    train: DataFrame
    holdout: DataFrame
    report: HoldoutReport
    dropped_rows: int
    places: Any
    train_places: Any
    ignored: tuple[str, ...] = ()
    structure: dict[str, str] = field(default_factory=dict)

    def groups_held_out(self) -> Any:
        """The number of the group that each row held out belongs to, from 0; None unless whole groups were."""
        import pandas as pd

        if self.report.kind is not HoldoutKind.GROUP:
            return None
        codes, _ = pd.factorize(self.holdout[self.report.column])
        return codes

    def features_only(self) -> tuple[DataFrame, DataFrame]:
        """Both parts, with the features and the target alone."""
        if not self.ignored:
            return self.train, self.holdout
        ignored = list(self.ignored)
        return self.train.drop(columns=ignored), self.holdout.drop(columns=ignored)


def split(
    frame: DataFrame,
    *,
    target: str,
    problem_type: ProblemType,
    plan: HoldoutPlan,
    leave_out: Collection[str] = (),
) -> Split:
    """Hold rows out as planned, without the columns to leave out; rows without a target are in neither part.

    Rows that are equal in every column used stay on one side: see ``split_holdout`` for random rows; otherwise
    equal rows have equal times and groups. The same seed gives the same rows. Raises TrainingFailed when the rows
    cannot be parted so that every class can be learned and the holdout can tell models apart.
    """
    if plan.kind is HoldoutKind.RANDOM:
        kept = frame.drop(columns=[name for name in leave_out if name != target], errors="ignore")
        rows, places, mask = draw_holdout(
            kept, target=target, problem_type=problem_type, share=plan.share, seed=plan.seed
        )
        train, holdout = rows[~mask].reset_index(drop=True), rows[mask].reset_index(drop=True)
        report = HoldoutReport(kind=plan.kind, share=_share(train, holdout), seed=plan.seed)
        return Split(
            train=train,
            holdout=holdout,
            report=report,
            dropped_rows=len(frame) - len(rows),
            places=places[mask],
            train_places=places[~mask],
        )
    if plan.column is None or plan.column not in frame or plan.column == target:
        raise TrainingFailed("The column that decides on the holdout is not in this table.", hint="Choose another.")
    needed = {target, plan.column}
    kept = frame.drop(columns=[name for name in leave_out if name not in needed], errors="ignore")
    rows, places = placed_rows(kept, target=target, problem_type=problem_type)
    dropped = len(frame) - len(rows)
    if plan.kind is HoldoutKind.TIME:
        rows = with_column(rows, plan.column, _times(rows[plan.column], plan.column))
    has_place = rows[plan.column].notna().to_numpy()
    placed, places = rows[has_place].reset_index(drop=True), places[has_place]
    unplaced = len(rows) - len(placed)
    classes = None if problem_type is ProblemType.REGRESSION else placed[target]
    cut = _by_time if plan.kind is HoldoutKind.TIME else _by_group
    mask, facts = cut(placed[plan.column], classes, plan)
    if classes is not None:
        _check_classes(classes, mask, target)
    train, holdout = placed[~mask].reset_index(drop=True), placed[mask].reset_index(drop=True)
    structure = _structure(train, target, problem_type, plan)
    is_feature = plan.column_is_feature and plan.column not in leave_out
    report = HoldoutReport(
        kind=plan.kind,
        share=_share(train, holdout),
        seed=plan.seed,
        column=plan.column,
        column_is_feature=is_feature,
        unplaced_rows=unplaced,
        validation=plan.kind if structure else HoldoutKind.RANDOM,
        **facts,
    )
    return Split(
        train=train,
        holdout=holdout,
        report=report,
        dropped_rows=dropped,
        places=places[mask],
        train_places=places[~mask],
        ignored=() if is_feature else (plan.column,),
        structure=structure,
    )


def _share(train: DataFrame, holdout: DataFrame) -> float:
    return len(holdout) / (len(train) + len(holdout))


def _times(values: Series[Any], column: str) -> Series[Any]:
    """Dates as they are; numbers as numbers, where only finite ones have a place in time."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values
    try:
        numbers = pd.to_numeric(values)
    except (TypeError, ValueError) as error:
        raise TrainingFailed(
            f'"{column}" holds neither dates nor numbers, so it does not order the rows in time.',
            hint="Choose another time column, or a random holdout.",
        ) from error
    return numbers.where(np.isfinite(numbers.astype("float64")))


def _by_time(
    times: Series[Any], classes: Series[Any] | None, plan: HoldoutPlan
) -> tuple[NDArray[Any], dict[str, Any]]:
    """The latest rows: of all cuts between two different times, the one whose share is nearest to the wanted."""
    import numpy as np

    values, counts = np.unique(times.to_numpy(), return_counts=True)
    if len(values) < 2:
        raise TrainingFailed(
            f'All rows have the same time in "{plan.column}", so there are no latest ones.',
            hint="Choose another time column, or a random holdout.",
        )
    later = counts[::-1].cumsum()[::-1][1:]  # rows from the second, third … time on
    start = 1 + int(np.abs(later - plan.share * len(times)).argmin())
    share = later[start - 1] / len(times)
    if share > _LARGEST_SHARE:
        raise TrainingFailed(
            f'"{plan.column}" has {len(values)} different times, and the latest of them is that of {share:.0%} '
            "of the rows: too few would be left to learn from.",
            hint="Choose a time column with more different values, or a random holdout.",
        )
    return times.to_numpy() >= values[start], {"start": _readable(values[start])}


def _readable(value: Any) -> str:
    import numpy as np
    import pandas as pd

    if isinstance(value, np.datetime64):
        moment = pd.Timestamp(value)
        return str(moment.date() if moment == moment.normalize() else moment)
    return f"{value:.15g}"


def _by_group(
    groups: Series[Any], classes: Series[Any] | None, plan: HoldoutPlan
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Whole groups. Several random ways of dealing them out are compared by the share of rows, and of each class,
    that they hold out."""
    import numpy as np
    import pandas as pd

    code, names = pd.factorize(groups)
    if len(names) < MIN_GROUPS:
        raise TrainingFailed(
            f'"{plan.column}" has {len(names)} different values; at least {MIN_GROUPS} groups are needed to hold '
            "some of them out.",
            hint="Choose a column with more groups, or a random holdout.",
        )
    kind = np.zeros(len(code), dtype=int) if classes is None else pd.factorize(classes)[0]
    table = np.zeros((len(names), kind.max() + 1))
    np.add.at(table, (code, kind), 1)
    _check_spread(table, plan)
    rng = np.random.default_rng(plan.seed)
    best: tuple[float, Any] | None = None
    for _ in range(_TRIES):
        chosen = _deal(table.sum(axis=1), plan.share * len(code), rng)
        held = table[chosen].sum(axis=0)
        spread = (table[~chosen] > 0).sum(axis=0)
        miss = abs(held.sum() / len(code) - plan.share)
        miss += float(np.abs(held / table.sum(axis=0) - plan.share).mean())
        # A class that one group alone could teach counts for more than any miss of shares.
        miss += 10.0 * float((spread < 2).sum()) + 10.0 * float(classes is not None and (held > 0).sum() < 2)
        if best is None or miss < best[0]:
            best = (miss, chosen)
    assert best is not None
    chosen = best[1]
    if table[chosen].sum() > _LARGEST_SHARE * len(code):
        raise TrainingFailed(
            f'One group of "{plan.column}" has most of the rows: whatever is held out, too little is left.',
            hint="Choose another group column, or a random holdout.",
        )
    return chosen[code], {"groups": int(chosen.sum()), "all_groups": len(names)}


def _deal(sizes: NDArray[Any], wanted: float, rng: Any) -> NDArray[Any]:
    """Groups in random order while they bring the sum nearer to ``wanted``: never none, never all."""
    import numpy as np

    chosen = np.zeros(len(sizes), dtype=bool)
    total = 0.0
    for group in rng.permutation(len(sizes)):
        if abs(total + sizes[group] - wanted) < abs(total - wanted):
            chosen[group] = True
            total += sizes[group]
    if not chosen.any():
        chosen[sizes.argmin()] = True
    if chosen.all():
        chosen[sizes.argmax()] = False
    return chosen


def _check_spread(table: NDArray[Any], plan: HoldoutPlan) -> None:
    """Each class must be in two groups at least: one to learn it from, and one to choose the model by."""
    if table.shape[1] > 1 and ((table > 0).sum(axis=0) < 2).any():
        raise TrainingFailed(
            f'A class of the target is in only one group of "{plan.column}": it cannot be learned and checked.',
            hint="Choose another group column, a random holdout, or merge that class with another.",
        )


def _check_classes(classes: Series[Any], mask: NDArray[Any], target: str) -> None:
    known, checked = set(classes[~mask].unique()), set(classes[mask].unique())
    if checked - known:
        raise TrainingFailed(
            f'The rows held out have a class of "{target}" that none of the others has: it cannot be learned.',
            hint="Hold out fewer rows, hold out at random, or remove the rows of that class.",
        )
    if len(known) < 2 or len(checked) < 2:
        raise TrainingFailed(
            f'All rows held out, or all others, have the same class of "{target}": nothing can be checked on them.',
            hint="Hold out more rows, choose another column, or hold out at random.",
        )


def _structure(train: DataFrame, target: str, problem_type: ProblemType, plan: HoldoutPlan) -> dict[str, str]:
    """How AutoGluon is to set its own validation rows aside: as the holdout was, unless a class would then be
    missing where it is needed. Empty: at random."""
    import numpy as np

    assert plan.column is not None
    column = train[plan.column]
    if column.nunique() < 2:
        return {}
    blocks: Any = column.to_numpy()
    needed = 2
    if plan.kind is HoldoutKind.TIME:
        rank = column.rank(method="min").to_numpy()
        blocks = np.floor((rank - 1) * _BLOCKS / len(rank))
        needed = len(np.unique(blocks)) if problem_type is ProblemType.BINARY else 2
    if problem_type is not ProblemType.REGRESSION:
        found = with_column(train[[target]], "block", blocks).groupby(target, observed=True)["block"].nunique()
        if (found < needed).any():
            return {}
    return {"time_on" if plan.kind is HoldoutKind.TIME else "group_on": plan.column}
