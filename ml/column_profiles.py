"""From what was found out about a column to its profile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ml.column_looks import Look, Value
from ml.column_types import ColumnType, is_missing
from ml.column_values import VALUE_LENGTH, Numbers, date_histogram
from ml.overriding import BOOLEAN_WORDS
from ml.profile_records import ColumnProfile, Histogram

_TOP = 10
_NUMBERS = (ColumnType.INTEGER, ColumnType.NUMERIC)
Top = Sequence[tuple[str, int]]


def wants_top(kind: ColumnType) -> bool:
    """Whether a column is shown by its most frequent values: numbers and dates have a histogram."""
    return kind not in (*_NUMBERS, ColumnType.DATE)


def numbers_of(look: Look, kind: ColumnType) -> Numbers | None:
    """All numbers (dates) of a column whose values were counted."""
    if look.values is None:
        return None
    return Numbers.of_values(look.values, dates=kind == ColumnType.DATE)


def profile_of(
    look: Look, numbers: Numbers | None, top: Top, *, override: ColumnType | None, sampled_rows: int
) -> ColumnProfile:
    """``numbers`` and ``top`` are of ``sampled_rows`` rows (0: of all), and not needed of a counted column."""
    kind = override or look.type
    if look.values is not None:
        numbers, sampled_rows = numbers_of(look, kind), 0
        top = [(value.text, value.count) for value in look.values]
    shown = tuple((_cut(text), count) for text, count in top if not is_missing(text))[:_TOP]
    gaps = {word: count for word, count in look.gaps.items() if word}
    facts: dict[str, Any] = {}
    if kind in _NUMBERS:
        facts = _number_facts(look, numbers, kind, sampled_rows)
    elif kind == ColumnType.DATE:
        facts = _date_facts(look, numbers, sampled_rows)
    else:
        if kind == ColumnType.ID and look.facts.all_integer:
            facts = {"minimum": str(look.low_whole), "maximum": str(look.high_whole)}
        sampled_rows = sampled_rows if shown else 0
    return ColumnProfile(
        name=look.name,
        type=kind,
        detected_type=look.type,
        rows=look.rows,
        missing=look.facts.missing,
        disguised_missing=sum(gaps.values()),
        disguises=tuple(sorted(gaps.items(), key=lambda gap: (-gap[1], gap[0]))),
        not_of_type=0 if override is None else _not_of_type(look, override),
        unique=look.facts.distinct,
        unique_is_exact=look.distinct_is_exact,
        example=None if look.example is None else _cut(look.example),
        top=shown if wants_top(kind) or look.values is not None else (),
        longest=look.longest,
        sampled_rows=sampled_rows,
        **facts,
    )


def _number_facts(look: Look, numbers: Numbers | None, kind: ColumnType, sampled_rows: int) -> dict[str, Any]:
    if numbers is None or not numbers.total:
        return {}
    mean: float | None
    std: float | None
    if look.values is not None:
        low, high = float(numbers.values[0]), float(numbers.values[-1])
        mean, std = numbers.mean, numbers.std
        zeros, negatives = numbers.count_where(numbers.values == 0), numbers.count_where(numbers.values < 0)
    else:
        low, high, mean, std = look.low, look.high, look.mean, look.std
        zeros, negatives = look.zeros, look.negatives
    whole = look.facts.all_integer
    facts: dict[str, Any] = {
        "minimum": str(look.low_whole) if whole else shown_number(low),
        "maximum": str(look.high_whole) if whole else shown_number(high),
        "mean": finite(mean),
        "std": finite(std),
        "zeros": zeros,
        "negatives": negatives,
        "quantiles": {name: value for name, value in numbers.quantiles().items() if math.isfinite(value)},
    }
    if math.isfinite(low) and math.isfinite(high):
        edges, counts = numbers.histogram(low, high, whole=kind == ColumnType.INTEGER and whole)
        facts["histogram"] = Histogram(edges=tuple(edges), counts=tuple(counts), sampled_rows=sampled_rows)
    return facts


def _date_facts(look: Look, numbers: Numbers | None, sampled_rows: int) -> dict[str, Any]:
    low, high = look.low, look.high
    if look.values is not None:
        dates = [value.date for value in look.values if value.date is not None]
        low, high = min(dates, default=None), max(dates, default=None)
    if low is None or high is None:
        return {}
    low, high = str(low).removesuffix(" 00:00:00"), str(high).removesuffix(" 00:00:00")
    histogram = date_histogram(numbers, low, high, sampled_rows=sampled_rows) if numbers else None
    return {"minimum": low, "maximum": high, "histogram": histogram}


def _not_of_type(look: Look, kind: ColumnType) -> int:
    if kind in _NUMBERS:
        fit = look.numbers or 0
        if kind == ColumnType.INTEGER and look.values is not None:
            fit = sum(value.count for value in look.values if value.whole is not None)
        return look.present - fit
    if kind == ColumnType.DATE:
        return look.present - (look.dates or 0)
    if kind == ColumnType.BOOLEAN:
        return look.present - _booleans(look.values or ())
    return 0


def _booleans(values: Sequence[Value]) -> int:
    return sum(value.count for value in values if value.text.lower() in BOOLEAN_WORDS)


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def shown_number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _cut(text: str) -> str:
    return text[:VALUE_LENGTH]
