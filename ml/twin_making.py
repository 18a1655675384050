"""A twin distilled from a model: fitted to the model's answers, not to the truth (Hinton, Vinyals and Dean, 2015).

It learns from rows of the training, or half of the rows held out where those are gone, and from made-up rows:
copies in which some columns have the value of another row (after Bucila, Caruana and Niculescu-Mizil, KDD 2006).
How far it agrees with the model, and its own score, are measured on rows held out that it did not learn from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ml import twin as twins
from ml.answering import class_name
from ml.features import Feature
from ml.metrics import Answers, ClassAnswers, NumberAnswers, lower_is_better
from ml.problem import ProblemType
from smartml.errors import InvalidInput

if TYPE_CHECKING:
    from pandas import DataFrame

# From here on it is said that the twin agrees: the share of the same answers, or of the answers' variance.
GOOD: Final = 0.95
MAX_CLASSES: Final = 20
_BASE_ROWS: Final = 10_000
_MEASURED_ROWS: Final = 5_000
_FEWEST_ROWS: Final = 4_000
_MOST_ROWS: Final = 20_000
_ASKING_SECONDS: Final = 60.0
_VALIDATION: Final = 0.2
_MIXED: Final = 0.3
_CATEGORIES: Final = 30
_LEAVES: Final = 24
_TREES: Final = 300
_ALL_TREES: Final = 900
# A simpler twin is taken when it is as good to this.
_AS_GOOD: Final = 0.002

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Original:
    """The model that a twin is made of."""

    predictor: Any
    features: tuple[Feature, ...]
    problem_type: ProblemType
    target: str
    metric: str

    @property
    def labels(self) -> list[Any]:
        return [] if self.problem_type is ProblemType.REGRESSION else list(self.predictor.class_labels)

    def ask(self, rows: DataFrame) -> Floats:
        """Numbers in one column, or the shares of the classes."""
        if not self.labels:
            return self.predictor.predict(rows).to_numpy(dtype="float64")[:, None]  # type: ignore[no-any-return]
        shares = self.predictor.predict_proba(rows, as_pandas=True)[self.labels].to_numpy(dtype="float64")
        return shares / shares.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def make(
    original: Original, *, holdout: DataFrame, train: DataFrame | None, seed: int, on_progress: Progress
) -> dict[str, Any]:
    """The twin as JSON, its ``agreement`` in it. ``train``: rows that the model was fitted on, if there are any.

    :raises InvalidInput: too many classes, or no column that a twin can use.
    """
    if len(original.labels) > MAX_CLASSES:
        raise InvalidInput(
            f"A twin knows at most {MAX_CLASSES} classes, and this model has {len(original.labels)}.",
            hint="Use the portable bundle.",
        )
    random = np.random.default_rng(seed)
    base, measured = _parts(holdout, train, random)
    plan = _plan(original, base)
    if not plan["columns"]:
        raise InvalidInput(
            "This model looks at free text alone, which no twin can use.", hint="Use the portable bundle."
        )
    on_progress("Asking the model", 0.1)
    rows, said, made_up = _questions(original, base, random, on_progress)
    on_progress("Fitting the twin", 0.5)
    twin = _fit(original, plan, rows, said, known=len(base), seed=seed)
    on_progress("Comparing the twin with the model", 0.9)
    twin["agreement"] = _agreement(original, twin, measured)
    twin["learned_from"] = {
        "training_rows": 0 if train is None else len(base),
        "held_out_rows": len(base) if train is None else 0,
        "made_up_rows": made_up,
    }
    return twin


def _parts(holdout: DataFrame, train: DataFrame | None, random: np.random.Generator) -> tuple[DataFrame, DataFrame]:
    """Rows to learn from, and rows to measure with."""
    order = random.permutation(len(holdout))
    if train is None or not len(train):
        half = len(holdout) // 2
        return holdout.iloc[order[:half][:_BASE_ROWS]], holdout.iloc[order[half:][:_MEASURED_ROWS]]
    chosen = random.permutation(len(train))[:_BASE_ROWS]
    return train.iloc[chosen], holdout.iloc[order[:_MEASURED_ROWS]]


def _plan(original: Original, base: DataFrame) -> dict[str, Any]:
    """Everything of a twin but its outputs."""
    inputs: list[dict[str, Any]] = []
    columns: list[list[Any]] = []
    unused = []
    for feature in original.features:
        values: list[str] = []
        if feature.kind == "category":
            values = _frequent(base[feature.name])
        elif feature.kind == "text":
            unused.append(feature.name)
            continue
        place = len(inputs)
        columns += [["is", place, value] for value in values] if feature.kind == "category" else [["value", place]]
        if feature.missing_share > 0:
            columns.append(["gap", place])
        inputs.append(
            {
                "name": feature.name,
                "kind": feature.kind,
                "usual": feature.default,
                "gaps": feature.missing_share > 0,
                "whole": feature.is_whole,
                "low": feature.minimum,
                "high": feature.maximum,
                "values": values,
            }
        )
    is_binary = original.problem_type is ProblemType.BINARY
    return {
        "format": twins.FORMAT,
        "problem_type": original.problem_type.value,
        "target": original.target,
        "classes": [class_name(label) for label in original.labels],
        "positive": original.labels.index(original.predictor.positive_class) if is_binary else None,
        "threshold": float(original.predictor.decision_threshold or 0.5) if is_binary else 0.5,
        "inputs": inputs,
        "columns": columns,
        "unused": unused,
    }


def _frequent(values: Any) -> list[str]:
    return [str(value) for value in values.dropna().astype(str).value_counts().index[:_CATEGORIES]]


def as_rows(features: Sequence[Feature], frame: DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as ``ml.prediction.check_rows`` would give them; only their values of ``features``."""
    columns = {feature.name: _values(feature, frame[feature.name]) for feature in features}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(feature: Feature, column: Any) -> list[Any]:
    gaps = column.isna().to_numpy()
    converters: dict[str, Callable[[Any], Any]] = {
        "date": lambda value: value.isoformat(),
        "category": str,
        "text": str,
        "boolean": bool,
        "number": float,
    }
    convert = converters[feature.kind]
    return [None if gap else convert(value) for value, gap in zip(column, gaps, strict=True)]


