"""Stopping a fit early: what there is stays, and nothing more is begun."""

import threading
import time

import pytest

from ml import interruption
from ml.flight_plan import Machine, Table, make_plan
from ml.problem import Preset, ProblemType
from tests.unit.ml_samples import cancer, fit, split

pytestmark = pytest.mark.slow
# Fitted in this order; the last one takes long enough to be interrupted.
FAMILIES = ("GBM", "NN_TORCH")


class Fit:
    """A fit of several models that is asked to stop as soon as ``when`` holds for an event."""

    def __init__(self, directory, when):
        self.events = []
        self.asked = None
        self.when = when
        train, _ = split(cancer(), "outcome", ProblemType.BINARY)
        self.result = fit(
            train,
            "outcome",
            ProblemType.BINARY,
            directory / "p",
            families=FAMILIES,
            on_event=self.note,
            should_stop=lambda: self.asked is not None,
            time_limit=60,
        )

    def note(self, event):
        self.events.append(event)
        if self.asked is None and self.when(event):
            self.asked = time.monotonic()
            # The watch looks every now and then; a model may be quicker.
            time.sleep(3 * interruption._LOOK_SECONDS)

    def of(self, kind):
        return [event.model for event in self.events if event.kind == kind]


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(interruption, "_LOOK_SECONDS", 0.05)


def test_no_model_is_begun_after_the_wish_but_what_there_is_is_blended(tmp_path):
    done = Fit(tmp_path, lambda event: event.kind == "model_finished")
    assert done.result.stopped_early
    assert done.of("model_started") == ["LightGBMXT", "WeightedEnsemble_L2"]
    left_out = {model.name: model.reason for model in done.result.left_out}
    assert set(done.of("model_left_out")) == set(left_out) >= {"LightGBM", "NeuralNetTorch"}
    assert set(left_out.values()) == {"the best so far was wanted before it was done"}
    assert done.result.predictor.model_names(can_infer=True) == ["LightGBMXT", "WeightedEnsemble_L2"]


def test_the_first_model_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(interruption, "GRACE_SECONDS", 0.0)
    done = Fit(tmp_path, lambda event: event.kind == "started")
    assert done.result.stopped_early
    assert done.result.best_model in {"LightGBMXT", "WeightedEnsemble_L2"}


def test_a_model_that_runs_is_interrupted_after_a_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(interruption, "GRACE_SECONDS", 0.2)
    done = Fit(tmp_path, lambda event: event.model == "NeuralNetTorch" and event.kind == "model_started")
    [network] = [e for e in done.events if e.kind == "model_finished" and e.model == "NeuralNetTorch"]
    assert network.val_score is None
    assert network.reason == "the best so far was wanted before it was done"
    assert "NeuralNetTorch" not in done.result.predictor.model_names()
    assert done.result.predictor.model_names(can_infer=True) == ["LightGBMXT", "LightGBM", "WeightedEnsemble_L2"]


def test_a_model_that_does_not_look_at_the_clock_is_interrupted_when_the_time_is_long_over(tmp_path, monkeypatch):
    from autogluon.tabular.models import LinearModel

    def deaf(self, **arguments):
        time.sleep(60)
        awake.append(self)

    awake = []
    monkeypatch.setattr(interruption, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(LinearModel, "_fit", deaf)
    train, _ = split(cancer(), "outcome", ProblemType.BINARY)
    families = ("GBM", "LR")
    result = fit(train, "outcome", ProblemType.BINARY, tmp_path / "p", families=families, time_limit=15)
    assert not awake
    assert (result.stopped_early, result.ran_out_of_time) == (False, True)
    assert {model.name: model.reason for model in result.left_out}["LinearModel"] == "no time was left for it"
    assert "LightGBM" in result.predictor.model_names(can_infer=True)


def test_a_fit_that_nobody_stops_tries_everything(tmp_path):
    done = Fit(tmp_path, lambda event: False)
    assert not done.result.stopped_early
    assert {"LightGBMXT", "LightGBM", "NeuralNetTorch"} <= set(done.of("model_started"))
    planned = make_plan(
        Table(rows=100, numbers=3, categories=0, texts=0, classes=2),
        problem_type=ProblemType.BINARY,
        preset=Preset.QUICK,
        time_limit=600,
        keys=("GBM", "NN_TORCH"),
        usable=("GBM", "NN_TORCH"),
        machine=Machine(cores=2, memory=2**33),
    )
    assert [model.name for model in planned.models] == done.of("model_started")
    assert not [thread for thread in threading.enumerate() if thread.name == "stop watch"]
