"""What is left of the cells of a small table once its columns were looked at: to compare these with each other,
without reading any of them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ml.column_looks import Look
from ml.column_scan import Scanner
from ml.column_types import is_missing
from ml.column_values import Cells, seconds_of

# So many rows tell as much about how columns go together as all of them.
MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``cells`` of every so many rows; ``known`` are the hashes of the values of counted columns and of the words
    for "missing", ``nothing`` that of an empty cell."""

    looks: Mapping[int, Look]
    cells: Cells
    rows: int
    known: Mapping[str, np.uint64]
    nothing: np.uint64

    @classmethod
    def of(cls, scanner: Scanner, looks: Mapping[int, Look], cells: Cells) -> Self:
        """About ``MAX_ROWS`` rows at equal distances."""
        rows = len(next(iter(cells.hashes.values())))
        thinned = cells.thinned(max(1, round(rows / MAX_ROWS)))
        texts = sorted({text for look in looks.values() for text in _texts(look)})
        nothing, *hashes = scanner.hashes_of([None, *texts])
        return cls(
            looks=looks,
            cells=thinned,
            rows=len(next(iter(thinned.hashes.values()))),
            known=dict(zip(texts, hashes, strict=True)),
            nothing=nothing,
        )

    def texts(self, index: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """What tells the values of a column apart, and which of them are missing."""
        hashes = self.cells.hashes[index]
        gaps = [self.known[word] for word in self.looks[index].gaps if word in self.known and is_missing(word)]
        return hashes, np.isin(hashes, np.array([self.nothing, *gaps], dtype=np.uint64))

    def numbers(self, index: int, *, dates: bool) -> NDArray[np.float64] | None:
        """The numbers of a column, or its dates as seconds, NaN where there is none; None where it was not looked
        at in this way."""
        look = self.looks[index]
        if look.values is None:
            return self.cells.numbers.get(index) if (look.dates is not None) == dates else None
        meant = {self.known[value.text]: seconds_of(value.date) if dates else value.number for value in look.values}
        keys = np.array(sorted(meant), dtype=np.uint64)
        if not len(keys):
            return np.full(self.rows, np.nan)
        values = np.array([meant[key] for key in keys], dtype=np.float64)
        hashes = self.cells.hashes[index]
        places = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        return np.where(keys[places] == hashes, values[places], np.nan)


def _texts(look: Look) -> Iterable[str]:
    yield from look.gaps
    yield from (value.text for value in look.values or ())
