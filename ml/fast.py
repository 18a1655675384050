"""Of the models that were fitted, the best that answers one row quickly enough on this machine.

It is chosen by validation scores, as the best of all is; the time of a row is measured on rows of the training, in
memory, one row at a time.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from ml.metrics import finite, lower_is_better
from ml.problem import ProblemType

if TYPE_CHECKING:
    from pandas import DataFrame

_TIMED_ROWS: Final = 11
_HOPELESS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FastChoice:
    """``model`` was taken, ``best`` is what would have been without a limit. Validation scores in the metric's
    natural sign. ``is_met``: False where no model is quick enough, and ``model`` is the quickest."""

    limit_ms: float
    is_met: bool
    model: str
    model_ms: float
    model_score: float | None
    best: str
    best_ms: float
    best_score: float | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FastChoice:
        """From JSON; keys it does not know are left out."""
        return cls(**{field.name: data[field.name] for field in fields(cls)})


def choose(predictor: Any, rows: DataFrame, *, limit_ms: float) -> FastChoice:
    """Make the best model under the limit the one that ``predictor`` answers with. ``rows``: some of the training.

    Of a predictor with one usable model that one is taken. Call it within ``quiet_autogluon``.
    """
    best = str(predictor.model_best)
    scores = _validation_scores(predictor)
    times = {name: one_row_ms(predictor, name, rows, limit_ms=limit_ms) for name in scores}
    quick = [name for name, taken in times.items() if taken <= limit_ms]
    # Of equal scores the quicker.
    taken = (
        max(quick, key=lambda name: (scores[name], -times[name])) if quick else min(times, key=times.__getitem__)
    )
    if best in quick and scores[best] == scores[taken]:
        taken = best
    if taken != best:
        answer_with(predictor, taken)
    sign = -1.0 if lower_is_better(str(predictor.eval_metric.name)) else 1.0
    return FastChoice(
        limit_ms=limit_ms,
        is_met=bool(quick),
        model=taken,
        model_ms=times[taken],
        model_score=finite(sign * scores[taken]),
        best=best,
        best_ms=times[best],
        best_score=finite(sign * scores[best]),
    )


def _validation_scores(predictor: Any) -> dict[str, float]:
    """Of every model that can answer, in AutoGluon's sign; of one refitted on all rows, that of its original."""
    table = predictor.leaderboard(set_refit_score_to_parent=True, display=False)
    scores = dict(zip(table["model"], table["score_val"], strict=True))
    usable = predictor.model_names(can_infer=True)
    return {name: float(scores[name]) if finite(scores[name]) is not None else -math.inf for name in usable}


def one_row_ms(predictor: Any, name: str, rows: DataFrame, *, limit_ms: float) -> float:
    """The median time of an answer to one row, in milliseconds, with the model in memory; measured once where that
    is far beyond the limit."""
    row = rows.head(1)
    predictor.persist([name], max_memory=None)
    try:
        predictor.predict(row, model=name)  # the first answer makes what later ones use
        taken = []
        for _ in range(_TIMED_ROWS):
            begun = time.perf_counter()
            predictor.predict(row, model=name)
            taken.append(1000 * (time.perf_counter() - begun))
            if taken[0] > _HOPELESS * limit_ms:
                break
    finally:
        predictor.unpersist()
    return statistics.median(taken)


def answer_with(predictor: Any, name: str) -> None:
    """Answer with this model from now on, with a threshold of its own where the metric wants one."""
    predictor.set_model_best(name, save_trainer=True)
    if predictor.problem_type == ProblemType.BINARY and predictor.decision_threshold != 0.5:
        predictor.set_decision_threshold(predictor.calibrate_decision_threshold(verbose=False))
