"""Whether a table is like the one a model was fitted on: the population stability index of each column.

At training, ``reference_of`` counts the training rows by tenths of each number, by the frequent values of each
category, and by whether there is a value at all. A table is counted in the same bins (``Tally``), and
PSI = sum((q - p) ln(q / p)) over the bins, p of the training and q of the table (Siddiqi, Credit Risk Scorecards,
2006, where below 0.1 is stable and from 0.25 a large shift).

Of two samples of one population the PSI is about chi²(bins - 1) · (1/n + 1/m) (Yurdakul and Naranjo, Journal of
Risk Model Validation 14(4), 2020). What is below its quantile is luck, at 5 % for all columns together; where that
quantile itself is beyond 0.25, the rows are too few to tell: some 100 rows for ten bins. A bin in which fewer than
five rows are to be expected is pooled with others, as for any chi².
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from ml.features import Feature

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SOME, STRONG = 0.1, 0.25
_BINS: Final = 10
_CATEGORIES: Final = 50
_EXPECTED: Final = 5.0
_LUCK: Final = 0.05
# A bin that is empty on one side counts as half a row there.
_HALF: Final = 0.5

Level = Literal["none", "some", "strong", "unknown"]
Floats = NDArray[np.float64]


class ColumnReference(TypedDict):
    """``counts`` by bin: numbers (and dates, as seconds) by ``edges``, a bin more than those; categories by
    ``values``, with all others last; a text has none. ``missing`` are apart."""

    name: str
    kind: Literal["number", "date", "category", "text"]
    counts: list[int]
    missing: int
    edges: NotRequired[list[float]]
    values: NotRequired[list[str]]


class Reference(TypedDict):
    rows: int
    columns: list[ColumnReference]


class ColumnDrift(TypedDict):
    """``psi`` is None where the rows are too few. Shares are of all rows, of the training and of the table."""

    column: str
    level: Level
    psi: float | None
    missing_then: float
    missing_now: float


class Drift(TypedDict):
    """Worst first."""

    level: Level
    rows: int
    training_rows: int
    columns: list[ColumnDrift]


def reference_of(train: DataFrame, features: Sequence[Feature]) -> Reference:
    """Counts of the training rows, for the columns a predictor uses."""
    return {"rows": len(train), "columns": [_reference(train[feature.name], feature) for feature in features]}


def _reference(values: Series[Any], feature: Feature) -> ColumnReference:
    present = values.dropna()
    missing = int(len(values) - len(present))
    if feature.kind in ("number", "date"):
        numbers = _numbers(present, feature)
        edges = _edges(numbers)
        counts = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)
        kind: Literal["number", "date"] = "date" if feature.kind == "date" else "number"
        return {
            "name": feature.name,
            "kind": kind,
            "edges": edges.tolist(),
            "counts": counts.tolist(),
            "missing": missing,
        }
    if feature.kind == "text":
        return {"name": feature.name, "kind": "text", "counts": [len(present)], "missing": missing}
    found = present.astype(str).value_counts()
    kept = found.iloc[:_CATEGORIES]
    return {
        "name": feature.name,
        "kind": "category",
        "values": [str(value) for value in kept.index],
        "counts": [*(int(count) for count in kept), int(found.iloc[_CATEGORIES:].sum())],
        "missing": missing,
    }


def _numbers(present: Series[Any], feature: Feature) -> Floats:
    if feature.kind == "date":
        found: Floats = present.to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
        return found
    numbers: Floats = present.to_numpy(dtype="float64")
    return np.compress(np.isfinite(numbers), numbers)


def _edges(numbers: Floats) -> Floats:
    """Tenths; a value that fills several of them has a bin of its own, or its share could change unseen."""
    if not len(numbers):
        return np.empty(0)
    tenths = np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1], method="nearest")
    edges, often = np.unique(tenths, return_counts=True)
    found: Floats = np.union1d(edges, np.nextafter(edges[often > 1], np.inf))
    return found


class Tally:
    """Counts a table in the bins of the training, part by part."""

    def __init__(self, reference: Reference) -> None:
        self.rows = 0
        self._reference = reference
        self._columns = {column["name"]: column for column in reference["columns"]}
        self._edges = {
            name: np.array(column["edges"]) for name, column in self._columns.items() if "edges" in column
        }
        self._places = {
            name: {value: place for place, value in enumerate(column["values"])}
            for name, column in self._columns.items()
            if "values" in column
        }
        self._counts = {name: np.zeros(len(column["counts"])) for name, column in self._columns.items()}
        self._missing = dict.fromkeys(self._columns, 0)

    def add_rows(self, rows: int) -> None:
        self.rows += rows

    def add(self, name: str, values: Sequence[Any], often: NDArray[np.int64]) -> None:
        """Different values of a column of this part, None for a gap, and how often each is in it.

        Numbers are numbers, dates seconds, all else text.
        """
        if name not in self._columns:
            return
        is_gap = np.fromiter((value is None for value in values), dtype=np.bool_, count=len(values))
        self._missing[name] += int(often[is_gap].sum())
        counts, known = self._counts[name], ~is_gap
        if name in self._edges:
            numbers = np.array([value for value in values if value is not None], dtype="float64")
            places = np.searchsorted(self._edges[name], numbers, side="right")
        elif name in self._places:
            other = len(counts) - 1
            found = self._places[name]
            places = np.array([found.get(value, other) for value in values if value is not None], dtype="int64")
        else:
            places = np.zeros(int(known.sum()), dtype="int64")
        counts += np.bincount(places, weights=often[known], minlength=len(counts))

    def drift(self) -> Drift:
        """Every column compared. A column that the table does not have is left out: that is said elsewhere."""
        rows, training_rows = self.rows, self._reference["rows"]
        wanted = [
            name for name in self._columns if self._counts[name].sum() + self._missing[name] == rows and rows > 0
        ]
        found = [self._compare(name, columns=len(wanted)) for name in wanted]
        found.sort(key=lambda each: (-_ORDER[each["level"]], -(each["psi"] or 0.0)))
        return {"level": _overall(found), "rows": rows, "training_rows": training_rows, "columns": found}

    def _compare(self, name: str, *, columns: int) -> ColumnDrift:
        reference = self._columns[name]
        then = np.array([*reference["counts"], reference["missing"]], dtype="float64")
        now = np.array([*self._counts[name], self._missing[name]], dtype="float64")
        psi, luck = stability(then, now, columns=columns)
        level: Level = "none"
        if psi >= SOME and psi > luck:
            level = "strong" if psi >= STRONG else "some"
        elif luck > STRONG:
            level = "unknown"
        return {
            "column": name,
            "level": level,
            "psi": None if level == "unknown" else psi,
            "missing_then": float(then[-1] / max(then.sum(), 1)),
            "missing_now": float(now[-1] / max(now.sum(), 1)),
        }


_ORDER: Final[Mapping[Level, int]] = {"strong": 3, "some": 2, "unknown": 1, "none": 0}


def _overall(columns: Sequence[ColumnDrift]) -> Level:
    """The worst that is known; unknown when nothing is."""
    levels = {column["level"] for column in columns}
    for level in ("strong", "some", "none"):
        if level in levels:
            return level
    return "unknown"


def stability(then: Floats, now: Floats, *, columns: int = 1) -> tuple[float, float]:
    """The PSI of two vectors of counts, and what luck alone stays below when so many columns are compared."""
    from scipy.stats import chi2

    rare = (then > 0) & (then / max(then.sum(), 1) * now.sum() < _EXPECTED)
    if rare.sum() > 1:
        then, now = np.append(then[~rare], then[rare].sum()), np.append(now[~rare], now[rare].sum())
    seen = (then + now) > 0
    then, now = then[seen], now[seen]
    if len(then) < 2:
        return 0.0, math.inf if rare.sum() > 1 else 0.0
    n, m = then.sum(), now.sum()
    p, q = np.maximum(then, _HALF) / n, np.maximum(now, _HALF) / m
    psi = float(np.sum((q - p) * np.log(q / p)))
    luck = float(chi2.ppf(1 - _LUCK / max(columns, 1), len(then) - 1) * (1 / max(n, 1) + 1 / max(m, 1)))
    return psi, luck
