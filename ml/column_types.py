"""The rules by which a column gets its type: the same for the preview in Python and for the scan in DuckDB.

A value is trimmed first. It is *missing* when nothing is left or when it is one of :data:`MISSING`, in any case.
A column has a type when **every** present value has it, so one stray word makes a column of numbers text, and
a float that first appears in the last row makes the whole column numeric:

``boolean``   true/false, or yes/no, in any case; 0 and 1 are integers.
``integer``   digits with an optional sign, within 64 bits, no leading zero: "00123" is a code, not a number.
``numeric``   decimal numbers with a point and an optional exponent, finite, no leading zero.
``date``      ISO 8601: ``2024-02-29``, with an optional time (``T`` or a blank before it) and offset. The time
              counts as written: an offset is not applied.
``id``        nothing missing, at least :data:`ID_ROWS` values, all different, and either one word each, or integers
              in a column whose name says so (``id``, ``user_id``, ``PassengerId``).
``category``  at most :data:`CATEGORY_SMALL` different values, or values that occur twice or more on average and
              are at most :data:`CATEGORY_LARGE` different ones.
``text``      the rest, and a column without any value.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import product


class ColumnType(StrEnum):
    INTEGER = "integer"
    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    DATE = "date"
    CATEGORY = "category"
    TEXT = "text"
    ID = "id"


COLUMN_TYPES = tuple(str(kind) for kind in ColumnType)

# Blanks that are trimmed; other white space (a no-break space) is content.
BLANKS = " \t\r\n"
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
LONGEST_MISSING = max(map(len, MISSING))
# In every case, so that a look-up needs no folding.
MISSING_SPELLINGS = frozenset(
    "".join(letters) for word in MISSING for letters in product(*((letter, letter.upper()) for letter in word))
)

ID_ROWS = 20
CATEGORY_SMALL = 10
CATEGORY_LARGE = 1000

BOOLEAN_PAIRS = (("true", "false"), ("yes", "no"))

# Written so that Python's re and DuckDB's RE2 read them alike.
INTEGER_PATTERN = r"[+-]?(?:0|[1-9][0-9]{0,18})"
NUMERIC_PATTERN = r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
DATE_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
_INTEGER = re.compile(INTEGER_PATTERN, re.ASCII)
_NUMERIC = re.compile(NUMERIC_PATTERN, re.ASCII)
_DATE = re.compile(DATE_PATTERN, re.ASCII)
# One match over many values at once costs a tenth of a match for each.
_INTEGERS = re.compile(rf"(?:{INTEGER_PATTERN}\n)+", re.ASCII)
_NUMERICS = re.compile(rf"(?:{NUMERIC_PATTERN}\n)+", re.ASCII)
_DATES = re.compile(rf"(?:{DATE_PATTERN}\n)+", re.ASCII)
_ID_NAME = re.compile(r"(?:.*[_\- .])?(?:id|uuid|guid|key)|.*[a-z](?:Id|ID)|(?:Id|ID)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """What the decision needs to know of a column. ``present`` and ``distinct`` leave out missing values."""

    present: int
    missing: int
    distinct: int
    all_integer: bool
    all_numeric: bool
    all_boolean: bool
    all_date: bool
    one_word: bool


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


def is_integer(value: str) -> bool:
    """For one trimmed value; :func:`decide_type` says what makes a column."""
    return _INTEGER.fullmatch(value) is not None and -(2**63) <= int(value) < 2**63


def is_numeric(value: str) -> bool:
    """For one trimmed value; every integer is numeric too."""
    return _NUMERIC.fullmatch(value) is not None and abs(float(value)) != float("inf")


def is_date(value: str) -> bool:
    if _DATE.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:  # the 30th of February
        return False
    return True


def facts_of(values: Iterable[str]) -> ColumnFacts:
    """The facts of a column whose raw values are in memory (the preview's)."""
    everything = list(values)
    raw = set(everything)
    distinct = {value.strip(BLANKS) for value in raw} if _may_need_trimming(raw) else raw
    gaps = distinct & MISSING_SPELLINGS
    distinct = distinct - gaps
    missing = sum(value.strip(BLANKS) in gaps for value in everything) if gaps else 0
    folded = {value.lower() for value in distinct} if len(distinct) <= 2**5 else set()
    joined = "\n".join([*distinct, ""])
    # A value may hold a line break (never at its ends): then the joined text must not pass for several values.
    broken = joined.count("\n") != len(distinct)
    lines = "" if broken else joined
    all_numeric = _NUMERICS.fullmatch(lines) is not None and all(map(is_numeric, _extremes(distinct)))
    all_integer = (
        all_numeric and _INTEGERS.fullmatch(lines) is not None and all(map(is_integer, _extremes(distinct)))
    )
    return ColumnFacts(
        present=len(everything) - missing,
        missing=missing,
        distinct=len(distinct),
        all_integer=all_integer,
        all_numeric=all_numeric,
        all_boolean=bool(folded) and any(folded <= set(pair) for pair in BOOLEAN_PAIRS),
        all_date=not all_numeric and _DATES.fullmatch(lines) is not None and all(map(is_date, distinct)),
        one_word=not (broken or " " in joined or "\t" in joined),
    )


def _may_need_trimming(values: set[str]) -> bool:
    """Looking at all values as one text is much quicker than trimming each, and few columns need it."""
    joined = "\n".join(["", *values, ""])
    blank_ends = "\n " in joined or " \n" in joined or "\t" in joined or "\r" in joined
    return blank_ends or joined.count("\n") != len(values) + 1


def _extremes(values: set[str]) -> list[str]:
    """Only long values can leave the range of 64 bits or of doubles."""
    return [value for value in values if len(value) > 18 or "e" in value or "E" in value]
