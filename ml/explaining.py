"""What a model looks at, measured on rows that it has not seen.

Importance: the values of one column are shuffled among the rows, and the score falls by what the model had from
it (Breiman, Random Forests, 2001; Fisher, Rudin and Dominici, JMLR 20, 2019). Its interval comes from resamples of
the rows and of the shuffles (``ml.resampling``): AutoGluon's and scikit-learn's own intervals know the luck of the
shuffle alone, so a column of noise may seem to matter because of which rows were held out.

Effects: partial dependence (Friedman, Annals of Statistics 29, 2001) and the curves of single rows (Goldstein et
al., JCGS 24, 2015): what the model says when one column is set to a value and all others are left as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Answers, ClassAnswers, NumberAnswers, finite, lower_is_better
from ml.problem import ProblemType
from ml.resampling import interval, resample_counts

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from ml.prediction import Feature

FORMAT: Final = 1
ROWS: Final = 2_000
FEWEST_ROWS: Final = 200
SHUFFLES: Final = 5
RESAMPLES: Final = 200
IMPORTANCE_SECONDS: Final = 60.0
EFFECT_SECONDS: Final = 40.0
EFFECTS: Final = 6
EFFECT_ROWS: Final = 200
CURVES: Final = 30
GRID: Final = 20
CATEGORIES: Final = 12
CLASSES: Final = 6
_ROUNDING: Final = 1e-12

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]


class Importance(TypedDict):
    """``worse``: by how much the metric worsens, above 0 where the column helps; with its 95 % interval."""

    column: str
    worse: float
    low: float
    high: float


class Effect(TypedDict):
    """``mean``: a line for each class (or one, of a number), a value for each of ``values``. ``curves``: of single
    rows, for the only line; none where there are several. ``kind``: see ``ml.prediction.Feature``."""

    column: str
    kind: str
    values: list[Any]
    classes: list[str]
    mean: list[list[float]]
    curves: list[list[float]]


class Explanation(TypedDict):
    """``rows`` of the ``all_rows`` held out were used. ``left_out``: columns without time or a usable score.
    ``no_effect``: columns among the most important for which there is no curve, and why."""

    format: int
    metric: str
    lower_is_better: bool
    score: float | None
    rows: int
    all_rows: int
    shuffles: int
    importances: list[Importance]
    left_out: list[str]
    effects: list[Effect]
    effect_rows: int
    no_effect: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Model:
    """A predictor with what it needs to be asked. ``labels`` of a regression is empty."""

    predictor: Any
    features: Sequence[Feature]
    problem_type: ProblemType
    metric: str
    target: str

    @property
    def columns(self) -> list[str]:
        return [feature.name for feature in self.features]

    @property
    def labels(self) -> list[Any]:
        return [] if self.problem_type is ProblemType.REGRESSION else list(self.predictor.class_labels)

    def ask(self, frame: DataFrame) -> DataFrame | Series[Any]:
        """Numbers, or the probability of each class."""
        if self.problem_type is ProblemType.REGRESSION:
            numbers: Series[Any] = self.predictor.predict(frame)
            return numbers
        shares: DataFrame = self.predictor.predict_proba(frame, as_pandas=True)[self.labels]
        return shares

    def outputs(self, frame: DataFrame) -> Floats:
        """A line for each row; a column for each class, or one."""
        found = np.asarray(self.ask(frame), dtype="float64")
        return found.reshape(len(frame), -1)

    def answers(self, frame: DataFrame, truth: Any) -> Answers:
        """Its answers to rows whose truth is known, ready to be scored."""
        said = self.ask(frame)
        if self.problem_type is ProblemType.REGRESSION:
            return NumberAnswers(truth.to_numpy(dtype="float64"), np.asarray(said, dtype="float64"))
        number = {label: index for index, label in enumerate(self.labels)}
        predicted = self.predictor.predict_from_proba(said).map(number).to_numpy()
        positive = number[self.predictor.positive_class] if self.problem_type is ProblemType.BINARY else None
        return ClassAnswers(truth.map(number).to_numpy(), predicted, np.asarray(said, dtype="float64"), positive)


def explain(
    model: Model, rows: DataFrame, *, all_rows: int, seed: int = 0, on_progress: Progress = lambda stage, done: None
) -> Explanation:
    """Both, within about two minutes whatever the model is. ``all_rows``: how many rows were held out."""
    frame = _sample(rows, ROWS, seed)
    importances, left_out, score, used, shuffles = _importances(model, frame, seed, on_progress)
    importances.sort(key=lambda each: -each["worse"])
    # Beyond the first, columns that the score does not feel would only show flat lines.
    followed = [each["column"] for place, each in enumerate(importances) if not place or each["worse"] > 0]
    effects, no_effect, effect_rows = _effects(
        model, _sample(rows, EFFECT_ROWS, seed), followed[:EFFECTS], on_progress
    )
    return Explanation(
        format=FORMAT,
        metric=model.metric,
        lower_is_better=lower_is_better(model.metric),
        score=score,
        rows=used,
        all_rows=all_rows,
        shuffles=shuffles,
        importances=importances,
        left_out=left_out,
        effects=effects,
        effect_rows=effect_rows,
        no_effect=no_effect,
    )


def _sample(rows: DataFrame, most: int, seed: int) -> DataFrame:
    return rows if len(rows) <= most else rows.sample(most, random_state=seed)


# --- Importance -------------------------------------------------------------------------------------------------
def _importances(
    model: Model, rows: DataFrame, seed: int, on_progress: Progress
) -> tuple[list[Importance], list[str], float | None, int, int]:
    """Each column is shuffled once, then each again, as long as the time lasts."""
    started = time.monotonic()
    model.outputs(rows.head(50)[model.columns])  # the first answer makes what later ones use
    asked = time.monotonic()
    model.outputs(rows[model.columns])
    each = (time.monotonic() - asked) / len(rows)
    # Fewer rows rather than fewer columns: two shuffles of every column are to fit in.
    fitting = int(IMPORTANCE_SECONDS / max(each * 2 * len(model.columns), 1e-9))
    rows = _sample(rows, max(FEWEST_ROWS, min(len(rows), fitting)), seed)
    features, truth = rows[model.columns].reset_index(drop=True), rows[model.target].reset_index(drop=True)
    base = model.answers(features, truth)
    rng = np.random.default_rng(seed)
    found: dict[str, list[Answers]] = {}
    rounds = SHUFFLES * len(model.columns)
    for turn in range(rounds):
        if time.monotonic() - started > IMPORTANCE_SECONDS:
            break
        column = model.columns[turn % len(model.columns)]
        shuffled = _with(features, column, features[column].iloc[rng.permutation(len(features))])
        found.setdefault(column, []).append(model.answers(shuffled, truth))
        on_progress(
            f"Shuffling {turn % len(model.columns) + 1} of {len(model.columns)} columns", 0.7 * turn / rounds
        )
    counts = np.concatenate(list(resample_counts(base.rows, resamples=RESAMPLES, seed=seed)))
    once = np.ones((1, base.rows))
    sign = 1.0 if lower_is_better(model.metric) else -1.0
    before, score = base.resampled(model.metric, counts), float(base.resampled(model.metric, once)[0])
    made = []
    for column, answers in found.items():
        after = float(np.mean([a.resampled(model.metric, once)[0] for a in answers]))
        worse = float(_without_rounding(sign * (after - score), score)) + 0.0  # 0.0 and not -0.0
        if not np.isfinite(worse):
            continue
        drawn = np.stack([sign * (a.resampled(model.metric, counts) - before) for a in answers])
        drawn = _without_rounding(drawn, score)
        chosen = rng.integers(0, len(answers), size=(len(answers), RESAMPLES))
        bounds = interval(np.take_along_axis(drawn, chosen, axis=0).mean(axis=0)) or (worse, worse)
        made.append(Importance(column=column, worse=worse, low=bounds[0], high=bounds[1]))
    measured = {each["column"] for each in made}
    left_out = [column for column in model.columns if column not in measured]
    shuffles = min((len(answers) for answers in found.values()), default=0)
    return made, left_out, finite(score), base.rows, shuffles


def _without_rounding(differences: Any, score: float) -> Floats:
    """Differences of scores, where next to nothing is nothing."""
    return np.where(np.abs(differences) <= _ROUNDING * max(abs(score), 1e-300), 0.0, differences)


def _with(frame: DataFrame, column: str, values: Any) -> DataFrame:
    """The frame with another column in the place of one, of the same dtype."""
    changed = frame.copy(deep=False)
    changed[column] = values.set_axis(frame.index)
    return changed


# --- Effects ----------------------------------------------------------------------------------------------------
def _effects(
    model: Model, rows: DataFrame, columns: Sequence[str], on_progress: Progress
) -> tuple[list[Effect], list[tuple[str, str]], int]:
    started = time.monotonic()
    frame = rows[model.columns].reset_index(drop=True)
    kinds = {feature.name: feature.kind for feature in model.features}
    shown = _shown_classes(model, rows[model.target])
    effects: list[Effect] = []
    no_effect: list[tuple[str, str]] = []
    for place, column in enumerate(columns):
        on_progress(f"Following {column}", 0.7 + 0.3 * place / max(len(columns), 1))
        values = _grid(frame[column], kinds[column])
        if kinds[column] == "text":
            no_effect.append((column, "it is free text"))
        elif len(values) < 2:
            no_effect.append((column, "it hardly varies"))
        elif time.monotonic() - started > EFFECT_SECONDS:
            no_effect.append((column, "the time was up"))
        else:
            effect = _effect(model, frame, column, kinds[column], values, shown)
            if np.isfinite(effect["mean"]).all():
                effects.append(effect)
            else:
                no_effect.append((column, "the model gives no usable numbers"))
    return effects, no_effect, len(frame)


def _shown_classes(model: Model, truth: Any) -> list[int]:
    """The places of the classes that are followed: the positive one of two, the most frequent ones of many."""
    labels = model.labels
    if not labels:
        return [0]
    if model.problem_type is ProblemType.BINARY:
        return [labels.index(model.predictor.positive_class)]
    frequent = [labels.index(label) for label in truth.value_counts().index if label in labels]
    return sorted(frequent[:CLASSES])


def _grid(values: Series[Any], kind: str) -> Any:
    """Values that occur: spread evenly over the rows, or the most frequent ones. Of the column's own dtype."""
    present = values.dropna()
    if kind in ("number", "date"):
        if kind == "number":
            present = present[np.isfinite(present.to_numpy(dtype="float64"))]
        ordered = present.sort_values()
        if ordered.empty:
            return ordered
        # Without the outermost hundredth, where the model has seen next to nothing.
        places = np.round(np.linspace(0.01, 0.99, GRID) * (len(ordered) - 1)).astype(int)
        return ordered.iloc[places].drop_duplicates()
    return present.value_counts().head(CATEGORIES).index.to_series().astype(values.dtype)


def _effect(model: Model, frame: DataFrame, column: str, kind: str, values: Any, shown: Sequence[int]) -> Effect:
    import pandas as pd

    rows = len(frame)
    many = pd.concat([frame] * len(values), ignore_index=True)
    many = _with(many, column, values.repeat(rows))
    said = model.outputs(many).reshape(len(values), rows, -1)[:, :, list(shown)]
    labels = model.labels
    curves = said[:, :CURVES, 0].T.tolist() if len(shown) == 1 else []
    return Effect(
        column=column,
        kind=kind,
        values=[_plain(value) for value in values],
        classes=[str(labels[place]) for place in shown] if labels else [],
        mean=said.mean(axis=1).T.tolist(),
        curves=curves,
    )


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
