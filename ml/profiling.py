"""The schema of a whole table and the summary of its target, by DuckDB scans of the clean copy.

Every column is read as text and judged by the rules of :mod:`ml.column_types`; nothing is guessed from a sample, so
a float in the last row is seen and "00123" keeps its zeros.
"""

import difflib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml.column_types import (
    BOOLEAN_PAIRS,
    PLAIN,
    ColumnFacts,
    ColumnType,
    ValueFormat,
    decide_type,
    facts_of,
    is_missing,
    is_soft_missing,
)
from ml.frames import read_frame
from ml.overriding import value_sql
from ml.scan import (
    Table,
    date_sql,
    has_fraction_sql,
    integer_sql,
    is_boolean_sql,
    is_one_word_sql,
    is_soft_missing_sql,
    number_sql,
    open_table,
    read_head,
)
from ml.schema import ColumnSchema
from smartml.errors import InvalidTarget

__all__ = [
    "ColumnSchema",
    "TargetSummary",
    "full_schema",
    "nearest_name",
    "read_frame",
    "target_summary",
]

# In files up to this size distinct values are counted one by one, some columns at a time as it takes memory; in
# larger ones, and in very wide ones, a sketch estimates them, within a few per cent.
EXACT_DISTINCT_BYTES = 32 << 20
_EXACT_WIDTH = 200
_EXACT_COLUMNS = 8
# An estimate this near the number of values is taken for "all different".
_NEARLY_ALL = 0.9
CLASSES_KEPT = 1000
_EXAMPLE_LENGTH = 100
# Wide tables are scanned in parts: the state of a thousand columns' aggregates would not fit the memory limit.
_COLUMNS_PER_SCAN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSummary:
    """What deciding on a problem type needs. ``rows`` counts all rows, ``missing`` those without a target.

    Every count is exact. ``classes`` are the values with their counts, the most frequent first, and
    ``smallest_class`` is the rarest; with more than CLASSES_KEPT values there are neither. Numbers that are equal
    are one class (1 and 1.0), as are booleans that differ in case only. ``has_fractions``: one number is not whole.
    """

    name: str
    rows: int
    missing: int
    distinct: int
    type: ColumnType
    classes: tuple[tuple[str, int], ...]
    smallest_class: tuple[str, int] | None
    has_fractions: bool


def full_schema(path: Path, formats: ValueFormat = PLAIN, *, use_head: bool = True) -> tuple[ColumnSchema, ...]:
    """The schema of a normalised CSV file, in one scan.

    :param use_head: let the first rows rule out types, which saves trying them on the rest; a type needs every
        value, so the result is the same without.
    """
    names, head = read_head(path)
    hopes = [_hope(values, formats) if use_head else _ANYTHING for values in head]
    exact = path.stat().st_size <= EXACT_DISTINCT_BYTES and len(names) <= _EXACT_WIDTH
    schema: list[ColumnSchema] = []
    with open_table(path, len(names)) as table:
        for start in range(0, len(names), _COLUMNS_PER_SCAN):
            part = range(start, min(start + _COLUMNS_PER_SCAN, len(names)))
            for index, found in zip(part, _scan(table, part, hopes, formats, exact=exact), strict=True):
                example = next((v.strip() for v in head[index] if found.is_present(v)), found.example)
                schema.append(found.column(names[index], example))
    return tuple(schema)


_ANYTHING = ColumnFacts(
    present=0,
    missing=0,
    distinct=0,
    all_integer=True,
    all_numeric=True,
    all_boolean=True,
    all_date=True,
    one_word=True,
)


def _hope(values: Sequence[str], formats: ValueFormat) -> ColumnFacts:
    """The facts of the first rows, where one that holds only of no value at all says nothing."""
    if all(is_missing(value) or is_soft_missing(value) for value in values):
        return _ANYTHING
    facts = facts_of(values, formats)
    return replace(facts, all_numeric=facts.all_numeric or facts.all_whole)


@dataclass(frozen=True, slots=True)
class _Found:
    facts: ColumnFacts
    example: str | None
    bounds: dict[ColumnType, tuple[Any, Any]]

    def is_present(self, value: str) -> bool:
        return not is_missing(value) and not (self.facts.soft_missing and is_soft_missing(value))

    def column(self, name: str, example: str | None) -> ColumnSchema:
        kind = decide_type(name, self.facts)
        plain = ColumnType.INTEGER if self.facts.all_integer else kind
        low, high = self.bounds.get(plain, (None, None))
        return ColumnSchema(
            name=name,
            type=kind,
            missing=self.facts.missing,
            unique=self.facts.distinct,
            example=example[:_EXAMPLE_LENGTH] if example else None,
            minimum=None if low is None else _shown(low),
            maximum=None if high is None else _shown(high),
        )