def _questions(
    original: Original, base: DataFrame, random: np.random.Generator, on_progress: Progress
) -> tuple[DataFrame, Floats, int]:
    """The rows to learn from, made-up ones behind them, with the model's answers; as many as the time allows."""
    import pandas as pd

    rows, said = [base], [original.ask(base)]
    wanted = min(max(_FEWEST_ROWS, 3 * len(base)), _MOST_ROWS) - len(base)
    made, begun = 0, time.monotonic()
    while made < wanted and time.monotonic() - begun < _ASKING_SECONDS:
        part = _mixed(base, min(len(base), wanted - made, 2_000), random)
        rows.append(part)
        said.append(original.ask(part))
        made += len(part)
        on_progress(f"Asking the model, {made:,} made-up rows", 0.1 + 0.4 * made / wanted)
    return pd.concat(rows, ignore_index=True), np.concatenate(said), made


def _mixed(base: DataFrame, count: int, random: np.random.Generator) -> DataFrame:
    """Copies of random rows, some columns of which come from another row."""
    import pandas as pd

    own = random.integers(len(base), size=count)
    columns = {}
    for name in base.columns:
        from_other = random.random(count) < _MIXED
        places = np.where(from_other, random.integers(len(base), size=count), own)
        columns[name] = base[name].take(places).reset_index(drop=True)
    return pd.DataFrame(columns)


def _fit(
    original: Original, plan: dict[str, Any], rows: DataFrame, said: Floats, *, known: int, seed: int
) -> dict[str, Any]:
    """The better of a weighted sum and of trees, by rows that neither was fitted to; the sum if it is as good."""
    encoded = twins.encode(plan, as_rows(original.features, rows))
    validation = np.zeros(len(rows), dtype=bool)
    # Rows that somebody has seen, not made-up ones.
    validation[: max(1, round(_VALIDATION * known))] = True
    wanted = said[:, [plan["positive"]]] if plan["positive"] is not None else said
    linear = {
        **plan,
        "kind": "linear",
        "outputs": _linear_outputs(encoded, wanted, validation, bool(original.labels)),
    }
    trees = {**plan, "kind": "trees", "outputs": _tree_outputs(encoded, wanted, validation, original, seed)}
    quality = [_fidelity(each, encoded[validation], said[validation]) for each in (linear, trees)]
    return linear if quality[0] >= quality[1] - _AS_GOOD else trees


