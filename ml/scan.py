"""DuckDB over a normalised CSV file: every column as text, and the type rules of ml.column_types in SQL."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.column_types import BLANKS, BOOLEAN_PAIRS, DATE_PATTERN, LONGEST_MISSING, MISSING, NUMERIC_PATTERN
from ml.records import MAX_RECORD_BYTES

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "256MB"
THREADS = 2
# Quoting makes of a record of other delimiters, such as ";,;,", at most three times as much.
_LONGEST_LINE = 3 * MAX_RECORD_BYTES + (1 << 20)
_HEAD_BYTES = 256 << 10
_HEAD_ROWS = 10_000


def read_head(path: Path) -> tuple[tuple[str, ...], list[list[str]]]:
    """The column names of a normalised file, and per column the values of its first rows (about 256 KiB)."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = tuple(next(reader))
        rows: list[list[str]] = []
        size = 0
        for row in islice(reader, _HEAD_ROWS):
            rows.append(row)
            size += sum(map(len, row))
            if size > _HEAD_BYTES:
                break
    return names, [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]


class Table:
    """A normalised file in DuckDB; its columns are c0, c1 …, so that the file's own names never enter SQL."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection

    def select(self, what: str, columns: Iterable[int], *, then: str = "") -> "duckdb.DuckDBPyConnection":
        """SELECT over some columns: all text, trimmed, NULL when missing. ``then`` follows, such as a GROUP BY."""
        numbers = list(columns)
        trimmed = ", ".join(f"{_trimmed(f'c{number}')} AS c{number}" for number in numbers)
        cleaned = ", ".join(f"{_without_missing(f'c{number}')} AS c{number}" for number in numbers)
        return self._connection.execute(
            f"SELECT {what} FROM (SELECT {cleaned} FROM (SELECT {trimmed} FROM raw)) {then}"  # noqa: S608 - all ours
        )

    def count(self) -> int:
        [(rows,)] = self._connection.execute("SELECT count(*) FROM raw").fetchall()
        return int(rows)


@contextmanager
def open_table(path: Path, width: int, *, memory_limit: str = MEMORY_LIMIT) -> Iterator[Table]:
    """The file, read anew by every query, within the memory limit."""
    import duckdb

    settings: dict[str, Any] = {
        "memory_limit": memory_limit,
        "threads": THREADS,
        # Beside the file, in the workspace that its owner removes.
        "temp_directory": str(path.parent / f".{path.name}.spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(width))
        connection.execute(
            f"CREATE VIEW raw AS SELECT * FROM read_csv({quoted(str(path))}, auto_detect = false, "  # noqa: S608
            f"header = false, skip = 1, columns = {{{columns}}}, delim = ',', quote = '\"', escape = '\"', "
            f"new_line = '\\n', nullstr = '', max_line_size = {_LONGEST_LINE}, buffer_size = {_LONGEST_LINE}, "
            "strict_mode = true)"
        )
        yield Table(connection)
    finally:
        connection.close()


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


_BLANKS_SQL = "concat(' ', chr(9), chr(13), chr(10))"


def _trimmed(column: str) -> str:
    # Trimming costs more than all the rest, so only values that begin or end with a blank pay for it: all blanks
    # sort before "!", and are single bytes.
    blank_end = " OR ".join(f"suffix({column}, chr({ord(blank)}))" for blank in BLANKS)
    return f"CASE WHEN {column} < '!' OR {blank_end} THEN trim({column}, {_BLANKS_SQL}) ELSE {column} END"


def _without_missing(column: str) -> str:
    # Most values are excused by their first letter or their length. Short lists, as DuckDB makes a join of a long
    # one, which costs megabytes for each column.
    words = [", ".join(map(quoted, MISSING[start : start + 4])) for start in range(0, len(MISSING), 4)]
    missing = " OR ".join(f"lower({column}) IN ({some})" for some in words)
    return (
        f"CASE WHEN {column} >= '0' AND {column} < ':' THEN {column} WHEN strlen({column}) > {LONGEST_MISSING} "
        f"THEN {column} WHEN {missing} THEN NULL ELSE {column} END"
    )


def is_integer_sql(column: str) -> str:
    """Whether a trimmed value is an integer, given that it is numeric."""
    return f"(TRY_CAST({column} AS BIGINT) IS NOT NULL AND NOT regexp_matches({column}, '[.eE]'))"


def is_numeric_sql(column: str) -> str:
    # Casting is quicker than matching and tells nearly everything; what it lets pass besides (inf, 1_000, 007)
    # begins otherwise than with 1 to 9, or has an underscore.
    usual = f"({column} >= '1' AND {column} < ':' AND NOT contains({column}, '_'))"
    return (
        f"(TRY_CAST({column} AS DOUBLE) IS NOT NULL AND isfinite(TRY_CAST({column} AS DOUBLE)) "
        f"AND ({usual} OR regexp_full_match({column}, '{NUMERIC_PATTERN}')))"
    )


def is_boolean_sql(column: str, pair: int) -> str:
    """Whether a trimmed value is one of the two words of BOOLEAN_PAIRS[pair]."""
    return f"(lower({column}) IN ({', '.join(map(quoted, BOOLEAN_PAIRS[pair]))}))"


def is_date_sql(column: str) -> str:
    return (
        f"CASE WHEN {column} LIKE '____-__-__%' THEN regexp_full_match({column}, '{DATE_PATTERN}') "
        f"AND {column} >= '0001' AND TRY_CAST({column} AS TIMESTAMP) IS NOT NULL ELSE false END"
    )


def is_one_word_sql(column: str) -> str:
    return f"(NOT regexp_matches({column}, '[ \\t\\n]'))"