def _shown(value: object) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _scan(
    table: Table, part: range, hopes: Sequence[ColumnFacts], formats: ValueFormat, *, exact: bool
) -> list[_Found]:
    """Facts, an example and bounds of some columns; only types that ``hopes`` leaves open are tried."""
    casts = [_casts(f"c{index}", hopes[index], formats) for index in part]
    wanted = [_aggregates(f"c{index}", hopes[index], formats) for index in part]
    flat = ", ".join(["count(*)", *(expression for aggregates in wanted for expression in aggregates.values())])
    [(rows, *values)] = table.select(flat, part, casts=[cast for some in casts for cast in some]).fetchall()
    got = iter(values)
    known: list[int | None] = [None] * len(part)
    head_is_all = all(hopes[index].present + hopes[index].missing == rows for index in part)
    if head_is_all:
        known = [hopes[index].distinct for index in part]  # the head was all there is
    elif exact:
        known = [*_count_distinct(table, part)]
    found = []
    for index, aggregates, distinct in zip(part, wanted, known, strict=True):
        counted = defaultdict[str, Any](lambda: None, {key: next(got) for key in aggregates})
        found.append(_found(table, index, counted, rows, distinct, formats, soft_left_out=head_is_all))
    return found


def _found(
    table: Table,
    index: int,
    got: Mapping[str, Any],
    rows: int,
    distinct: int | None,
    formats: ValueFormat,
    *,
    soft_left_out: bool,
) -> _Found:
    """What the aggregates of one column say; ``distinct`` is exact or None."""
    present, numbers, dates = got["present"], got["numbers"] or 0, got["dates"] or 0
    low, high = got["low_number"], got["high_number"]
    # Among numbers or dates a word may stand for a missing value; looked for only where there are both.
    unread = present - max(numbers, dates)
    soft = unread if 0 < unread < present and _count_soft(table, index) == unread else 0
    all_date = dates > 0 and dates + soft == present
    numeric = numbers > 0 and numbers + soft == present and math.isfinite(low) and math.isfinite(high)
    if not numeric and not all_date:
        soft = 0
    if distinct is None:
        estimate = got["distinct"]
        distinct = present if estimate >= _NEARLY_ALL * present else estimate
    if soft and not soft_left_out:
        distinct = max(1, distinct - _count_soft(table, index, distinct=True))
    present -= soft
    integers = numeric and got["integers"] == present
    # Only beyond 64 bits can a number be whole and no integer.
    huge = numeric and not integers and (low <= -(2.0**63) or high >= 2.0**63) and _all_whole(table, index, formats)
    facts = ColumnFacts(
        present=present,
        missing=rows - present,
        distinct=distinct,
        all_integer=integers,
        all_numeric=numeric and not huge,
        all_boolean=any(got[f"boolean_{pair}"] for pair in range(len(BOOLEAN_PAIRS))),
        all_date=all_date and not numeric,
        one_word=bool(got["one_word"]),
        all_whole=integers or huge,
        soft_missing=soft,
    )
    bounds = {
        ColumnType.INTEGER: (got["low_integer"], got["high_integer"]),
        ColumnType.NUMERIC: (low, high),
        ColumnType.DATE: (got["low_date"], got["high_date"]),
    }
    return _Found(facts, got["example"], bounds)


def _count_soft(table: Table, index: int, *, distinct: bool = False) -> int:
    counted = f"count({'DISTINCT' if distinct else ''} c{index})"
    [(count,)] = table.select(counted, [index], then=f"WHERE {is_soft_missing_sql(f'c{index}')}").fetchall()
    return int(count)


def _all_whole(table: Table, index: int, formats: ValueFormat) -> bool:
    """Whether the numbers of a column are all written as whole ones."""
    number, fraction = number_sql(f"c{index}", formats), has_fraction_sql(f"c{index}", formats)
    [(count,)] = table.select("count(*)", [index], then=f"WHERE ({number}) IS NOT NULL AND {fraction}").fetchall()
    return bool(count == 0)


def _count_distinct(table: Table, part: range) -> list[int]:
    counts: list[int] = []
    for start in range(part.start, part.stop, _EXACT_COLUMNS):
        columns = range(start, min(start + _EXACT_COLUMNS, part.stop))
        counted = ", ".join(f"count(DISTINCT c{index})" for index in columns)
        counts += table.select(counted, columns).fetchall()[0]
    return counts


def _casts(column: str, hope: ColumnFacts, formats: ValueFormat) -> list[str]:
    """What several aggregates look at, made once for each value."""
    casts = []
    if hope.all_numeric:
        casts.append(f"{number_sql(column, formats)} AS {column}_number")
    if hope.all_integer:
        casts.append(f"{integer_sql(column, formats, is_number=True)} AS {column}_integer")
    if hope.all_date:
        casts.append(f"{date_sql(column, formats)} AS {column}_date")
    return casts


