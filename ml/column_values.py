"""Figures that need the values themselves: quantiles, histograms, outliers, and how values follow each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.column_looks import Plan, Value, Way
from ml.column_scan import Scanner, by_plan
from ml.profile_records import QUANTILES, Histogram

BINS = 20
# Outliers lie further than this many times the middle half's width beyond it (Tukey's "far out").
FENCE = 3.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_TOP = 10
VALUE_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """``count`` of the values lie below ``low`` or above ``high``; ``examples`` are the farthest."""

    count: int
    low: float
    high: float
    examples: tuple[float, ...]


class Numbers:
    """The finite numbers of a column: different values in order, with counts. Dates are seconds since 1970."""

    def __init__(self, values: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        self.values, self.counts = values, counts
        self._ranks = np.cumsum(counts)
        self.total = int(self._ranks[-1]) if len(counts) else 0

    @classmethod
    def of_array(cls, array: NDArray[np.float64]) -> Numbers:
        values, counts = np.unique(array[np.isfinite(array)], return_counts=True)
        return cls(values, counts)

    @classmethod
    def of_values(cls, values: Sequence[Value], *, dates: bool) -> Numbers:
        if dates:
            pairs = [(seconds_of(value.date), value.count) for value in values if value.date is not None]
        else:
            pairs = [(value.number, value.count) for value in values if value.number is not None]
        array = np.array([number for number, _ in pairs], dtype=np.float64)
        counts = np.array([count for _, count in pairs], dtype=np.int64)
        finite = np.isfinite(array)
        unique, where = np.unique(array[finite], return_inverse=True)
        return cls(unique, np.bincount(where, weights=counts[finite], minlength=len(unique)).astype(np.int64))

    @property
    def mean(self) -> float:
        return float(np.average(self.values, weights=self.counts))

    @property
    def std(self) -> float | None:
        """Of a sample; None for a single value."""
        if self.total < 2:
            return None
        squares = float(np.sum(self.counts * (self.values - self.mean) ** 2))
        return math.sqrt(squares / (self.total - 1))

    @property
    def skewness(self) -> float:
        """The third standardised moment; 0 for a constant."""
        with np.errstate(over="ignore", invalid="ignore"):
            away = self.values - self.mean
            squares = away * away
            variance = float(np.average(squares, weights=self.counts))
            third = float(np.average(squares * away, weights=self.counts))
            skewness = third / variance**1.5 if variance > 0 else 0.0
        return skewness if math.isfinite(skewness) else 0.0

    def count_where(self, mask: NDArray[np.bool_]) -> int:
        return int(self.counts[mask].sum())

    def quantile(self, share: float) -> float:
        """With linear interpolation between neighbours, as numpy and pandas do."""
        rank = (self.total - 1) * share
        below = math.floor(rank)
        low, high = (
            float(self.values[np.searchsorted(self._ranks, r, side="right")]) for r in (below, math.ceil(rank))
        )
        return low if low == high else low + (high - low) * (rank - below)

    def quantiles(self) -> dict[str, float]:
        return {name: self.quantile(share) for name, share in QUANTILES.items()} if self.total else {}

    def histogram(self, low: float, high: float, *, whole: bool) -> tuple[list[float], list[int]]:
        """Edges and counts between bounds that hold all values."""
        edges: NDArray[Any]
        if whole and high - low < BINS:
            edges = np.arange(math.floor(low), math.floor(high) + 2, dtype=np.float64)
        elif low == high or not math.isfinite(high - low):
            edges = np.asarray([low, high], dtype=np.float64)
        else:
            width = math.ceil((high - low + 1) / BINS) if whole else 0.0
            edges = low + width * np.arange(math.ceil((high - low) / width) + 1) if width else _even(low, high)
        if len(edges) == 2:
            return edges.tolist(), [self.total]
        counts, _ = np.histogram(self.values, bins=edges, weights=self.counts)
        return edges.tolist(), counts.astype(np.int64).tolist()

    def outliers(self) -> Outliers | None:
        """None where the middle half of the values has no width."""
        if not self.total:
            return None
        first, third = self.quantile(0.25), self.quantile(0.75)
        width = third - first
        if width <= 0 or not math.isfinite(width):
            return None
        low, high = first - FENCE * width, third + FENCE * width
        mask = (self.values < low) | (self.values > high)
        farthest = sorted(self.values[mask].tolist(), key=lambda value: -abs(value - (first + third) / 2))
        return Outliers(count=self.count_where(mask), low=low, high=high, examples=tuple(farthest[:3]))


def _even(low: float, high: float) -> NDArray[np.float64]:
    edges = np.linspace(low, high, BINS + 1)
    return edges if np.all(np.diff(edges) > 0) else np.array([low, high])


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How the values follow each other in ``rows`` rows.

    ``sorted``: "ascending", "descending" or "", by number or date. ``same``: the share of rows with the value of
    the row before; ``same_by_chance``: what it would be in random order.
    """

    rows: int
    sorted: str
    same: float
    same_by_chance: float


@dataclass(slots=True, kw_only=True)
class Cells:
    """Columns of a small table as arrays in the order of its rows.

    ``hashes`` tells different texts apart (of trimmed values; a gap has a hash too); ``numbers`` holds the numbers,
    or the dates as seconds, NaN where there is none, of columns that are not counted.
    """

    hashes: dict[int, NDArray[np.uint64]]
    numbers: dict[int, NDArray[np.float64]]

    def thinned(self, every: int) -> Cells:
        """A copy with every so many rows."""
        return Cells(
            hashes={index: array[::every].copy() for index, array in self.hashes.items()},
            numbers={index: array[::every].copy() for index, array in self.numbers.items()},
        )


