r"""The rules by which a column gets its type: the same for the preview in Python and for the scan in DuckDB.

A value is trimmed first. It is *missing* when nothing is left or when it is one of :data:`MISSING`, in any case; in
a column that is otherwise all numbers or all dates also when it is one of :data:`SOFT_MISSING`, words that may mean
something among other words. A column has a type when **every** present value has it, so one stray word makes a
column of numbers text, and a float that first appears in the last row makes the whole column numeric:

``boolean``   true/false, or yes/no, in any case; 0 and 1 are integers.
``integer``   digits with an optional sign, within 64 bits, no leading zero: "00123" is a code, not a number.
``numeric``   decimal numbers with an optional exponent, finite, no leading zero. Decimal and thousands signs are
              those of the file (:class:`ValueFormat`). Whole numbers of which one does not fit 64 bits are codes
              too, and kept to the digit: a double would round them.
``date``      ISO 8601: ``2024-02-29``, with an optional time (``T`` or a blank before it) and offset. The time
              counts as written: an offset is not applied. Where the file has an order of dates, these too.
``id``        nothing missing, at least :data:`ID_ROWS` values, all different, and either one word each ("$5",
              "12%" and "0:45" are none), or integers
              in a column whose name says so (``id``, ``user_id``, ``PassengerId``).
``category``  at most :data:`CATEGORY_SMALL` different values, or values that occur twice or more on average and
              are at most :data:`CATEGORY_LARGE` different ones.
``text``      the rest, and a column without any value.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

from ml.value_formats import (
    PLAIN,
    ValueFormat,
    date_pattern,
    is_date,
    is_integer,
    is_numeric,
    many,
    numeric_pattern,
    whole_pattern,
)
from ml.written_otherwise import is_measure

__all__ = [
    "BLANKS",
    "BOOLEAN_PAIRS",
    "COLUMN_TYPES",
    "MISSING",
    "PLAIN",
    "SOFT_MISSING",
    "ColumnFacts",
    "ColumnType",
    "ValueFormat",
    "decide_type",
    "facts_of",
    "is_id_name",
    "is_missing",
    "is_soft_missing",
]


class ColumnType(StrEnum):
    INTEGER = "integer"
    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    DATE = "date"
    CATEGORY = "category"
    TEXT = "text"
    ID = "id"

    @property
    def label(self) -> str:
        """What people read; programs read the value."""
        return _LABELS[self]


_LABELS: Final = {
    ColumnType.INTEGER: "whole number",
    ColumnType.NUMERIC: "number",
    ColumnType.BOOLEAN: "yes or no",
    ColumnType.DATE: "date",
    ColumnType.CATEGORY: "category",
    ColumnType.TEXT: "text",
    ColumnType.ID: "identifier",
}
COLUMN_TYPES = tuple(str(kind) for kind in ColumnType)

# Blanks that are trimmed; other white space (a no-break space) is content.
BLANKS = " \t\r\n"
MISSING = (
    *("", "na", "n/a", "nan", "null", "none", "?", "-"),
    # What R, pandas and SQL databases write, and the errors of spreadsheets.
    *("#n/a", "#na", "<na>", "nat", "(null)", "<null>", r"\n"),
    *("#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"),
)
LONGEST_MISSING = max(map(len, MISSING))
# In every case, so that a look-up needs no folding.
MISSING_SPELLINGS = frozenset(
    "".join(letters)
    for word in MISSING
    for letters in product(*(dict.fromkeys((letter, letter.upper())) for letter in word))
)
# Missing among numbers or dates only.
SOFT_MISSING = (
    *(".", "..", "...", "--", "---", "*", "nil", "nd", "n/d", "n.a.", "n.d.", "-nan"),
    *("missing", "unknown", "unspecified", "not available", "not applicable"),
)
_SOFT = frozenset(SOFT_MISSING)

ID_ROWS = 20
CATEGORY_SMALL = 10
CATEGORY_LARGE = 1000

BOOLEAN_PAIRS = (("true", "false"), ("yes", "no"))

_ID_NAME = re.compile(r"(?:.*[_\- .])?(?:id|uuid|guid|key)|.*[a-z](?:Id|ID)|(?:Id|ID)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """What the decision needs to know of a column. ``present`` and ``distinct`` leave out missing values.

    ``soft_missing`` of the missing ones are words of :data:`SOFT_MISSING`. ``all_whole`` without ``all_integer``:
    whole numbers that do not all fit 64 bits, which are not ``all_numeric`` then.
    """

    present: int
    missing: int
    distinct: int
    all_integer: bool
    all_numeric: bool
    all_boolean: bool
    all_date: bool
    one_word: bool
    all_whole: bool = False
    soft_missing: int = 0


def decide_type(name: str, facts: ColumnFacts) -> ColumnType:
    """The type of a column, from its name and facts; see the module's rules."""
    if facts.present == 0:
        return ColumnType.TEXT
    all_different = facts.missing == 0 and facts.present >= ID_ROWS and facts.distinct >= facts.present
    if facts.all_boolean:
        return ColumnType.BOOLEAN
    if facts.all_integer:
        return ColumnType.ID if all_different and is_id_name(name) else ColumnType.INTEGER
    if facts.all_numeric:
        return ColumnType.NUMERIC
    if facts.all_date:
        return ColumnType.DATE
    if all_different and facts.one_word:
        return ColumnType.ID
    if facts.distinct <= CATEGORY_SMALL or facts.distinct <= min(CATEGORY_LARGE, facts.present // 2):
        return ColumnType.CATEGORY
    return ColumnType.TEXT


def is_id_name(name: str) -> bool:
    """Whether a column's name says that it identifies rows."""
    return _ID_NAME.fullmatch(name) is not None or _ID_NAME.fullmatch(name.lower()) is not None


def is_missing(value: str) -> bool:
    return value.strip(BLANKS) in MISSING_SPELLINGS


def is_soft_missing(value: str) -> bool:
    """Whether a value is missing if it stands among numbers or dates."""
    return value.strip(BLANKS).lower() in _SOFT


def facts_of(values: Iterable[str], formats: ValueFormat = PLAIN) -> ColumnFacts:
    """The facts of a column whose raw values are in memory (the preview's)."""
    everything = list(values)
    raw = set(everything)
    distinct = {value.strip(BLANKS) for value in raw} if _may_need_trimming(raw) else raw
    gaps = distinct & MISSING_SPELLINGS
    distinct = distinct - gaps
    has_soft = not _SOFT.isdisjoint(map(str.lower, distinct))  # few columns do
    soft = {value for value in distinct if value.lower() in _SOFT} if has_soft else set()
    typed = _typed(distinct - soft, formats)
    if soft and not (typed["all_numeric"] or typed["all_date"] or typed["all_whole"]):
        soft = set()
        typed = _typed(distinct, formats)
    distinct = distinct - soft
    missing = sum(value.strip(BLANKS) in gaps for value in everything) if gaps else 0
    soft_missing = sum(value.strip(BLANKS) in soft for value in everything) if soft else 0
    folded = {value.lower() for value in distinct} if len(distinct) <= 2**5 else set()
    joined = "\n".join(distinct)
    return ColumnFacts(
        present=len(everything) - missing - soft_missing,
        missing=missing + soft_missing,
        distinct=len(distinct),
        all_boolean=bool(folded) and any(folded <= set(pair) for pair in BOOLEAN_PAIRS),
        one_word=not (" " in joined or "\t" in joined or joined.count("\n") >= max(len(distinct), 1))
        and not any(map(is_measure, distinct)),
        soft_missing=soft_missing,
        **typed,
    )


_SHORT = 18


def _typed(distinct: set[str], formats: ValueFormat) -> dict[str, bool]:
    joined = "\n".join([*distinct, ""])
    # A value may hold a line break (never at its ends): then the joined text must not pass for several values.
    lines = "" if joined.count("\n") != len(distinct) else joined
    # Only long values can leave the range of 64 bits or of doubles.
    may_leave = "e" in joined or "E" in joined or max(map(len, distinct), default=0) > _SHORT
    extremes = _extremes(distinct) if may_leave else []
    numeric = many(numeric_pattern(formats)).fullmatch(lines) is not None and all(
        is_numeric(value, formats) for value in extremes
    )
    whole = numeric and many(whole_pattern(formats)).fullmatch(lines) is not None
    integer = whole and all(is_integer(value, formats) for value in extremes)
    dates = not numeric and many(date_pattern(formats)).fullmatch(lines) is not None
    return {
        "all_integer": integer,
        "all_numeric": numeric and integer == whole,
        "all_whole": whole,
        "all_date": dates and all(is_date(value, formats) for value in distinct),
    }


def _may_need_trimming(values: set[str]) -> bool:
    """Looking at all values as one text is much quicker than trimming each, and few columns need it."""
    joined = "\n".join(["", *values, ""])
    blank_ends = "\n " in joined or " \n" in joined or "\t" in joined or "\r" in joined
    return blank_ends or joined.count("\n") != len(values) + 1


def _extremes(values: set[str]) -> list[str]:
    return [value for value in values if len(value) > _SHORT or "e" in value or "E" in value]
