"""Predictions from a web process: the parent side of the ``ml.serving`` child.

A model is a pickle, so it is opened in one child process, started on the first prediction with an environment
that holds no secret. The child keeps loaded models in memory within ``PREDICTOR_CACHE_BYTES``; the zip is
verified and unpacked here, in a workspace that is removed as soon as the child has loaded it.
"""

import atexit
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings

from datasets.processes import PASSED_ON
from models_app import opening
from models_app.followups import HOLDOUT
from models_app.records import Model, ModelVersion
from smartml.errors import IntegrityError, InvalidInput, ServiceUnavailable, SmartMLError, VersionMismatch
from storage.blobs import get_blobs
from storage.workspace import workspace

logger = logging.getLogger(__name__)
T = TypeVar("T")

# The first load imports AutoGluon (2 to 5 s) and unpickles; a large model on a busy machine takes longer.
LOAD_SECONDS = 120.0
PREDICT_SECONDS = 30.0
WAIT_SECONDS = 60.0
_ERRORS: dict[str, type[SmartMLError]] = {
    error.code: error for error in (InvalidInput, IntegrityError, VersionMismatch)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``prediction``: a class name or a number; ``probabilities`` by class, None for a regression."""

    prediction: str | float
    probabilities: dict[str, float] | None


class _ChildEnded(Exception):
    """The child ended instead of answering."""


class _Child:
    """One ``python -m ml.serving`` process; one request at a time."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        scratch = self._resources.enter_context(workspace("model"))
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ml.serving"],
            cwd=settings.BASE_DIR,
            env=environment | {"HOME": str(scratch), "TMPDIR": str(scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in the terminal is for the web server; the child ends when its stdin does.
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True, name="predictor-answers")
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """Send one request and wait for its answer.

        :raises TimeoutError: none within ``seconds``; the child cannot be used any more.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request, allow_nan=False).encode() + b"\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=seconds)
        except BrokenPipeError as error:
            raise _ChildEnded from error
        except queue.Empty as error:
            raise TimeoutError from error
        if not line:
            raise _ChildEnded
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the child, which holds nothing worth keeping, and remove its workspace."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            logger.debug("The predictor process had ended before it read its last request.")
        self._process.stdout.close()
        self._resources.close()


class Predictor:
    """Starts the child when it is needed, again when it has died, and lets one request at a time through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    @property
    def child_pid(self) -> int | None:
        return self._child.pid if self._child else None

    def predict(
        self, *, model: Model, version: ModelVersion, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Answer, ...]:
        """Answers for rows made by ``ml.prediction.check_row``.

        :raises ServiceUnavailable: no answer in time, or the child died twice.
        """
        found = self._in_turn(lambda: self._predict(model, version, rows))
        return tuple(Answer(**each) for each in found)

    def explain(self, *, model: Model, version: ModelVersion, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What moves one prediction: ``asked`` is the request of ``ml.serving`` without its key and rows.

        :raises InvalidInput: there is no such row among those held out.
        :raises BlobMissing: the rows held out were not kept when this version was trained.
        :raises ServiceUnavailable: no answer in time, or the child died twice.
        """
        return self._in_turn(lambda: self._with_rows(model, version, {"op": "explain", **asked}, "explanation"))

    def examples(self, *, model: Model, version: ModelVersion) -> list[dict[str, Any]]:
        """Some of the rows held out, see ``ml.example_rows``.

        :raises BlobMissing: they were not kept when this version was trained.
        :raises ServiceUnavailable: no answer in time, or the child died twice.
        """
        return self._in_turn(lambda: self._with_rows(model, version, {"op": "examples"}, "examples"))

    def _in_turn(self, call: Callable[[], T]) -> T:
        """One request at a time; once more when the child has ended meanwhile."""
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise ServiceUnavailable("Many predictions are waiting already.")
        try:
            try:
                return call()
            except _ChildEnded:
                logger.warning("The predictor process ended; it is started again.")
                self._stop()
                return call()
        except (_ChildEnded, TimeoutError) as error:
            self._stop()
            what = "did not answer in time" if isinstance(error, TimeoutError) else "stopped twice"
            raise ServiceUnavailable(
                f"The process that makes predictions {what}.",
                hint="Try again; a model that is too large for this machine's memory needs a larger machine.",
            ) from error
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End the child; the next prediction starts another."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()

    def _predict(
        self, model: Model, version: ModelVersion, rows: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        request = {"op": "predict", "rows": list(rows)}
        found: list[dict[str, Any]] = _checked(self._answer(model, version, request))["predictions"]
        return found

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
        """The child's answer to a request about a version, which is loaded first where it has to be."""
        if self._child is None:
            self._child = _Child()
        key = f"{model.id}:{version.version}:{version.zip_sha256}"
        asked = {**request, "key": key}
        answer = self._child.ask(asked, seconds=PREDICT_SECONDS)
        if answer.get("error", {}).get("code") == "not_loaded":
            self._load(self._child, key, model, version)
            answer = self._child.ask(asked, seconds=PREDICT_SECONDS)
        return answer

    def _load(self, child: _Child, key: str, model: Model, version: ModelVersion) -> None:
        """Verify, unpack and load one model; nothing of it stays on disk."""
        with workspace("model") as scratch:
            directory = opening.fetch(model=model, version=version, scratch=scratch)
            request = {
                "op": "load",
                "key": key,
                "directory": str(directory),
                "budget_bytes": settings.PREDICTOR_CACHE_BYTES,
            }
            _checked(child.ask(request, seconds=LOAD_SECONDS))


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


def stop() -> None:
    """End this process's predictor child, if it has one."""
    _predictor.stop()


atexit.register(stop)
