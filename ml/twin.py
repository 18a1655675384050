"""A small stand-in of a model, as plain JSON: what it is, and its answers. Nothing in it is code.

It is of one kind: sums of decision trees, or a weighted sum. The page that goes with it computes the same
(``templates/models_app/twin/twin.js``)::

    {"problem_type": "binary" | "multiclass" | "regression", "target": NAME, "classes": [NAME, ...],
     "positive": PLACE | null, "threshold": SHARE,
     "inputs": [{"name", "kind", "usual", "gaps", ...}, ...],
     "columns": [["value", INPUT] | ["is", INPUT, TEXT] | ["gap", INPUT], ...],
     "outputs": [{"trees": [TREE, ...]} | {"intercept": B, "weights": [...], "centres": [...]}, ...]}

``inputs`` are features as ``ml.prediction.check_rows`` gives them; ``columns`` are numbers made of them: the value
(a date in days since 1970, yes as 1), whether it is this text, whether there is none. A TREE is a number, or
``[COLUMN, THRESHOLD, WHERE_GAPS_GO, LEFT, RIGHT]``: left where the column is at most the threshold, and for a gap
where WHERE_GAPS_GO is 1. In a weighted sum a column counts as far as it is from its centre, and a gap not at all.

One output is a number, or the log-odds of the positive class; several are log-odds of each class against all
others, and their shares are made to add up to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.answering import Answer

FORMAT: Final = 1
_EPOCH: Final = datetime(1970, 1, 1)
_DAY_SECONDS: Final = 86_400

Floats = NDArray[np.float64]


def answers(twin: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """An answer for each row of ``ml.prediction.check_rows``."""
    outputs = raw(twin, encode(twin, rows))
    if twin["problem_type"] == "regression":
        return [{"prediction": float(value), "probabilities": None} for value in outputs[:, 0]]
    shares = probabilities(twin, outputs)
    names = twin["classes"]
    return [
        {"prediction": names[place], "probabilities": dict(zip(names, row, strict=True))}
        for place, row in zip(decide(twin, shares).tolist(), shares.tolist(), strict=True)
    ]


def encode(twin: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Floats:
    """The numbers of the columns: a line for each row, NaN for a gap."""
    made = np.empty((len(rows), len(twin["columns"])))
    for place, (what, number, *text) in enumerate(twin["columns"]):
        feature = twin["inputs"][number]
        values = [row.get(feature["name"]) for row in rows]
        if what == "value":
            made[:, place] = [_number(feature["kind"], value) for value in values]
        elif what == "is":
            made[:, place] = [value == text[0] for value in values]
        else:
            made[:, place] = [value is None for value in values]
    return made


def _number(kind: str, value: Any) -> float:
    if value is None:
        return math.nan
    if kind == "date":
        return (datetime.fromisoformat(value) - _EPOCH).total_seconds() / _DAY_SECONDS
    return float(value)


def raw(twin: Mapping[str, Any], columns: Floats) -> Floats:
    """The outputs: a line for each row."""
    return np.column_stack([_output(output, columns) for output in twin["outputs"]])


def _output(output: Mapping[str, Any], columns: Floats) -> Floats:
    total = np.zeros(len(columns))
    if "trees" in output:
        everything = np.arange(len(columns))
        for tree in output["trees"]:
            _add(tree, columns, everything, total)
        return total
    total += output["intercept"]
    for place, (weight, centre) in enumerate(zip(output["weights"], output["centres"], strict=True)):
        total += weight * np.nan_to_num(columns[:, place] - centre)
    return total


def _add(tree: Any, columns: Floats, rows: NDArray[np.int64], total: Floats) -> None:
    """Add the leaves that ``rows`` come to."""
    if not len(rows):
        return
    if not isinstance(tree, list):
        total[rows] += tree
        return
    column, threshold, where_gaps_go, left, right = tree
    values = columns[rows, column]
    goes_left = np.where(np.isnan(values), bool(where_gaps_go), values <= threshold)
    _add(left, columns, rows[goes_left], total)
    _add(right, columns, rows[~goes_left], total)


def probabilities(twin: Mapping[str, Any], outputs: Floats) -> Floats:
    """Shares of the classes from the outputs."""
    with np.errstate(over="ignore"):
        odds = 1.0 / (1.0 + np.exp(-outputs))
    if outputs.shape[1] > 1:
        whole = odds.sum(axis=1, keepdims=True)
        # Far outside of what was learned every class may be out of the question.
        shares: Floats = np.where(whole > 0, odds / np.where(whole > 0, whole, 1.0), 1.0 / outputs.shape[1])
        return shares
    pair = [1.0 - odds[:, 0], odds[:, 0]] if twin["positive"] == 1 else [odds[:, 0], 1.0 - odds[:, 0]]
    return np.column_stack(pair)


def decide(twin: Mapping[str, Any], shares: Floats) -> NDArray[np.int64]:
    """The place of the class that is answered."""
    positive = twin["positive"]
    places: NDArray[np.int64]
    if positive is None:
        places = shares.argmax(axis=1)
    else:
        places = np.where(shares[:, positive] > twin["threshold"], positive, 1 - positive)
    return places
