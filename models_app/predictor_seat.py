"""The child processes of :mod:`models_app.predictor`: one ``python -m ml.serving``, and the seat it is kept in."""

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings

from datasets.processes import PASSED_ON
from smartml.errors import ServiceUnavailable
from storage.workspace import workspace

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60.0
UNLOAD_SECONDS = 30.0
_PIECE = 2**16


class ChildEnded(Exception):
    """The child ended instead of answering."""


class Child:
    """One ``python -m ml.serving`` process; one request at a time."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        scratch = self._resources.enter_context(workspace("model"))
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ml.serving"],
            cwd=settings.BASE_DIR,
            # Threads that wait for the next rows sleep; by themselves they would keep a core busy for a while.
            env=environment | {"HOME": str(scratch), "TMPDIR": str(scratch), "OMP_WAIT_POLICY": "passive"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in the terminal is for the web server; the child ends when its stdin does.
            start_new_session=True,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._answers = self._process.stdout.fileno()

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """Send one request and wait for its answer.

        :raises TimeoutError: none within ``seconds``; the child cannot be used any more.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request, allow_nan=False).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ChildEnded from error
        answer: dict[str, Any] = json.loads(self._read_line(time.monotonic() + seconds))
        return answer

    def _read_line(self, give_up: float) -> bytes:
        """Read by the thread that asks: to hand the answer over from another one takes a turn on a busy machine."""
        readable = select.poll()
        pieces: list[bytes] = []
        readable.register(self._answers, select.POLLIN)
        while not pieces or not pieces[-1].endswith(b"\n"):
            if not readable.poll(max(0.0, 1000 * (give_up - time.monotonic()))):
                raise TimeoutError
            piece = os.read(self._answers, _PIECE)
            if not piece:
                raise ChildEnded
            pieces.append(piece)
        return b"".join(pieces)

    def stop(self) -> None:
        """End the child, which holds nothing worth keeping, and remove its workspace."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            logger.debug("The predictor process had ended before it read its last request.")
        self._process.stdout.close()
        self._resources.close()


class Seat:
    """A child, who is talking to it, and which models it holds as far as is known here."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.child: Child | None = None
        self.keys: set[str] = set()
        # Of deleted models: they leave memory before the child is asked anything else.
        self.doomed: set[str] = set()

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """Ask the child, which is started where there is none. Only for who holds the lock.

        :raises ChildEnded: it has died; it is gone, so asking again starts another.
        :raises TimeoutError: so is one that did not answer.
        """
        if self.child is None:
            self.child = Child()
        try:
            while self.doomed:
                key = self.doomed.pop()
                self.keys.discard(key)
                self.child.ask({"op": "unload", "key": key}, seconds=UNLOAD_SECONDS)
            return self.child.ask(request, seconds=seconds)
        except (ChildEnded, TimeoutError):
            self.stop()
            raise

    def stop(self) -> None:
        child, self.child = self.child, None
        self.keys.clear()
        self.doomed.clear()
        if child is not None:
            child.stop()


@contextmanager
def held(seat: Seat) -> Iterator[Seat]:
    if not seat.lock.acquire(timeout=WAIT_SECONDS):
        raise busy()
    try:
        yield seat
    finally:
        seat.lock.release()


def busy() -> ServiceUnavailable:
    return ServiceUnavailable("Many predictions are waiting already.")
