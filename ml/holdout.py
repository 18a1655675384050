"""Setting the holdout aside: rows that the model has not seen, not even as a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml.problem import ProblemType
from smartml.errors import TrainingFailed

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def split_holdout(
    frame: DataFrame, *, target: str, problem_type: ProblemType, share: float, seed: int
) -> tuple[DataFrame, DataFrame]:
    """``(train, holdout)``; rows without a target are left out of both.

    Rows that are equal in all columns stay on one side, or the holdout would reward learning by heart. Only where
    a class, or a whole table of numbers, is one row over and over, its copies go to both;
    ``Evaluation.seen_rows`` counts them. Within that, classes keep their proportions and each has at least one
    row in either part; regression is cut at random. The same seed gives the same rows. Raises TrainingFailed when
    a part or a class in it would be empty.
    """
    rows, _, mask = draw_holdout(frame, target=target, problem_type=problem_type, share=share, seed=seed)
    return rows[~mask].reset_index(drop=True), rows[mask].reset_index(drop=True)


def draw_holdout(
    frame: DataFrame, *, target: str, problem_type: ProblemType, share: float, seed: int
) -> tuple[DataFrame, Any, Any]:
    """The same before it is parted: the usable rows, the place of each in ``frame``, and which are held out."""
    import numpy as np

    rows, places = placed_rows(frame, target=target, problem_type=problem_type)
    rng = np.random.default_rng(seed)
    if problem_type is ProblemType.REGRESSION:
        parts = [np.arange(len(rows))]
    else:
        parts = [np.asarray(found) for found in rows.groupby(target, observed=True).indices.values()]
        if min(map(len, parts)) < 2:
            raise TrainingFailed(
                # Without its name: the reason of a failed job is metadata, the values of a column are data.
                f'A class of "{target}" has only one row: it cannot be learned and checked.',
                hint="Remove that row, merge the class with another, or add more rows of it.",
            )
    keys = row_keys(rows)
    mask = np.zeros(len(rows), dtype=bool)
    # The rounding of small classes is paid back by the next ones, so that many of them do not shift the share.
    owed = 0.0
    for part in parts:
        owed += len(part) * share
        drawn = _draw(part, keys[part], min(max(round(owed), 1), len(part) - 1), rng)
        owed -= len(drawn)
        mask[drawn] = True
    return rows, places, mask


def placed_rows(frame: DataFrame, *, target: str, problem_type: ProblemType) -> tuple[DataFrame, Any]:
    """The rows with a usable target, numbered anew, and the place of each in ``frame``; raises TrainingFailed when
    fewer than two are left."""
    import numpy as np

    places = np.flatnonzero(frame[target].notna().to_numpy())
    rows = frame[frame[target].notna()]
    rows = with_column(rows, target, _plain_target(rows[target], problem_type))
    if problem_type is ProblemType.REGRESSION:
        usable = np.isfinite(rows[target].to_numpy())
        rows, places = rows[usable], places[usable]
    rows = rows.reset_index(drop=True)
    if len(rows) < 2:
        raise TrainingFailed(
            f'Only {len(rows)} of the {len(frame)} rows have a usable value in "{target}".',
            hint="Choose another target column, or upload a file with more filled-in rows.",
        )
    return rows, places


def with_column(frame: DataFrame, name: str, values: Any) -> DataFrame:
    """The frame with one column replaced, in its place; ``assign`` takes no column called "self"."""
    changed = frame.copy(deep=False)
    changed[name] = values
    return changed


def row_keys(frame: DataFrame) -> Any:
    """A number for each row, the same for rows that are equal in all columns, in any frame of these dtypes."""
    from pandas.util import hash_pandas_object

    return hash_pandas_object(frame, index=False).to_numpy()


def _draw(part: Any, keys: Any, wanted: int, rng: Any) -> Any:
    """About ``wanted`` row numbers of ``part``, by whole groups of equal keys: never none, never all.

    Which rows come first depends on their places and the seed alone, so that a table with fewer columns, or with
    some values changed, parts into the same rows as far as equal rows allow.
    """
    import numpy as np
    import pandas as pd

    turn = rng.permutation(len(part))
    group, found = pd.factorize(keys)
    sizes = np.bincount(group)
    if len(found) == 1:
        return part[turn[:wanted]]
    # The groups by the turn of the first row of each, in one pass where no row is repeated.
    first = np.unique(group, return_index=True)[1]
    place = np.empty(len(part), dtype=np.int64)
    place[turn] = np.arange(len(part))
    order = np.argsort(place[first])
    chosen = np.zeros(len(sizes), dtype=bool)
    left = wanted
    while len(order := order[sizes[order] <= left]):
        fitting = int(np.searchsorted(np.cumsum(sizes[order]), left, side="right"))
        chosen[order[:fitting]] = True
        left -= int(sizes[order[:fitting]].sum())
        order = order[fitting:]
    if not chosen.any():
        chosen[sizes.argmin()] = True
    return part[chosen[group]]


def _plain_target(values: Series[Any], problem_type: ProblemType) -> Series[Any]:
    """The target without pandas' nullable types, which AutoGluon's label cleaner does not treat alike."""
    import pandas as pd

    if problem_type is ProblemType.REGRESSION:
        return pd.to_numeric(values).astype("float64")
    if isinstance(values.dtype, pd.BooleanDtype):
        return values.astype(bool)
    if isinstance(values.dtype, pd.CategoricalDtype | pd.StringDtype):
        return values.astype(object)
    if pd.api.types.is_extension_array_dtype(values.dtype):
        values = values.astype(values.dtype.numpy_dtype)  # type: ignore[union-attr]
    if values.dtype.kind == "f" and (values == values.round()).all():
        # Whole numbers became floats only because of gaps; the class is "1", not "1.0".
        return values.astype("int64")
    return values
