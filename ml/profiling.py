"""The schema of a whole table and the summary of its target, by DuckDB scans of the clean copy.

Every column is read as text and judged by the rules of :mod:`ml.column_types`; nothing is guessed from a sample, so
a float in the last row is seen and "00123" keeps its zeros.
"""

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.column_types import BOOLEAN_PAIRS, ColumnFacts, ColumnType, decide_type, facts_of, is_missing
from ml.scan import (
    Table,
    is_boolean_sql,
    is_date_sql,
    is_integer_sql,
    is_numeric_sql,
    is_one_word_sql,
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

    ``distinct`` is exact up to CLASSES_KEPT values, and in files up to EXACT_DISTINCT_BYTES; beyond, an estimate.
    ``classes`` are the values with their exact counts, the most frequent first; with more than CLASSES_KEPT values
    only so many, if any, and no ``smallest_class``, which otherwise is the rarest. Numbers that are equal are one
    class (1 and 1.0), as are booleans that differ in case only. ``has_fractions``: one number is not whole.
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
        rows = table.count()
        for start in range(0, len(names), _COLUMNS_PER_SCAN):
            part = range(start, min(start + _COLUMNS_PER_SCAN, len(names)))
            for index, found in zip(part, _scan(table, part, hopes, rows, exact=exact), strict=True):
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


def _scan(table: Table, part: range, hopes: Sequence[ColumnFacts], rows: int, *, exact: bool) -> list[_Found]:
    """Facts, an example and bounds of some columns; only types that ``hopes`` leaves open are tried."""
    wanted = [_aggregates(f"c{index}", hopes[index]) for index in part]
    flat = ", ".join(expression for aggregates in wanted for expression in aggregates.values())
    [row] = table.select(flat, part).fetchall()
    values = iter(row)
    distinct: list[int | None] = [None] * len(part)
    if all(hopes[index].present + hopes[index].missing == rows for index in part):
        distinct = [hopes[index].distinct for index in part]  # the head was all there is
    elif exact:
        distinct = [*_count_distinct(table, part)]
    found = []
    for aggregates, counted in zip(wanted, distinct, strict=True):
        got = defaultdict[str, Any](lambda: None, {key: next(values) for key in aggregates})
        if counted is None:
            estimate, present = got["distinct"], got["present"]
            counted = present if estimate >= _NEARLY_ALL * present else estimate
        facts = ColumnFacts(
            present=got["present"],
            missing=rows - got["present"],
            distinct=counted,
            all_integer=bool(got["numeric"]) and bool(got["integer"]),
            all_numeric=bool(got["numeric"]),
            all_boolean=any(got[f"boolean_{pair}"] for pair in range(len(BOOLEAN_PAIRS))),
            all_date=bool(got["date"]) and not got["numeric"],
            one_word=bool(got["one_word"]),
        )
        bounds = {
            ColumnType.INTEGER: (got["low_integer"], got["high_integer"]),
            ColumnType.NUMERIC: (got["low_number"], got["high_number"]),
            ColumnType.DATE: (got["low_date"], got["high_date"]),
        }
        found.append(_Found(facts, got["example"], bounds))
    return found


def _count_distinct(table: Table, part: range) -> list[int]:
    counts: list[int] = []
    for start in range(part.start, part.stop, _EXACT_COLUMNS):
        columns = range(start, min(start + _EXACT_COLUMNS, part.stop))
        counted = ", ".join(f"count(DISTINCT c{index})" for index in columns)
        counts += table.select(counted, columns).fetchall()[0]
    return counts


def _aggregates(column: str, hope: ColumnFacts) -> dict[str, str]:
    integer, number = f"TRY_CAST({column} AS BIGINT)", f"TRY_CAST({column} AS DOUBLE)"
    date = f"TRY_CAST({column} AS TIMESTAMP)::VARCHAR"

    def every(test: str) -> str:
        return f"bool_and({test}) FILTER (WHERE {column} IS NOT NULL)"

    wanted = {"present": f"count({column})", "distinct": f"approx_count_distinct({column})"}
    if hope.all_numeric:
        wanted["numeric"] = every(is_numeric_sql(column))
        wanted |= {"low_number": f"min({number})", "high_number": f"max({number})"}
    if hope.all_integer:
        wanted["integer"] = every(is_integer_sql(column))
        wanted |= {"low_integer": f"min({integer})", "high_integer": f"max({integer})"}
    if hope.all_boolean:
        wanted |= {f"boolean_{pair}": every(is_boolean_sql(column, pair)) for pair in range(len(BOOLEAN_PAIRS))}
    if hope.all_date:
        wanted["date"] = every(is_date_sql(column))
        wanted |= {"low_date": f"min({date})", "high_date": f"max({date})"}
    if hope.one_word:
        wanted["one_word"] = every(is_one_word_sql(column))
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
        rows = table.count()
        exact = path.stat().st_size <= EXACT_DISTINCT_BYTES
        [found] = _scan(table, range(index, index + 1), [_hope(values) for values in head], rows, exact=exact)
        facts, label = found.facts, f"c{index}"
        if facts.all_boolean:
            label = f"lower({label})"
        elif facts.all_integer:
            label = f"TRY_CAST({label} AS BIGINT)"
        elif facts.all_numeric:
            label = f"TRY_CAST({label} AS DOUBLE)"
        fractions = facts.all_numeric and not facts.all_integer and _has_fractions(table, index)
        # A sketch may be off by some per cent; far beyond the kept classes it does not matter.
        distinct = facts.distinct
        classes: tuple[tuple[str, int], ...] = ()
        if distinct <= 4 * CLASSES_KEPT:
            counted = table.select(
                f"{label} AS label, count(*)",
                [index],
                then=f"WHERE c{index} IS NOT NULL GROUP BY label ORDER BY count(*) DESC, label",
            ).fetchall()
            distinct = len(counted)
            classes = tuple((_shown(value), count) for value, count in counted)
    return TargetSummary(
        name=column,
        rows=rows,
        missing=facts.missing,
        distinct=distinct,
        type=decide_type(column, facts),
        classes=classes[:CLASSES_KEPT],
        smallest_class=classes[-1] if 0 < len(classes) <= CLASSES_KEPT else None,
        has_fractions=fractions,
    )


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
