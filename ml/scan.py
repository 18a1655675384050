"""DuckDB over a normalised CSV file: every column as text, and the type rules of ml.column_types in SQL."""

import csv
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.column_types import BLANKS, BOOLEAN_PAIRS, MISSING, SOFT_MISSING
from ml.records import MAX_RECORD_BYTES
from ml.value_formats import date_sql, has_fraction_sql, integer_sql, number_sql
from ml.value_formats import literal as quoted
from ml.written_otherwise import MEASURE
from smartml.errors import InvalidTable, ServiceUnavailable, trace_without_values

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "Table",
    "date_sql",
    "has_fraction_sql",
    "integer_sql",
    "is_boolean_sql",
    "is_one_word_sql",
    "is_soft_missing_sql",
    "number_sql",
    "open_table",
    "quoted",
    "read_head",
]

logger = logging.getLogger(__name__)

# DuckDB takes some 50 MB more than it counts.
MEMORY_LIMIT = "160MB"
THREADS = 2
# Quoting makes of a record of other delimiters, such as ";,;,", at most three times as much.
_LONGEST_LINE = 3 * MAX_RECORD_BYTES + (1 << 20)
_BUFFER = 4 << 20
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

    @property
    def connection(self) -> "duckdb.DuckDBPyConnection":
        """For queries of another shape, on the view ``raw``: all text, as it is in the file."""
        return self._connection

    def select(
        self, what: str, columns: Iterable[int], *, then: str = "", casts: Sequence[str] = ()
    ) -> "duckdb.DuckDBPyConnection":
        """SELECT over some columns: all text, trimmed, NULL when missing. ``then`` follows, such as a GROUP BY.

        ``casts`` are further columns made of these, each computed once however often ``what`` uses it.
        """
        source = _cleaned(columns)
        if casts:
            source = f"(SELECT *, {', '.join(casts)} FROM {source})"  # noqa: S608 - all ours
        return self._connection.execute(f"SELECT {what} FROM {source} {then}")  # noqa: S608

    def count_distinct(self, label: str, column: int) -> int:
        """How many values ``label``, made of ``column``, has besides NULL: exact, within the memory limit."""
        # Grouping goes to disk; count(DISTINCT) would keep every value in memory.
        grouped = f"(SELECT {label} AS label FROM {_cleaned([column])} GROUP BY 1)"  # noqa: S608
        [(count,)] = self._connection.execute(f"SELECT count(label) FROM {grouped}").fetchall()  # noqa: S608
        return int(count)


def _cleaned(columns: Iterable[int]) -> str:
    numbers = list(columns)
    trimmed = ", ".join(f"{_trimmed(f'c{number}')} AS c{number}" for number in numbers)
    cleaned = ", ".join(f"{_without_missing(f'c{number}')} AS c{number}" for number in numbers)
    return f"(SELECT {cleaned} FROM (SELECT {trimmed} FROM raw))"  # noqa: S608


@contextmanager
def open_table(
    path: Path, width: int, *, memory_limit: str = MEMORY_LIMIT, threads: int = THREADS, longest: int | None = None
) -> Iterator[Table]:
    """The file, read anew by every query, within the memory limit.

    :param threads: of DuckDB's own. One does for a small file: it has too few rows to share, and waiting for each
        other costs more than half as much again.
    :param longest: no record is longer than that, where this is known: buffers need not be as large then.
    """
    import duckdb

    settings: dict[str, Any] = {
        "memory_limit": memory_limit,
        "threads": threads,
        # Beside the file, in the workspace that its owner removes.
        "temp_directory": str(path.parent / f".{path.name}.spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        yield _opened(connection, path, width, longest or _LONGEST_LINE)
    except duckdb.OutOfMemoryException:
        raise ServiceUnavailable(
            "There was not enough memory to look at the whole file.", hint="Try again when less is going on."
        ) from None
    except duckdb.Error as error:
        # Its messages quote lines of the file, which must reach neither a page nor a log.
        logger.error("DuckDB could not read a normalised file: %s", trace_without_values(error))
        raise InvalidTable(
            "The file could not be read to its end.", hint="Upload it again, or save it anew as CSV first."
        ) from None
    finally:
        connection.close()


def _opened(connection: "duckdb.DuckDBPyConnection", path: Path, width: int, longest: int) -> Table:
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(width))
    connection.execute(
        f"CREATE VIEW raw AS SELECT * FROM read_csv({quoted(str(path))}, auto_detect = false, "  # noqa: S608
        f"header = false, skip = 1, columns = {{{columns}}}, delim = ',', quote = '\"', escape = '\"', "
        f"new_line = '\\n', nullstr = '', max_line_size = {longest}, buffer_size = {max(longest, _BUFFER)}, "
        "strict_mode = true)"
    )
    return Table(connection)


_BLANKS_SQL = "concat(' ', chr(9), chr(13), chr(10))"


def _trimmed(column: str) -> str:
    # Trimming costs more than all the rest, so only values that begin or end with a blank pay for it: all blanks
    # sort before "!", and are single bytes.
    blank_end = " OR ".join(f"suffix({column}, chr({ord(blank)}))" for blank in BLANKS)
    return f"CASE WHEN {column} < '!' OR {blank_end} THEN trim({column}, {_BLANKS_SQL}) ELSE {column} END"


def _without_missing(column: str) -> str:
    # Most values are excused by their first letter or their length. Short lists, as DuckDB makes a join of a long
    # one, which costs megabytes for each column.
    late = [word for word in MISSING if word >= _LETTERS_FROM]
    early = [word for word in MISSING if word < _LETTERS_FROM]
    return (
        f"CASE WHEN {column} >= '0' AND {column} < ':' THEN {column} "
        f"WHEN {column} >= '{_LETTERS_FROM}' THEN CASE WHEN strlen({column}) > {max(map(len, late))} THEN {column} "
        f"WHEN {_is_any(column, late)} THEN NULL ELSE {column} END "
        f"WHEN strlen({column}) > {max(map(len, early))} THEN {column} "
        f"WHEN {_is_any(column, early)} THEN NULL ELSE {column} END"
    )


# Letters, also capital ones, and few other signs sort from here on.
_LETTERS_FROM = "="


def _is_any(column: str, words: Sequence[str]) -> str:
    some = [", ".join(map(quoted, words[start : start + 4])) for start in range(0, len(words), 4)]
    return " OR ".join(f"lower({column}) IN ({list_})" for list_ in some)


def is_boolean_sql(column: str, pair: int) -> str:
    """Whether a trimmed value is one of the two words of BOOLEAN_PAIRS[pair]."""
    return f"(lower({column}) IN ({', '.join(map(quoted, BOOLEAN_PAIRS[pair]))}))"


def is_soft_missing_sql(column: str) -> str:
    """Whether a trimmed value is one of the words that are missing among numbers or dates."""
    return f"({_is_any(column, SOFT_MISSING)})"


def is_one_word_sql(column: str) -> str:
    """Whether a trimmed value is one word, and no number with a sign or unit."""
    may_be = f"({column} < ':' OR {column} >= '\u00a2')"
    measure = f"CASE WHEN {may_be} THEN regexp_full_match({column}, {quoted(MEASURE)}) ELSE false END"
    return f"(NOT regexp_matches({column}, '[ \\t\\n]') AND NOT {measure})"
