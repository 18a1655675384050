"""What kind of question a target column asks. A light module: no data library is imported."""

from dataclasses import dataclass
from enum import StrEnum


class ProblemType(StrEnum):
    """AutoGluon's names."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Preset(StrEnum):
    """How much effort to spend, in goal words."""

    QUICK = "quick"
    BALANCED = "balanced"
    BEST = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDecision:
    """The inferred problem type with the sentence that explains it.

    ``reason`` names values of the column, for the person who chooses it; ``plain_reason`` does not, so that it may
    be stored with a job's metadata. ``others`` are the problem types that the column could be given instead.
    """

    problem_type: ProblemType
    reason: str
    plain_reason: str
    others: tuple[ProblemType, ...] = ()
