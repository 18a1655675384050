"""Predictions from a web process: the parent side of the ``ml.serving`` child.

A model is a pickle, so it is opened in a child process, started on the first prediction with an environment that
holds no secret; a second one is started when a model is to be loaded while the first is busy. The children keep
loaded models in memory within ``PREDICTOR_CACHE_BYTES`` together; a zip is verified and unpacked here, in a
workspace that is removed as soon as a child has loaded it.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from django.conf import settings

from models_app import opening, repository
from models_app.followups import HOLDOUT
from models_app.predictor_seat import WAIT_SECONDS, ChildEnded, Seat, busy, held
from models_app.records import Model, ModelVersion
from smartml.errors import IntegrityError, InvalidInput, ServiceUnavailable, SmartMLError, VersionMismatch
from storage.blobs import get_blobs
from storage.workspace import workspace

logger = logging.getLogger(__name__)
T = TypeVar("T")

# The first load imports AutoGluon (2 to 5 s) and unpickles; a large model on a busy machine takes longer.
LOAD_SECONDS = 120.0
PREDICT_SECONDS = 30.0
_ERRORS: dict[str, type[SmartMLError]] = {
    error.code: error for error in (InvalidInput, IntegrityError, VersionMismatch)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``prediction``: a class name or a number; ``probabilities`` by class, None for a regression."""

    prediction: str | float
    probabilities: dict[str, float] | None


