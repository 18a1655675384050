"""What a process and everything it has started take of the machine, and how much the machine has."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """``memory_bytes`` held now (what processes share counts once), ``cpu_seconds`` used so far."""

    memory_bytes: int
    cpu_seconds: float


def tree_usage(pid: int) -> Usage:
    """The process ``pid`` with its descendants; nothing when it is gone."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return Usage(memory_bytes=0, cpu_seconds=0.0)
    memory, seconds = 0, 0.0
    for process in family:
        # One that ends meanwhile, or is a zombie, holds nothing.
        with suppress(psutil.Error), process.oneshot():
            memory += _held(process, alone=len(family) == 1)
            times = process.cpu_times()
            seconds += times.user + times.system
    return Usage(memory_bytes=memory, cpu_seconds=seconds)


def _held(process: psutil.Process, *, alone: bool) -> int:
    """Its resident memory; beside others its proportional share, since forked workers share most of theirs."""
    if alone:
        return int(process.memory_info().rss)
    try:
        return int(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):
        # Not Linux, or not ours to look into.
        return int(process.memory_info().rss)


def machine_memory() -> int:
    """Bytes of memory that this process and its children may have: the machine's, or fewer in a container."""
    total = int(psutil.virtual_memory().total)
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            return min(total, int(path.read_text()))
    return total
