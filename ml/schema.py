"""One column of a whole table, as everything after the scan knows it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ml.column_types import ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSchema:
    """One column of the whole table.

    ``unique`` is exact in files up to :data:`ml.profiling.EXACT_DISTINCT_BYTES`, otherwise an estimate.

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
