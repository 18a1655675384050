"""What moves one prediction away from the usual one: Shapley values, estimated by sampling.

Štrumbelj and Kononenko, Explaining prediction models and individual predictions with feature contributions,
Knowledge and Information Systems 41, 2014: along a random order of the columns, a usual row turns into the row in
question one column at a time, and each column is given the change of the prediction at its turn. Every order is
walked in both directions, which takes out much of the luck. The parts add up exactly: the prediction is the average
prediction of the usual rows plus all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pandas import DataFrame

PAIRS: Final = 25
FEWEST_PAIRS: Final = 3
# Rows predicted for one explanation, in one call.
MOST_ROWS: Final = 6_000
SECONDS: Final = 1.0
# Columns beyond these move together, as one.
SINGLE: Final = 60

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parts:
    """``parts``: for each group of columns what it adds, ``errors`` how far that may be off by the luck of the draw
    (two standard errors). ``average`` + all parts = ``prediction``. ``usual_rows``: how many were drawn."""

    average: float
    prediction: float
    parts: Floats
    errors: Floats
    usual_rows: int


def groups_of(columns: Sequence[str], ranking: Sequence[str] = ()) -> list[list[str]]:
    """Each column alone, and those that come last in the ranking together, where there are too many."""
    rank = {name: place for place, name in enumerate(ranking)}
    ordered = sorted(columns, key=lambda name: rank.get(name, len(rank)))
    single = ordered if len(ordered) <= SINGLE + 1 else ordered[:SINGLE]
    rest = ordered[len(single) :]
    return [[name] for name in single] + ([rest] if rest else [])


def explain_row(
    ask: Callable[[DataFrame], Floats],
    row: DataFrame,
    usual: DataFrame,
    groups: Sequence[Sequence[str]],
    *,
    seed: int,
) -> Parts:
    """The parts of the prediction for ``row`` (one line). ``ask`` predicts one number for each line of a frame."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    columns = [name for group in groups for name in group]
    both = pd.concat([row[columns], usual[columns]], ignore_index=True)
    pairs = _pairs(ask, both, len(groups))
    places = 1 + rng.choice(len(usual), size=pairs, replace=pairs > len(usual))
    orders = [rng.permutation(len(groups)) for _ in range(pairs)]
    walks = [(place, way) for place, order in zip(places, orders, strict=True) for way in (order, order[::-1])]
    # For each line of each walk and each group: 0 where its columns are the row's, else the usual row's place.
    source = np.empty((len(walks), len(groups) + 1, len(groups)), dtype=np.int64)
    for walk, (place, order) in zip(source, walks, strict=True):
        walk[:] = place
        for step, group in enumerate(order, start=1):
            walk[step:, group] = 0
    lines = source.reshape(-1, len(groups))
    mixed = pd.DataFrame(
        {name: both[name].take(lines[:, at]).array for at, group in enumerate(groups) for name in group}
    )
    said = np.asarray(ask(mixed), dtype="float64").reshape(len(walks), len(groups) + 1)
    changes = np.empty((len(walks), len(groups)))
    for line, (_, order) in enumerate(walks):
        changes[line, order] = np.diff(said[line])
    by_pair = changes.reshape(pairs, 2, len(groups)).mean(axis=1)
    errors = 2 * by_pair.std(axis=0, ddof=1) / np.sqrt(pairs)
    return Parts(float(said[:, 0].mean()), float(said[0, -1]), by_pair.mean(axis=0), errors, pairs)


def _pairs(ask: Callable[[DataFrame], Floats], both: DataFrame, groups: int) -> int:
    """As many as fit into the time, judged by how long some rows take."""
    some = both.head(100)
    ask(some.head(1))
    started = time.monotonic()
    ask(some)
    each = (time.monotonic() - started) / len(some)
    rows = min(MOST_ROWS, int(SECONDS / max(each, 1e-9)))
    return max(FEWEST_PAIRS, min(PAIRS, rows // (2 * (groups + 1))))
