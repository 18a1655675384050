"""Ending a child process and everything it has started, without leaving one behind.

A child is a tree: itself, and whatever libraries start under it, some in groups of their own. Everything in
the tree inherits one environment variable, so it can be found wherever it went.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

MARK = "AUTOML_JOB"
# Beside the outcome: where the child failed, without a value of anybody's rows. Its own log may quote cells, so
# that goes with the workspace and is never copied.
TRACE = "trace.txt"
# What a child that opens other people's files, or pickles, needs of the environment: no secret is among it.
PASSED_ON = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    *("OMP_NUM_THREADS", "AG_CPU_COUNT"),
)
# What a child says by its exit code alone, because it cannot write any more (ENOSPC).
DISK_FULL_EXIT = 28
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_END_SECONDS = 10.0


def become_subreaper() -> None:
    """Make orphans of the tree our children, so that they can be waited for and leave no zombies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_forks_with_parent() -> None:
    """From now on every process that is forked here, or by such a process, gets SIGTERM when its parent is gone,
    however that went (Linux only). What is started by a command of its own is not meant."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    parent = [os.getpid()]

    def note() -> None:
        parent[0] = os.getpid()

    def follow() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent[0]:
            os._exit(1)

    os.register_at_fork(before=note, after_in_child=follow)


def end_tree(leader: "subprocess.Popen[bytes]", *, mark: str, grace_seconds: float) -> None:
    """End ``leader``, its process group, its descendants, and everybody whose environment carries ``mark``.

    A leader that is alive gets SIGTERM and ``grace_seconds``, everybody else SIGKILL.
    """
    family = _descendants(leader)
    if leader.poll() is None:
        _signal_group(leader, signal.SIGTERM)
        try:
            leader.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            _signal_group(leader, signal.SIGKILL)
            leader.wait(_END_SECONDS)
    give_up = time.monotonic() + _END_SECONDS
    # Again until nobody is found: a process may have forked while the list was being made.
    while family or (family := list(carriers(mark))):
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(family, timeout=1.0)
        if alive and time.monotonic() > give_up:
            raise RuntimeError(f"Processes of {mark} did not end: {[process.pid for process in alive]}")
        family = alive


def carriers(mark: str) -> Iterator[psutil.Process]:
    """Processes started with ``AUTOML_JOB=mark``, without this one."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


def _descendants(leader: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    try:
        return list(psutil.Process(leader.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _signal_group(leader: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Signal the group of a leader that has not been waited for, so that its number cannot be somebody else's."""
    try:
        os.killpg(leader.pid, number)
    except ProcessLookupError:
        return
