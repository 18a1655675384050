"""The schema of a whole table and the summary of its target, by DuckDB scans of the clean copy.

Every column is read as text and judged by the rules of :mod:`ml.column_types`; nothing is guessed from a sample, so
a float in the last row is seen and "00123" keeps its zeros.
"""

import difflib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.column_types import BOOLEAN_PAIRS, ColumnFacts, ColumnType, decide_type, facts_of, is_missing
from ml.scan import (
    Table,
    date_sql,
    integer_sql,
    is_boolean_sql,
    is_one_word_sql,
    number_sql,
    open_table,
    read_head,
)
from smartml.errors import InvalidTarget

if TYPE_CHECKING:
    import pandas as pd

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
class ColumnSchema:
    """One column of the whole table. ``unique`` is exact in files up to EXACT_DISTINCT_BYTES, else an estimate.

    ``minimum`` and ``maximum`` are given for numbers and dates, as text that keeps every digit of an integer.
    """

    name: str
    type: ColumnType
    missing: int
    unique: int
    example: str | None = None
    minimum: str | None = None
    maximum: str | None = None

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "type": str(self.type)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ColumnSchema":
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        return cls(**{**known, "type": ColumnType(known["type"])})


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


def full_schema(path: Path, *, use_head: bool = True) -> tuple[ColumnSchema, ...]:
    """The schema of a normalised CSV file, in one scan.

    :param use_head: let the first rows rule out types, which saves trying them on the rest; a type needs every
        value, so the result is the same without.
    """
    names, head = read_head(path)
    hopes = [_hope(values) if use_head else _ANYTHING for values in head]
    exact = path.stat().st_size <= EXACT_DISTINCT_BYTES and len(names) <= _EXACT_WIDTH
    schema: list[ColumnSchema] = []
    with open_table(path, len(names)) as table:
        for start in range(0, len(names), _COLUMNS_PER_SCAN):
            part = range(start, min(start + _COLUMNS_PER_SCAN, len(names)))
            for index, found in zip(part, _scan(table, part, hopes, exact=exact), strict=True):
                example = next((value.strip() for value in head[index] if not is_missing(value)), found.example)
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


def _hope(values: Sequence[str]) -> ColumnFacts:
    """The facts of the first rows, where one that holds only of no value at all says nothing."""
    facts = facts_of(values)
    return facts if facts.present else _ANYTHING


@dataclass(frozen=True, slots=True)
class _Found:
    facts: ColumnFacts
    example: str | None
    bounds: dict[ColumnType, tuple[Any, Any]]

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


def _scan(table: Table, part: range, hopes: Sequence[ColumnFacts], *, exact: bool) -> list[_Found]:
    """Facts, an example and bounds of some columns; only types that ``hopes`` leaves open are tried."""
    casts = [_casts(f"c{index}", hopes[index]) for index in part]
    wanted = [_aggregates(f"c{index}", hopes[index]) for index in part]
    flat = ", ".join(["count(*)", *(expression for aggregates in wanted for expression in aggregates.values())])
    [(rows, *values)] = table.select(flat, part, casts=[cast for some in casts for cast in some]).fetchall()
    got = iter(values)
    known: list[int | None] = [None] * len(part)
    if all(hopes[index].present + hopes[index].missing == rows for index in part):
        known = [hopes[index].distinct for index in part]  # the head was all there is
    elif exact:
        known = [*_count_distinct(table, part)]
    return [
        _found({key: next(got) for key in aggregates}, rows, distinct)
        for aggregates, distinct in zip(wanted, known, strict=True)
    ]


def _found(values: Mapping[str, Any], rows: int, distinct: int | None) -> _Found:
    """What the aggregates of one column say; ``distinct`` is exact or None."""
    got = defaultdict[str, Any](lambda: None, values)
    present = got["present"]
    if distinct is None:
        estimate = got["distinct"]
        distinct = present if estimate >= _NEARLY_ALL * present else estimate
    low, high = got["low_number"], got["high_number"]
    numeric = present > 0 and got["numbers"] == present and math.isfinite(low) and math.isfinite(high)
    facts = ColumnFacts(
        present=present,
        missing=rows - present,
        distinct=distinct,
        all_integer=numeric and got["integers"] == present,
        all_numeric=numeric,
        all_boolean=any(got[f"boolean_{pair}"] for pair in range(len(BOOLEAN_PAIRS))),
        all_date=present > 0 and got["dates"] == present and not numeric,
        one_word=bool(got["one_word"]),
    )
    bounds = {
        ColumnType.INTEGER: (got["low_integer"], got["high_integer"]),
        ColumnType.NUMERIC: (low, high),
        ColumnType.DATE: (got["low_date"], got["high_date"]),
    }
    return _Found(facts, got["example"], bounds)


