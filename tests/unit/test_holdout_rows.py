"""The rows a version was judged by, as they are kept."""

import numpy as np
import pandas as pd

from ml import holdout_rows
from ml.holdout import draw_holdout
from ml.problem import ProblemType


def test_rows_come_back_in_their_types_with_their_places(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": range(40),
            "number": np.linspace(0, 1, 40),
            "day": pd.date_range("2024-01-01", periods=40),
            "word": [None, "no"] * 20,
            "flag": pd.array([True, None] * 20, dtype=object),
            "y": [float("nan"), *np.arange(39.0)],
        }
    )
    rows, places, mask = draw_holdout(frame, target="y", problem_type=ProblemType.REGRESSION, share=0.3, seed=1)
    path = holdout_rows.write(
        rows[mask].reset_index(drop=True), places[mask], path=tmp_path / "holdout.parquet", seed=1
    )
    read = holdout_rows.read(path)
    pd.testing.assert_frame_equal(read, frame.loc[read.index])
    assert len(read) == mask.sum()
    assert 0 not in read.index


def test_of_many_rows_the_seed_draws_some(tmp_path, monkeypatch):
    monkeypatch.setattr(holdout_rows, "MAX_ROWS", 10)
    frame = pd.DataFrame({"a": range(100), "y": range(100)})
    first, again, other = (
        holdout_rows.read(holdout_rows.write(frame, np.arange(100), path=tmp_path / f"{n}.parquet", seed=seed))
        for n, seed in enumerate((1, 1, 2))
    )
    assert len(first) == 10
    assert list(first.index) == list(first["a"]) == sorted(first["a"])
    assert first.equals(again)
    assert not first.equals(other)
