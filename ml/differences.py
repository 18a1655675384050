"""The difference of two scores that come from separate rows, with its interval."""

import math

Interval = tuple[float, float]


def unpaired(left: float, left_bounds: Interval, right: float, right_bounds: Interval) -> Interval:
    """The 95 % interval of right minus left from the two intervals alone, as if no row were shared (MOVER: Zou and
    Donner, Statistics in Medicine 27, 2008). Where rows are shared the true one is narrower."""
    difference = right - left
    below = math.hypot(right - right_bounds[0], left_bounds[1] - left)
    above = math.hypot(right_bounds[1] - right, left - left_bounds[0])
    return difference - below, difference + above
