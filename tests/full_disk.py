"""A disk without room: whatever is opened for writing in the temporary directory becomes ``/dev/full``, so that the
system itself refuses each byte (ENOSPC), with or without rights to mount something small."""

import builtins
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def fill() -> list[str]:
    """From here on the disk is full for this process; returns the files that were tried, as they come."""
    opened, tried = io.open, []
    scratch = tempfile.gettempdir()

    def open_there(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        made = opened(file, mode, *rest, **named)
        if set(mode) & set("wax+") and isinstance(file, str | Path) and str(file).startswith(scratch):
            tried.append(str(file))
            full = os.open("/dev/full", os.O_RDWR)
            os.dup2(full, made.fileno())
            os.close(full)
        return made

    builtins.open = io.open = open_there  # type: ignore[assignment]
    return tried


@contextmanager
def full_disk() -> Iterator[list[str]]:
    """The same for a while."""
    before = io.open
    try:
        yield fill()
    finally:
        builtins.open = io.open = before