def _linear_outputs(
    encoded: Floats, wanted: Floats, validation: NDArray[np.bool_], is_class: bool
) -> list[dict[str, Any]]:
    from sklearn.linear_model import Ridge

    fitted = encoded[~validation]
    counts = np.maximum((~np.isnan(fitted)).sum(axis=0), 1)
    centres = np.nansum(fitted, axis=0) / counts
    moved = np.nan_to_num(fitted - centres)
    scales = moved.std(axis=0)
    scales[scales == 0] = 1.0
    target = _log_odds(wanted[~validation]) if is_class else wanted[~validation]
    outputs = []
    for place in range(target.shape[1]):
        ridge = Ridge(alpha=1.0).fit(moved / scales, target[:, place])
        outputs.append(
            {
                "intercept": float(ridge.intercept_),
                "weights": (ridge.coef_ / scales).tolist(),
                "centres": centres.tolist(),
            }
        )
    return outputs


def _log_odds(shares: Floats) -> Floats:
    clipped = np.clip(shares, 0.005, 0.995)
    odds: Floats = np.log(clipped / (1 - clipped))
    return odds


def _tree_outputs(
    encoded: Floats, wanted: Floats, validation: NDArray[np.bool_], original: Original, seed: int
) -> list[dict[str, Any]]:
    import lightgbm

    parameters = {
        "objective": "cross_entropy" if original.labels else "regression",
        "num_leaves": _LEAVES,
        "learning_rate": 0.1,
        "min_data_in_leaf": 10,
        "seed": seed,
        "num_threads": 2,
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
    }
    outputs = []
    for place in range(wanted.shape[1]):
        train = lightgbm.Dataset(encoded[~validation], wanted[~validation, place], free_raw_data=False)
        check = lightgbm.Dataset(encoded[validation], wanted[validation, place], reference=train)
        booster = lightgbm.train(
            parameters,
            train,
            num_boost_round=max(20, min(_TREES, _ALL_TREES // wanted.shape[1])),
            valid_sets=[check],
            callbacks=[lightgbm.early_stopping(20, verbose=False)],
        )
        dump = booster.dump_model(num_iteration=booster.best_iteration)
        outputs.append({"trees": [plain_tree(each["tree_structure"]) for each in dump["tree_info"]]})
    return outputs


def plain_tree(node: dict[str, Any]) -> Any:
    """A node of LightGBM's own JSON as ``ml.twin`` has it."""
    if "leaf_value" in node:
        return node["leaf_value"]
    # Where no gap was seen, LightGBM takes one for 0.
    left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
    children = plain_tree(node["left_child"]), plain_tree(node["right_child"])
    return [node["split_feature"], node["threshold"], int(left), *children]


def _fidelity(twin: dict[str, Any], encoded: Floats, said: Floats) -> float:
    """How much alike the answers are: the share of the same classes, or of the variance."""
    outputs = twins.raw(twin, encoded)
    if twin["classes"]:
        return float((twins.decide(twin, twins.probabilities(twin, outputs)) == twins.decide(twin, said)).mean())
    spread = float(((said - said.mean()) ** 2).sum())
    missed = float(((said - outputs) ** 2).sum())
    return 1.0 - missed / spread if spread else float(missed == 0)


def _agreement(original: Original, twin: dict[str, Any], measured: DataFrame) -> dict[str, Any]:
    """On rows that the twin has not learned from: how much alike, and what both are worth."""
    said = original.ask(measured)
    encoded = twins.encode(twin, as_rows(original.features, measured))
    outputs = twins.raw(twin, encoded)
    answers = twins.probabilities(twin, outputs) if twin["classes"] else outputs
    fidelity = _fidelity(twin, encoded, said)
    scores = [_score(original, twin, measured[original.target], each) for each in (answers, said)]
    return {
        "rows": len(measured),
        "fidelity": fidelity,
        "typical_difference": float(np.median(np.abs(answers - said).max(axis=1))),
        "is_good": fidelity >= GOOD,
        "metric": original.metric,
        "lower_is_better": lower_is_better(original.metric),
        "twin_score": scores[0],
        "model_score": scores[1],
    }


def _score(original: Original, twin: dict[str, Any], truth: Any, said: Floats) -> float | None:
    found: Answers
    if original.labels:
        number = {label: place for place, label in enumerate(original.labels)}
        found = ClassAnswers(
            truth.map(number).to_numpy(dtype="int64"), twins.decide(twin, said), said, twin["positive"]
        )
    else:
        found = NumberAnswers(truth.to_numpy(dtype="float64"), said[:, 0])
    return found.metrics().get(original.metric)
