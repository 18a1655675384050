"""The interval around a number and the set of likely classes."""

from ml.conformal import Interval, Reach, interval_of, reach_of, set_of


def test_an_interval_reaches_as_far_to_both_sides():
    reach = Reach(level=0.9, reach=2.5)
    assert interval_of(10.0, reach) == Interval(low=7.5, high=12.5, level=0.9)


def test_a_set_holds_the_classes_that_are_likely_enough_most_probable_first():
    shares = {"a": 0.2, "b": 0.5, "c": 0.3}
    assert set_of(shares, Reach(level=0.9, reach=0.75)).classes == ("b", "c")
    assert set_of(shares, Reach(level=0.9, reach=0.4)).classes == ()
    # Shares that do not add up to one are shares of their sum.
    assert set_of({"a": 1.0, "b": 3.0}, Reach(level=0.9, reach=0.5)).classes == ("b",)


def test_a_version_without_the_numbers_has_none():
    assert reach_of(None) is None
    assert reach_of({"rows": 3}) is None
    coverage = {"level": 0.9, "reach": 1.5, "calibration_rows": 40, "covered": 0.9, "size": 3.0}
    assert reach_of({"coverage": coverage}) == Reach(level=0.9, reach=1.5)
