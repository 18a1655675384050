"""Splitting off the holdout, and fitting with AutoGluon itself."""

import json
import logging
import time

import numpy as np
import pandas as pd
import pytest

from ml.left_out import LeftOut
from ml.problem import Preset, ProblemType
from ml.training import FitEvent
from smartml.errors import JobCancelled, TrainingFailed
from tests.unit.ml_samples import cancer, diabetes, fit, split, wine

BINARY, MULTICLASS, REGRESSION = ProblemType.BINARY, ProblemType.MULTICLASS, ProblemType.REGRESSION


def labelled(counts):
    target = [name for name, count in counts.items() for _ in range(count)]
    return pd.DataFrame({"x": range(len(target)), "y": target})


class TestSplitHoldout:
    def test_every_row_is_in_exactly_one_part(self):
        train, holdout = split(diabetes().assign(row=range(442)), "progression", REGRESSION)
        assert sorted([*train["row"], *holdout["row"]]) == list(range(442))
        assert len(holdout) == 88

    def test_classes_keep_their_proportions(self):
        train, holdout = split(labelled({"a": 600, "b": 300, "c": 100}), "y", MULTICLASS)
        assert holdout["y"].value_counts().to_dict() == {"a": 120, "b": 60, "c": 20}
        assert train["y"].value_counts().to_dict() == {"a": 480, "b": 240, "c": 80}

    def test_every_class_is_in_both_parts_however_rare(self):
        train, holdout = split(labelled({"a": 500, "b": 2, "c": 3}), "y", MULTICLASS)
        assert set(train["y"]) == set(holdout["y"]) == {"a", "b", "c"}

    def test_many_small_classes_do_not_shift_the_share(self):
        _, holdout = split(labelled({f"class {n}": 7 for n in range(40)}), "y", MULTICLASS)
        assert len(holdout) == 56

    def test_the_same_seed_gives_the_same_rows_and_another_gives_others(self):
        frame = wine()
        first, again, other = (split(frame, "cultivar", MULTICLASS, seed=seed)[1] for seed in (1, 1, 2))
        pd.testing.assert_frame_equal(first, again)
        assert not first.equals(other)

    def test_rows_without_a_target_are_in_neither_part(self):
        frame = diabetes()
        frame.loc[:41, "progression"] = np.nan
        train, holdout = split(frame, "progression", REGRESSION)
        assert len(train) + len(holdout) == 400

    def test_infinite_targets_are_left_out(self):
        frame = diabetes()
        frame.loc[0, "progression"] = np.inf
        train, holdout = split(frame, "progression", REGRESSION)
        assert len(train) + len(holdout) == 441

    @pytest.mark.parametrize("problem_type", [BINARY, MULTICLASS, REGRESSION])
    def test_equal_rows_stay_on_one_side(self, problem_type):
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({"n": rng.integers(0, 40, 900), "word": rng.choice(["a", "b", None], 900)})
        frame["x"] = np.where(frame["n"] % 3, 0.5, np.nan)
        frame["y"] = frame["n"] * 1.0 if problem_type is REGRESSION else rng.choice(["p", "q"], 900)
        train, holdout = split(frame, "y", problem_type)
        both = train.drop_duplicates().merge(holdout.drop_duplicates(), how="inner")
        assert both.empty
        assert len(train) + len(holdout) == 900
        assert 0.19 <= len(holdout) / 900 <= 0.21

    def test_a_table_twice_keeps_the_share_and_the_classes(self):
        once = labelled({"a": 300, "b": 150, "c": 50})
        train, holdout = split(pd.concat([once, once]), "y", MULTICLASS)
        assert holdout["y"].value_counts().to_dict() == {"a": 120, "b": 60, "c": 20}
        assert not set(holdout["x"]) & set(train["x"])

    def test_one_row_that_fills_most_of_a_class_does_not_spoil_the_share(self):
        frame = pd.concat([labelled({"a": 200, "b": 200}), pd.DataFrame({"x": [-1] * 600, "y": ["a"] * 600})])
        train, holdout = split(frame, "y", BINARY)
        assert len(holdout) == 200
        assert (train["x"] == -1).sum() == 600

    def test_a_class_that_is_one_row_over_and_over_is_in_both_parts(self):
        frame = pd.DataFrame({"x": [1, 2] * 50, "y": ["a", "b"] * 50})
        train, holdout = split(frame, "y", BINARY)
        assert train["y"].value_counts().to_dict() == {"a": 40, "b": 40}
        assert holdout["y"].value_counts().to_dict() == {"a": 10, "b": 10}

    def test_a_million_rows_are_split_quickly(self):
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({f"x{n}": rng.normal(size=1_000_000) for n in range(5)})
        frame["word"] = rng.choice([f"word {n}" for n in range(1000)], 1_000_000)
        frame["y"] = rng.choice(["a", "b", "c"], 1_000_000)
        started = time.process_time()
        _, holdout = split(frame, "y", MULTICLASS)
        assert time.process_time() - started < 10
        assert len(holdout) == 200_000

    def test_two_rows_make_two_parts(self):
        train, holdout = split(pd.DataFrame({"x": [1, 2], "y": [1.0, 2.0]}), "y", REGRESSION, share=0.01)
        assert (len(train), len(holdout)) == (1, 1)

    @pytest.mark.parametrize("values", [[], [1.0], [None, None, 3.0]])
    def test_too_few_rows_are_said(self, values):
        frame = pd.DataFrame({"x": range(len(values)), "y": pd.Series(values, dtype="float64")})
        with pytest.raises(TrainingFailed, match=r"usable value in \"y\""):
            split(frame, "y", REGRESSION)

    def test_a_class_of_one_row_is_named(self):
        with pytest.raises(TrainingFailed, match='class of "y" has only one row'):
            split(labelled({"a": 50, "lonely": 1}), "y", BINARY)

    @pytest.mark.parametrize(
        ("dtype", "values", "plain"),
        [
            ("boolean", [True, False, None] * 10, "bool"),
            ("Int64", [0, 1, None] * 10, "int64"),
            ("string", ["a", "b", None] * 10, "object"),
            ("category", ["a", "b", None] * 10, "object"),
            ("float64", [0.0, 1.0, None] * 10, "int64"),
        ],
    )
    def test_targets_lose_nullable_types_and_idle_fractions(self, dtype, values, plain):
        frame = pd.DataFrame({"x": range(30), "y": pd.Series(values, dtype=dtype)})
        train, _ = split(frame, "y", BINARY)
        assert str(train["y"].dtype) == plain

    def test_the_frame_given_stays_as_it_is(self):
        frame = wine()
        before = frame.copy()
        split(frame, "cultivar", MULTICLASS)
        pd.testing.assert_frame_equal(frame, before)


