"""Rows that repeat an earlier one, counted by hashes of 64 bits, whatever the size of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import duckdb

Hashes = NDArray[np.uint64]
# As many hashes take 32 MB. Of more rows, parts are compared one after the other, each chosen by the hash itself,
# so that equal rows are in the same part. Each is another pass over the file, so of very many rows only some are.
MAX_HASHES = 4_000_000
MAX_PARTS = 2
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
    if 0 < len(telling) < width:
        found = _count(connection, telling, rows)
        if not found[0]:
            return found
    if width <= _COLUMNS_AT_ONCE:
        return _count(connection, range(width), rows)
    if rows > MAX_HASHES:
        return None, False
    row_hashes = _hashes(connection, range(_COLUMNS_AT_ONCE))
    for start in range(_COLUMNS_AT_ONCE, width, _COLUMNS_AT_ONCE):
        part = range(start, min(start + _COLUMNS_AT_ONCE, width))
        row_hashes = fold(row_hashes, _hashes(connection, part))
    return repeated(row_hashes), True


def _count(connection: duckdb.DuckDBPyConnection, columns: Sequence[int], rows: int) -> tuple[int, bool]:
    parts = max(1, -(-rows // MAX_HASHES))
    compared = min(parts, MAX_PARTS)
    found = sum(repeated(_hashes(connection, columns, f"WHERE h % {parts} = {part}")) for part in range(compared))
    return round(found * parts / compared), compared == parts


def _hashes(connection: duckdb.DuckDBPyConnection, columns: Sequence[int], where: str = "") -> Hashes:
    names = ", ".join(f"c{index}" for index in columns)
    sql = f"SELECT h FROM (SELECT hash({names}) AS h FROM raw) {where}"  # noqa: S608 - all ours
    found: Hashes = np.asarray(connection.execute(sql).fetchnumpy()["h"])
    return found
