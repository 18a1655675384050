"""What a model has from a column that may give the answer away: the score with it and without it.

Both sides are fitted anew, in the same time, on the same rows and with the same settings, and judged by the rows
held out. The interval of the difference is of paired resamples of these rows (``ml.resampling``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypedDict

from ml.answers import answer_holdout
from ml.callbacks import FitEvent
from ml.metrics import Answers, lower_is_better
from ml.profile_records import Relation
from ml.resampling import interval, resampled_metrics
from ml.retracing import Settings, fit_again, without
from ml.splits import Split
from smartml.errors import TrainingFailed

FORMAT: Final = 1
# So many suspects are each left out; of more, those that say the most.
MOST_SUSPECTS: Final = 4

Progress = Callable[[str, float], None]


class Suspect(TypedDict):
    """``alone``: the score of a model that knows this column only (``Autopsy.alone_metric``); ``chance``: of a
    guess."""

    column: str
    alone: float
    chance: float


class Side(TypedDict):
    """The score without ``columns`` and by how much it is worse than with them, above 0 where the model leans on
    them. ``low`` and ``high``: 95 % interval of that; None where no resample moves it. ``failed``: why there is
    no score."""

    columns: list[str]
    score: float | None
    worse: float | None
    low: float | None
    high: float | None
    failed: str


class Autopsy(TypedDict):
    """``score`` is with every column the training used, ``guess`` that of always saying the same. ``seconds``: what
    each fit was given. ``unopened``: suspects beyond those that were each left out; they are only left out with
    all others."""

    format: int
    metric: str
    lower_is_better: bool
    seconds: int
    rows: int
    alone_metric: str
    suspects: list[Suspect]
    unopened: list[str]
    score: float | None
    guess: float | None
    sides: list[Side]


def suspects_of(relations: Sequence[Relation], columns: Sequence[str]) -> list[Relation]:
    """Of the columns that were trained on those that say more than seems fair, the strongest first."""
    return [found for found in relations if found.is_suspect and found.column in columns]


def fits_for(suspects: int) -> int:
    """How many fits it takes to leave out each of so many suspects, and all of them together."""
    each = min(suspects, MOST_SUSPECTS)
    return 0 if not suspects else 1 + each + (suspects > 1)


def dissect(
    split: Split,
    settings: Settings,
    relations: Sequence[Relation],
    *,
    alone_metric: str,
    seconds: int,
    on_progress: Progress = lambda stage, done: None,
) -> Autopsy:
    """Leave out each suspect among the columns of the training, and all of them. No suspect, no fit."""
    features = [name for name in split.train.columns if name not in {settings.target, *split.ignored}]
    suspects = suspects_of(relations, features)
    names = [found.column for found in suspects]
    opened = names[:MOST_SUSPECTS]
    found = Autopsy(
        format=FORMAT,
        metric=settings.metric,
        lower_is_better=lower_is_better(settings.metric),
        seconds=seconds,
        rows=len(split.holdout),
        alone_metric=alone_metric,
        suspects=[Suspect(column=each.column, alone=each.score, chance=each.baseline) for each in suspects],
        unopened=names[MOST_SUSPECTS:],
        score=None,
        guess=None,
        sides=[],
    )
    if not suspects:
        return found
    left_out = [[name] for name in opened] + ([names] if len(names) > 1 else [])
    fits = 1 + len(left_out)

    def answers_without(columns: Sequence[str], place: int) -> tuple[Answers, Answers]:
        what = f"Without {_named(columns)}" if columns else "With every column"
        return _answers(
            without(split, columns),
            settings,
            seconds=seconds,
            on_model=lambda model, part: on_progress(f"{what}: fitting {model}", (place + part) / fits),
        )

    whole, guess = answers_without([], 0)
    found["score"], found["guess"] = whole.metrics()[settings.metric], guess.metrics()[settings.metric]
    for place, columns in enumerate(left_out, start=1):
        try:
            rest, _ = answers_without(columns, place)
        except TrainingFailed as error:
            found["sides"].append(_side(columns, failed=error.message))
        else:
            found["sides"].append(_compared(columns, whole, rest, settings.metric))
    return found


def _named(columns: Sequence[str]) -> str:
    return columns[0][:60] if len(columns) == 1 else f"all {len(columns)} suspects"


def _answers(
    split: Split, settings: Settings, *, seconds: int, on_model: Callable[[str, float], None]
) -> tuple[Answers, Answers]:
    """What the best model of a fit says of the rows held out, and what a guess says."""
    fitted = 0

    def on_event(event: FitEvent) -> None:
        nonlocal fitted
        if event.kind == "model_started" and event.model is not None:
            fitted += 1
            on_model(event.model, 1 - 0.8**fitted)

    with tempfile.TemporaryDirectory() as scratch:
        predictor = fit_again(
            split, settings, seconds=seconds, directory=Path(scratch) / "predictor", on_event=on_event
        ).predictor
        train, holdout = split.features_only()
        said = answer_holdout(
            predictor, train=train, holdout=holdout, target=settings.target, problem_type=settings.problem_type
        )
        return said.answers[said.best], said.baseline


def _compared(columns: Sequence[str], whole: Answers, rest: Answers, metric: str) -> Side:
    before, after = whole.metrics()[metric], rest.metrics()[metric]
    if before is None or after is None:
        return _side(columns, failed="The score cannot be computed on these rows.")
    sign = 1.0 if lower_is_better(metric) else -1.0
    drawn = resampled_metrics({"whole": [metric], "rest": [metric]}, {"whole": whole, "rest": rest})
    bounds = interval(sign * (drawn["rest"][metric] - drawn["whole"][metric]))
    low, high = (None, None) if bounds is None else bounds
    # + 0.0: no -0.0
    return Side(
        columns=list(columns), score=after, worse=sign * (after - before) + 0.0, low=low, high=high, failed=""
    )


def _side(columns: Sequence[str], *, failed: str) -> Side:
    return Side(columns=list(columns), score=None, worse=None, low=None, high=None, failed=failed)
