"""Temporary directories that are always removed: by their maker, or by the sweep when the maker was killed.

A name carries the maker's process id and start time (``model_4711_889201_x7k2…``), so the sweep can tell a
directory in use from one whose process is gone, even after its id has been given to another process.
"""

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psutil

_PROC = Path("/proc/self/stat")
_log = logging.getLogger(__name__)
_NAME = re.compile(r"(?:kaggle|dataset|model)_(?P<pid>[0-9]{1,10})_(?P<started>[0-9]{1,20})_[a-z0-9_]{8}")


@contextmanager
def workspace(kind: Literal["kaggle", "dataset", "model"]) -> Iterator[Path]:
    """A private directory (mode 0700) for the length of the ``with`` block.

    A failure to make it is raised; a failure to remove it is logged, and the sweep tries again once this
    process has ended.
    """
    pid = os.getpid()
    path = Path(tempfile.mkdtemp(prefix=f"{kind}_{pid}_{_start_time(pid)}_"))
    try:
        yield path
    finally:
        _remove(path)


def sweep_workspaces() -> list[str]:
    """Remove the workspaces whose process is gone; returns the names of those removed."""
    removed: list[str] = []
    for path in sorted(Path(tempfile.gettempdir()).iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None or not _is_own_directory(path):
            continue
        if str(_start_time(int(match["pid"]))) == match["started"]:
            continue
        if _remove(path):
            removed.append(path.name)
    return removed


def _remove(path: Path) -> bool:
    """Whether nothing is left of ``path``."""
    try:
        shutil.rmtree(path)
    except OSError:
        # Go on with what can be removed, then say what could not.
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            _log.exception("The workspace %s could not be removed.", path)
            return False
    return True


def _is_own_directory(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return not path.is_symlink() and path.is_dir() and status.st_uid == os.getuid()


def _start_time(pid: int) -> int | None:
    """When the process started, in a unit that only has to be stable; None when it is gone or a zombie."""
    if not _PROC.exists():
        return _start_time_without_proc(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything; what follows it is state, parent, … and, as the 20th, the start
    # in clock ticks since boot, which unlike a wall-clock time never shifts.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def _start_time_without_proc(pid: int) -> int | None:
    """The same where there is no /proc (macOS)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 100)
    except psutil.NoSuchProcess:
        return None
