"""One row made without AutoGluon's generators is bit by bit what they make of it, or is left to them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ml import quick_row
from ml.features import feature_schema, to_frame
from ml.prediction import check_row
from ml.quiet import quiet_autogluon

ROWS = 240
TYPES = {"city": "category", "agent": "category", "seen": "date", "open": "boolean", "words": "text"}


def table(**more):
    rng = np.random.default_rng(3)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500 * 86_400, ROWS), unit="s")
    return pd.DataFrame(
        {
            "rooms": rng.integers(1, 9, ROWS),
            "floor": rng.choice([0, 1], ROWS),
            "area": rng.uniform(20, 300, ROWS),
            "rate": np.where(rng.random(ROWS) < 0.2, np.nan, rng.random(ROWS)),
            "city": rng.choice(["Bern", "Oslo", "Nice", None], ROWS),
            "agent": [f"agent {number}" for number in rng.integers(0, 90, ROWS)],
            "seen": pd.Series(day).astype("datetime64[us]"),
            "open": rng.choice(["yes", "no"], ROWS),
            "both": rng.choice([True, False], ROWS),
            **more,
        }
    )


def fitted(frame):
    """What ``TabularPredictor`` does with rows, without its models."""
    with quiet_autogluon():
        from autogluon.features.generators import AutoMLPipelineFeatureGenerator

        generator = AutoMLPipelineFeatureGenerator(verbosity=0)
        generator.fit_transform(frame)
    features = feature_schema(frame, target="", columns_types=TYPES)
    predictor = SimpleNamespace(
        transform_features=generator.transform, _learner=SimpleNamespace(feature_generators=[generator])
    )
    return predictor, features


@pytest.fixture(scope="module")
def houses():
    return fitted(table())


def transformed(predictor, features, row):
    return predictor.transform_features(to_frame(features, [row]))


def test_rows_come_out_as_autogluon_has_them(houses):
    predictor, features = houses
    quick = quick_row.learn(predictor, features)
    frame = table()
    rows = [check_row(features, row)[0] for row in frame.to_dict("records")[:80]]
    asked = 0
    for row in rows:
        expected = transformed(predictor, features, row)
        if quick.made(row) is None:  # an agent of one row alone, who has no code
            asked += 1
            quick.remember([row], expected)
        pd.testing.assert_frame_equal(quick.made(row), expected, check_exact=True)
    assert asked < len(rows) / 4


@pytest.mark.parametrize(
    "change",
    [
        {"seen": "1999-12-31T23:59:59.123456"},
        {"seen": "2100-02-28"},
        {"rooms": -(2**63)},
        {"area": 1e300},
        {"area": -0.0},
        {"floor": 7},
        {"city": "Bern"},
        {"city": None},
        {"rate": None},
    ],
    ids=str,
)
def test_rare_values_too(houses, change):
    predictor, features = houses
    quick = quick_row.learn(predictor, features)
    row = {feature.name: feature.default for feature in features} | change
    expected = transformed(predictor, features, row)
    quick.remember([row], expected)
    pd.testing.assert_frame_equal(quick.made(row), expected, check_exact=True)


def test_what_was_not_learnt_is_left_to_autogluon(houses):
    predictor, features = houses
    quick = quick_row.learn(predictor, features)
    usual = {feature.name: feature.default for feature in features}
    assert quick.made(usual) is not None
    for change in (
        {"city": "Ulm"},
        {"rooms": None},
        {"rooms": 2**63},
        {"rooms": 1.5},
        {"area": None},
        {"area": 3},
        {"area": float("inf")},
        {"seen": None},
        {"seen": "2024-01-01T10:00:00+02:00"},
    ):
        assert quick.made(usual | change) is None, change
    # With the first row that has it, a word is learnt, also one that has no code.
    strange = usual | {"city": "Ulm"}
    quick.remember([strange], transformed(predictor, features, strange))
    pd.testing.assert_frame_equal(quick.made(strange), transformed(predictor, features, strange))


def test_no_more_words_are_kept_than_may_be(houses, monkeypatch):
    predictor, features = houses
    monkeypatch.setattr(quick_row, "_MOST_WORDS", 5)
    quick = quick_row.learn(predictor, features)
    usual = {feature.name: feature.default for feature in features}
    strange = usual | {"agent": "somebody else"}
    quick.remember([strange], transformed(predictor, features, strange))
    assert quick.made(strange) is None
    monkeypatch.undo()
    quick.remember([long := usual | {"agent": "x" * 201}], transformed(predictor, features, long))
    assert quick.made(long) is None


def test_a_predictor_that_counts_words_is_left_to_autogluon():
    rng = np.random.default_rng(3)
    words = np.array(["garden", "quiet", "near the station", "balcony", "new kitchen", "old town", "lake"])
    texts = [" ".join(rng.choice(words, 6)) + f" no {number}" for number in range(ROWS)]
    predictor, features = fitted(table(words=texts))
    assert quick_row.learn(predictor, features) is None


def test_a_predictor_that_makes_numbers_otherwise_is_left_to_autogluon(houses):
    predictor, features = houses

    def otherwise(frame):
        made = predictor.transform_features(frame)
        made["area"] = made["area"].clip(upper=100)
        return made

    other = SimpleNamespace(transform_features=otherwise, _learner=predictor._learner)
    assert quick_row.learn(other, features) is None
