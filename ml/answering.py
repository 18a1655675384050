"""A loaded predictor asked for answers: the same by form, API, batch and bundle, because all of them ask here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ml.prediction import Feature, to_frame
from ml.quiet import quiet_autogluon


class Answer(TypedDict):
    """A class name or a number, None where the model has none. ``probabilities`` by class, if it is one."""

    prediction: str | float | None
    probabilities: dict[str, float] | None


def class_name(label: Any) -> str:
    """A class as people read it; the same in scores and in predictions."""
    return str(label)


def answer_rows(
    predictor: Any, features: Sequence[Feature], rows: Sequence[Mapping[str, Any]], *, is_regression: bool
) -> list[Answer]:
    """An answer for each row of ``ml.prediction.check_rows``."""
    if not rows:
        return []
    with quiet_autogluon():
        frame = to_frame(features, rows)
        if is_regression:
            numbers = [float(value) for value in predictor.predict(frame)]
            return [{"prediction": n if math.isfinite(n) else None, "probabilities": None} for n in numbers]
        shares = predictor.predict_proba(frame, as_pandas=True)
        labels = predictor.predict_from_proba(shares)
        names = [class_name(label) for label in shares.columns]
        return [
            {
                "prediction": class_name(label),
                "probabilities": {name: float(share) for name, share in zip(names, row, strict=True)},
            }
            for label, row in zip(labels, shares.to_numpy(), strict=True)
        ]
