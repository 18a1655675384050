"""A prediction as its page shows it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ml.conformal import Interval, PredictionSet
from ml.prediction import Finding
from ml.readable import plain_number
from models_app.records import ModelVersion
from models_app.services import Prediction
from models_app.what_if import FirstAnswer

_MOST_BARS: Final = 10
_MOST_NAMED: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityBar:
    """A class with its probability in percent, and how that has changed against the first answer."""

    label: str
    percent: float
    change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionView:
    """One answer of a model. ``certainty``: how far off it may be, in a sentence; ``change``: against the first."""

    target: str
    answer: str
    bars: tuple[ProbabilityBar, ...]
    findings: tuple[Finding, ...]
    certainty: str
    change: str

    @property
    def announcement(self) -> str:
        """The answer as one sentence; with its probability, the same answer to another row is still news."""
        share = next((f", {bar.percent:.1f} %" for bar in self.bars if bar.label == self.answer), "")
        return f"{self.target}: {self.answer}{share}"


def present_prediction(
    prediction: Prediction,
    version: ModelVersion,
    *,
    folded: Collection[str] = (),
    first: FirstAnswer | None = None,
) -> PredictionView:
    """A prediction with its most probable classes first; nothing is said about what was not asked (``folded``)."""
    answer = prediction.prediction
    ranked = sorted((prediction.probabilities or {}).items(), key=lambda item: -item[1])
    return PredictionView(
        target=version.target,
        answer=plain_number(answer) if isinstance(answer, float) else str(answer),
        bars=tuple(
            ProbabilityBar(
                label=name, percent=100 * share, change="" if first is None else first.change_of(name, share)
            )
            for name, share in ranked[:_MOST_BARS]
        ),
        findings=tuple(finding for finding in prediction.findings if finding.field not in folded),
        certainty=_certainty(prediction, version),
        change="" if first is None else first.against(prediction),
    )


def _certainty(prediction: Prediction, version: ModelVersion) -> str:
    if prediction.interval is not None:
        return _about_interval(prediction.interval, version.target)
    if prediction.likely is not None:
        return _about_set(prediction.likely, version.target, len(prediction.probabilities or {}))
    return (
        "How far off this may be is not known: this version has too few rows to measure it, or is older than that."
    )


def _about_interval(interval: Interval, target: str) -> str:
    low, high = (plain_number(float(f"{value:.5g}")) for value in (interval.low, interval.high))
    return f"The true value of {target} lies between {low} and {high}, {_rule(interval.level)}."


def _about_set(likely: PredictionSet, target: str, count: int) -> str:
    names = [f"“{name}”" for name in likely.classes]
    if not names:
        return f"No value of {target} is likely enough, {_rule(likely.level)}: the model is unsure of this row."
    if len(names) > 1 and len(names) == count:
        return f"None of the {count} values of {target} can be ruled out, {_rule(likely.level)}."
    if len(names) > _MOST_NAMED:
        return f"The true value of {target} is among {len(names)} of {count}, {_rule(likely.level)}."
    named = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    return f"The true value of {target} is {named}, {_rule(likely.level)}."


def _rule(level: float) -> str:
    return f"by a rule that is right for {100 * level:.3g} % of rows like those of the training"
