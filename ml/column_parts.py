"""Some columns at a time: first on a sample that is in memory, then on the whole file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ml.column_checks import Examined, is_time_name, traits_of
from ml.column_looks import OTHER_GAPS, Look, Plan, Way
from ml.column_profiles import numbers_of, profile_of, wants_top
from ml.column_scan import Scanner
from ml.column_types import BLANKS, ColumnFacts, ColumnType, ValueFormat, facts_of, is_missing
from ml.column_values import Cells, Numbers, Order, fetch_cells, order_of, repetitions, top_values
from ml.compared import Compared
from ml.duplicates import Hashes, fold
from ml.profile_records import ColumnProfile
from ml.value_formats import is_date, is_numeric

# Columns with at most so many different values in the first rows are counted value by value.
COUNTED_VALUES = 256
_MOSTLY = 0.5
_TRIED = 200
_EACH = 4
_NEARLY_ALL = 0.9
_VERIFIED_PAIRS = 100
# Up to so many known values are counted each by itself in a whole file.
_KNOWN = 24
# A value that the sample has less often than this suggests that there are others that it does not have.
_SEEN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A column. ``numbers`` and ``top`` are of the sample, and not needed where its values are counted."""

    index: int
    look: Look
    plan: Plan
    numbers: Numbers | None
    top: Sequence[tuple[str, int]]
    order: Order
    profile: ColumnProfile

    def examined(self) -> Examined:
        numbers = numbers_of(self.look, self.profile.type) or self.numbers
        empty = Numbers(np.empty(0), np.empty(0, dtype=np.int64))
        traits = traits_of(self.profile, numbers or empty, self.order)
        return Examined(index=self.index, look=self.look, profile=self.profile, traits=traits)


@dataclass(slots=True)
class Gathered:
    """What is known so far. ``keys`` name columns with equal values, ``distinct`` counts those of the sample.

    ``compared`` are rows of the sample, where all columns fitted in memory at once.
    """

    columns: list[Examined] = field(default_factory=list)
    keys: dict[bytes, list[int]] = field(default_factory=dict)
    distinct: dict[int, int] = field(default_factory=dict)
    row_hashes: Hashes = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    compared: Compared | None = None

    @property
    def sampled_rows(self) -> int:
        return len(self.row_hashes)

    def keep(self, parts: Sequence[Part]) -> None:
        """The next columns. Their numbers are not kept: those of all columns together may not fit in memory."""
        self.columns += [part.examined() for part in parts]


@dataclass(slots=True, kw_only=True)
class _Half:
    """Half of the columns. ``keys`` are equal where all values of two columns are."""

    found: list[Part] = field(default_factory=list)
    cells: Cells = field(default_factory=lambda: Cells(hashes={}, numbers={}))
    keys: dict[int, bytes] = field(default_factory=dict)


