"""Whether the first row of a table names its columns."""

import re
from collections.abc import Sequence

from ml.column_types import BLANKS, ValueFormat, is_missing
from ml.value_formats import is_date, is_numeric

# Titles above a table in a spreadsheet are few.
_MOST_TITLES = 15


def has_header(rows: Sequence[Sequence[str]], formats: ValueFormat) -> bool:
    """Whether the first row names the columns: by the kinds of its values against the kinds below them.

    A name over a column of numbers or dates speaks for a header, a number over numbers against it; a day over
    numbers is a name. A row of
    years (1990, 1991, …) is a header of its own kind. Where everything is text, a first row whose values occur
    again in their columns is data; otherwise it is a header, as nearly every file has one.
    """
    first = [value.strip(BLANKS) for value in rows[0]]
    body = [row for row in rows[1:] if len(row) >= len(first)]
    if len(first) > 1 and not any(_is_typed(value, formats) for value in first):
        # Where files were put together, the header comes again in between.
        body = [row for row in body if list(row) != list(rows[0])]
    if any(is_missing(value) for value in first[1:]) and not body:
        return True
    for_header = against = repeated = 0
    years: list[int] = []
    for index, value in enumerate(first):
        below = {cell for row in body if not is_missing(cell := row[index].strip(BLANKS))}
        typed = bool(below) and all(_is_typed(cell, formats) for cell in below)
        if is_missing(value):
            continue
        if _is_typed(value, formats):
            # A day over numbers is the name of a column, as in a table with a column for each month.
            names = typed and is_date(value, _YEAR_FIRST) and not any(is_date(cell, _YEAR_FIRST) for cell in below)
            for_header += names
            against += (typed and not names) or not below
            if re.fullmatch(r"1[89][0-9]{2}|20[0-9]{2}", value):
                years.append(int(value))
        else:
            for_header += typed
            repeated += value in below
    if len(years) >= 2 and len(years) == against and years == sorted(set(years)):
        return True
    if against or for_header:
        return for_header > 0 and for_header >= against
    named = sum(not is_missing(value) for value in first)
    return named == 0 or repeated < max(1, named / 2)


def padded_lines(rows: Sequence[Sequence[str]]) -> int:
    """How many rows of titles, filled up with empty fields, a spreadsheet program has put above the header."""
    if not rows or len(rows[0]) < 3 or _filled(rows[0]) > 1:
        return 0
    for index, row in enumerate(rows[:_MOST_TITLES]):
        if len(row) == len(rows[0]) and _filled(row) == len(row):
            header = index > 0 and not any(_is_typed(value.strip(BLANKS), _LOOSE) for value in row)
            return index if header else 0
        if _filled(row) > len(row) / 2:
            return 0
    return 0


def _filled(row: Sequence[str]) -> int:
    return sum(bool(value.strip(BLANKS)) for value in row)


_LOOSE = ValueFormat(date_order="dmy")
_MONTH_FIRST = ValueFormat(date_order="mdy")
_YEAR_FIRST = ValueFormat(date_order="ymd")


def _is_typed(value: str, formats: ValueFormat) -> bool:
    """A number or a date of any kind; a column of dates speaks for a header although their order is open."""
    if not any(letter in value for letter in "0123456789"):
        return False
    return (
        is_numeric(value, formats)
        or ("," in value and is_numeric(value.replace(",", ".", 1)))
        or is_date(value, _LOOSE)
        or is_date(value, _MONTH_FIRST)
    )
