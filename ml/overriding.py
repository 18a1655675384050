"""Types that a person chose, against the rules of :mod:`ml.column_types`: what fits them, and what does not.

A value that is not of the chosen type is missing. ``boolean`` takes any word for yes or no, 1 and 0 among them;
``category``, ``text`` and ``id`` take every value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ml.column_types import PLAIN, ColumnType, ValueFormat
from ml.prediction import FALSE_WORDS, TRUE_WORDS
from ml.scan import date_sql, integer_sql, is_soft_missing_sql, number_sql, open_table, quoted
from ml.schema import ColumnSchema

# In lower case.
BOOLEAN_WORDS: Final = TRUE_WORDS | FALSE_WORDS
_COLUMNS_PER_SCAN: Final = 50
_WITH_BOUNDS: Final = (ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.DATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenType:
    """A column read as another type than the one found; ``not_of_type`` of its values are not of it."""

    column: str
    type: ColumnType
    detected_type: ColumnType
    not_of_type: int

    def as_dict(self) -> dict[str, object]:
        return {
            "column": self.column,
            "type": str(self.type),
            "detected_type": str(self.detected_type),
            "not_of_type": self.not_of_type,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ChosenType":
        return cls(
            column=values["column"],
            type=ColumnType(values["type"]),
            detected_type=ColumnType(values["detected_type"]),
            not_of_type=values["not_of_type"],
        )


def is_of_type_sql(column: str, kind: ColumnType, formats: ValueFormat = PLAIN) -> str:
    """Whether a trimmed value is of this type."""
    if kind == ColumnType.NUMERIC:
        return f"(isfinite({number_sql(column, formats)}) IS TRUE)"
    if kind == ColumnType.INTEGER:
        return f"(({integer_sql(column, formats)}) IS NOT NULL)"
    if kind == ColumnType.DATE:
        return f"(({date_sql(column, formats)}) IS NOT NULL)"
    if kind == ColumnType.BOOLEAN:
        return f"(lower({column}) IN ({', '.join(map(quoted, sorted(BOOLEAN_WORDS)))}))"
    return "true"


def value_sql(column: str, kind: ColumnType, formats: ValueFormat = PLAIN) -> str:
    """A trimmed value as this type has it, NULL when it is not of it; booleans are words in lower case."""
    if kind == ColumnType.INTEGER:
        return integer_sql(column, formats)
    if kind == ColumnType.DATE:
        return date_sql(column, formats)
    if kind == ColumnType.NUMERIC:
        return f"CASE WHEN {is_of_type_sql(column, kind, formats)} THEN {number_sql(column, formats)} END"
    return (
        f"CASE WHEN {is_of_type_sql(column, kind)} THEN lower({column}) END"
        if kind == ColumnType.BOOLEAN
        else column
    )


def apply_types(
    path: Path, schema: Sequence[ColumnSchema], types: Mapping[str, ColumnType], formats: ValueFormat = PLAIN
) -> tuple[tuple[ColumnSchema, ...], tuple[ChosenType, ...]]:
    """The schema of a normalised file with the chosen types in it, and what that changes, by a scan of those.

    Types of columns that are not there, or that are the found ones, change nothing.
    """
    chosen = [index for index, column in enumerate(schema) if types.get(column.name, column.type) != column.type]
    changed, told = list(schema), []
    for start in range(0, len(chosen), _COLUMNS_PER_SCAN):
        part = {index: types[schema[index].name] for index in chosen[start : start + _COLUMNS_PER_SCAN]}
        for index, (column, not_of_type) in _look(path, schema, part, formats).items():
            changed[index] = column
            told.append(
                ChosenType(
                    column=column.name,
                    type=column.type,
                    detected_type=schema[index].type,
                    not_of_type=not_of_type,
                )
            )
    return tuple(changed), tuple(told)


def _look(
    path: Path, schema: Sequence[ColumnSchema], chosen: Mapping[int, ColumnType], formats: ValueFormat
) -> dict[int, tuple[ColumnSchema, int]]:
    """Columns as their new types have them, and how many values are not of these. Words for a gap are no values."""
    wanted = [part for index, kind in chosen.items() for part in _aggregates(f"c{index}", kind, formats)]
    with open_table(path, len(schema)) as table:
        [(rows, *flat)] = table.select(", ".join(["count(*)", *wanted]), chosen).fetchall()
    found = {}
    for place, (index, kind) in enumerate(chosen.items()):
        present, fit, words, unique, low, high = flat[6 * place : 6 * place + 6]
        column = replace(
            schema[index], type=kind, missing=rows - fit, unique=min(unique, fit), minimum=low, maximum=high
        )
        found[index] = column, present - fit - words
    return found


def _aggregates(column: str, kind: ColumnType, formats: ValueFormat) -> tuple[str, ...]:
    fits = is_of_type_sql(column, kind, formats)
    is_value = f"{column} IS NOT NULL"
    value = value_sql(column, kind, formats) if kind in _WITH_BOUNDS else "NULL"
    return (
        f"count({column})",
        f"count_if({is_value} AND {fits})",
        f"count_if({is_value} AND NOT {fits} AND {is_soft_missing_sql(column)})",
        f"approx_count_distinct(CASE WHEN {fits} THEN {column} END)",
        f"min({value})::VARCHAR",
        f"max({value})::VARCHAR",
    )
