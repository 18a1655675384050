"""How much columns say about each other: Spearman's rho, Cramér's V and the correlation ratio, on given rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.column_looks import Plan, Way
from ml.column_scan import Scanner, by_plan
from ml.column_types import ColumnType
from ml.column_values import fetch_stacked
from ml.compared import MAX_ROWS, Compared
from ml.profile_records import AssociationKind, Associations, ColumnProfile

MAX_COLUMNS = 40
# Rarer values of a category count as one.
_LEVELS = 30
# Closer than this is a function, but for rounding.
_EQUIVALENT = 1e-9
# Fewer rows for each value than this may go together by chance.
_ROWS_EACH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A column over the rows. Numbers have NaN where there is none, a category's ``codes`` -1."""

    name: str
    kind: AssociationKind
    numbers: NDArray[np.float64] | None = None
    codes: NDArray[np.int64] | None = None
    levels: int = 0


def categories(name: str, hashes: NDArray[np.uint64], missing: NDArray[np.bool_], *, levels: int | None) -> Series:
    """A category from whatever tells its values apart; codes are in the order of frequency.

    ``levels``: rarer values than so many count as one; None: all are kept apart.
    """
    codes = np.full(len(hashes), -1, dtype=np.int64)
    values, where, counts = np.unique(hashes[~missing], return_inverse=True, return_counts=True)
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(values))
    kept = len(values) if levels is None else levels
    codes[~missing] = np.minimum(rank, kept)[where]
    return Series(name=name, kind="category", codes=codes, levels=min(len(values), kept + 1))


_NUMBERS = (ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.DATE)
_CATEGORIES = (ColumnType.BOOLEAN, ColumnType.CATEGORY)


def associations_of(
    scanner: Scanner, columns: Sequence[ColumnProfile], compared: Compared | None
) -> Associations | None:
    """Of the columns that have numbers, dates or categories; of many, those with the fewest gaps.

    :param scanner: over the sample.
    :param compared: what is left of the sample from before; None where its columns were not in memory all at once.
    """
    usable = [i for i, column in enumerate(columns) if column.unique > 1 and column.type in _NUMBERS + _CATEGORIES]
    chosen = sorted(sorted(usable, key=lambda index: columns[index].missing)[:MAX_COLUMNS])
    if len(chosen) < 2:
        return None
    found = {i: _remembered(columns[i], i, compared) for i in chosen} if compared is not None else {}
    series, rows = [one for one in found.values() if one is not None], compared.rows if compared else 0
    if len(series) < len(chosen):
        scanner.load(chosen)
        step = round(scanner.loaded_rows / MAX_ROWS)
        series, rows = series_of(scanner, {i: columns[i] for i in chosen}, every=max(1, step))
    return associate(series, rows=rows, note=_note(len(chosen), len(usable), rows, columns[0].rows))


def _remembered(column: ColumnProfile, index: int, compared: Compared) -> Series | None:
    if column.type in _CATEGORIES:
        return categories(column.name, *compared.texts(index), levels=_LEVELS)
    numbers = compared.numbers(index, dates=column.type == ColumnType.DATE)
    return None if numbers is None else _numbers(column.name, numbers)


def _numbers(name: str, numbers: NDArray[np.float64]) -> Series:
    return Series(name=name, kind="number", numbers=np.where(np.isfinite(numbers), numbers, np.nan))


def series_of(
    scanner: Scanner, columns: Mapping[int, ColumnProfile], *, every: int, levels: int | None = _LEVELS
) -> tuple[list[Series], int]:
    """Loaded columns as arrays, of every so many rows; and the number of rows."""
    arrays: dict[int, Any] = {}
    for plan, indices in by_plan({index: _plan(column) for index, column in columns.items()}).items():
        value = {
            Way.TEXT: "CASE WHEN c_t IS NOT NULL AND c_m IS NULL THEN hash(c_t) END",
            Way.DATE: "epoch(c_n)",
            Way.NUMBER: "c_n",
        }[plan.way]
        sql = f"SELECT {value} AS v FROM {scanner.stacked(indices, plan, every=every)}"  # noqa: S608 - all ours
        arrays |= fetch_stacked(scanner, sql, indices)
    series = []
    for index, column in columns.items():
        array = np.ma.asarray(arrays[index])
        missing = np.ma.getmaskarray(array)
        if column.type in _CATEGORIES:
            series.append(categories(column.name, np.asarray(array.data), missing, levels=levels))
        else:
            series.append(_numbers(column.name, np.where(missing, np.nan, array.data).astype(np.float64)))
    return series, len(missing)


def _plan(column: ColumnProfile) -> Plan:
    if column.type in _CATEGORIES:
        return Plan(way=Way.TEXT)
    if column.type == ColumnType.DATE:
        return Plan(way=Way.DATE)
    return Plan(way=Way.NUMBER, whole=column.detected_type == ColumnType.INTEGER)


def _note(chosen: int, usable: int, rows: int, all_rows: int) -> str:
    which = "all rows" if rows == all_rows else f"{rows:,} of {all_rows:,} rows, spread evenly over the file"
    note = f"Computed on {which}"
    if chosen < usable:
        note += f", for the {chosen} columns with the fewest gaps of the {usable:,} that can be compared"
    return f"{note}. Rare values of a category count as one; texts, identifiers and constant columns are left out."


