"""What a child process does at its start: go with its parent, go before its parent, and speak on a clean line."""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO

# When memory runs out the system ends the child first, not a worker, the web server or the database.
_OOM_SCORE = "800"


def be_first_to_go() -> None:
    """Offer this process to the system for the case that memory runs out (Linux only)."""
    adjustment = Path("/proc/self/oom_score_adj")
    if adjustment.exists():
        adjustment.write_text(_OOM_SCORE)


def follow(lifeline: int) -> None:
    """Go on with this process's work; when the parent is gone, however it went, end its whole process group.

    ``lifeline`` is the reading end of a pipe that only the parent can write to. The process leads its group.
    """
    threading.Thread(target=_follow, args=(lifeline,), daemon=True, name="lifeline").start()


def _follow(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def keep_stdout() -> IO[bytes]:
    """The real stdout, for answers to the parent; whatever libraries print goes to stderr from now on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    return answers
