"""How a column is looked at, and what was seen: the results of a scan by the rules of ml.column_types."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ml.column_types import BOOLEAN_PAIRS, ColumnFacts, ColumnType, decide_type, is_soft_missing

# Under this go words for "missing" that were not counted one by one.
OTHER_GAPS = "…"
# An estimate this near the number of values is taken for "all different".
_NEARLY_ALL = 0.9


class Way(StrEnum):
    """``counted``: every different value with its count, all else from these."""

    COUNTED = "counted"
    NUMBER = "number"
    DATE = "date"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``whole``: try whole numbers first. ``one_word``: find out if all values are one. ``length``: the longest.
    ``repeats``: some values are known to repeat, so that no estimate can mean that all are different.

    ``known`` are values that a counted column is known to have, ``gaps`` words for "missing" that any other has: in
    a whole file these are counted one by one, for an aggregate that collects values takes megabytes for each
    column.
    """

    way: Way
    whole: bool = False
    one_word: bool = False
    length: bool = False
    repeats: bool = False
    known: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A different value of a counted column, trimmed, with what it is."""

    text: str
    count: int
    number: float | None
    whole: int | None
    date: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of a column. ``gaps`` are the words for "missing" as they are written, with their counts.

    ``words`` are examples of values that are neither missing nor what the plan expected. ``numbers`` and ``dates``
    count the values that are, None where that was not asked. ``values`` are those of a counted column.
    """

    name: str
    rows: int
    gaps: Mapping[str, int]
    facts: ColumnFacts
    distinct_is_exact: bool
    numbers: int | None = None
    dates: int | None = None
    low: Any = None
    high: Any = None
    low_whole: int | None = None
    high_whole: int | None = None
    mean: float | None = None
    std: float | None = None
    zeros: int = 0
    negatives: int = 0
    longest: int = 0
    example: str | None = None
    words: tuple[str, ...] = ()
    values: tuple[Value, ...] | None = field(default=None, repr=False)

    @property
    def present(self) -> int:
        return self.facts.present

    @property
    def type(self) -> ColumnType:
        return decide_type(self.name, self.facts)

    def with_distinct(self, distinct: int) -> "Look":
        """The same with an exact count of different values."""
        return replace(self, facts=replace(self.facts, distinct=distinct), distinct_is_exact=True)


def _gaps(got: Mapping[str, Any], words: Sequence[str]) -> dict[str, int]:
    """The words for "missing" with their counts; those that no sample had go under an ellipsis."""
    if "gaps" in got:
        return dict(got["gaps"])
    gaps = {word: got[f"gap {word}"] or 0 for word in ("", *words)}
    gaps[OTHER_GAPS] = got["all gaps"] - sum(gaps.values())
    return {word: count for word, count in gaps.items() if count}


def _rounded(estimate: int, present: int) -> int:
    return present if estimate >= _NEARLY_ALL * present else estimate


def look_of(name: str, rows: int, got: Mapping[str, Any], plan: Plan) -> Look:
    way, gaps = plan.way, _gaps(got, plan.gaps)
    present = got["filled"] - sum(gaps.values())
    fit, soft = got.get("fit", 0), got.get("soft") or 0
    if 0 < soft == present - fit < present:
        # Words that stand for "missing" where all else is numbers or dates.
        present -= soft
        gaps = gaps | {(got["first_word"] if got["first_word"] == got["last_word"] else OTHER_GAPS): soft}
    else:
        soft = 0
    low, high = got.get("low"), got.get("high")
    is_number, is_date = way == Way.NUMBER, way == Way.DATE
    finite = is_number and fit > 0 and math.isfinite(low or 0.0) and math.isfinite(high or 0.0)
    estimate = max(got.get("distinct", 0) - len(gaps), min(present, 1))
    words = tuple(dict.fromkeys(word for word in (got.get("first_word"), got.get("last_word")) if word is not None))
    return Look(
        name=name,
        rows=rows,
        gaps=gaps,
        facts=ColumnFacts(
            present=present,
            missing=rows - present,
            distinct=min(estimate, present - 1) if plan.repeats else _rounded(estimate, present),
            all_integer=finite and fit == present == got.get("whole"),
            all_numeric=finite and fit == present,
            all_boolean=False,  # that takes a few different values only, which are counted
            all_date=is_date and fit == present > 0,
            one_word=bool(got.get("one_word", False)),
            all_whole=finite and fit == present == got.get("whole"),
            soft_missing=soft,
        ),
        distinct_is_exact=False,
        numbers=fit if is_number else got.get("numbers"),
        dates=fit if is_date else None,
        low=low,
        high=high,
        low_whole=got.get("low_whole"),
        high_whole=got.get("high_whole"),
        mean=got["mean"] if finite else None,
        std=got["std"] if finite else None,
        zeros=got.get("zeros") or 0,
        negatives=got.get("negatives") or 0,
        longest=got.get("longest") or 0,
        example=got["example"],
        words=words if fit else (),
    )


def _without_soft(found: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Values, and words among them that stand for "missing" where all else is numbers or all dates."""
    soft = [row for row in found if row[2] is None and row[4] is None and is_soft_missing(row[0])]
    rest = [row for row in found if row not in soft]
    typed = any(rest and all(row[kind] is not None for row in rest) for kind in (2, 4))
    return (rest, soft) if soft and typed else (found, [])


def counted_look_of(name: str, rows: int, gaps: dict[str, int], found: Sequence[Any]) -> Look:
    found, soft = _without_soft(found)
    gaps = gaps | {row[0]: row[1] for row in soft}
    present = sum(row[1] for row in found)
    numbers = [row for row in found if row[2] is not None and math.isfinite(row[2])]
    dates = [row for row in found if row[4] is not None]
    all_numeric = 0 < len(found) == len(numbers)
    all_integer = all_numeric and all(row[3] is not None for row in found)
    # Whole numbers of which one does not fit 64 bits are codes.
    all_huge = all_numeric and not all_integer and not any(row[8] for row in found)
    all_huge = all_huge and any(row[3] is None and not -(2.0**63) < row[2] < 2.0**63 for row in found)
    all_numeric = all_numeric and not all_huge
    booleans = range(len(BOOLEAN_PAIRS))
    values = tuple(
        Value(text=text, count=count, number=number, whole=None if number is None else whole, date=date)
        for text, count, number, whole, date, *_ in found
    )
    return Look(
        name=name,
        rows=rows,
        gaps=gaps,
        facts=ColumnFacts(
            present=present,
            missing=rows - present,
            distinct=len(found),
            all_integer=all_integer,
            all_numeric=all_numeric,
            all_boolean=bool(found) and any(all(row[5][pair] for row in found) for pair in booleans),
            all_date=0 < len(found) == len(dates) and not all_numeric,
            one_word=all(row[6] for row in found),
            all_whole=all_integer or all_huge,
            soft_missing=sum(row[1] for row in soft),
        ),
        distinct_is_exact=True,
        numbers=sum(row[1] for row in numbers),
        dates=sum(row[1] for row in dates),
        low_whole=min((row[3] for row in found), default=None) if all_integer else None,
        high_whole=max((row[3] for row in found), default=None) if all_integer else None,
        longest=max((row[7] for row in found), default=0),
        example=found[0][0] if found else None,
        words=tuple(row[0] for row in found if row[2] is None and row[4] is None)[:3],
        values=values,
    )
