"""Whether this worker has been told to stop, so that a training ends in good time and is not lost.

Two ways: SIGTERM to the worker itself (a service manager signals every process of a service), and SIGTERM to the
main process of its cluster (a container's stop), which django-q2 answers by waiting for its workers, hours if need
be, without telling them. The cluster announces it in memory that its workers share.
"""

import mmap
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Shared with every process that is forked after this line; without a lock, which a killed worker could keep.
_announced = mmap.mmap(-1, 1)
_terminated = threading.Event()


def announce() -> None:
    """Tell all workers of this cluster. Called in its main process."""
    _announced[0] = 1


def retract() -> None:
    """Forget it: the process goes on after all (tests)."""
    _announced[0] = 0


def asked() -> bool:
    return _announced[0] == 1 or _terminated.is_set()


def asked_within(seconds: float) -> bool:
    """Whether it is asked now or soon: whoever ends many processes reaches some of them first."""
    return _announced[0] == 1 or _terminated.wait(seconds)


@contextmanager
def heeding() -> Iterator[None]:
    """Meanwhile SIGTERM is a request; it takes its effect at the end. In other threads than the main one: nothing,
    because a signal cannot be caught there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
        if _terminated.is_set():
            _terminated.clear()
            os.kill(os.getpid(), signal.SIGTERM)


def _note(number: int, frame: FrameType | None) -> None:
    _terminated.set()
