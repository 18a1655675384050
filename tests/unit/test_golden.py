"""Golden rows: written as text that reads back as the same row, and compared with tolerance."""

import pandas as pd
import pytest

from ml import golden
from ml.prediction import check_rows, feature_schema, to_frame


def test_rows_written_as_text_are_read_back_as_they_were():
    frame = pd.DataFrame(
        {
            "whole": [3, -4, 2**53],
            "with_gap": [1.0, None, 3.0],
            "number": [0.1 + 0.2, 1e-17, 123456789.125],
            "flag": [True, False, True],
            "word": ["yes", "no", None],
            "code": ["007", "00", "12"],
            "moment": pd.to_datetime(["2024-02-29 00:00:00", "2024-03-01 10:30:00", None]),
        }
    )
    types = {"word": "boolean", "code": "category"}
    features = feature_schema(frame, target="none", columns_types=types)
    rows = golden.choose(frame, features, seed=0)
    assert all(value is None or isinstance(value, str) for row in rows for value in row.values())
    checked = check_rows(features, rows)
    assert not [finding for of_row in checked.findings for finding in of_row]
    pd.testing.assert_frame_equal(to_frame(features, checked.rows), frame)


def test_at_most_twenty_rows_always_the_same():
    frame = pd.DataFrame({"a": range(1000)})
    features = feature_schema(frame, target="none", columns_types={})
    rows = golden.choose(frame, features, seed=3)
    assert len(rows) == golden.ROWS
    assert golden.choose(frame, features, seed=3) == rows != golden.choose(frame, features, seed=4)


def share(dog, prediction="dog"):
    return {"prediction": prediction, "probabilities": {"dog": dog, "duck": 1 - dog}}


def number(value):
    return {"prediction": value, "probabilities": None}


@pytest.mark.parametrize(
    ("then", "now", "drifted", "largest"),
    [
        ([share(0.9), share(0.8)], [share(0.90001), share(0.8)], 0, 1e-5),
        ([share(0.9), share(0.8)], [share(0.91), share(0.8)], 1, 0.01),
        # The same probabilities: it is the threshold that has moved.
        ([share(0.5)], [share(0.5, "duck")], 1, 0.0),
        ([share(0.5)], [{"prediction": "dog", "probabilities": {"dog": 0.5, "cat": 0.5}}], 1, None),
        ([number(1000.0), number(0.0)], [number(1000.05), number(0.05)], 0, 5e-5),
        ([number(1000.0), number(2000.0)], [number(1001.0), number(2000.0)], 1, 5e-4),
        ([number(None), number(1.0)], [number(None), number(1.0)], 0, 0.0),
        ([number(None), number(1.0)], [number(2.0), number(1.0)], 1, None),
    ],
)
def test_what_counts_as_drift(then, now, drifted, largest):
    found = golden.compare(then, now)
    assert (found.rows, found.drifted) == (len(then), drifted)
    assert found.largest == (None if largest is None else pytest.approx(largest, abs=1e-12))
    assert found.is_relative == (then[0]["probabilities"] is None)
