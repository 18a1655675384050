"""A CSV file for a spreadsheet: what would be run as a formula there is made a text.

A cell that begins with one of ``= + - @``, a tab or a carriage return gets an apostrophe in front, unless it is a
number (OWASP, CSV Injection). Nothing else changes.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Final

from ml.reading import as_csv

_RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,3}(?:[.,' ][0-9]{3})+(?:[.,][0-9]*)?|[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?",
    re.ASCII,
)
_ROWS: Final = 5_000


def made_safe(cell: str) -> str:
    """The cell as a spreadsheet may have it."""
    return f"'{cell}" if cell.startswith(_RISKY) and not _NUMBER.fullmatch(cell) else cell


def for_spreadsheets(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A UTF-8 CSV (commas, double quotes) as it goes by, some thousand rows at a time."""
    rows = csv.reader(_Lines(chunks))
    part: list[list[str]] = []
    for row in rows:
        part.append([made_safe(cell) for cell in row])
        if len(part) == _ROWS:
            yield as_csv(part)
            part = []
    if part:
        yield as_csv(part)


class _Lines:
    """Text line by line, with its ends as they are."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._text = io.TextIOWrapper(io.BufferedReader(_Raw(iter(chunks)), 1 << 20), encoding="utf-8", newline="")

    def __iter__(self) -> Iterator[str]:
        return iter(self._text)


class _Raw(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
