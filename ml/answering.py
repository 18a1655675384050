"""A loaded predictor asked for answers: the same by form, API, batch and bundle, because all of them ask here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ml.prediction import Feature, to_frame
from ml.quick_row import QuickRow
from ml.quiet import quiet_autogluon


class Answer(TypedDict):
    """A class name or a number, None where the model has none. ``probabilities`` by class, if it is one."""

    prediction: str | float | None
    probabilities: dict[str, float] | None


def class_name(label: Any) -> str:
    """A class as people read it; the same in scores and in predictions."""
    return str(label)


def answer_rows(
    predictor: Any,
    features: Sequence[Feature],
    rows: Sequence[Mapping[str, Any]],
    *,
    is_regression: bool,
    quick: QuickRow | None = None,
) -> list[Answer]:
    """An answer for each row of ``ml.prediction.check_rows``; the same with ``quick``, but sooner for one row."""
    if not rows:
        return []
    with quiet_autogluon():
        frame, is_raw = _frame(predictor, features, rows, quick)
        if is_regression:
            numbers = [float(value) for value in predictor.predict(frame, transform_features=is_raw)]
            return [{"prediction": n if math.isfinite(n) else None, "probabilities": None} for n in numbers]
        shares = predictor.predict_proba(frame, as_pandas=True, transform_features=is_raw)
        labels = predictor.predict_from_proba(shares)
        names = [class_name(label) for label in shares.columns]
        return [
            {
                "prediction": class_name(label),
                "probabilities": {name: float(share) for name, share in zip(names, row, strict=True)},
            }
            for label, row in zip(labels, shares.to_numpy(), strict=True)
        ]


def _frame(
    predictor: Any, features: Sequence[Feature], rows: Sequence[Mapping[str, Any]], quick: QuickRow | None
) -> tuple[Any, bool]:
    """The rows as a frame, and whether AutoGluon has to transform it yet."""
    if quick is None or len(rows) > 1:
        return to_frame(features, rows), True
    made = quick.made(rows[0])
    if made is None:
        made = predictor.transform_features(to_frame(features, rows))
        quick.remember(rows, made)
    return made, False
