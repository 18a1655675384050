"""Ending a fit early without losing what it has: no further model is begun, the one that runs is given a moment."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ml.callbacks import Listener

# How long a model that runs may go on after the wish to stop.
GRACE_SECONDS = 15.0
_LOOK_SECONDS = 0.5


@contextmanager
def stopping_early(listener: Listener, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Meanwhile a thread asks ``should_stop``; from the first yes on ``listener`` lets no further model begin.

    A model that still runs after GRACE_SECONDS is interrupted with the exception that AutoGluon takes for its
    own lack of time, so that it is left out and everything before it stays. It is raised by a signal, which only
    the main thread can receive: elsewhere the model is waited for. Native code is interrupted when it comes back
    to Python.
    """
    if threading.current_thread() is not threading.main_thread():
        with _watching(lambda: _note(listener, should_stop)):
            yield
        return
    from autogluon.core.utils.exceptions import TimeLimitExceeded

    def interrupt(number: int, frame: FrameType | None) -> None:
        if listener.may_be_interrupted:
            listener.interrupted()
            raise TimeLimitExceeded

    asked: list[float] = []

    def look() -> None:
        if _note(listener, should_stop):
            asked.append(time.monotonic())
            if time.monotonic() - asked[0] >= GRACE_SECONDS and listener.may_be_interrupted:
                os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with _watching(look):
            yield
    finally:
        signal.signal(signal.SIGUSR1, before if before is not None else signal.SIG_DFL)


def _note(listener: Listener, should_stop: Callable[[], bool]) -> bool:
    listener.stops = listener.stops or should_stop()
    return listener.stops


@contextmanager
def _watching(look: Callable[[], object]) -> Iterator[None]:
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            look()

    thread = threading.Thread(target=watch, name="stop watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
