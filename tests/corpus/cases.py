"""What a file of the corpus is, and what reading it has to give."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Case:
    """``data`` is the file. With ``error`` it is refused in a sentence with these words; else all the rest holds.

    ``first`` is the first row, None where a value is missing. ``bad`` are lines and reasons of what is not read.
    ``dialect`` and ``types`` (by column) are checked as far as they are given. ``asked`` are the fields that the
    file leaves open.
    """

    data: bytes
    error: str = ""
    columns: tuple[str, ...] = ()
    rows: int = 0
    first: tuple[str | None, ...] = ()
    bad: tuple[tuple[int, str], ...] = ()
    dialect: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    comments: int = 0
    blanks: int = 0


def lines(*text: str, end: str = "\n", encoding: str = "utf-8") -> bytes:
    """A text file of these lines, the last one ended too."""
    return "".join(line + end for line in text).encode(encoding)
