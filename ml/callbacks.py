"""What AutoGluon calls during a fit, and how that becomes events."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from ml.left_out import NO_TIME, NOT_WANTED, LeftOut, failure


@dataclass(frozen=True, slots=True, kw_only=True)
class FitEvent:
    """Something that happened during a fit.

    ``val_score``: higher is better (AutoGluon's sign: an error is negative). ``fit_seconds`` is wall time.
    ``model_finished`` without a ``val_score`` means that this model failed and the fit went on without it;
    ``model_left_out``, that it was not begun. Both say the ``reason``.
    """

    kind: Literal["started", "model_started", "model_finished", "model_left_out", "fit_finished"]
    metric: str
    model: str | None = None
    val_score: float | None = None
    fit_seconds: float | None = None
    reason: str = ""


# AutoGluon pickles its callbacks with the trainer after every model. The live handles therefore stay here, and
# the callback carries only a key to them.
_listeners: dict[str, Listener] = {}

_ScoreOf = Callable[[str], float | None]


class Listener:
    """One fit's handles: whom to tell, when models started, and what telling raised."""

    def __init__(self, tell: Callable[[FitEvent], None], metric: str) -> None:
        self.token = secrets.token_hex(8)
        self.metric = metric
        self.failed: dict[str, str] = {}  # model -> type of its exception
        self.skipped: list[str] = []
        self.left_out: dict[str, LeftOut] = {}
        # Set when the person wants what there is, or the time has been over for long: see `ml.interruption`.
        self.stops = False
        self.why_it_stops = NOT_WANTED
        self.fitted = 0
        self._interrupted: str | None = None
        self._tell = tell
        self._running: tuple[str, float] | None = None
        self._raised: BaseException | None = None

    @classmethod
    @contextmanager
    def open(cls, tell: Callable[[FitEvent], None], metric: str) -> Iterator[Listener]:
        listener = cls(tell, metric)
        _listeners[listener.token] = listener
        try:
            yield listener
        finally:
            del _listeners[listener.token]

    def tell(self, event: FitEvent) -> bool:
        """Pass it on; False when the fit must stop. The exception waits for ``reraise``: raised inside
        AutoGluon it might be taken for a failed model."""
        if self._raised is None:
            try:
                self._tell(event)
            except BaseException as error:  # noqa: BLE001 - kept, and raised again outside AutoGluon
                self._raised = error
        return self._raised is None

    def reraise(self) -> None:
        if self._raised is not None:
            raise self._raised

    def is_unwanted(self, model: str) -> bool:
        """Whether a model is not to be begun any more. The first one is, so that there is something to keep; so is
        the ensemble of what there is, which takes a moment."""
        return self.stops and self.fitted > 0 and not _is_ensemble(model)

    @property
    def may_be_interrupted(self) -> bool:
        """Whether a model runs that nobody waits for, and that has not been interrupted yet."""
        running = self._running
        return running is not None and running[0] != self._interrupted and self.is_unwanted(running[0])

    def interrupted(self) -> None:
        """The running model has been told; while AutoGluon puts it away it must not be told again."""
        self._interrupted = None if self._running is None else self._running[0]

    def model_skipped(self, model: str) -> None:
        """AutoGluon will leave it out for lack of time: no event, though it calls back as for any other."""
        self.skipped.append(model)
        self._running = None
        self._leave_out(LeftOut(name=model, reason=NO_TIME))

    def model_unwanted(self, model: str) -> None:
        """It will not be begun, because the best so far is wanted."""
        self._leave_out(LeftOut(name=model, reason=self.why_it_stops))

    def _leave_out(self, model: LeftOut) -> None:
        if model.name not in self.left_out:
            self.left_out[model.name] = model
            self.tell(FitEvent(kind="model_left_out", metric=self.metric, model=model.name, reason=model.reason))

    def model_started(self, model: str) -> bool:
        self._running = (model, time.monotonic())
        return self.tell(FitEvent(kind="model_started", metric=self.metric, model=model))

    def model_finished(self, trained: list[str], failures: Mapping[str, Any], score_of: _ScoreOf) -> bool:
        if self._running is None:
            return self._raised is None
        name, started = self._running
        self._running = None
        seconds = time.monotonic() - started
        if not trained:
            if _found_disk_full(failures.get(name, {})):
                # No fault of this model: none could be kept, and what is left of the fit would seem to be all.
                self._raised = self._raised or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return False
            exception = self.failed[name] = str(failures.get(name, {}).get("exc_type", ""))
            left_out = failure(name, exception)
            if name == self._interrupted:
                left_out = LeftOut(name=name, reason=self.why_it_stops)
            self.left_out[name] = left_out
            return self.tell(
                FitEvent(
                    kind="model_finished",
                    metric=self.metric,
                    model=name,
                    fit_seconds=seconds,
                    reason=left_out.reason,
                )
            )
        goes_on = True
        self.fitted += len(trained)
        for model in trained:
            event = FitEvent(
                kind="model_finished",
                metric=self.metric,
                model=model,
                val_score=score_of(model),
                fit_seconds=seconds,
            )
            goes_on = self.tell(event)
        return goes_on


class ProgressCallback:
    """Turns AutoGluon's calls into events of the listener it holds the key of.

    AutoGluon asks for an ``AbstractCallback``; ``create`` registers this class as one, because inheriting would
    import AutoGluon with this module.
    """

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def create(cls, token: str) -> ProgressCallback:
        from autogluon.core.callbacks import AbstractCallback

        AbstractCallback.register(cls)
        return cls(token)

    def before_trainer_fit(self, trainer: Any, **kwargs: Any) -> None:
        if listener := _listeners.get(self.token):
            listener.tell(FitEvent(kind="started", metric=listener.metric))

    def after_trainer_fit(self, trainer: Any) -> None:
        """The end is told by ``fit`` itself, which knows the best model."""

    def before_model_fit(
        self, trainer: Any, model: Any, time_limit: float | None = None, stack_name: str = "core", level: int = 1
    ) -> tuple[bool, bool]:
        listener = _listeners.get(self.token)
        if listener is None:
            return False, False
        if _out_of_time(trainer, time_limit):
            listener.model_skipped(model.name)
            return False, False
        if listener.is_unwanted(model.name):
            listener.model_unwanted(model.name)
            return False, True
        return not listener.model_started(model.name), False

    def after_model_fit(
        self, trainer: Any, model_names: list[str], stack_name: str = "core", level: int = 1
    ) -> bool:
        listener = _listeners.get(self.token)
        if listener is None:
            return False

        def score_of(name: str) -> float | None:
            score = trainer.get_model_attribute(name, "val_score")
            return None if score is None or score != score else float(score)

        failures = trainer._models_failed_to_train_errors
        return not listener.model_finished(model_names, failures, score_of)


def _found_disk_full(said: Mapping[str, Any]) -> bool:
    """AutoGluon keeps the type and the text of an exception only."""
    return said.get("exc_type") == "OSError" and f"[Errno {errno.ENOSPC}]" in str(said.get("exc_str"))


def _is_ensemble(model: str) -> bool:
    return model.startswith("WeightedEnsemble")


def _out_of_time(trainer: Any, time_limit: float | None) -> bool:
    """Whether AutoGluon is about to skip a model for lack of time (its rule in ``_train_and_save``, 1.6)."""
    if time_limit is None:
        return False
    if trainer._time_limit is None or trainer._time_train_start is None:
        return time_limit <= 0
    left = trainer._time_limit - (time.time() - trainer._time_train_start)
    needed = min(trainer._time_limit * 0.01, 10)
    return time_limit <= 0 or (left < needed and time_limit < needed)
