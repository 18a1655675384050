"""Models that a fit did not bring to an end, and why, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_TIME: Final = "no time was left for it"
NOT_WANTED: Final = "the best so far was wanted before it was done"
_REASONS: Final = {
    "TimeLimitExceeded": "it could not be finished in the time that was left",
    "NotEnoughMemoryError": "it would have needed more memory than there is",
    "MemoryError": "it would have needed more memory than there is",
    "NotEnoughCudaMemoryError": "it would have needed more memory than there is",
    "NoValidFeatures": "no column is of a kind it can use",
    "NoStackFeatures": "there was no other model to build on",
    "InsufficientTime": "it could not be finished in the time that was left",
    "ImportError": "its library is not installed",
    "ModuleNotFoundError": "its library is not installed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """``reason`` completes "not in the list, because …"."""

    name: str
    reason: str


def failure(name: str, exception: str) -> LeftOut:
    """A model that raised. ``exception`` names the type alone: its message may quote cells."""
    return LeftOut(name=name, reason=_REASONS.get(exception, f"it failed ({exception or 'for an unknown reason'})"))
