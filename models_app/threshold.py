"""What each threshold of a yes/no question costs: the outcome of one, and the cheapest, from counts that are stored
with the figures. Chosen on validation rows; the holdout says what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from django import forms

from ml.diagnosis import Diagnosis, Outcome, Threshold

_MOST: Final = 1e9


class ThresholdForm(forms.Form):
    """Everything may stay empty: a false alarm and a miss cost 1 each then, and the cheapest threshold is shown."""

    false_alarm = forms.FloatField(
        label="Cost of a false alarm",
        min_value=0,
        max_value=_MOST,
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    miss = forms.FloatField(
        label="Cost of a miss",
        min_value=0,
        max_value=_MOST,
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    threshold = forms.FloatField(
        label="Threshold",
        min_value=0,
        max_value=1,
        required=False,
        widget=forms.NumberInput(attrs={"type": "range"}),
    )

    def __init__(self, sent: object, *, steps: Sequence[float]) -> None:
        super().__init__(sent, auto_id="threshold-%s")  # type: ignore[arg-type]  # a QueryDict or a dict, or None
        step = min((after - before for before, after in pairwise(steps)), default=0.01)
        limits = {"min": steps[0], "max": steps[-1], "step": round(step, 4)}
        self.fields["threshold"].widget.attrs.update(limits)

    def cost(self, name: str) -> float:
        value = self.cleaned_data.get(name)
        return 1.0 if value is None else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeView:
    """What a threshold came to on some rows. Shares that nothing can be said about are None."""

    rows: int
    found: int
    false_alarms: int
    missed: int
    left: int
    precision: float | None
    recall: float | None
    f1: float | None
    share_said: float
    cost: float
    cost_per_100: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One threshold, judged on both kinds of rows. ``label`` says why it is shown."""

    label: str
    threshold: float
    validation: OutcomeView
    holdout: OutcomeView
    is_shown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdView:
    """``choices``: the one asked for, the cheapest on the validation rows, and the model's own."""

    positive: str
    choices: tuple[Choice, ...]
    shown: Choice
    is_cheapest: bool


def steps_of(found: Diagnosis | None) -> tuple[float, ...]:
    """The thresholds that have been counted; none where the answer is no yes or no."""
    return () if found is None else tuple(each["threshold"] for each in found.get("thresholds", []))


def view_of(
    found: Diagnosis,
    *,
    false_alarm: float,
    miss: float,
    wanted: float | None,
    own: float | None,
    positive: str | None,
) -> ThresholdView:
    """``wanted``: the nearest that was counted is shown, the cheapest when nothing was asked for. ``own``: from
    which probability on the model itself answers with the positive class."""
    thresholds = found["thresholds"]

    def cost(each: Threshold) -> float:
        return _cost(each["validation"], false_alarm, miss)

    def nearest(value: float) -> Threshold:
        return min(thresholds, key=lambda each: abs(each["threshold"] - value))

    least = min(map(cost, thresholds))
    # The middle of those that cost the least, so that a row more or less does not move it far.
    ties = [each for each in thresholds if cost(each) == least]
    cheapest = ties[len(ties) // 2]
    shown = cheapest if wanted is None else nearest(wanted)

    def choice(label: str, each: Threshold, *, is_shown: bool = False) -> Choice:
        return Choice(
            label=label,
            threshold=each["threshold"],
            validation=_outcome(each["validation"], false_alarm, miss),
            holdout=_outcome(each["holdout"], false_alarm, miss),
            is_shown=is_shown,
        )

    is_cheapest = cost(shown) == least
    chosen = choice("cheapest" if is_cheapest else "shown", shown, is_shown=True)
    choices = [chosen]
    if not is_cheapest:
        choices.append(choice("cheapest", cheapest))
    if own is not None:
        choices.append(choice(f"the model's own, {own:.3g}", nearest(own)))
    return ThresholdView(
        positive=positive or found["confusion"]["labels"][1],
        choices=tuple(choices),
        shown=chosen,
        is_cheapest=is_cheapest,
    )


def _cost(outcome: Outcome, false_alarm: float, miss: float) -> float:
    return outcome["fp"] * false_alarm + outcome["fn"] * miss


def _outcome(outcome: Outcome, false_alarm: float, miss: float) -> OutcomeView:
    tp, fp, fn, tn = (outcome[key] for key in ("tp", "fp", "fn", "tn"))
    rows = tp + fp + fn + tn
    cost = _cost(outcome, false_alarm, miss)
    return OutcomeView(
        rows=rows,
        found=tp,
        false_alarms=fp,
        missed=fn,
        left=tn,
        precision=_part(tp, tp + fp),
        recall=_part(tp, tp + fn),
        f1=_part(2 * tp, 2 * tp + fp + fn),
        share_said=(tp + fp) / rows,
        cost=cost,
        cost_per_100=100 * cost / rows,
    )


def _part(some: int, every: int) -> float | None:
    return some / every if every else None
