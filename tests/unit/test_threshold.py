"""What a threshold costs, from counted outcomes."""

import pytest

from models_app.threshold import view_of


def outcome(tp, fp, fn, tn):
    return {"tp": tp, "fp": fp, "fn": fn, "tn": tn}


FOUND = {
    "confusion": {"labels": ["no", "yes"], "counts": [[0, 0], [0, 0]]},
    "thresholds": [
        {"threshold": 0.2, "validation": outcome(10, 30, 0, 60), "holdout": outcome(5, 20, 0, 25)},
        {"threshold": 0.5, "validation": outcome(8, 10, 2, 80), "holdout": outcome(4, 6, 1, 39)},
        {"threshold": 0.6, "validation": outcome(8, 10, 2, 80), "holdout": outcome(3, 6, 2, 39)},
        {"threshold": 0.9, "validation": outcome(2, 0, 8, 90), "holdout": outcome(0, 0, 5, 45)},
    ],
}


def see(**changes):
    asked = {"false_alarm": 1.0, "miss": 1.0, "wanted": None, "own": 0.5, "positive": "yes", **changes}
    return view_of(FOUND, **asked)


def test_the_cheapest_is_chosen_on_validation_rows_by_the_costs_entered():
    assert see().shown.threshold == 0.9
    assert see(miss=100.0).shown.threshold == 0.2
    # On the validation rows 0.5 and 0.6 cost the same; the holdout, where 0.5 costs less, has no say.
    assert see(miss=5.0).shown.threshold == 0.6
    shown = see(miss=5.0).shown
    assert (shown.validation.cost, shown.validation.cost_per_100) == (20.0, 20.0)
    assert (shown.holdout.cost, shown.holdout.cost_per_100) == (16.0, 32.0)


def test_the_asked_for_one_stands_beside_the_cheapest_and_the_models_own():
    view = see(wanted=0.24, own=0.437)
    assert [choice.threshold for choice in view.choices] == [0.2, 0.9, 0.5]
    assert [choice.is_shown for choice in view.choices] == [True, False, False]
    assert not view.is_cheapest
    assert view.choices[2].label == "the model's own, 0.437"


def test_shares_are_those_of_the_counts_and_undefined_ones_are_not_zero():
    at_half, at_most = see(wanted=0.5).shown, see(wanted=0.9).shown
    assert at_half.validation.precision == pytest.approx(8 / 18)
    assert at_half.validation.recall == pytest.approx(0.8)
    assert at_half.validation.f1 == pytest.approx(16 / 28)
    assert at_half.validation.share_said == pytest.approx(0.18)
    assert at_most.holdout.precision is None
