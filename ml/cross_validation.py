"""The score of a small table: where only a few rows can be held out their luck decides, so every row is predicted
by a model of the same making that has not seen it, and that several times over.

What is estimated is the whole procedure (fitting, choosing by validation, blending) on as many rows as the stored
model was fitted on. The folds keep equal rows together and classes in proportion.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml import resampling
from ml.answers import answer_holdout
from ml.holdout import row_keys
from ml.metrics import Answers, ClassAnswers, NumberAnswers
from ml.problem import ProblemType
from ml.resampling import Interval
from smartml.errors import TrainingFailed

if TYPE_CHECKING:
    from pandas import DataFrame

logger = logging.getLogger(__name__)

FOLDS = 5
MOST_REPEATS = 3
# Of the time limit: what the model's own fit is given where folds are fitted after it.
FIT_SHARE = 0.4
LEAST_SECONDS = 5.0
# Of so few rows of the rarer answer each moves the score by more than the choice of a model does. A larger table
# would give its own model too little time if five more were fitted.
_RARE_ROWS = 20
_MOST_ROWS = 20_000

# Fits the rows given within some seconds into a directory and returns the predictor; the seed differs by fold.
FitFold = Callable[["DataFrame", float, int, Path], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidated:
    """``score`` and ``baseline`` are means over the repeats, each of all ``rows``; so are ``metrics``, of which the
    ``intervals`` are 95 % bootstrap intervals over the rows. ``rare_rows``: so few of the rarer answer were held
    out, where that was the reason."""

    score: float
    baseline: float
    rows: int
    folds: int
    repeats: int
    metrics: dict[str, float | None] = field(default_factory=dict)
    baseline_metrics: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    rare_rows: int | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CrossValidated:
        intervals = {name: (low, high) for name, (low, high) in data["intervals"].items()}
        return cls(**{**data, "intervals": intervals})


@dataclass(frozen=True, slots=True)
class NotCrossValidated:
    """There is no such score although it was wanted; ``why`` completes "… could not be made, because"."""

    why: str


STOPPED: Final = NotCrossValidated("the best so far was wanted before it was done")
_UNDEFINED: Final = NotCrossValidated("the score is not defined for every way of cutting the rows")


def rare_rows(holdout: DataFrame, *, target: str, problem_type: ProblemType, all_rows: int) -> int | None:
    """How many rows of the rarer answer to a yes/no question are held out, where those are too few; else None."""
    if problem_type is not ProblemType.BINARY:
        return None
    fewest = int(holdout[target].value_counts().min())
    return fewest if are_too_few(fewest, all_rows=all_rows) else None


def are_too_few(fewest: int, *, all_rows: int) -> bool:
    """The same of a number of rows of the rarer answer that are, or would be, held out."""
    return fewest < _RARE_ROWS and all_rows <= _MOST_ROWS


def cross_validate(
    rows: DataFrame,
    *,
    target: str,
    problem_type: ProblemType,
    metric: str,
    fit_fold: FitFold,
    seconds: float,
    seed: int,
    on_fold: Callable[[int, int], None] = lambda number, repeat: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> CrossValidated | NotCrossValidated:
    """Score the procedure on ``rows``, all of which have a target; the numbering of their index is not used.

    One repeat is always made, whatever it takes; further ones while they fit into ``seconds``. There is no score
    when ``should_stop`` said so before the first was complete, or when a fold of it could not be fitted.
    """
    rows = rows.reset_index(drop=True)
    labels = [] if problem_type is ProblemType.REGRESSION else sorted(rows[target].unique(), key=str)
    started = time.monotonic()
    why = STOPPED
    said: list[Answers] = []
    guessed: list[Answers] = []
    while len(said) < MOST_REPEATS:
        begun = time.monotonic()
        left = seconds - (begun - started)
        if said and left < (begun - started) / len(said):
            break
        try:
            found = _repeat(
                rows,
                target=target,
                problem_type=problem_type,
                labels=labels,
                fit_fold=fit_fold,
                seconds=left,
                seed=seed + 1000 * len(said),
                on_fold=lambda number: on_fold(number, len(said) + 1),
                should_stop=should_stop,
            )
        except TrainingFailed as error:
            logger.warning("A fold could not be fitted: %s", error.message)
            why = NotCrossValidated(f"one of its models could not be fitted ({error.message.rstrip('.')})")
            break
        if found is None:
            break
        said.append(found[0])
        guessed.append(found[1])
    return _summary(said, guessed, metric) if said else why


def _repeat(
    rows: DataFrame,
    *,
    target: str,
    problem_type: ProblemType,
    labels: list[Any],
    fit_fold: FitFold,
    seconds: float,
    seed: int,
    on_fold: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> tuple[Answers, Answers] | None:
    """What the models of one way of cutting say of all rows, and what a guess says."""
    import numpy as np

    give_up = time.monotonic() + seconds
    width = max(len(labels), 1)
    output, guess = np.zeros((len(rows), width)), np.zeros((len(rows), width))
    chosen, guessed = np.zeros(len(rows)), np.zeros(len(rows))
    number_of = {label: number for number, label in enumerate(labels)}
    positive: int | None = None
    for number, (inside, outside) in enumerate(folds(rows, target, problem_type, seed), start=1):
        if should_stop():
            return None
        on_fold(number)
        train, held = rows.iloc[inside].reset_index(drop=True), rows.iloc[outside].reset_index(drop=True)
        share = (give_up - time.monotonic()) / (FOLDS + 1 - number)
        with tempfile.TemporaryDirectory() as directory:
            predictor = fit_fold(train, max(share, LEAST_SECONDS), seed + number, Path(directory) / "predictor")
            answered = answer_holdout(
                predictor, train=train, holdout=held, target=target, problem_type=problem_type
            )
            values = answered.outputs[answered.best].values
            if not labels:
                output[outside, 0] = values.to_numpy(dtype="float64")
                guess[outside, 0] = train[target].to_numpy(dtype="float64").mean()
                continue
            output[outside] = values.reindex(columns=labels, fill_value=0.0).to_numpy()
            chosen[outside] = predictor.predict_from_proba(values).map(number_of).to_numpy()
            positive = None if answered.positive is None else number_of[answered.positive]
        shares = train[target].value_counts(normalize=True)
        guess[outside] = shares.reindex(labels, fill_value=0.0).to_numpy()
        guessed[outside] = number_of[shares.index[0]]
    if not labels:
        truth = rows[target].to_numpy(dtype="float64")
        return NumberAnswers(truth, output[:, 0]), NumberAnswers(truth, guess[:, 0])
    truth = rows[target].map(number_of).to_numpy()
    return (
        ClassAnswers(truth, chosen.astype(int), output, positive),
        ClassAnswers(truth, guessed.astype(int), guess, positive),
    )


def folds(
    rows: DataFrame, target: str, problem_type: ProblemType, seed: int, *, keys: Any = None
) -> Iterator[tuple[Any, Any]]:
    """Places of the rows inside and outside of each fold's fit. Rows of one key, of equal values where none are
    given, stay together."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    keys = row_keys(rows) if keys is None else keys
    if problem_type is ProblemType.REGRESSION:
        yield from GroupKFold(n_splits=FOLDS, shuffle=True, random_state=seed).split(rows, groups=keys)
        return
    cut = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=seed)
    yield from cut.split(rows, rows[target].astype(str), groups=keys)


def _summary(said: list[Answers], guessed: list[Answers], metric: str) -> CrossValidated | NotCrossValidated:
    import numpy as np

    metrics, baseline = _means(said), _means(guessed)
    score, guess = metrics[metric], baseline[metric]
    if score is None or guess is None:
        return _UNDEFINED
    names = {str(number): answers for number, answers in enumerate(said)}
    defined = [name for name, value in metrics.items() if value is not None]
    drawn = resampling.resampled_metrics(dict.fromkeys(names, defined), names)
    found = {name: resampling.interval(np.mean([drawn[each][name] for each in names], axis=0)) for name in defined}
    return CrossValidated(
        score=score,
        baseline=guess,
        rows=said[0].rows,
        folds=FOLDS,
        repeats=len(said),
        metrics=metrics,
        baseline_metrics=baseline,
        intervals={name: bounds for name, bounds in found.items() if bounds is not None},
    )


def _means(answers: list[Answers]) -> dict[str, float | None]:
    found = [each.metrics() for each in answers]
    means: dict[str, float | None] = {}
    for name in found[0]:
        values = [each[name] for each in found]
        known = [value for value in values if value is not None]
        means[name] = statistics.fmean(known) if len(known) == len(values) else None
    return means
