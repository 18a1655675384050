"""What each threshold of a yes/no question costs, where a false alarm and a miss cost differently."""

from collections.abc import Sequence
from dataclasses import dataclass

from django import forms

from ml.diagnosis import Outcome, Threshold

PER_ROWS = 1000
_MOST = 1e12


class CostForm(forms.Form):
    """What a false alarm and a miss cost, in whatever unit, and the threshold to look at."""

    false_alarm = forms.FloatField(label="A false alarm costs", min_value=0, max_value=_MOST, initial=1)
    miss = forms.FloatField(label="A miss costs", min_value=0, max_value=_MOST, initial=1)
    threshold = forms.FloatField(label="Threshold", min_value=0, max_value=1, required=False)

    def clean(self) -> None:
        """Where nothing costs anything there is nothing to choose by."""
        super().clean()
        if self.cleaned_data.get("false_alarm") == 0 and self.cleaned_data.get("miss") == 0:
            self.add_error("miss", "One of the two must cost something. Enter a number above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One threshold on some rows: ``cost`` for a thousand of them, a share None where there is nothing to share."""

    rows: int
    outcome: Outcome
    cost: float
    precision: float | None
    recall: float | None
    f1: float | None
    said_yes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A threshold on the validation rows, by which one may choose, and on the rows held out, which only report."""

    threshold: float
    validation: Side
    holdout: Side


def costs_of(thresholds: Sequence[Threshold], *, false_alarm: float, miss: float) -> tuple[Cost, ...]:
    """Every threshold with what it costs."""
    return tuple(
        Cost(
            threshold=each["threshold"],
            validation=_side(each["validation"], false_alarm, miss),
            holdout=_side(each["holdout"], false_alarm, miss),
        )
        for each in thresholds
    )


def cheapest(costs: Sequence[Cost], *, usual: Cost | None = None) -> Cost:
    """The one that costs least on the validation rows; of equal ones the ``usual`` one, else that in their middle,
    which moves least."""
    least = min(cost.validation.cost for cost in costs)
    best = [cost for cost in costs if cost.validation.cost == least]
    if usual in best:
        return usual
    return best[len(best) // 2]


def nearest(costs: Sequence[Cost], threshold: float) -> Cost:
    """The threshold that comes closest to one."""
    return min(costs, key=lambda cost: abs(cost.threshold - threshold))


def _side(outcome: Outcome, false_alarm: float, miss: float) -> Side:
    right, alarms, missed = outcome["tp"], outcome["fp"], outcome["fn"]
    rows = right + alarms + missed + outcome["tn"]
    return Side(
        rows=rows,
        outcome=outcome,
        cost=PER_ROWS * (alarms * false_alarm + missed * miss) / max(rows, 1),
        precision=right / (right + alarms) if right + alarms else None,
        recall=right / (right + missed) if right + missed else None,
        f1=2 * right / (2 * right + alarms + missed) if right + alarms + missed else None,
        said_yes=(right + alarms) / max(rows, 1),
    )
