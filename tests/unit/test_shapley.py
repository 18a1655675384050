"""The parts of one prediction, where the truth is known."""

import numpy as np
import pandas as pd
import pytest

from ml import shapley
from ml.shapley import explain_row, groups_of


def usual(rows=100):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "a": rng.normal(size=rows),
            "b": rng.integers(0, 5, size=rows),
            "c": rng.choice(["x", "y", None], size=rows),
            "noise": rng.normal(size=rows),
        }
    )


def ask(frame):
    return (10 * frame["a"] + frame["b"] * (frame["c"] == "x")).to_numpy(dtype="float64")


def test_the_parts_add_up_and_name_what_moved_it():
    row = pd.DataFrame({"a": [3.0], "b": [4], "c": ["x"], "noise": [9.0]})
    found = explain_row(ask, row, usual(), groups_of(list(row)), seed=0)
    assert found.average + found.parts.sum() == pytest.approx(found.prediction)
    assert found.prediction == pytest.approx(34)
    a, b, c, noise = found.parts
    assert a == pytest.approx(30 - 10 * usual()["a"].mean(), abs=found.errors[0] + 1)
    assert min(b, c) > 0
    assert noise == pytest.approx(0, abs=1e-9)


def test_columns_beyond_a_few_move_together_and_slow_models_are_asked_less(monkeypatch):
    monkeypatch.setattr(shapley, "SINGLE", 2)
    groups = groups_of(["a", "b", "c", "noise"], ranking=["c", "a"])
    assert groups == [["c"], ["a"], ["b", "noise"]]
    monkeypatch.setattr(shapley, "SECONDS", 0.0)
    asked = []

    def counting(frame):
        asked.append(len(frame))
        return ask(frame)

    row = usual().head(1)
    found = explain_row(counting, row, usual(), groups, seed=0)
    assert asked[-1] == shapley.FEWEST_PAIRS * 2 * 4
    assert found.average + found.parts.sum() == pytest.approx(found.prediction)
