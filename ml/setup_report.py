"""What was chosen for a training and what came of it, as its evaluation reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ml.fast import FastChoice
from ml.options import ClassWeights
from ml.splits import HoldoutReport


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupReport:
    """``families`` and ``leave_out`` are names, empty when nothing was chosen. ``ran_out_of_time``: see
    ``ml.training.FitResult``. ``threshold`` is the probability from which a yes/no question is answered with the
    positive class, chosen on validation rows for metrics that depend on it; None for other questions.
    ``fast``: where answers had to be quick.
    """

    holdout: HoldoutReport
    leave_out: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    class_weights: ClassWeights = ClassWeights.NONE
    seed: int = 0
    ran_out_of_time: bool = False
    threshold: float | None = None
    fast: FastChoice | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SetupReport:
        """From JSON; keys it does not know are left out."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        return cls(
            **{
                **known,
                "holdout": HoldoutReport.from_dict(data["holdout"]),
                "leave_out": tuple(data.get("leave_out", ())),
                "families": tuple(data.get("families", ())),
                "class_weights": ClassWeights(data.get("class_weights", ClassWeights.NONE)),
                "fast": FastChoice.from_dict(data["fast"]) if data.get("fast") else None,
            }
        )