def _count_distinct(table: Table, part: range) -> list[int]:
    counts: list[int] = []
    for start in range(part.start, part.stop, _EXACT_COLUMNS):
        columns = range(start, min(start + _EXACT_COLUMNS, part.stop))
        counted = ", ".join(f"count(DISTINCT c{index})" for index in columns)
        counts += table.select(counted, columns).fetchall()[0]
    return counts


def _casts(column: str, hope: ColumnFacts) -> list[str]:
    """What several aggregates look at, made once for each value."""
    casts = []
    if hope.all_numeric:
        casts.append(f"{number_sql(column)} AS {column}_number")
    if hope.all_integer:
        casts.append(f"{integer_sql(column)} AS {column}_integer")
    if hope.all_date:
        casts.append(f"{date_sql(column)} AS {column}_date")
    return casts


def _aggregates(column: str, hope: ColumnFacts) -> dict[str, str]:
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
        plain = f"{column} IS NULL" + (f" OR {column}_number IS NOT NULL" if hope.all_numeric else "")
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


def target_summary(path: Path, column: str) -> TargetSummary:
    """The target column of a normalised CSV file.

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
        [found] = _scan(table, range(index, index + 1), [_hope(values) for values in head], exact=False)
        label = _label(f"c{index}", found.facts)
        # One column can be afforded: what is said of a target is counted, never estimated.
        facts = replace(found.facts, distinct=table.count_distinct(label, index))
        fractions = facts.all_numeric and not facts.all_integer and _has_fractions(table, index)
        classes = _classes(table, index, label) if facts.distinct <= CLASSES_KEPT else ()
    return TargetSummary(
        name=column,
        rows=facts.present + facts.missing,
        missing=facts.missing,
        distinct=facts.distinct,
        type=decide_type(column, facts),
        classes=classes,
        smallest_class=classes[-1] if classes else None,
        has_fractions=fractions,
    )


def _label(column: str, facts: ColumnFacts) -> str:
    """A value as a class: numbers by their worth, booleans in lower case."""
    if facts.all_boolean:
        return f"lower({column})"
    if facts.all_integer:
        return f"TRY_CAST({column} AS BIGINT)"
    return f"TRY_CAST({column} AS DOUBLE)" if facts.all_numeric else column


def _classes(table: Table, index: int, label: str) -> tuple[tuple[str, int], ...]:
    counted = table.select(
        f"{label} AS label, count(*)",
        [index],
        then=f"WHERE c{index} IS NOT NULL GROUP BY label ORDER BY count(*) DESC, label",
    ).fetchall()
    return tuple((_shown(value), count) for value, count in counted)


def _has_fractions(table: Table, index: int) -> bool:
    number = f"TRY_CAST(c{index} AS DOUBLE)"
    [(found,)] = table.select(f"bool_or({number} <> trunc({number}))", [index]).fetchall()
    return bool(found)


def read_frame(path: Path, schema: Sequence[ColumnSchema]) -> "pd.DataFrame":
    """The whole normalised file as a frame in the dtypes that AutoGluon reads rightly.

    ``integer`` is int64; where values are missing float64 if that is exact, otherwise text. ``numeric`` is float64,
    ``date`` datetime64. The rest is object: text with None for missing; booleans are the words of the file in
    lower case, so that "yes"/"no" stays what people see, and not 1/0.
    """
    with open_table(path, len(schema), memory_limit=_FRAME_MEMORY_LIMIT) as table:
        selected = ", ".join(_frame_column(f"c{index}", column) for index, column in enumerate(schema))
        frame: pd.DataFrame = table.select(selected, range(len(schema))).df()
    frame.columns = [column.name for column in schema]
    return frame


# A frame needs the memory of its rows anyhow.
_FRAME_MEMORY_LIMIT = "1GB"
# Integers up to here survive a float64.
_EXACT_IN_FLOAT = 2**53


def _frame_column(column: str, schema: ColumnSchema) -> str:
    if schema.type == ColumnType.NUMERIC:
        return f"CAST({column} AS DOUBLE) AS {column}"
    if schema.type == ColumnType.INTEGER:
        if not schema.missing:
            return f"CAST({column} AS BIGINT) AS {column}"
        largest = max(abs(int(schema.minimum or 0)), abs(int(schema.maximum or 0)))
        return f"CAST({column} AS DOUBLE) AS {column}" if largest <= _EXACT_IN_FLOAT else column
    if schema.type == ColumnType.DATE:
        return f"CAST({column} AS TIMESTAMP) AS {column}"
    return f"lower({column}) AS {column}" if schema.type == ColumnType.BOOLEAN else column