def _aggregates(column: str, hope: ColumnFacts, formats: ValueFormat) -> dict[str, str]:
    def every(test: str) -> str:
        return f"bool_and({test}) FILTER (WHERE {column} IS NOT NULL)"

    wanted = {"present": f"count({column})", "distinct": f"approx_count_distinct({column})"}
    if hope.all_numeric:
        number = f"{column}_number"
        wanted |= {"numbers": f"count({number})", "low_number": f"min({number})", "high_number": f"max({number})"}
    if hope.all_integer:
        whole = f"{column}_integer"
        wanted |= {"integers": f"count({whole})", "low_integer": f"min({whole})", "high_integer": f"max({whole})"}
    if hope.all_boolean:
        wanted |= {f"boolean_{pair}": every(is_boolean_sql(column, pair)) for pair in range(len(BOOLEAN_PAIRS))}
    if hope.all_date:
        date = f"{column}_date"
        wanted["dates"] = f"count({date})"
        wanted |= {"low_date": f"min({date})::VARCHAR", "high_date": f"max({date})::VARCHAR"}
    if hope.one_word:
        # Numbers are one word anyhow; CASE, unlike FILTER, does not look at what it leaves out.
        plain = f"{column} IS NULL" + (
            f" OR {column}_number IS NOT NULL" if hope.all_numeric and formats.thousands != " " else ""
        )
        test = f"CASE WHEN {plain} THEN NULL ELSE {is_one_word_sql(column)} END"
        wanted["one_word"] = f"coalesce(bool_and({test}), true)"
    if hope.present == 0:
        wanted["example"] = f"any_value({column})"
    return wanted


def nearest_name(name: str, names: Sequence[str]) -> str | None:
    """The name that was probably meant, if any comes close; case is ignored first."""
    folded = {candidate.casefold(): candidate for candidate in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def target_summary(
    path: Path, column: str, formats: ValueFormat = PLAIN, *, kind: ColumnType | None = None
) -> TargetSummary:
    """The target column of a normalised CSV file.

    :param kind: the type that a person chose for it; a value that is not of it is missing.
    :raises InvalidTarget: there is no such column; the nearest name is suggested.
    """
    names, head = read_head(path)
    if column not in names:
        near = nearest_name(column, names)
        raise InvalidTarget(
            f"There is no column `{column}` in this table." + (f" Did you mean `{near}`?" if near else "")
        )
    index = names.index(column)
    with open_table(path, len(names)) as table:
        [found] = _scan(
            table, range(index, index + 1), [_hope(values, formats) for values in head], formats, exact=False
        )
        facts, label = found.facts, _label(f"c{index}", found.facts, formats)
        if kind is not None:
            label = value_sql(f"c{index}", kind, formats)
            facts = _facts_as(table, index, kind, label)
        # One column can be afforded: what is said of a target is counted, never estimated.
        facts = replace(facts, distinct=table.count_distinct(label, index))
        fractions = facts.all_numeric and not facts.all_integer and _has_fractions(table, index, formats)
        classes = _classes(table, index, label) if facts.distinct <= CLASSES_KEPT else ()
    return TargetSummary(
        name=column,
        rows=facts.present + facts.missing,
        missing=facts.missing,
        distinct=facts.distinct,
        type=kind or decide_type(column, facts),
        classes=classes,
        smallest_class=classes[-1] if classes else None,
        has_fractions=fractions,
    )


def _facts_as(table: Table, index: int, kind: ColumnType, value: str) -> ColumnFacts:
    """A column of a chosen type; its different values are still to be counted."""
    [(rows, present)] = table.select(f"count(*), count({value})", [index]).fetchall()
    return ColumnFacts(
        present=present,
        missing=rows - present,
        distinct=0,
        all_integer=kind == ColumnType.INTEGER,
        all_numeric=kind in (ColumnType.INTEGER, ColumnType.NUMERIC),
        all_boolean=kind == ColumnType.BOOLEAN,
        all_date=kind == ColumnType.DATE,
        one_word=False,
    )


def _label(column: str, facts: ColumnFacts, formats: ValueFormat) -> str:
    """A value as a class: numbers by their worth, booleans in lower case."""
    if facts.all_boolean:
        return f"lower({column})"
    if facts.all_integer:
        return integer_sql(column, formats)
    if facts.all_numeric:
        return number_sql(column, formats)
    return date_sql(column, formats) if facts.all_date else column


def _classes(table: Table, index: int, label: str) -> tuple[tuple[str, int], ...]:
    counted = table.select(
        f"{label} AS label, count(*)",
        [index],
        then=f"WHERE ({label}) IS NOT NULL GROUP BY label ORDER BY count(*) DESC, label",
    ).fetchall()
    return tuple((_shown(value), count) for value, count in counted)


def _has_fractions(table: Table, index: int, formats: ValueFormat) -> bool:
    number = f"({number_sql(f'c{index}', formats)})"
    [(found,)] = table.select(f"bool_or({number} <> trunc({number}))", [index]).fetchall()
    return bool(found)
