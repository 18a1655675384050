"""How far a score could be another one by the luck of which rows were set aside: bootstrap intervals (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: percentile intervals), paired for comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Answers, Counts, Floats, lower_is_better

RESAMPLES = 1000
LEVEL = 0.95
# What differs by less is equal but for rounding.
_SAME = 1e-12
# Counts held at a time; 32 MB.
_BLOCK_CELLS = 4_000_000

Interval = tuple[float, float]
Units = NDArray[np.intp]


def resample_counts(
    rows: int, *, resamples: int = RESAMPLES, seed: int = 0, units: Units | None = None
) -> Iterator[Counts]:
    """How often each row is drawn, a line for each resample, some resamples at a time; from the seed alone.

    ``units`` numbers the group that each row belongs to: then whole groups are drawn, because rows of one group say
    less than as many of different ones (the cluster bootstrap; Davison and Hinkley, Bootstrap Methods and their
    Application, 1997, section 3.8).
    """
    drawn_of = rows if units is None else int(units.max()) + 1
    rng = np.random.default_rng(seed)
    at_once = max(1, min(resamples, _BLOCK_CELLS // max(rows, 1)))
    for start in range(0, resamples, at_once):
        lines = min(at_once, resamples - start)
        counts = np.empty((lines, rows))
        for line in range(lines):
            drawn = np.bincount(rng.integers(0, drawn_of, size=drawn_of), minlength=drawn_of)
            counts[line] = drawn if units is None else drawn[units]
        yield counts


def resampled_metrics(
    wanted: Mapping[str, Sequence[str]],
    answers: Mapping[str, Answers],
    *,
    seed: int = 0,
    units: Units | None = None,
) -> dict[str, dict[str, Floats]]:
    """For each of ``answers`` the metrics that are ``wanted`` of it, each for the same RESAMPLES resamples.
    ``units``: see ``resample_counts``."""
    rows = {each.rows for each in answers.values()}
    assert len(rows) == 1, "paired resamples need the same rows"
    parts: dict[str, dict[str, list[Floats]]] = {
        name: {metric: [] for metric in metrics} for name, metrics in wanted.items()
    }
    for counts in resample_counts(rows.pop(), seed=seed, units=units):
        for name, metrics in parts.items():
            for metric, found in metrics.items():
                found.append(answers[name].resampled(metric, counts))
    return {
        name: {metric: np.concatenate(found) for metric, found in metrics.items()}
        for name, metrics in parts.items()
    }


def interval(values: Floats) -> Interval | None:
    """The middle 95 %; None where too many resamples are undefined, or nearly all say the same and tell nothing."""
    known = values[np.isfinite(values)]
    if len(known) < 0.9 * len(values) or np.ptp(known) == 0:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if high - low <= _SAME * max(abs(low), abs(high)):
        return None
    return float(low), float(high)


def share_interval(hits: int, rows: int) -> Interval:
    """For a share of rows that no resample can move, none or all of them: the exact interval of Clopper and Pearson
    (Biometrika 26, 1934)."""
    from scipy.stats import binomtest

    found = binomtest(hits, rows).proportion_ci(confidence_level=LEVEL, method="exact")
    return float(found.low), float(found.high)


def is_tie(one: Floats, other: Floats) -> bool:
    """Whether the same resamples do not tell two models apart: the middle 95 % of their differences hold zero."""
    difference = one - other
    known = difference[np.isfinite(difference)]
    if len(known) < 0.9 * len(difference):
        return False
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return bool(low <= 0 <= high)


def is_better(one: float, other: float, metric: str) -> bool:
    """Whether ``one`` is the better value of a metric."""
    return one < other if lower_is_better(metric) else one > other