@pytest.mark.slow
class TestFit:
    def test_events_tell_the_fit_from_start_to_end(self, tmp_path):
        events = []
        families = ("LR", "CAT")
        result = fit(cancer(), "outcome", BINARY, tmp_path / "p", on_event=events.append, families=families)
        kinds = [event.kind for event in events]
        assert kinds[0] == "started"
        assert kinds[-1] == "fit_finished"
        finished = [event for event in events if event.kind == "model_finished"]
        assert {"LinearModel", "CatBoost"} <= {event.model for event in finished}
        assert all(0.5 < event.val_score <= 1 and event.fit_seconds > 0 for event in finished)
        assert all(event.metric == "accuracy" for event in events)
        assert events[-1].model == result.best_model
        assert events[-1].fit_seconds == result.fit_seconds > 0

    def test_validation_scores_of_errors_are_negative(self, tmp_path):
        events = []
        fit(diabetes(), "progression", REGRESSION, tmp_path / "p", on_event=events.append)
        scores = [event.val_score for event in events if event.kind == "model_finished"]
        assert scores
        assert all(score < 0 for score in scores)

    def test_the_same_seed_gives_the_same_predictor(self, tmp_path):
        train, holdout = split(diabetes(), "progression", REGRESSION)
        first, again, other = (
            fit(
                train, "progression", REGRESSION, tmp_path / str(n), seed=seed, families=("CAT",)
            ).predictor.predict(holdout)
            for n, seed in enumerate((1, 1, 2))
        )
        pd.testing.assert_series_equal(first, again)
        assert not first.equals(other)

    @pytest.mark.parametrize("changes", [{}, {"balance_classes": True}], ids=["plain", "balanced"])
    def test_rows_that_stand_twice_are_learned_or_chosen_by_but_not_both(self, tmp_path, changes):
        twice = pd.concat([cancer(), cancer()], ignore_index=True)
        predictor = fit(twice, "outcome", BINARY, tmp_path / "p", **changes).predictor
        learned, chosen_by = (
            set(map(tuple, predictor.load_data_internal(part)[0].iloc[:, :3].to_numpy()))
            for part in ("train", "val")
        )
        assert len(learned) + len(chosen_by) == len(cancer().drop_duplicates())
        assert not learned & chosen_by
        assert set(predictor.class_labels) == {"benign", "malignant"}

    @pytest.mark.parametrize("preset", [Preset.QUICK, Preset.BALANCED])
    def test_no_class_is_dropped(self, tmp_path, preset):
        frame = labelled({"common": 120, "rare": 3, "rarer": 2})
        result = fit(frame, "y", MULTICLASS, tmp_path / "p", preset=preset)
        assert set(result.predictor.class_labels) == {"common", "rare", "rarer"}

    def test_a_class_of_one_training_row_is_learned_by_quick_and_refused_by_bags(self, tmp_path):
        frame = labelled({"a": 60, "b": 60, "single": 1})
        result = fit(frame, "y", MULTICLASS, tmp_path / "quick")
        assert set(result.predictor.class_labels) == {"a", "b", "single"}
        with pytest.raises(TrainingFailed, match=r'class of ".*" has only one row') as refused:
            fit(frame, "y", MULTICLASS, tmp_path / "balanced", preset=Preset.BALANCED)
        assert "Quick" in refused.value.hint

    def test_balanced_refits_the_best_model_for_use(self, tmp_path):
        result = fit(cancer(), "outcome", BINARY, tmp_path / "p", preset=Preset.BALANCED)
        assert result.best_model.endswith("_FULL")
        assert len(result.predictor.predict(cancer().head(3))) == 3

    def test_a_failed_model_does_not_fail_the_fit(self, tmp_path, monkeypatch):
        from autogluon.tabular.models import LinearModel

        def explode(self, **arguments):
            raise RuntimeError("no luck today")

        events = []
        monkeypatch.setattr(LinearModel, "_fit", explode)
        result = fit(cancer(), "outcome", BINARY, tmp_path / "p", families=("LR", "CAT"), on_event=events.append)
        failed = [event for event in events if event.kind == "model_finished" and event.val_score is None]
        assert {event.model for event in failed} == {"LinearModel"}
        assert "LinearModel" not in result.predictor.model_names()
        assert result.left_out == (LeftOut(name="LinearModel", reason="it failed (RuntimeError)"),)
        assert failed[0].reason == "it failed (RuntimeError)"

    def test_when_every_model_fails_the_reason_is_a_sentence(self, tmp_path, monkeypatch):
        from autogluon.tabular.models import LinearModel

        def explode(self, **arguments):
            raise RuntimeError("no luck today")

        monkeypatch.setattr(LinearModel, "_fit", explode)
        with pytest.raises(TrainingFailed, match="Every model that was tried failed") as failure:
            fit(cancer(), "outcome", BINARY, tmp_path / "p")
        assert failure.value.hint

    def test_no_time_is_said(self, tmp_path, monkeypatch):
        from autogluon.core.utils.exceptions import TimeLimitExceeded
        from autogluon.tabular.models import LinearModel

        def too_slow(self, **arguments):
            raise TimeLimitExceeded

        monkeypatch.setattr(LinearModel, "_fit", too_slow)
        with pytest.raises(TrainingFailed) as failure:
            fit(cancer(), "outcome", BINARY, tmp_path / "p", time_limit=1)
        assert "within 1 second" in failure.value.message
        assert "more time" in failure.value.hint

    def test_nothing_to_learn_from_is_said(self, tmp_path):
        frame = pd.DataFrame({"constant": 1, "y": ["a", "b"] * 30})
        with pytest.raises(TrainingFailed, match="No column besides the target"):
            fit(frame, "y", BINARY, tmp_path / "p")

    def test_what_the_listener_raises_ends_the_fit(self, tmp_path):
        seen = []

        def cancel(event: FitEvent) -> None:
            seen.append(event)
            if event.kind == "model_finished":
                raise JobCancelled("Cancelled.")

        with pytest.raises(JobCancelled):
            fit(cancer(), "outcome", BINARY, tmp_path / "p", on_event=cancel)
        assert [event.kind for event in seen] == ["started", "model_started", "model_finished"]

    def test_the_time_limit_bounds_the_whole_fit(self, tmp_path):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.normal(size=(30_000, 12)), columns=[f"x{n}" for n in range(12)])
        frame["y"] = frame["x0"] * frame["x1"] + rng.normal(size=30_000)
        started = time.monotonic()
        result = fit(frame, "y", REGRESSION, tmp_path / "p", time_limit=4, families=("CAT",))
        # Left alone it would take a minute; the margin is for a busy machine.
        assert result.fit_seconds <= time.monotonic() - started < 4 + 11

    def test_autogluon_speaks_through_logging_only(self, tmp_path, capfd, caplog):
        with caplog.at_level(logging.WARNING):
            fit(cancer(), "outcome", BINARY, tmp_path / "p")
        assert capfd.readouterr() == ("", "")
        assert logging.getLogger("autogluon").handlers == []


def test_events_are_plain_enough_for_json():
    event = FitEvent(kind="model_finished", metric="accuracy", model="CatBoost", val_score=0.5, fit_seconds=1.0)
    values = {name: getattr(event, name) for name in FitEvent.__slots__}
    assert json.loads(json.dumps(values))["model"] == "CatBoost"
