"""A full profile of a normalised table, within a fixed amount of memory whatever its size.

A sample spread over the file (the whole file, when it is small) is loaded into DuckDB, some columns at a time. It
gives what needs the values themselves: quantiles, histograms, outliers, order, associations. It also tells how each
column is best looked at in the one scan of the whole file, which counts the rest: missing, different values,
bounds, moments, most frequent values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ml.associations import associations_of
from ml.column_parts import Gathered, Part, equal_columns, look_at_all, look_at_part
from ml.column_scan import Scanner
from ml.column_types import PLAIN, ColumnType, ValueFormat
from ml.duplicates import count_repeated_rows, repeated
from ml.profile_records import Associations, ColumnProfile, TableProfile
from ml.quality import check_table
from ml.sampling import COLUMNS_OF_A_SCAN, Sample, take_sample
from ml.scan import THREADS, Table, open_table, read_head
from ml.suggestion import suggest_target

if TYPE_CHECKING:
    import duckdb

_MEMORY_LIMIT = "128MB"
_TELLING = 3
_POLL_SECONDS = 0.25
# Where the stages begin, as shares of the whole.
_COLUMNS, _ROWS, _RELATIONS = 0.05, 0.75, 0.9

OnColumns = Callable[[tuple[ColumnProfile, ...]], None]
OnProgress = Callable[[str, float], None]


def profile_table(
    path: Path,
    *,
    formats: ValueFormat = PLAIN,
    overrides: Mapping[str, ColumnType],
    on_columns: OnColumns = lambda columns: None,
    on_progress: OnProgress = lambda stage, share: None,
) -> TableProfile:
    """Everything about a normalised CSV file.

    :param overrides: columns with the type that a person chose for them.
    :param on_columns: gets some columns as soon as they are known; of a large file first as ``is_preliminary``.
    :param on_progress: a stage (``sample``, ``columns``, ``rows``, ``relations``) and the share of the whole that
        is done, 0 to 1. What it raises ends the profile.
    """
    on_progress("sample", 0.0)
    names, head = read_head(path)
    sample = take_sample(path, width=len(names))
    try:
        return _Profiler(path, sample, names, head, formats, overrides, on_columns, on_progress).run()
    finally:
        if not sample.is_whole:
            sample.path.unlink()


class _Profiler:
    """One run: ``small`` is DuckDB over the sample, ``large`` over the whole file where that is another one."""

    def __init__(
        self,
        path: Path,
        sample: Sample,
        names: Sequence[str],
        head: Sequence[Sequence[str]],
        formats: ValueFormat,
        overrides: Mapping[str, ColumnType],
        on_columns: OnColumns,
        on_progress: OnProgress,
    ) -> None:
        self._path, self._sample, self._formats, self._overrides = path, sample, formats, overrides
        self._on_columns, self._on_progress = on_columns, on_progress
        self._names, self._head, self._width = names, head, len(names)
        self._got = Gathered()

    def run(self) -> TableProfile:
        with self._opened(self._sample.path, threads=1) as table:
            small = self._scanner(table.connection)
            if self._sample.is_whole:
                self._look(small, None)
                duplicates: tuple[int | None, bool] = (repeated(self._got.row_hashes), True)
                pairs = equal_columns(self._got)
            else:
                with self._opened(self._path) as whole:
                    large = self._scanner(whole.connection)
                    self._look(small, large)
                    self._on_progress("rows", _ROWS)
                    duplicates = self._duplicate_rows(large)
                    pairs = equal_columns(self._got, large)
            self._on_progress("relations", _RELATIONS)
            columns = tuple(column.profile for column in self._got.columns)
            associations = associations_of(small, columns, self._got.compared)
        return self._table(columns, duplicates, pairs, associations)

    def _table(
        self,
        columns: tuple[ColumnProfile, ...],
        duplicates: tuple[int | None, bool],
        pairs: Sequence[tuple[int, int]],
        associations: Associations | None,
    ) -> TableProfile:
        named = tuple((self._names[first], self._names[copy]) for first, copy in pairs)
        checks = check_table(
            self._got.columns,
            duplicate_rows=duplicates[0],
            duplicate_rows_exact=duplicates[1],
            duplicate_columns=named,
            associations=associations,
        )
        return TableProfile(
            rows=columns[0].rows,
            bytes=self._path.stat().st_size,
            columns=columns,
            duplicate_rows=duplicates[0],
            duplicate_rows_exact=duplicates[1],
            duplicate_columns=named,
            associations=associations,
            checks=checks,
            suggestion=suggest_target(columns, associations),
        )

    def _opened(self, path: Path, threads: int = THREADS) -> AbstractContextManager[Table]:
        return open_table(
            path, self._width, memory_limit=_MEMORY_LIMIT, threads=threads, longest=self._sample.longest
        )

    def _scanner(self, connection: duckdb.DuckDBPyConnection) -> Scanner:
        return Scanner(
            connection, self._names, formats=self._formats, blanks=self._sample.blanks, overrides=self._overrides
        )

    def _look(self, small: Scanner, large: Scanner | None) -> None:
        together = self._sample.part if large is None else min(self._sample.part, COLUMNS_OF_A_SCAN)
        for start in range(0, self._width, together):
            columns = range(start, min(start + together, self._width))
            found = look_at_part(small, columns, self._head, self._got)
            if large is not None:
                self._on_columns(tuple(replace(part.profile, is_preliminary=True) for part in found))
                found = self._look_at_all(large, columns, found)
            self._on_columns(tuple(part.profile for part in found))
            self._got.keep(found)
            self._report_columns(columns.stop)

    def _report_columns(self, done: float) -> None:
        self._on_progress("columns", _COLUMNS + (_ROWS - _COLUMNS) * done / self._width)

    def _look_at_all(self, large: Scanner, columns: range, sampled: Sequence[Part]) -> list[Part]:
        """The long scan, in a thread of its own, while its progress is told from here."""
        # A query only knows how far it is when it could print it.
        large.connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        with ThreadPoolExecutor(max_workers=1) as pool:
            running = pool.submit(look_at_all, large, sampled)
            while True:
                try:
                    return running.result(timeout=_POLL_SECONDS)
                except TimeoutError:
                    share = max(0.0, large.connection.query_progress()) / 100
                try:
                    self._report_columns(columns.start + share * len(columns))
                except BaseException:
                    large.connection.interrupt()
                    raise

    def _duplicate_rows(self, large: Scanner) -> tuple[int | None, bool]:
        distinct = self._got.distinct
        telling = sorted(distinct, key=lambda index: -distinct[index])[:_TELLING]
        if repeated(self._got.row_hashes):
            telling = []  # not even all columns tell the rows of the sample apart
        rows = self._got.columns[0].profile.rows
        return count_repeated_rows(large.connection, rows=rows, width=self._width, telling=telling)
