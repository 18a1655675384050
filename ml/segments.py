"""Where the errors are: the mean error by parts of each column."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ml.readable import plain_number

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MOST_COLUMNS = 12
_PARTS = 5
_FEWEST_ROWS = 20
_LABEL_LENGTH = 60


class Segment(TypedDict):
    """``error`` is the mean over ``rows``. ``low`` and ``high``: its 95 % interval, that of Wilson (JASA 22, 1927)
    where it is a share of wrong answers, else 1.96 standard errors away from it, but never below zero."""

    name: str
    rows: int
    error: float
    low: float
    high: float


class ColumnSegments(TypedDict):
    column: str
    segments: list[Segment]


def segments_of(frame: DataFrame, errors: NDArray[np.float64]) -> list[ColumnSegments]:
    """The columns whose parts differ most in their mean error, the most telling first.

    Numbers and dates are cut into five parts of about as many rows, other columns by their most frequent values.
    Parts of fewer than 20 rows are left out.
    """
    found: list[tuple[float, ColumnSegments]] = []
    is_share = bool(np.isin(errors, (0.0, 1.0)).all())
    for column in frame.columns:
        part, names = _parts(frame[column])
        segments: list[Segment] = []
        for place, name in enumerate(names):
            chosen = errors[part == place]
            if len(chosen) >= _FEWEST_ROWS:
                low, high = _interval(chosen, is_share=is_share)
                mean = float(chosen.mean())
                segments.append({"name": name, "rows": len(chosen), "error": mean, "low": low, "high": high})
        if len(segments) > 1 and (spread := _spread(segments)) > 0:
            found.append((spread, {"column": str(column), "segments": segments}))
    found.sort(key=lambda each: -each[0])
    return [segments for _, segments in found[:MOST_COLUMNS]]


def _interval(errors: NDArray[np.float64], *, is_share: bool) -> tuple[float, float]:
    if is_share:
        from scipy.stats import binomtest

        found = binomtest(int(errors.sum()), len(errors)).proportion_ci(method="wilson")
        return float(found.low), float(found.high)
    mean = float(errors.mean())
    margin = 1.96 * float(errors.std(ddof=1)) / len(errors) ** 0.5
    return max(mean - margin, 0.0), mean + margin


def _spread(segments: list[Segment]) -> float:
    """How much of the error's variance lies between the parts."""
    rows = np.array([each["rows"] for each in segments], dtype="float64")
    means = np.array([each["error"] for each in segments])
    return float(np.average((means - np.average(means, weights=rows)) ** 2, weights=rows))


def _parts(values: Series[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """For each row the place of its part among the names; a missing value is a part of its own, the last one."""
    import pandas as pd

    ordered = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)
    if ordered and values.nunique() > _PARTS:
        part, names = _quantile_parts(values)
    else:
        text = values.map(_shown, na_action="ignore").astype("string") if ordered else values.astype("string")
        often = [str(value) for value in text.value_counts().index[: _PARTS + 1]]
        part = pd.Categorical(text, categories=often).codes.astype("int64")
        part = np.where(part == -1, len(often), part)
        names = [*(name[:_LABEL_LENGTH] for name in often), "other values"]
    missing = values.isna().to_numpy()
    return np.where(missing, len(names), part), [*names, "missing"]


def _quantile_parts(values: Series[Any]) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    codes, edges = pd.qcut(values, _PARTS, labels=False, retbins=True, duplicates="drop")
    names = [f"{_shown(low)} to {_shown(high)}" for low, high in pairwise(edges)]
    return codes.fillna(-1).to_numpy(dtype="int64"), names


def _shown(value: Any) -> str:
    return plain_number(float(value)) if isinstance(value, (int, float, np.number)) else str(value)[:10]
