"""Rows that repeat an earlier one, counted by hashes of 64 bits, whatever the size of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import duckdb

Hashes = NDArray[np.uint64]
# As many hashes fit into 64 MB; of more rows a part is compared, chosen by the hash itself.
MAX_HASHES = 8_000_000
_COLUMNS_AT_ONCE = 100
_ODD = np.uint64(0x9E3779B97F4A7C15)


def repeated(hashes: Hashes) -> int:
    """How many repeat another one; sorts the array in place."""
    hashes.sort()
    return int(np.count_nonzero(hashes[1:] == hashes[:-1]))


def fold(so_far: Hashes, column: Hashes) -> Hashes:
    """Row hashes with one more column in them."""
    so_far *= _ODD
    so_far ^= so_far >> np.uint64(29)
    so_far += column
    return so_far


def count_repeated_rows(
    connection: duckdb.DuckDBPyConnection, *, rows: int, width: int, telling: Sequence[int]
) -> tuple[int | None, bool]:
    """How many rows repeat an earlier one, and whether that is exact; None where it cannot be afforded.

    ``telling`` are the columns that probably tell all rows apart: rows that differ in these need no more looking
    at, which is one quick pass instead of one over every value.
    """
    share = -(-rows // MAX_HASHES)
    if 0 < len(telling) < width and not repeated(_hashes(connection, telling, share)):
        # In the whole table only if all of it was compared.
        return 0, share == 1
    if width <= _COLUMNS_AT_ONCE:
        return repeated(_hashes(connection, range(width), share)) * share, share == 1
    if share > 1:
        return None, False
    row_hashes = _hashes(connection, range(_COLUMNS_AT_ONCE), 1)
    for start in range(_COLUMNS_AT_ONCE, width, _COLUMNS_AT_ONCE):
        part = range(start, min(start + _COLUMNS_AT_ONCE, width))
        row_hashes = fold(row_hashes, _hashes(connection, part, 1))
    return repeated(row_hashes), True


def _hashes(connection: duckdb.DuckDBPyConnection, columns: Sequence[int] | range, share: int) -> Hashes:
    names = ", ".join(f"c{index}" for index in columns)
    where = f" WHERE h % {share} = 0" if share > 1 else ""
    sql = f"SELECT h FROM (SELECT hash({names}) AS h FROM raw){where}"  # noqa: S608 - all ours
    found: Hashes = np.asarray(connection.execute(sql).fetchnumpy()["h"])
    return found