def fetch_cells(scanner: Scanner, plans: dict[int, Plan], known: dict[int, Any]) -> Cells:
    """The loaded columns, of which some numbers are known already."""
    sql = f"SELECT hash({scanner.trimmed('c')}) AS v FROM {scanner.stacked(plans)}"  # noqa: S608 - all ours
    hashes = fetch_stacked(scanner, sql, list(plans))
    numbers: dict[int, Any] = dict(known)
    for plan, columns in by_plan({index: plan for index, plan in plans.items() if index not in known}).items():
        if plan.way in (Way.NUMBER, Way.DATE):
            value = "c_n" if plan.way == Way.NUMBER else "epoch(c_n)"
            sql = f"SELECT {value} AS v FROM {scanner.stacked(columns, plan)}"  # noqa: S608 - all ours
            numbers |= {index: _filled(array) for index, array in fetch_stacked(scanner, sql, columns).items()}
    return Cells(hashes={index: np.asarray(array) for index, array in hashes.items()}, numbers=numbers)


def fetch_stacked(scanner: Scanner, sql: str, columns: Sequence[int]) -> dict[int, Any]:
    """Columns that were stacked, each as an array of its own."""
    values = scanner.connection.execute(sql).fetchnumpy()["v"]
    return dict(zip(columns, np.split(values, len(columns)), strict=True))


def _filled(array: Any) -> NDArray[np.float64]:
    return (
        np.ma.filled(array.astype(np.float64), np.nan) if np.ma.isMaskedArray(array) else array.astype(np.float64)
    )


def repetitions(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How often each different value occurs."""
    ordered = np.sort(hashes)
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True] * bool(len(ordered))))
    return np.diff(ends, prepend=-1)


def order_of(hashes: NDArray[np.uint64], numbers: NDArray[np.float64] | None, counts: NDArray[np.int64]) -> Order:
    """``counts``: how often each different value occurs."""
    if len(hashes) < 2:
        return Order(rows=len(hashes), sorted="", same=0.0, same_by_chance=0.0)
    return Order(
        rows=len(hashes),
        sorted="" if numbers is None else sorting_of(numbers),
        same=float(np.mean(hashes[1:] == hashes[:-1])),
        same_by_chance=float(np.sum((counts / len(hashes)) ** 2)),
    )


def sorting_of(numbers: NDArray[np.float64]) -> str:
    steps = np.diff(numbers[~np.isnan(numbers)])
    if not len(steps) or not steps.any():
        return ""
    if (steps >= 0).all():
        return "ascending"
    return "descending" if (steps <= 0).all() else ""


def top_values(scanner: Scanner, hashes: dict[int, NDArray[np.uint64]]) -> dict[int, tuple[tuple[str, int], ...]]:
    """The most frequent values of some columns with their counts, gaps included, but none that occurs once."""
    wanted: dict[int, list[tuple[int, int]]] = {}
    for index, array in hashes.items():
        _, first, counts = np.unique(array, return_index=True, return_counts=True)
        best = np.argsort(-counts, kind="stable")[: 2 * _TOP]
        wanted[index] = [(int(first[i]), int(counts[i])) for i in best if counts[i] > 1]
    rows = sorted({row for found in wanted.values() for row, _ in found})
    columns = [index for index, found in wanted.items() if found]
    if not columns:
        return dict.fromkeys(hashes, ())
    texts = ", ".join(f"{scanner.trimmed(f'c{index}')}" for index in columns)
    sql = f"SELECT rowid, {texts} FROM part WHERE rowid IN (SELECT unnest(?::BIGINT[]))"  # noqa: S608 - all ours
    by_row = {row: values for row, *values in scanner.connection.execute(sql, [rows]).fetchall()}
    found = {
        index: tuple((by_row[row][place], count) for row, count in wanted[index] if by_row[row][place] is not None)
        for place, index in enumerate(columns)
    }
    return {index: found.get(index, ()) for index in hashes}


def seconds_of(date: str | None) -> float:
    """Seconds since 1970 of a date as DuckDB writes it; NaN where Python has no such year."""
    try:
        return (datetime.fromisoformat(date or "") - _EPOCH).total_seconds()
    except ValueError:
        return math.nan


def date_histogram(numbers: Numbers, low: str, high: str, *, sampled_rows: int) -> Histogram | None:
    start, end = seconds_of(low), seconds_of(high)
    if not (numbers.total and math.isfinite(start) and math.isfinite(end)):
        return None
    day = 86_400
    if start % day == 0 and end % day == 0:
        edges, counts = _days(numbers, start, end)
    else:
        edges, counts = numbers.histogram(start, end, whole=False)
    texts = tuple(_iso(edge) for edge in edges)
    return Histogram(edges=texts, counts=tuple(counts), sampled_rows=sampled_rows)


def _days(numbers: Numbers, start: float, end: float) -> tuple[list[float], list[int]]:
    """Bins of whole days."""
    days = Numbers(np.floor(numbers.values / 86_400), numbers.counts)
    edges, counts = days.histogram(start / 86_400, end / 86_400, whole=True)
    return [edge * 86_400 for edge in edges], counts


def _iso(seconds: float) -> str:
    try:
        moment = _EPOCH + timedelta(seconds=round(seconds))
    except OverflowError:  # the bin after 9999-12-31
        return datetime.max.date().isoformat()
    text = moment.isoformat(sep=" ")
    return text.removesuffix(" 00:00:00")