def look_at_part(scanner: Scanner, columns: range, head: Sequence[Sequence[str]], got: Gathered) -> list[Part]:
    """Some columns of a small source; what concerns the whole table is added to ``got``.

    Two threads share the work: DuckDB and numpy let others run meanwhile.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(lambda: [_facts_of_head(head[index], scanner.formats) for index in columns])
        scanner.load(columns)
        facts = dict(zip(columns, reading.result(), strict=True))
        plans = {index: _plan_of_head(scanner, index, facts[index], len(head[index])) for index in columns}
        with scanner.beside() as other:
            looking = pool.submit(_look_at_half, other, {index: plans[index] for index in columns[1::2]})
            halves = _look_at_half(scanner, {index: plans[index] for index in columns[::2]}), looking.result()
    return _gathered(got, scanner, halves)


def _gathered(got: Gathered, scanner: Scanner, halves: tuple[_Half, _Half]) -> list[Part]:
    one, other = halves
    found = sorted(one.found + other.found, key=lambda part: part.index)
    cells = Cells(hashes=one.cells.hashes | other.cells.hashes, numbers=one.cells.numbers | other.cells.numbers)
    keys = one.keys | other.keys
    for part in found:
        hashes = cells.hashes[part.index]
        got.distinct[part.index] = part.look.facts.distinct
        got.row_hashes = fold(got.row_hashes, hashes) if part.index else hashes.copy()
        if part.look.facts.distinct > 1:
            got.keys.setdefault(keys[part.index], []).append(part.index)
    if len(found) == len(scanner.names):
        got.compared = Compared.of(scanner, {part.index: part.look for part in found}, cells)
    return found


def _look_at_half(scanner: Scanner, plans: Mapping[int, Plan]) -> _Half:
    if not plans:
        return _Half()
    looks, numbers = scanner.look_at_part(plans)
    cells = fetch_cells(scanner, {i: _plan_of_cells(looks[i], plan) for i, plan in plans.items()}, numbers)
    counts = {index: _counts(cells, index, look) for index, look in looks.items()}
    for index, look in looks.items():
        if not look.distinct_is_exact:
            looks[index] = look.with_distinct(_distinct(counts[index], look))
    listed = [index for index, look in looks.items() if look.values is None and wants_top(scanner.type_of(look))]
    tops = top_values(scanner, {index: cells.hashes[index] for index in listed})
    found = []
    for index, look in looks.items():
        array = cells.numbers.get(index)
        counted = None if array is None or look.values is not None else Numbers.of_array(array)
        top = tops.get(index, ())
        part = Part(
            index=index,
            look=look,
            plan=plans[index],
            numbers=counted,
            top=top,
            order=order_of(cells.hashes[index], array, counts[index]),
            profile=profile_of(look, counted, top, override=scanner.overrides.get(look.name), sampled_rows=0),
        )
        found.append(part)
    keys = {index: hashlib.blake2b(hashes.data, digest_size=16).digest() for index, hashes in cells.hashes.items()}
    return _Half(found=found, cells=cells, keys=keys)


def _counts(cells: Cells, index: int, look: Look) -> NDArray[np.int64]:
    if look.values is None:
        return repetitions(cells.hashes[index])
    empty = look.facts.missing - sum(look.gaps.values())
    return np.array([*(value.count for value in look.values), *look.gaps.values(), empty], dtype=np.int64)


def _distinct(counts: NDArray[np.int64], look: Look) -> int:
    """Of the values: a gap has a hash too, and so has each word for it."""
    is_empty = look.facts.missing > sum(look.gaps.values())
    return len(counts) - len(look.gaps) - is_empty


def look_at_all(scanner: Scanner, sampled: Sequence[Part]) -> list[Part]:
    """The same columns in the whole file."""
    plans = {part.index: _plan_of_sample(part, scanner) for part in sampled}
    looks = scanner.look_at_file(plans)
    # A rare value was not in the sample: counting one by one does not do, so look again in another way.
    again = {
        part.index: _plan_of_sample(part, scanner, counted=False) for part in sampled if part.index not in looks
    }
    if again:
        looks |= scanner.look_at_file(again)
    return [_completed(part, looks[part.index], scanner) for part in sampled]


def _completed(part: Part, look: Look, scanner: Scanner) -> Part:
    seen = part.look
    look = replace(look, words=look.words or seen.words, longest=look.longest or seen.longest)
    override = scanner.overrides.get(look.name)
    numbers, top = part.numbers, part.top
    if look.values is None and seen.values is not None:
        numbers = numbers_of(seen, override or look.type)
        top = [(value.text, value.count) for value in seen.values if value.count > 1]
    profile = profile_of(look, numbers, top, override=override, sampled_rows=seen.rows)
    return replace(part, look=look, numbers=numbers, top=top, profile=profile)


def equal_columns(got: Gathered, scanner: Scanner | None = None) -> list[tuple[int, int]]:
    """Pairs of a column and its copy; where only a sample was compared, ``scanner`` compares the rest."""
    pairs = [(same[0], copy) for same in got.keys.values() for copy in same[1:]]
    if scanner is not None and pairs:
        pairs = pairs[:_VERIFIED_PAIRS]
        tests = ", ".join(
            f"bool_and({scanner.trimmed(f'c{first}')} IS NOT DISTINCT FROM {scanner.trimmed(f'c{copy}')})"
            for first, copy in pairs
        )
        [equal] = scanner.connection.execute(f"SELECT {tests} FROM raw").fetchall()  # noqa: S608 - all ours
        pairs = [pair for pair, same in zip(pairs, equal, strict=True) if same]
    return sorted(pairs, key=lambda pair: pair[1])


# -- plans -------------------------------------------------------------------------------------------------------


def _facts_of_head(values: Sequence[str], formats: ValueFormat) -> ColumnFacts:
    facts = facts_of(values, formats)
    if facts.all_numeric or facts.all_date or facts.all_whole:
        return facts
    return _mostly(facts, values, formats)


def _plan_of_head(scanner: Scanner, index: int, facts: ColumnFacts, rows: int) -> Plan:
    """``facts`` are those of the first ``rows`` rows."""
    is_all = rows >= scanner.loaded_rows
    counted = facts.distinct <= COUNTED_VALUES and (is_all or facts.distinct * _EACH <= facts.present)
    return _plan(facts, scanner.overrides.get(scanner.names[index]), counted=counted)


def _mostly(facts: ColumnFacts, values: Sequence[str], formats: ValueFormat) -> ColumnFacts:
    """What most of the first values are, so that the others among them are told apart from these."""
    some = [value.strip(BLANKS) for value in values[:_TRIED] if not is_missing(value)]
    if sum(is_numeric(value, formats) for value in some) > _MOSTLY * len(some):
        return replace(facts, all_numeric=True)
    if sum(is_date(value, formats) for value in some) > _MOSTLY * len(some):
        return replace(facts, all_date=True)
    return facts


def _plan_of_sample(part: Part, scanner: Scanner, *, counted: bool = True) -> Plan:
    look, facts = part.look, part.look.facts
    if counted and look.values is not None:
        known = (
            *(value.text for value in look.values),
            *(word for word in look.gaps if word and word != OTHER_GAPS),
        )
        if len(known) <= _KNOWN and min((value.count for value in look.values), default=_SEEN) >= _SEEN:
            return Plan(way=Way.COUNTED, known=known)
    if (look.numbers or 0) >= _MOSTLY * look.present > 0:
        whole = facts.all_integer or part.plan.whole
        facts = replace(facts, all_numeric=True, all_integer=whole)
    elif (look.dates or 0) >= _MOSTLY * look.present > 0:
        facts = replace(facts, all_date=True)
    plan = _plan(facts, scanner.overrides.get(look.name), counted=False)
    repeats = look.facts.distinct < look.present
    return replace(plan, repeats=repeats, gaps=tuple(word for word in look.gaps if word and word != OTHER_GAPS))


def _plan(facts: ColumnFacts, override: ColumnType | None, *, counted: bool) -> Plan:
    if counted:
        return Plan(way=Way.COUNTED)
    length = override is not None and wants_top(override)
    if facts.all_numeric or facts.all_whole or override in (ColumnType.INTEGER, ColumnType.NUMERIC):
        return Plan(way=Way.NUMBER, whole=facts.all_integer or override == ColumnType.INTEGER, length=length)
    if facts.all_date or override == ColumnType.DATE:
        return Plan(way=Way.DATE, length=length)
    return Plan(
        way=Way.TEXT, one_word=facts.one_word and facts.distinct >= _NEARLY_ALL * facts.present, length=True
    )


def _plan_of_cells(look: Look, plan: Plan) -> Plan:
    """Of counted columns only those that may tell the order of time are needed as numbers."""
    if plan.way == Way.COUNTED and look.facts.all_date:
        return Plan(way=Way.DATE)
    if plan.way == Way.COUNTED and look.facts.all_integer and is_time_name(look.name):
        return Plan(way=Way.NUMBER, whole=True)
    return plan