def associate(series: Sequence[Series], *, rows: int, note: str) -> Associations:
    size = len(series)
    matrix: list[list[float | None]] = [[None] * size for _ in range(size)]
    equivalent: list[tuple[str, str]] = []
    ranked = [_Ranked.of(found.numbers) if found.numbers is not None else None for found in series]
    for i, first in enumerate(series):
        matrix[i][i] = 1.0
        for j in range(i):
            second = series[j]
            one, other = ranked[i], ranked[j]
            if one is not None and other is not None:
                figure = one.spearman(other)
            elif first.codes is not None and second.codes is not None:
                figure, same = _cramers_v(first, second)
                if same:
                    equivalent.append((second.name, first.name))
            else:
                numbers, category = (first, second) if first.codes is None else (second, first)
                figure = _correlation_ratio(numbers, category)
                if figure is not None and figure > 1 - _EQUIVALENT and _one_to_one(numbers, category):
                    equivalent.append((second.name, first.name))
            matrix[i][j] = matrix[j][i] = figure
    return Associations(
        names=tuple(found.name for found in series),
        kinds=tuple(found.kind for found in series),
        matrix=tuple(map(tuple, matrix)),
        sampled_rows=rows,
        note=note,
        equivalent=tuple(equivalent),
    )


@dataclass(frozen=True, slots=True)
class _Ranked:
    """``dense`` numbers the different values in order, -1 where there is none."""

    dense: NDArray[np.int64]
    levels: int
    present: NDArray[np.bool_]
    ranks: NDArray[np.float64]

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> _Ranked:
        present = ~np.isnan(numbers)
        dense = np.full(len(numbers), -1, dtype=np.int64)
        values, dense[present] = np.unique(numbers[present], return_inverse=True)
        return cls(dense, len(values), present, _average_ranks(dense[present], len(values)))

    def spearman(self, other: _Ranked) -> float | None:
        """Of the rows in which both have a number, ranked among themselves; ties share their average rank."""
        if self.present.all() and other.present.all():
            return _pearson(self.ranks, other.ranks)
        both = self.present & other.present
        first = _average_ranks(self.dense[both], self.levels)
        return _pearson(first, _average_ranks(other.dense[both], other.levels))


def _average_ranks(dense: NDArray[np.int64], levels: int) -> NDArray[np.float64]:
    counts = np.bincount(dense, minlength=levels)
    average: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return average[dense]


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if len(first) < 3:
        return None
    one, other = first - first.mean(), second - second.mean()
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return max(-1.0, min(1.0, float(one @ other) / scale)) if scale > 0 else None


def _cramers_v(first: Series, second: Series) -> tuple[float | None, bool]:
    """With Bergsma's correction (2013) for what chance alone gives; and whether each value goes with one other."""
    assert first.codes is not None
    assert second.codes is not None
    both = (first.codes >= 0) & (second.codes >= 0)
    flat = first.codes[both] * second.levels + second.codes[both]
    table = np.bincount(flat, minlength=first.levels * second.levels).reshape(first.levels, second.levels)
    table = table[table.any(axis=1)][:, table.any(axis=0)].astype(np.float64)
    n, (r, k) = table.sum(), table.shape
    if n < 3 or r < 2 or k < 2:
        return None, False
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi2 = float(((table - expected) ** 2 / expected).sum()) / n
    corrected = max(0.0, phi2 - (k - 1) * (r - 1) / (n - 1))
    size = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    is_same = bool(r == k <= _LEVELS and n >= _ROWS_EACH * r and np.count_nonzero(table) == r)
    return (min(1.0, math.sqrt(corrected / size)) if size > 0 else None), is_same


def _correlation_ratio(numbers: Series, category: Series) -> float | None:
    """Eta, with Kelley's correction (epsilon squared) for the number of categories."""
    values, codes = _aligned(numbers, category)
    counts = np.bincount(codes, minlength=category.levels)
    groups = int(np.count_nonzero(counts))
    if len(values) <= groups or groups < 2:
        return None
    values = values - values.mean()
    sums = np.bincount(codes, weights=values, minlength=category.levels)
    total = float(values @ values)
    if not (total > 0 and math.isfinite(total)):
        return None
    between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
    unexplained = max(0.0, 1 - between / total) * (len(values) - 1) / (len(values) - groups)
    return math.sqrt(max(0.0, 1 - unexplained))


def _one_to_one(numbers: Series, category: Series) -> bool:
    values, codes = _aligned(numbers, category)
    pairs = len(set(zip(values.tolist(), codes.tolist(), strict=True)))
    different = len(np.unique(codes))
    return pairs == len(np.unique(values)) == different <= min(_LEVELS, len(values) // _ROWS_EACH)


def _aligned(numbers: Series, category: Series) -> tuple[Any, Any]:
    assert numbers.numbers is not None
    assert category.codes is not None
    both = ~np.isnan(numbers.numbers) & (category.codes >= 0)
    return numbers.numbers[both], category.codes[both]
