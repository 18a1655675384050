"""DuckDB over a normalised CSV file: every column as text, and the type rules of ml.column_types in SQL."""

import csv
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.column_types import BLANKS, BOOLEAN_PAIRS, DATE_PATTERN, LONGEST_MISSING, MISSING, NUMERIC_PATTERN
from ml.records import MAX_RECORD_BYTES
from smartml.errors import InvalidTable, ServiceUnavailable, trace_without_values

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

# DuckDB takes some 50 MB more than it counts.
MEMORY_LIMIT = "160MB"
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
        """How many values ``label`` has where ``column`` is not missing: exact, within the memory limit."""
        # Grouping goes to disk; count(DISTINCT) would keep every value in memory.
        grouped = f"(SELECT {label} FROM {_cleaned([column])} WHERE c{column} IS NOT NULL GROUP BY 1)"  # noqa: S608
        [(count,)] = self._connection.execute(f"SELECT count(*) FROM {grouped}").fetchall()  # noqa: S608
        return int(count)


def _cleaned(columns: Iterable[int]) -> str:
    numbers = list(columns)
    trimmed = ", ".join(f"{_trimmed(f'c{number}')} AS c{number}" for number in numbers)
    cleaned = ", ".join(f"{_without_missing(f'c{number}')} AS c{number}" for number in numbers)
    return f"(SELECT {cleaned} FROM (SELECT {trimmed} FROM raw))"  # noqa: S608


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
        yield _opened(connection, path, width)
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


def _opened(connection: "duckdb.DuckDBPyConnection", path: Path, width: int) -> Table:
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(width))
    connection.execute(
        f"CREATE VIEW raw AS SELECT * FROM read_csv({quoted(str(path))}, auto_detect = false, "  # noqa: S608
        f"header = false, skip = 1, columns = {{{columns}}}, delim = ',', quote = '\"', escape = '\"', "
        f"new_line = '\\n', nullstr = '', max_line_size = {_LONGEST_LINE}, buffer_size = {_LONGEST_LINE}, "
        "strict_mode = true)"
    )
    return Table(connection)


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


def number_sql(column: str) -> str:
    """A trimmed value as a DOUBLE, NULL when it is no number; beyond the range of doubles it is infinite."""
    # Casting is quicker than matching and tells nearly everything; what it lets pass besides (inf, 1_000, 007)
    # has an underscore, or begins otherwise than with 1 to 9 or "0.", with or without a minus.
    begins = " OR ".join(
        f"({column} >= '{low}' AND {column} < '{high}')"
        for low, high in (("1", ":"), ("0.", "0/"), ("-1", "-:"), ("-0.", "-0/"))
    )
    cast = f"TRY_CAST({column} AS DOUBLE)"
    return (
        f"CASE WHEN ({begins}) AND NOT contains({column}, '_') THEN {cast} "
        f"WHEN regexp_full_match({column}, '{NUMERIC_PATTERN}') THEN {cast} END"
    )


def integer_sql(column: str) -> str:
    """A trimmed value that is a number as a BIGINT, NULL when it is not whole or does not fit."""
    fraction = " OR ".join(f"contains({column}, '{letter}')" for letter in ".eE")
    return f"CASE WHEN {fraction} THEN NULL ELSE TRY_CAST({column} AS BIGINT) END"


def is_boolean_sql(column: str, pair: int) -> str:
    """Whether a trimmed value is one of the two words of BOOLEAN_PAIRS[pair]."""
    return f"(lower({column}) IN ({', '.join(map(quoted, BOOLEAN_PAIRS[pair]))}))"


def date_sql(column: str) -> str:
    """A trimmed value as a TIMESTAMP, NULL when it is no date; the time is as written, its offset is dropped."""
    return (
        f"CASE WHEN {column} LIKE '____-__-__%' AND {column} >= '0001' "
        f"AND regexp_full_match({column}, '{DATE_PATTERN}') THEN TRY_CAST({column} AS TIMESTAMP) END"
    )


def is_one_word_sql(column: str) -> str:
    return f"(NOT regexp_matches({column}, '[ \\t\\n]'))"
