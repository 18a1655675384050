"""What moves one prediction of a loaded model, in plain values: the part of each column. Used by ``ml.serving``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml import holdout_rows
from ml.prediction import Feature
from ml.shapley import explain_row, groups_of
from smartml.errors import InvalidInput

if TYPE_CHECKING:
    from pandas import DataFrame

USUAL_ROWS: Final = 200
NAMED: Final = 5


def usual_rows(path: Path) -> DataFrame:
    """Rows held out to compare a prediction with."""
    rows = holdout_rows.read(path)
    return rows if len(rows) <= USUAL_ROWS else rows.sample(USUAL_ROWS, random_state=0)


def row_at(path: Path, place: int) -> DataFrame:
    """One of the rows held out, by its place in the table, from 0."""
    rows = holdout_rows.read(path)
    if place not in rows.index:
        some = ", ".join(f"{number + 1:,}" for number in rows.index[:NAMED])
        message = f"Row {place + 1:,} is not among the rows that were held out. Some that are: {some}."
        raise InvalidInput(message)
    return rows.loc[[place]]


def explain(
    predictor: Any, features: Sequence[Feature], row: DataFrame, usual: DataFrame, *, ranking: Sequence[str]
) -> dict[str, Any]:
    """``parts``: for each column (or several together) its value, what it adds, and how sure that is. They add up
    to ``prediction`` - ``average``. Of a class it is about the probability of the one that is answered (``class``).
    ``truth`` of a row held out."""
    import numpy as np

    columns = [feature.name for feature in features]
    if predictor.problem_type == "regression":
        answer = None

        def ask(frame: DataFrame) -> Any:
            return np.asarray(predictor.predict(frame[columns]), dtype="float64")
    else:
        answer = predictor.predict(row[columns]).iloc[0]

        def ask(frame: DataFrame) -> Any:
            return predictor.predict_proba(frame[columns], as_pandas=True)[answer].to_numpy(dtype="float64")

    groups = groups_of(columns, ranking)
    found = explain_row(ask, row[columns], usual[columns], groups, seed=0)
    if not np.isfinite([found.average, found.prediction, *found.parts, *found.errors]).all():
        raise InvalidInput("The model gives no usable number for this row, or for rows like it.")
    parts = [
        {
            "columns": list(group[:1]) if len(group) == 1 else list(group[:20]),
            "count": len(group),
            "value": _text(row[group[0]].iloc[0]) if len(group) == 1 else None,
            "adds": float(adds),
            "error": float(error),
        }
        for group, adds, error in zip(groups, found.parts, found.errors, strict=True)
    ]
    target = predictor.label
    return {
        "class": None if answer is None else str(answer),
        "prediction": found.prediction,
        "average": found.average,
        "usual_rows": found.usual_rows,
        "parts": sorted(parts, key=lambda part: -abs(part["adds"])),
        "truth": _text(row[target].iloc[0]) if target in row else None,
    }


def _text(value: Any) -> str | None:
    import pandas as pd

    if pd.isna(value):
        return None
    if hasattr(value, "isoformat"):
        return str(value.date() if value == value.normalize() else value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
