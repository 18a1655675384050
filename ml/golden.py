"""Golden rows: a few rows that the model had not seen, kept with the answers it gave when it was new.

Asked again later (after an upgrade of a library, on another machine), the same file must give the same answers. The
rows are text, as a person would type them, so what reads and judges them is replayed too.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml import bundle
from ml.features import Feature
from ml.prediction import check_rows

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT: Final = 1
ROWS: Final = 20
# Other numbers of threads, other orders of summing, another machine's vector instructions: single precision keeps
# seven digits, of which long sums lose one or two (docs/decisions/0018). Pages show probabilities to 0.001.
PROBABILITY_TOLERANCE: Final = 1e-4
# Of the number itself or of the golden answers' usual size, whichever is larger: an answer near 0 is no scale.
RELATIVE_TOLERANCE: Final = 1e-4

Row = dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """``drifted`` of ``rows`` got another answer. ``largest``: the largest difference of a probability or, of
    numbers (``is_relative``), relative to them; None where an answer is no number any more."""

    rows: int
    drifted: int
    largest: float | None
    is_relative: bool


def choose(holdout: DataFrame, features: Sequence[Feature], *, seed: int) -> list[Row]:
    """Random rows of the holdout as text by feature."""
    import numpy as np

    places = np.random.default_rng(seed).permutation(len(holdout))[:ROWS]
    return [
        {feature.name: _text(holdout[feature.name].iloc[int(place)]) for feature in features}
        for place in sorted(places)
    ]


def _text(value: Any) -> str | None:
    import pandas as pd

    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    # The shortest text that reads back as the same number.
    plain = value.item() if hasattr(value, "item") else value
    return repr(plain) if isinstance(plain, float) else str(plain)


def record(archive: Path, rows: Sequence[Row], *, features: Sequence[Feature], scratch: Path) -> dict[str, Any]:
    """The document to keep: the rows, and what the packed model says about them once it is loaded again.

    The way of a first prediction, so a model that could never be loaded fails here, in its training.
    """
    from ml.serving import Predictors

    directory = scratch / "reloaded"
    try:
        bundle.unpack(archive, directory, sha256=bundle.sha256_of(archive))
        served = Predictors()
        served.load("golden", directory, 0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    answers = served.predict("golden", check_rows(features, rows).rows)
    return {"format": FORMAT, "rows": list(rows), "answers": answers}


def compare(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Replay:
    """Answers (``prediction``, ``probabilities``) of the same rows."""
    is_relative = all(answer["probabilities"] is None for answer in then)
    if is_relative:
        sizes = sorted(abs(answer["prediction"]) for answer in then if answer["prediction"] is not None)
        usual = sizes[len(sizes) // 2] if sizes else 0.0
        pairs = [_numbers(a["prediction"], b["prediction"], usual) for a, b in zip(then, now, strict=True)]
    else:
        pairs = [_shares(a, b) for a, b in zip(then, now, strict=True)]
    differences = [difference for difference, _ in pairs]
    finite = all(math.isfinite(difference) for difference in differences)
    return Replay(
        rows=len(pairs),
        drifted=sum(drifted for _, drifted in pairs),
        largest=max(differences, default=0.0) if finite else None,
        is_relative=is_relative,
    )


def _numbers(then: float | None, now: float | None, usual: float) -> tuple[float, bool]:
    if then is None or now is None:
        return (0.0, False) if then is now else (math.inf, True)
    difference = abs(now - then) / (max(abs(then), usual) or 1.0)
    return difference, difference > RELATIVE_TOLERANCE


def _shares(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[float, bool]:
    before, after = then["probabilities"], now["probabilities"]
    if before.keys() != after.keys():
        return math.inf, True
    difference = max(abs(after[name] - share) for name, share in before.items())
    return difference, difference > PROBABILITY_TOLERANCE or then["prediction"] != now["prediction"]
