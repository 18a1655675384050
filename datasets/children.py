"""A child process for heavy work on rows: without secrets, in bounded memory, never outliving its worker."""

import json
import logging
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import psutil
from django.conf import settings

from datasets.processes import MARK, PASSED_ON, TRACE, become_subreaper, end_tree
from smartml.errors import SmartMLError

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.25
EXIT_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 1.0
TRACE_BYTES: Final = 8_000
# Of libraries that would otherwise start a thread, with its buffers, for each core of a large machine.
_THREADS: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "2"
)

Event = dict[str, Any]


class ChildFailed(SmartMLError):
    """The child ended without a result; ``code`` says how."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.code = code


def _out_of_memory(what: str) -> ChildFailed:
    return ChildFailed(
        "out_of_memory",
        f"The process that {what} was ended, most likely because memory ran out.",
        "Try again when less is going on; a machine with more memory helps.",
    )


def _crashed(what: str) -> ChildFailed:
    return ChildFailed(
        "crashed",
        f"The process that {what} stopped unexpectedly.",
        "Try again; if it happens again, tell the operator.",
    )


def run(
    module: str,
    request: Mapping[str, Any],
    *,
    scratch: Path,
    memory_bytes: int,
    on_event: Callable[[Event], None],
    check: Callable[[], None],
    what: str = "looked at the table",
) -> None:
    """Run ``python -m module`` to its end: one request in, JSON events out (see ``ml.profiler``).

    :param memory_bytes: what its process may have in memory before it is ended.
    :param check: called several times a second; whatever it raises ends the child.
    :param what: what it does, for people who read that it was ended.
    :raises ChildFailed: what the child says, or how it ended without a word.
    """
    done = False
    with _started(module, scratch) as child:
        _send(child, {**request, "trace": str(scratch / TRACE)})
        for event in _events(child, memory_bytes, check, what):
            if "error" in event:
                _log(module, scratch)
                raise ChildFailed(**event["error"])
            done = done or "done" in event
            on_event(event)
        code = child.wait(EXIT_SECONDS)
    if code == 0 and done:
        return
    _log(module, scratch)
    raise _out_of_memory(what) if code == -9 else _crashed(what)


@contextmanager
def _started(module: str, scratch: Path) -> Iterator["subprocess.Popen[bytes]"]:
    become_subreaper()
    mark = secrets.token_hex(12)
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with (scratch / "child.log").open("wb") as log:  # may quote cells: it goes with the workspace
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=settings.BASE_DIR,
            env=_THREADS | environment | {MARK: mark, "HOME": str(scratch), "TMPDIR": str(scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        end_tree(child, mark=mark, grace_seconds=GRACE_SECONDS)
        for pipe in (child.stdin, child.stdout):
            _close(pipe)


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:
        logger.debug("A child had ended before it read its request.")


def _send(child: "subprocess.Popen[bytes]", request: Mapping[str, Any]) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(request, ensure_ascii=False).encode() + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        logger.warning("A child ended before it read its request.")


def _events(
    child: "subprocess.Popen[bytes]", memory_bytes: int, check: Callable[[], None], what: str
) -> Iterator[Event]:
    """What the child says, until it says nothing more."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True, name="child-events")
    reader.start()
    looked = time.monotonic()
    while True:
        check()
        if time.monotonic() - looked >= POLL_SECONDS:
            looked = time.monotonic()
            if _resident(child) > memory_bytes:
                raise _out_of_memory(what)
        try:
            line = lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if not line:
            return
        yield json.loads(line)


def _read(source: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    try:
        for line in source:
            lines.put(line)
    except ValueError:
        logger.debug("A child was ended in the middle of what it said.")
    lines.put(b"")


def _resident(child: "subprocess.Popen[bytes]") -> int:
    try:
        return int(psutil.Process(child.pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _log(module: str, scratch: Path) -> None:
    try:
        trace = (scratch / TRACE).read_bytes()[-TRACE_BYTES:].decode("utf-8", "replace")
    except OSError:
        trace = "(it left no trace)"
    logger.warning("The child %s ended without a result.\n%s", module, trace)
