"""Rows held out as a person would type them, to try a model with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ml.features import Feature

if TYPE_CHECKING:
    from pandas import DataFrame

COUNT: Final = 8
_EXACT_IN_FLOAT: Final = 2**53


def examples(usual: DataFrame, features: Sequence[Feature], *, target: str) -> list[dict[str, Any]]:
    """Some rows, drawn anew each time: ``place`` in the table from 0, ``values`` by column as text (None for a
    gap), ``truth``."""
    drawn = usual.sample(min(COUNT, len(usual)))
    return [
        {
            "place": int(place),
            "values": {feature.name: as_text(row[feature.name]) for feature in features},
            "truth": as_text(row[target]),
        }
        for place, row in zip(drawn.index, drawn.to_dict("records"), strict=True)
    ]


def as_text(value: Any) -> str | None:
    """A cell as ``ml.prediction.check_rows`` reads it back, to the last digit."""
    import pandas as pd

    if pd.isna(value):
        return None
    if hasattr(value, "isoformat"):
        return str(value.date().isoformat() if value == value.normalize() else value.isoformat())
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_IN_FLOAT:
        return str(int(value))
    return str(value)
