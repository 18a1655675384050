"""How far off an answer may be: the interval around a number, the set of classes that are likely enough.

Split conformal prediction (Vovk et al., Algorithmic Learning in a Random World, 2005) from the one distance that
was measured on validation rows of the fit (``ml.diagnosis.Coverage``). Plain Python, so that every way to ask a
model for an answer gives the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Answers ± ``reach``, or the classes whose probability is at least 1 - ``reach``, hold the truth in ``level``
    of all rows, if they are like those of the training."""

    level: float
    reach: float

    def as_dict(self) -> dict[str, float]:
        return {"level": self.level, "reach": self.reach}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where the true number lies in ``level`` of all rows."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSet:
    """The classes of which one is true in ``level`` of all rows, most probable first. None at all is an answer too:
    the model is sure of nothing there."""

    classes: tuple[str, ...]
    level: float


def reach_of(diagnosis: Mapping[str, Any] | None) -> Reach | None:
    """What the figures say; None for a version with too few rows to say, or from before this was measured."""
    coverage = (diagnosis or {}).get("coverage")
    return None if coverage is None else Reach(level=coverage["level"], reach=coverage["reach"])


def interval_of(prediction: float, reach: Reach) -> Interval:
    return Interval(low=prediction - reach.reach, high=prediction + reach.reach, level=reach.level)


def set_of(probabilities: Mapping[str, float], reach: Reach) -> PredictionSet:
    """Cut where ``ml.diagnosis`` cuts, so that the share it found on the holdout holds."""
    whole = sum(probabilities.values()) or 1.0
    likely = [name for name, share in probabilities.items() if share / whole >= 1 - reach.reach]
    return PredictionSet(classes=tuple(sorted(likely, key=lambda name: -probabilities[name])), level=reach.level)