class Predictor:
    """Up to ``PREDICTOR_PROCESSES`` children, each started when it is needed and again when it has died. A child
    answers one request at a time; while one loads a model, the others go on answering."""

    def __init__(self) -> None:
        self._seats = [Seat() for _ in range(settings.PREDICTOR_PROCESSES)]
        self._loading: WeakValueDictionary[str, _Loading] = WeakValueDictionary()
        self._loading_lock = threading.Lock()

    @property
    def child_pids(self) -> list[int]:
        return [child.pid for seat in self._seats if (child := seat.child) is not None]

    def predict(
        self, *, model: Model, version: ModelVersion, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Answer, ...]:
        """Answers for rows made by ``ml.prediction.check_row``.

        :raises ServiceUnavailable: no answer in time, or the child died twice.
        """
        request = {"op": "predict", "rows": list(rows)}
        found = self._patiently(lambda: _checked(self._answer(model, version, request))["predictions"])
        return tuple(Answer(**each) for each in found)

    def explain(self, *, model: Model, version: ModelVersion, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What moves one prediction: ``asked`` is the request of ``ml.serving`` without its key and rows.

        :raises InvalidInput: there is no such row among those held out.
        :raises BlobMissing: the rows held out were not kept when this version was trained.
        :raises ServiceUnavailable: no answer in time, or the child died twice.
        """
        request = {"op": "explain", **asked}
        found: dict[str, Any] = self._patiently(lambda: self._with_rows(model, version, request, "explanation"))
        return found

    def examples(self, *, model: Model, version: ModelVersion) -> list[dict[str, Any]]:
        """Some of the rows held out, see ``ml.example_rows``.

        :raises BlobMissing: they were not kept when this version was trained.
        :raises ServiceUnavailable: no answer in time, or the child died twice.
        """
        request = {"op": "examples"}
        found: list[dict[str, Any]] = self._patiently(lambda: self._with_rows(model, version, request, "examples"))
        return found

    def forget(self, *, model_id: str, version: int | None = None) -> None:
        """A deleted model, or one version of it, leaves the memory of the children: at once, or as soon as who is
        talking to one has its answer."""
        begins = f"{model_id}:" if version is None else f"{model_id}:{version}:"
        for seat in self._seats:
            self._doom(seat, [key for key in tuple(seat.keys) if key.startswith(begins)])

    def stop(self) -> None:
        """End the children; the next prediction starts another."""
        for seat in self._seats:
            with seat.lock:
                seat.stop()

    def _doom(self, seat: Seat, keys: Collection[str]) -> None:
        seat.doomed.update(keys)
        if not keys or not seat.lock.acquire(blocking=False):
            return
        try:
            if seat.child is not None:
                seat.ask({"op": "status"}, seconds=PREDICT_SECONDS)
        except (ChildEnded, TimeoutError):
            logger.warning("The predictor process ended, and what it held with it.")
        finally:
            seat.lock.release()

    def _patiently(self, call: Callable[[], T]) -> T:
        """Once more when a child has ended meanwhile."""
        try:
            try:
                return call()
            except ChildEnded:
                logger.warning("The predictor process ended; it is started again.")
                return call()
        except (ChildEnded, TimeoutError) as error:
            what = "did not answer in time" if isinstance(error, TimeoutError) else "stopped twice"
            raise ServiceUnavailable(
                f"The process that makes predictions {what}.",
                hint="Try again; a model that is too large for this machine's memory needs a larger machine.",
            ) from error

    def _with_rows(self, model: Model, version: ModelVersion, request: Mapping[str, Any], what: str) -> Any:
        """The child's answer to what needs the rows held out, which it is given where it has not kept them."""
        answer = self._answer(model, version, request)
        if answer.get("error", {}).get("code") == "no_rows":
            with workspace("model") as scratch:
                path = scratch / "holdout.parquet"
                blobs = get_blobs()
                name = blobs.model_file(model.user_id, model.id, version.version, HOLDOUT, "parquet")
                blobs.download_to(blobs.models_container, name, path)
                answer = self._answer(model, version, {**request, "holdout": str(path)})
        return _checked(answer)[what]

    def _answer(self, model: Model, version: ModelVersion, request: Mapping[str, Any]) -> dict[str, Any]:
        """A child's answer to a request about a version, which is loaded first where it has to be."""
        asked = {**request, "key": f"{model.id}:{version.version}:{version.zip_sha256}"}
        answer = self._ask_holder(asked)
        if answer is not None:
            return answer
        with self._one_load(asked["key"]):
            # Who waited here finds it loaded.
            answer = self._ask_holder(asked)
            return self._load_and_ask(model, version, asked) if answer is None else answer

    def _ask_holder(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer of the child that holds the model; None when none does."""
        key = asked["key"]
        for seat in self._seats:
            if key not in seat.keys:
                continue
            with held(seat):
                if key not in seat.keys:
                    continue  # gone meanwhile
                answer = seat.ask(asked, seconds=PREDICT_SECONDS)
            if answer.get("error", {}).get("code") != "not_loaded":
                return answer
            seat.keys.discard(key)
        return None

    @contextmanager
    def _one_load(self, key: str) -> Iterator[None]:
        """One load at a time of one model; loads of others do not wait."""
        with self._loading_lock:
            loading = self._loading.get(key) or _Loading()
            self._loading[key] = loading
        if not loading.lock.acquire(timeout=WAIT_SECONDS):
            raise busy()
        try:
            yield
        finally:
            loading.lock.release()

    def _load_and_ask(self, model: Model, version: ModelVersion, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Verify and unpack one model while others are answered, then load it; nothing of it stays on disk."""
        key = asked["key"]
        with workspace("model") as scratch:
            directory = opening.fetch(model=model, version=version, scratch=scratch)
            request = {
                "op": "load",
                "key": key,
                "directory": str(directory),
                "budget_bytes": settings.PREDICTOR_CACHE_BYTES // len(self._seats),
            }
            with self._free_seat() as seat:
                loaded = _checked(seat.ask(request, seconds=LOAD_SECONDS))
                seat.keys.difference_update(loaded["evicted"])
                seat.keys.add(key)
                answer = seat.ask(asked, seconds=PREDICT_SECONDS)
        self._forget_the_gone()
        return answer

    @contextmanager
    def _free_seat(self) -> Iterator[Seat]:
        """A child that answers nobody just now, rather one that runs already; else wait for the emptiest."""
        running = sorted(self._seats, key=lambda seat: (seat.child is None, len(seat.keys)))
        for seat in running:
            if seat.lock.acquire(blocking=False):
                try:
                    yield seat
                finally:
                    seat.lock.release()
                return
        with held(min(running, key=lambda seat: len(seat.keys))) as seat:
            yield seat

    def _forget_the_gone(self) -> None:
        """Models that were deleted by another process leave memory with the next load here."""
        keys = {key: key.split(":") for seat in self._seats for key in tuple(seat.keys)}
        try:
            there = repository.stored_versions(model_ids={parts[0] for parts in keys.values()})
        except ServiceUnavailable as error:
            logger.warning("What was deleted elsewhere stays in memory until the next load: %s", error.message)
            return
        known = {f"{model_id}:{version}" for _, model_id, version in there}
        gone = [key for key, (model_id, version, _) in keys.items() if f"{model_id}:{version}" not in known]
        for seat in self._seats:
            self._doom(seat, seat.keys.intersection(gone))


class _Loading:
    """The lock of who loads a model; it goes with the last who waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The child's answer, or its error raised here."""
    error = answer.get("error")
    if error is None:
        return answer
    raise _ERRORS.get(error["code"], ServiceUnavailable)(error["message"])


_predictor = Predictor()
# Of a parent process: kept so that nothing here ever closes or waits for a child that is not ours.
_inherited: list[Predictor] = []


def _after_fork() -> None:
    global _predictor
    _inherited.append(_predictor)
    _predictor = Predictor()


os.register_at_fork(after_in_child=_after_fork)


def predict(*, model: Model, version: ModelVersion, rows: Sequence[Mapping[str, Any]]) -> tuple[Answer, ...]:
    """Answers from this process's predictor."""
    return _predictor.predict(model=model, version=version, rows=rows)


def explain(*, model: Model, version: ModelVersion, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What moves one prediction, from this process's predictor."""
    return _predictor.explain(model=model, version=version, asked=asked)


def examples(*, model: Model, version: ModelVersion) -> list[dict[str, Any]]:
    """Some of the rows held out, from this process's predictor."""
    return _predictor.examples(model=model, version=version)


def forget(*, model_id: str, version: int | None = None) -> None:
    """A deleted model, or one version of it, leaves this process's predictor."""
    _predictor.forget(model_id=model_id, version=version)


def stop() -> None:
    """End this process's predictor children, if it has any."""
    _predictor.stop()


atexit.register(stop)
