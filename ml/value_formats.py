r"""How a file writes its numbers and dates, and the patterns that follow from it.

The patterns are read alike by Python's ``re`` and by DuckDB's RE2. With thousands signs a number may also do
without them, but where they stand they part groups of three: ``1,234`` and ``1234``, not ``12,34``. With an order
of dates ISO 8601 is read too, and a date that begins with a year of four digits, as no order contradicts it. Years
of two digits are 1969 to 2068.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

DECIMALS: Final = (".", ",")
THOUSANDS: Final = ("", ",", ".", " ", "'")
DATE_ORDERS: Final = ("", "dmy", "mdy", "ymd")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFormat:
    """``decimal`` is "." or ","; ``thousands`` "", ",", ".", " " or "'"; ``date_order`` "" (only ISO 8601), "dmy",
    "mdy" or "ymd"."""

    decimal: str = "."
    thousands: str = ""
    date_order: str = ""


PLAIN = ValueFormat()

# A blank between thousands is often one that does not break, an apostrophe often a typographic one.
_THOUSANDS_SIGNS: Final = {"": "", ",": ",", ".": ".", " ": " \u00a0\u202f", "'": "'\u2019"}

_ISO_DATE: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?)?"
)
_SEPARATORS: Final = ("/", r"\.", "-")
_SHORT: Final = "[0-9]{1,2}"
_YEAR: Final = "[12][0-9]{3}"
_CLOCK: Final = r"[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_TIME: Final = rf"(?:(?:,? |T)(?:(?:[01]?[0-9]|2[0-3]):{_CLOCK}|(?:0?[1-9]|1[0-2]):{_CLOCK} ?[AaPp]\.?[Mm]\.?))?"


def thousands_signs(formats: ValueFormat) -> str:
    """The characters that may stand between thousands."""
    return _THOUSANDS_SIGNS[formats.thousands]


@cache
def whole_pattern(formats: ValueFormat) -> str:
    """A whole number of any size, without leading zeros."""
    signs = thousands_signs(formats)
    grouped = rf"|[1-9][0-9]{{0,2}}(?:[{signs}][0-9]{{3}})+" if signs else ""
    return rf"[+-]?(?:0|[1-9][0-9]*{grouped})"


@cache
def numeric_pattern(formats: ValueFormat) -> str:
    decimal = re.escape(formats.decimal)
    return rf"(?:{whole_pattern(formats)}(?:{decimal}[0-9]*)?|[+-]?{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?"


@cache
def date_pattern(formats: ValueFormat) -> str:
    return f"{_ISO_DATE}|{_ordered_pattern(formats)}" if formats.date_order else _ISO_DATE


def _ordered_pattern(formats: ValueFormat) -> str:
    """The dates that ISO 8601 does not know."""
    parts = [(_YEAR, _SHORT, _SHORT)]
    if formats.date_order != "ymd":
        parts.append((_SHORT, _SHORT, f"(?:{_YEAR}|[0-9]{{2}})"))
    return "|".join(separator.join(part) + _TIME for part in parts for separator in _SEPARATORS)


def plain_number(value: str, formats: ValueFormat) -> str:
    """A value that matches :func:`numeric_pattern` as programs write it."""
    for sign in thousands_signs(formats):
        value = value.replace(sign, "")
    return value.replace(",", ".") if formats.decimal == "," else value


def is_whole(value: str, formats: ValueFormat = PLAIN) -> bool:
    return _compiled(whole_pattern(formats)).fullmatch(value) is not None


def is_integer(value: str, formats: ValueFormat = PLAIN) -> bool:
    """Whether a trimmed value is a whole number within 64 bits."""
    return is_whole(value, formats) and len(value) < 80 and -(2**63) <= int(plain_number(value, formats)) < 2**63


def is_numeric(value: str, formats: ValueFormat = PLAIN) -> bool:
    """Whether a trimmed value is a finite number; every integer is one too."""
    matches = _compiled(numeric_pattern(formats)).fullmatch(value) is not None
    return matches and abs(float(plain_number(value, formats))) != float("inf")


def is_date(value: str, formats: ValueFormat = PLAIN) -> bool:
    """Whether a trimmed value is a day that exists, perhaps with a time."""
    if _compiled(date_pattern(formats)).fullmatch(value) is None:
        return False
    try:
        if _compiled(_ISO_DATE).fullmatch(value):
            datetime.fromisoformat(value)
        else:
            datetime(*day_of(value, formats.date_order))
    except ValueError:  # the 30th of February
        return False
    return True


_NUMBERS = re.compile("[0-9]+")


def day_of(value: str, order: str) -> tuple[int, int, int]:
    """Year, month and day of a value that matches a pattern of that order."""
    first, second, third = _NUMBERS.findall(value)[:3]
    if len(first) == 4:
        return int(first), int(second), int(third)
    year = int(third) if len(third) == 4 else int(third) + (1900 if int(third) >= 69 else 2000)
    return (year, int(second), int(first)) if order == "dmy" else (year, int(first), int(second))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


@cache
def many(pattern: str) -> re.Pattern[str]:
    """Values in lines of their own: one match over many costs a tenth of a match for each."""
    return re.compile(rf"(?:(?:{pattern})\n)+", re.ASCII)


# From here on in SQL.


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain_number_sql(column: str, formats: ValueFormat) -> str:
    for sign in thousands_signs(formats):
        column = f"replace({column}, {literal(sign)}, '')"
    return f"replace({column}, ',', '.')" if formats.decimal == "," else column


def number_sql(column: str, formats: ValueFormat = PLAIN) -> str:
    """A trimmed value as a DOUBLE, NULL when it is no number; beyond the range of doubles it is infinite."""
    # Casting is quicker than matching and tells nearly everything; what it lets pass besides (inf, 1_000, 007)
    # has an underscore, or begins otherwise than with 1 to 9 or "0.", with or without a minus.
    begins = " OR ".join(
        f"({column} >= '{low}' AND {column} < '{high}')"
        for low, high in (("1", ":"), ("0.", "0/"), ("-1", "-:"), ("-0.", "-0/"))
    )
    plain = f"CASE WHEN ({begins}) AND NOT contains({column}, '_') THEN TRY_CAST({column} AS DOUBLE) "
    matches = f"regexp_full_match({column}, {literal(numeric_pattern(formats))})"
    converted = f"TRY_CAST({_plain_number_sql(column, formats)} AS DOUBLE)"
    if (formats.decimal, formats.thousands) == (".", ""):
        return f"{plain}WHEN {matches} THEN {converted} END"
    return f"CASE WHEN {matches} THEN {converted} END"


def has_fraction_sql(column: str, formats: ValueFormat = PLAIN) -> str:
    """Whether a number is written with a decimal sign or an exponent."""
    return "(" + " OR ".join(f"contains({column}, '{letter}')" for letter in (formats.decimal, "e", "E")) + ")"


def integer_sql(column: str, formats: ValueFormat = PLAIN, *, is_number: bool = False) -> str:
    """A trimmed value as a BIGINT, NULL when it is no whole number or does not fit.

    :param is_number: leave out finding out whether it is a number; others then give what they may.
    """
    converted = f"TRY_CAST({_plain_number_sql(column, formats)} AS BIGINT)"
    other = has_fraction_sql(column, formats)
    if not is_number:
        other = f"({number_sql(column, formats)}) IS NULL OR {other}"
    return f"CASE WHEN {other} THEN NULL ELSE {converted} END"


def date_sql(column: str, formats: ValueFormat = PLAIN) -> str:
    """A trimmed value as a TIMESTAMP, NULL when it is no date; the time is as written, its offset is dropped."""
    iso = (
        f"WHEN {column} LIKE '____-__-__%' AND {column} >= '0001' "
        f"AND regexp_full_match({column}, {literal(_ISO_DATE)}) THEN TRY_CAST({column} AS TIMESTAMP) "
    )
    if not formats.date_order:
        return f"CASE {iso}END"
    matches = f"{column} < ':' AND regexp_full_match({column}, {literal(_ordered_pattern(formats))})"
    day = _iso_sql(column, formats.date_order)
    return f"CASE {iso}WHEN {matches} THEN {_with_time_sql(day)} END"


def _iso_sql(column: str, order: str) -> str:
    """A date in this order as year-month-day; what follows the day is kept."""
    sign = "[-/.]"
    swapped = r"\3-\2-\1" if order == "dmy" else r"\3-\1-\2"
    replaced = f"regexp_replace({column}, '^([12][0-9]{{3}}){sign}([0-9]{{1,2}}){sign}', '\\1-\\2-')"
    if order == "ymd":
        return replaced
    start = f"^([0-9]{{1,2}}){sign}([0-9]{{1,2}}){sign}"
    for year, century in (("([12][0-9]{3})", ""), ("(6[0-8]|[0-5][0-9])", "20"), ("(69|[7-9][0-9])", "19")):
        replaced = f"regexp_replace({replaced}, '{start}{year}($|[ ,T])', '{century}{swapped}\\4')"
    return replaced


def _with_time_sql(day: str) -> str:
    text = f"replace(replace({day}, ',', ''), 'T', ' ')"
    clock = f"regexp_replace(replace(upper({text}), '.M', 'M'), ' ?([AP])\\.?M\\.?$', ' \\1M')"
    twelve = ", ".join(f"'%Y-%m-%d %I:%M{seconds} %p'" for seconds in ("", ":%S", ":%S.%f"))
    return (
        f"CASE WHEN regexp_matches({day}, '[Mm]\\.?$') THEN try_strptime({clock}, [{twelve}]) "
        f"ELSE TRY_CAST({text} AS TIMESTAMP) END"
    )
