"""Rows whose answer is worth a look: models that have not seen them expect another one.

The rows of the training are judged by models of one family, each fitted on the other folds of them; the rows
held out by the model itself. Classes: confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021) as cleanlab
has it. Numbers: the distance to what was expected, in units of the reach that nine of ten rows stay within.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from ml.callbacks import FitEvent
from ml.cross_validation import FOLDS, folds
from ml.diagnosis import COVERAGE, conformal_reach
from ml.explaining import Model
from ml.options import HoldoutKind, is_usable
from ml.problem import Preset, ProblemType
from ml.retracing import Settings, fit_again
from ml.splits import Split
from smartml.errors import TrainingFailed

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT: Final = 1
# Of more rows a random part is looked at.
MOST_ROWS: Final = 50_000
MOST_LISTED: Final = 500
# Of so few rows of a class nobody can tell what is usual for it.
FEWEST_OF_CLASS: Final = 2 * FOLDS
# So many reaches away is where a number begins to be worth a look.
FAR: Final = 2.0
# The first that is allowed: quick ones that say something on any table.
_FAMILIES: Final = ("GBM", "XGB", "CAT", "RF", "XT", "LR", "NN_TORCH", "KNN")
_TRAINING_SHARE: Final = 0.9

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]


class Doubt(TypedDict):
    """``row`` of the table, from 1. ``held_out``: judged by the model itself. Classes: the probability of the given
    and of the expected answer. Numbers: the distance between both in reaches."""

    row: int
    held_out: bool
    given: str
    expected: str
    given_share: float | None
    expected_share: float | None
    reaches: float | None


class Doubts(TypedDict):
    """``found`` rows are worth a look, ``doubts`` the first of them. ``train_rows`` of ``all_train_rows`` were
    looked at, by models of ``family`` (AutoGluon's key), each given ``seconds``. ``skipped``: rows of classes that
    are too rare. ``train_reach`` and ``holdout_reach`` are for numbers."""

    format: int
    is_number: bool
    family: str
    folds: int
    seconds: int
    train_rows: int
    all_train_rows: int
    holdout_rows: int
    skipped: int
    train_reach: float | None
    holdout_reach: float | None
    found: int
    doubts: list[Doubt]


def find_doubts(
    split: Split,
    settings: Settings,
    model: Model,
    *,
    seconds: int,
    holdout_reach: float | None,
    on_progress: Progress = lambda stage, done: None,
) -> Doubts:
    """Look at every row of both parts. ``holdout_reach``: what nine of ten rows of the version stay within."""
    family = family_of(settings)
    train, places = _some(split, settings)
    number_of = {label: number for number, label in enumerate(model.labels)}
    looked = _looked_at(train, settings)
    said = _out_of_fold(split, train[looked], settings, model.labels, family, seconds, on_progress)
    on_progress("Asking the model about the rows held out", _TRAINING_SHARE)
    _, holdout = split.features_only()
    held_looked = np.ones(len(holdout), dtype=bool)
    if number_of:
        common = set(train[looked][settings.target])
        held_looked = holdout[settings.target].isin(common).to_numpy()
    held = holdout[held_looked]
    answered = model.outputs(held[model.columns]) if len(held) else np.empty((0, said.shape[1]))
    rows = np.concatenate([places[looked], split.places[held_looked]]) + 1
    is_held = np.concatenate([np.zeros(looked.sum(), dtype=bool), np.ones(len(held), dtype=bool)])
    given = [*train[looked][settings.target], *held[settings.target]]
    outputs = np.concatenate([said, answered])
    found = Doubts(
        format=FORMAT,
        is_number=not number_of,
        family=family,
        folds=FOLDS,
        seconds=seconds,
        train_rows=int(looked.sum()),
        all_train_rows=len(split.train),
        holdout_rows=len(held),
        skipped=int((~looked).sum() + (~held_looked).sum()),
        train_reach=None,
        holdout_reach=None,
        found=0,
        doubts=[],
    )
    if number_of:
        numbers = np.array([number_of[label] for label in given])
        order, doubts = _of_classes(numbers, outputs, model.labels)
    else:
        found["train_reach"] = conformal_reach(_distances(given, outputs)[~is_held], COVERAGE)
        found["holdout_reach"] = holdout_reach
        order, doubts = _of_numbers(given, outputs, is_held, found["train_reach"], holdout_reach)
    found["found"] = len(order)
    for place, doubt in zip(order[:MOST_LISTED], doubts, strict=False):
        found["doubts"].append({**doubt, "row": int(rows[place]), "held_out": bool(is_held[place])})
    return found


def family_of(settings: Settings) -> str:
    """AutoGluon's key of the models that judge the rows of the training: quick ones among those allowed."""
    for key in _FAMILIES:
        if is_usable(key) and (settings.families is None or key in settings.families):
            return key
    raise TrainingFailed(
        "None of the allowed kinds of models is quick enough to look at every row.",
        hint="Allow boosted trees, forests or linear models.",
    )


def _some(split: Split, settings: Settings) -> tuple[DataFrame, Any]:
    """The rows of the training, or a random part of them in the order of the table."""
    if len(split.train) <= MOST_ROWS:
        return split.train, split.train_places
    rng = np.random.default_rng(settings.plan.seed)
    chosen = np.sort(rng.choice(len(split.train), size=MOST_ROWS, replace=False))
    return split.train.iloc[chosen].reset_index(drop=True), split.train_places[chosen]


def _looked_at(train: DataFrame, settings: Settings) -> NDArray[np.bool_]:
    """The rows of classes that are frequent enough to be learned in every fold; of numbers, all."""
    if settings.problem_type is ProblemType.REGRESSION:
        return np.ones(len(train), dtype=bool)
    counts = train[settings.target].map(train[settings.target].value_counts())
    looked: NDArray[np.bool_] = (counts >= FEWEST_OF_CLASS).to_numpy()
    if train[settings.target][looked].nunique() < 2:
        raise TrainingFailed(
            "Too few rows: at least two classes need "
            f"{FEWEST_OF_CLASS} rows of the training each before one can stand out.",
            hint="Upload a table with more rows.",
        )
    return looked


def _out_of_fold(
    split: Split,
    rows: DataFrame,
    settings: Settings,
    labels: Sequence[Any],
    family: str,
    seconds: int,
    on_progress: Progress,
) -> Floats:
    """For each row what the fold's model that has not seen it says: a probability for each label, or a number."""
    rows = rows.reset_index(drop=True)
    # Truthful probabilities are wanted here, whatever the model was chosen by.
    settings = replace(settings, balance_classes=False, metric="log_loss" if labels else settings.metric)
    found = np.zeros((len(rows), max(len(labels), 1)))
    for number, (inside, outside) in enumerate(_cut(rows, settings), start=1):
        on_progress(f"Judging part {number} of {FOLDS} by the others", _TRAINING_SHARE * (number - 1) / FOLDS)
        # Time or groups need no say inside the fit of a fold, which chooses between next to no models.
        part = replace(split, train=rows.iloc[inside].reset_index(drop=True), structure={})
        with tempfile.TemporaryDirectory() as scratch:
            predictor = fit_again(
                part,
                settings,
                seconds=seconds,
                directory=Path(scratch) / "predictor",
                on_event=_say_nothing,
                families=(family,),
                preset=Preset.QUICK,
            ).predictor
            held = rows.iloc[outside]
            if labels:
                found[outside] = predictor.predict_proba(held).reindex(columns=labels, fill_value=0.0).to_numpy()
            else:
                found[outside, 0] = predictor.predict(held).to_numpy(dtype="float64")
    return found


def _cut(rows: DataFrame, settings: Settings) -> Iterator[tuple[Any, Any]]:
    import pandas as pd

    keys = None
    if settings.plan.kind is HoldoutKind.GROUP and settings.plan.column is not None:
        keys = pd.factorize(rows[settings.plan.column])[0]
    return folds(rows, settings.target, settings.problem_type, settings.plan.seed, keys=keys)


def _say_nothing(event: FitEvent) -> None:
    """A fold's models are nobody's business."""


def _of_classes(given: Any, shares: Floats, labels: Sequence[Any]) -> tuple[Any, Iterator[Doubt]]:
    """The places that confident learning points out, those whose given answer was thought least likely first."""
    from cleanlab.filter import find_label_issues

    shares = np.asarray(shares, dtype="float64")
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    order = find_label_issues(
        given,
        shares,
        filter_by="confident_learning",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )

    def doubts() -> Iterator[Doubt]:
        for place in order:
            expected = int(shares[place].argmax())
            yield Doubt(
                row=0,
                held_out=False,
                given=str(labels[given[place]]),
                expected=str(labels[expected]),
                given_share=float(shares[place, given[place]]),
                expected_share=float(shares[place, expected]),
                reaches=None,
            )

    return order, doubts()


def _distances(given: Sequence[Any], outputs: Floats) -> Floats:
    found: Floats = np.abs(np.asarray(given, dtype="float64") - outputs[:, 0])
    return found


def _of_numbers(
    given: Sequence[Any], outputs: Floats, is_held: Any, train_reach: float | None, holdout_reach: float | None
) -> tuple[Any, Iterator[Doubt]]:
    """The places far beyond the reach of their part, the farthest first. A part without a reach tells nothing."""
    reach = np.where(is_held, holdout_reach or np.inf, train_reach or np.inf)
    reaches = _distances(given, outputs) / reach
    far = np.flatnonzero(np.isfinite(reaches) & (reaches > FAR))
    order = far[np.argsort(-reaches[far], kind="stable")]

    def doubts() -> Iterator[Doubt]:
        for place in order:
            yield Doubt(
                row=0,
                held_out=False,
                given=f"{float(given[place]):.15g}",
                expected=f"{outputs[place, 0]:.6g}",
                given_share=None,
                expected_share=None,
                reaches=float(reaches[place]),
            )

    return order, doubts()
