"""A whole normalised table as a frame for training."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.column_types import PLAIN, ColumnType, ValueFormat
from ml.overriding import value_sql
from ml.scan import Table, integer_sql, open_table
from ml.schema import ColumnSchema

if TYPE_CHECKING:
    import pandas as pd

# A frame needs the memory of its rows anyhow.
_MEMORY_LIMIT = "1GB"
# Integers up to here survive a float64.
_EXACT_IN_FLOAT = 2**53


def read_frame(path: Path, schema: Sequence[ColumnSchema], formats: ValueFormat = PLAIN) -> "pd.DataFrame":
    """The whole normalised file as a frame in the dtypes that AutoGluon reads rightly.

    ``integer`` is int64, and so is ``id`` where the ids are integers; where values are missing float64 if that is
    exact, otherwise text. ``numeric`` is float64, ``date`` datetime64. The rest is object: text with None for
    missing; booleans are the words of the file in lower case, so that "yes"/"no" stays what people see, not 1/0.

    The types may be others than those that were found: what does not read as the wanted type is missing then.
    """
    with open_table(path, len(schema), memory_limit=_MEMORY_LIMIT) as table:
        selected = ", ".join(_column(f"c{index}", column, formats) for index, column in enumerate(schema))
        frame: pd.DataFrame = table.select(selected, range(len(schema))).df()
        for index, column in enumerate(schema):
            name = f"c{index}"
            if _is_integer(column) and frame[name].dtype != "int64":
                exact = column.type == ColumnType.INTEGER and not frame[name].abs().max() > _EXACT_IN_FLOAT
                frame[name] = frame[name].astype("float64") if exact else _as_text(table, index, column, formats)
    frame.columns = [column.name for column in schema]
    return frame


def _column(column: str, schema: ColumnSchema, formats: ValueFormat) -> str:
    if schema.type in (ColumnType.NUMERIC, ColumnType.DATE, ColumnType.BOOLEAN):
        return f"{value_sql(column, schema.type, formats)} AS {column}"
    return f"{integer_sql(column, formats)} AS {column}" if _is_integer(schema) else column


def _is_integer(column: ColumnSchema) -> bool:
    # Only columns of numbers (and dates) have bounds; that an id has some leaves to be seen whether they are whole.
    return column.type == ColumnType.INTEGER or (column.type == ColumnType.ID and column.minimum is not None)


def _as_text(table: Table, index: int, column: ColumnSchema, formats: ValueFormat) -> "pd.Series[Any]":
    """A column as it stands in the file; of ``integer`` the integers, which pandas would round beside gaps."""
    name = f"c{index}"
    whole = f"CASE WHEN ({integer_sql(name, formats)}) IS NULL THEN NULL ELSE {name} END"
    wanted = name if column.type == ColumnType.ID else whole
    values: pd.Series[Any] = table.select(f"{wanted} AS {name}", [index]).df()[name]
    return values
