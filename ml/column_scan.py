"""What one scan finds out about the columns of a table: counts, bounds, moments, by the rules of ml.column_types.

A plan says how a column is looked at, so that most values pay for one test only: a value of the expected kind is
recognised at once; what is left is trimmed, compared with the words for "missing", and tried with the full rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.column_looks import Look, Plan, Way, counted_look_of, look_of
from ml.column_types import (
    BOOLEAN_PAIRS,
    LONGEST_MISSING,
    MISSING,
    PLAIN,
    ColumnType,
    ValueFormat,
)
from ml.scan import (
    date_sql,
    has_fraction_sql,
    integer_sql,
    is_boolean_sql,
    is_one_word_sql,
    is_soft_missing_sql,
    number_sql,
    quoted,
)

if TYPE_CHECKING:
    import duckdb

# Columns with at most so many different values in the rows seen so far are counted value by value.
COUNTED_VALUES = 256


class Scanner:
    """Scans of some columns of a source: ``raw``, the file, or ``part``, the columns of it that are loaded."""

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        names: Sequence[str],
        *,
        formats: ValueFormat,
        blanks: str,
        overrides: Mapping[str, ColumnType],
    ) -> None:
        """:param blanks: those that a value may begin or end with."""
        self.connection = connection
        self.names = names
        self.formats = formats
        self.overrides = overrides
        self.loaded_rows = 0
        self._loaded: set[int] = set()
        self._blanks = blanks

    @contextmanager
    def beside(self) -> "Iterator[Scanner]":
        """Another one of the same source, to be used at the same time in a thread of its own."""
        with closing(self.connection.cursor()) as cursor:
            other = Scanner(cursor, self.names, formats=self.formats, blanks=self._blanks, overrides=self.overrides)
            other.loaded_rows, other._loaded = self.loaded_rows, self._loaded
            yield other

    def load(self, columns: Sequence[int]) -> None:
        """Make the table ``part`` of some columns of the file, which must be small, unless they are in it."""
        if self._loaded.issuperset(columns):
            return
        self._loaded = set(columns)
        listed = ", ".join(f"c{index}" for index in columns)
        # Not CREATE OR REPLACE, which holds both at once.
        self.connection.execute("DROP TABLE IF EXISTS part")
        self.connection.execute(f"CREATE TABLE part AS SELECT {listed} FROM raw")  # noqa: S608
        [(self.loaded_rows,)] = self.connection.execute("SELECT count(*) FROM part").fetchall()

    def hashes_of(self, texts: Sequence[str | None]) -> NDArray[np.uint64]:
        """What :meth:`trimmed` values that are equal to these hash to."""
        sql = "SELECT hash(t) AS h FROM (SELECT unnest(?::VARCHAR[]) AS t)"
        return np.asarray(self.connection.execute(sql, [list(texts)]).fetchnumpy()["h"])

    def type_of(self, look: Look) -> ColumnType:
        return self.overrides.get(look.name, look.type)

    def look_at_part(self, plans: Mapping[int, Plan]) -> tuple[dict[int, Look], dict[int, Any]]:
        """The loaded columns, and the numbers of those that were looked at as numbers, by row. Different values are
        left to be counted by who can do it without an estimate."""
        # Columns with the same plan are put one below the other: SQL for each takes longer to plan than to run.
        looks: dict[int, Look] = {}
        numbers: dict[int, Any] = {}
        for plan, columns in by_plan(plans).items():
            if plan.way == Way.COUNTED:
                grouped = self._grouped("c", self.stacked(columns, plan), columns)
                looks |= self._counted_looks(grouped, self.loaded_rows)
                continue
            if plan.way == Way.NUMBER:
                plain, fetched = self._numbers(columns, plan)
                looks |= plain
                numbers |= fetched
            looks |= self._aggregated([index for index in columns if index not in looks], plan)
        return {index: looks[index] for index in plans}, numbers

    def _aggregated(self, columns: Sequence[int], plan: Plan) -> dict[int, Look]:
        if not columns:
            return {}
        wanted = self._aggregates("c", plan, exact=True)
        rows = self.connection.execute(
            f"SELECT k, {', '.join(wanted.values())} FROM {self.stacked(columns, plan)} GROUP BY k"  # noqa: S608
        ).fetchall()
        found = {index: dict(zip(wanted, values, strict=True)) for index, *values in rows}
        with_gaps = [index for index, got in found.items() if got["all gaps"]]
        gaps = self._grouped("c_m", self.stacked(with_gaps, plan), with_gaps) if with_gaps else {}
        return {
            index: self._look(index, self.loaded_rows, got | {"gaps": gaps.get(index, {})}, plan)
            for index, got in found.items()
        }

    def _numbers(self, columns: Sequence[int], plan: Plan) -> tuple[dict[int, Look], dict[int, Any]]:
        """The numbers of loaded columns, and how those look that have nothing else, neither words nor infinity."""
        whole = ", c_i AS i" if plan.whole else ""
        sql = f"SELECT c_n AS n, c IS NOT NULL AND c_n IS NULL AS other{whole} FROM {self.stacked(columns, plan)}"  # noqa: S608
        fetched = self.connection.execute(sql).fetchnumpy()
        by_column = {
            key: dict(zip(columns, np.split(array, len(columns)), strict=True)) for key, array in fetched.items()
        }
        numbers = {index: np.ma.filled(array, np.nan) for index, array in by_column["n"].items()}
        looks = {}
        for index, array in by_column["n"].items():
            present = np.ma.compressed(np.ma.asarray(array))
            if plan.length or by_column["other"][index].any() or not len(present) or not np.isfinite(present).all():
                continue
            got = _moments(present) | {"example": self._first(index)}
            if plan.whole:
                fitting = np.ma.compressed(np.ma.asarray(by_column["i"][index]))
                low, high = (int(fitting.min()), int(fitting.max())) if len(fitting) else (None, None)
                got |= {"whole": len(fitting), "low_whole": low, "high_whole": high}
            looks[index] = self._look(index, self.loaded_rows, got, plan)
        return looks, numbers

    def _first(self, index: int) -> str:
        sql = f"SELECT c{index} FROM part WHERE c{index} IS NOT NULL LIMIT 1"  # noqa: S608 - all ours
        [(value,)] = self.connection.execute(sql).fetchall()
        return str(value)

    def _grouped(self, what: str, source: str, columns: Sequence[int]) -> dict[int, dict[str, int]]:
        """The different values of columns with their counts."""
        rows = self.connection.execute(
            f"SELECT k, {what}, count(*) FROM {source} WHERE {what} IS NOT NULL GROUP BY 1, 2"  # noqa: S608
        ).fetchall()
        grouped: dict[int, dict[str, int]] = {index: {} for index in columns}
        for index, value, count in rows:
            grouped[index][value] = count
        return grouped

    def look_at_file(self, plans: Mapping[int, Plan]) -> dict[int, Look]:
        """Some columns of the whole file, in one scan. A counted column that has more than the known values is
        left out of the result."""
        wanted = {index: self._aggregates(f"c{index}", plan, exact=False) for index, plan in plans.items()}
        flat = ["count(*)", *(sql for aggregates in wanted.values() for sql in aggregates.values())]
        columns = f"(SELECT {', '.join(f'c{index}' for index in plans)} FROM raw)"  # noqa: S608 - all ours
        stages = [self._stages(f"c{index}", plan) for index, plan in plans.items()]
        [(rows, *found)] = self.connection.execute(
            f"SELECT {', '.join(flat)} FROM {_staged(columns, stages)}"  # noqa: S608
        ).fetchall()
        values = iter(found)
        results = {index: {key: next(values) for key in aggregates} for index, aggregates in wanted.items()}
        counted: dict[int, dict[str, int]] = {}
        for index, plan in plans.items():
            if plan.way == Way.COUNTED:
                got = results.pop(index)
                if got.pop("filled") == sum(count or 0 for count in got.values()):
                    counted[index] = {value: got[value] for value in plan.known if got[value]}
        looks = self._counted_looks(counted, rows)
        looks |= {index: self._look(index, rows, got, plans[index]) for index, got in results.items()}
        return looks

    def _counted_looks(self, counted: Mapping[int, Mapping[str, int]], rows: int) -> dict[int, Look]:
        return {
            index: counted_look_of(self.names[index], rows, gaps, values)
            for index, (gaps, values) in self._values(counted).items()
        }

    def _look(self, index: int, rows: int, got: Mapping[str, Any], plan: Plan) -> Look:
        look = look_of(self.names[index], rows, got, plan)
        low, high = look.low, look.high
        if plan.way != Way.NUMBER or not look.facts.all_numeric or look.facts.all_integer:
            return look
        # Only beyond 64 bits can all be whole numbers and not fit; these are codes, not numbers.
        if (low <= -(2.0**63) or high >= 2.0**63) and not self._has_fraction(index):
            return replace(look, facts=replace(look.facts, all_numeric=False, all_whole=True))
        return look

    def _has_fraction(self, index: int) -> bool:
        t = self._trim(f"c{index}")
        test = f"({number_sql(t, self.formats)}) IS NOT NULL AND {has_fraction_sql(t, self.formats)}"
        source = "part" if index in self._loaded else "raw"
        [(count,)] = self.connection.execute(f"SELECT count_if({test}) FROM {source}").fetchall()  # noqa: S608
        return bool(count)

    def stacked(self, columns: Iterable[int], plan: Plan | None = None, *, every: int = 1) -> str:
        """Loaded columns one below the other as ``c``, with their numbers as ``k`` and the stages of a plan.

        ``every``: only every so many rows.
        """
        some = f" WHERE rowid % {every} = 0" if every > 1 else ""
        each = [f"SELECT {index} AS k, c{index} AS c FROM part{some}" for index in columns]  # noqa: S608 - all ours
        return _staged(f"({' UNION ALL '.join(each)})", [self._stages("c", plan)] if plan is not None else [])

    def _stages(self, c: str, plan: Plan) -> list[str]:
        """``_t`` the trimmed value; ``_m`` if it means "missing"; ``_n`` its number or date; ``_w`` if it has none.

        For numbers and dates ``_f`` is what is recognised at once, and ``_t`` is only made of the rest.
        """
        # CASE looks at a value no further than it must; AND looks at all of them.
        t = f"{c}_t"
        short = f"CASE WHEN {_is_missing_sql(t)} THEN {t} END"
        missing = f"CASE WHEN {t} IS NULL OR strlen({t}) > {LONGEST_MISSING} THEN NULL ELSE {short} END AS {c}_m"
        if plan.way == Way.COUNTED:
            return []
        if plan.way == Way.TEXT:
            return [f"{self.trimmed(c)} AS {c}_t", missing]
        kind = "DOUBLE" if plan.way == Way.NUMBER else "TIMESTAMP"
        full = number_sql(f"{c}_t", self.formats) if plan.way == Way.NUMBER else date_sql(f"{c}_t", self.formats)
        stages = [
            f"{self._at_once(c, plan)} AS {c}_f",
            f"CASE WHEN {c}_f IS NULL AND {c} IS NOT NULL THEN {self._trim(c)} END AS {c}_t",
            missing,
            f"coalesce({c}_f::{kind}, CASE WHEN {c}_t IS NOT NULL AND {c}_m IS NULL THEN {full} END) AS {c}_n",
            f"CASE WHEN {c}_t IS NOT NULL AND {c}_m IS NULL AND {c}_n IS NULL THEN {c}_t END AS {c}_w",
        ]
        if plan.whole:
            whole = integer_sql(f"{c}_t", self.formats)
            stages[4] += (
                f", coalesce({c}_f, CASE WHEN {c}_t IS NOT NULL AND {c}_n IS NOT NULL THEN {whole} END) AS {c}_i"
            )
        return stages

    def trimmed(self, c: str) -> str:
        if not self._blanks:
            return c
        ends = "".join(f" OR suffix({c}, chr({ord(blank)}))" for blank in self._blanks)
        return f"CASE WHEN {c} < '!'{ends} THEN {self._trim(c)} ELSE {c} END"

    def _trim(self, c: str) -> str:
        return (
            f"trim({c}, concat({', '.join(f'chr({ord(blank)})' for blank in self._blanks)}))" if self._blanks else c
        )

    def _at_once(self, c: str, plan: Plan) -> str:
        """What a value is, by tests that tell the usual ones; NULL says nothing."""
        # A cast lets pass more than the rules do; what it lets pass besides begins otherwise or has an underscore.
        if plan.way == Way.DATE:
            if self.formats.date_order:
                return "NULL::TIMESTAMP"
            return (
                f"CASE WHEN {c} LIKE '____-__-__' AND {c} >= '0001' AND {c} < ':' AND NOT suffix({c}, ' ') "
                f"THEN TRY_CAST({c} AS DATE)::TIMESTAMP END"
            )
        plain = self.formats.decimal == PLAIN.decimal and self.formats.thousands == PLAIN.thousands
        if not plain:
            return "NULL::BIGINT" if plan.whole else "NULL::DOUBLE"
        if plan.whole:
            others = "".join(f" AND NOT contains({c}, '{letter}')" for letter in ".eE_")
            return (
                f"CASE WHEN {c} = '0' THEN 0::BIGINT "
                f"WHEN (({c} >= '1' AND {c} < ':') OR ({c} >= '-1' AND {c} < '-:'))"
                f"{others} THEN TRY_CAST({c} AS BIGINT) END"
            )
        return (
            f"CASE WHEN {c} = '0' THEN 0.0::DOUBLE "
            f"WHEN (({c} >= '1' AND {c} < ':') OR ({c} >= '0.' AND {c} < '0/') OR "
            f"({c} >= '-1' AND {c} < '-:') OR ({c} >= '-0.' AND {c} < '-0/')) AND NOT contains({c}, '_') "
            f"THEN TRY_CAST({c} AS DOUBLE) END"
        )

    def _aggregates(self, c: str, plan: Plan, *, exact: bool) -> dict[str, str]:
        if plan.way == Way.COUNTED:
            known = {value: f"count_if({c} = {quoted(value)})" for value in plan.known}
            return {"filled": f"count({c})"} | known
        text = f"{c}_t" if plan.way == Way.TEXT else c
        wanted = {"filled": f"count({text})", "example": f"any_value({text})"}
        wanted["all gaps"] = f"count({c}_m)"
        if not exact:
            wanted |= {f"gap {word}": f"count_if({c}_m = {quoted(word)})" for word in ("", *plan.gaps)}
            wanted["distinct"] = f"approx_count_distinct({text})"
        if plan.length:
            wanted["longest"] = f"max(CASE WHEN {c}_m IS NULL THEN length({text}) END)"
        if plan.way == Way.TEXT:
            # What is below a colon begins with a digit or a sign.
            number = f"CASE WHEN {c}_m IS NULL AND {c}_t < ':' THEN {number_sql(f'{c}_t', self.formats)} END"
            wanted["numbers"] = f"count({number})"
            word = f"CASE WHEN {c}_m IS NULL THEN {is_one_word_sql(f'{c}_t')} END"
        else:
            n, w = f"{c}_n", f"{c}_w"
            wanted |= {"fit": f"count({n})", "low": f"min({n})", "high": f"max({n})"}
            wanted |= {"first_word": f"min({w})", "last_word": f"max({w})"}
            wanted["soft"] = f"count_if(CASE WHEN {w} IS NOT NULL THEN {is_soft_missing_sql(w)} END)"
            word = f"CASE WHEN {w} IS NOT NULL THEN {is_one_word_sql(w)} END"
            if plan.way == Way.NUMBER:
                wanted |= {"mean": f"avg({n})", "std": f"stddev_samp({n})"}
                wanted |= {"zeros": f"count_if({n} = 0)", "negatives": f"count_if({n} < 0)"}
            else:
                wanted |= {"low": f"min({n})::VARCHAR", "high": f"max({n})::VARCHAR"}
        if plan.one_word or plan.way != Way.TEXT:
            wanted["one_word"] = f"coalesce(bool_and({word}), true)"
        if plan.whole:
            wanted |= {"whole": f"count({c}_i)", "low_whole": f"min({c}_i)", "high_whole": f"max({c}_i)"}
        return wanted

    def _values(self, counted: Mapping[int, Mapping[str, int]]) -> dict[int, tuple[dict[str, int], list[Any]]]:
        """The different values of counted columns: the gaps, and the rest with what each of them is."""
        results: dict[int, tuple[dict[str, int], list[Any]]] = {index: ({}, []) for index in counted}
        flat = [(index, text, count) for index, found in counted.items() for text, count in found.items()]
        if not flat:
            return results
        columns, texts, counts = (list(part) for part in zip(*flat, strict=True))
        booleans = ", ".join(is_boolean_sql("t", pair) for pair in range(len(BOOLEAN_PAIRS)))
        rows = self.connection.execute(
            f"""SELECT k, any_value(t), sum(n)::BIGINT, any_value({_is_missing_sql("t")} OR t = ''),
            any_value(number), any_value({integer_sql("t", self.formats)}),
            any_value(({date_sql("t", self.formats)})::VARCHAR), any_value([{booleans}]),
            any_value({is_one_word_sql("t")}), any_value(length(t)),
            any_value({has_fraction_sql("t", self.formats)})
            FROM (SELECT *, {number_sql("t", self.formats)} AS number FROM
            (SELECT unnest(?::BIGINT[]) AS k, {self._trim("unnest(?::VARCHAR[])")} AS t,
            unnest(?::BIGINT[]) AS n)) GROUP BY k, t ORDER BY 3 DESC, 2""",  # noqa: S608
            [columns, texts, counts],
        ).fetchall()
        for index, text, count, is_gap, *kinds in rows:
            if is_gap:
                results[index][0][text] = count
            else:
                results[index][1].append((text, count, *kinds))
        return results


def _moments(numbers: NDArray[np.float64]) -> dict[str, Any]:
    """What :meth:`Scanner._aggregates` asks for of values that are all finite numbers."""
    return {
        "filled": len(numbers),
        "fit": len(numbers),
        "gaps": {},
        "one_word": True,
        "low": float(numbers.min()),
        "high": float(numbers.max()),
        "mean": float(numbers.mean()),
        "std": float(numbers.std(ddof=1)) if len(numbers) > 1 else None,
        "zeros": int(np.count_nonzero(numbers == 0)),
        "negatives": int(np.count_nonzero(numbers < 0)),
    }


def by_plan(plans: Mapping[int, Plan]) -> dict[Plan, list[int]]:
    groups: dict[Plan, list[int]] = {}
    for index, plan in plans.items():
        groups.setdefault(plan, []).append(index)
    return groups


def _staged(source: str, stages: Sequence[Sequence[str]]) -> str:
    """The source with its columns in stages, each made of the one before: see :meth:`Scanner._stages`."""
    for level in range(max(map(len, stages), default=0)):
        made = [stage[level] for stage in stages if level < len(stage)]
        source = f"(SELECT *, {', '.join(made)} FROM {source})"  # noqa: S608 - all ours
    return source


def _is_missing_sql(t: str) -> str:
    # Short lists, as DuckDB makes a join of a long one.
    words = [", ".join(map(quoted, MISSING[start : start + 4])) for start in range(0, len(MISSING), 4)]
    return f"({' OR '.join(f'lower({t}) IN ({some})' for some in words)})"
