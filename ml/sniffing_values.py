"""How a file writes numbers and dates, on the evidence of its rows; what they leave open is a question."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ml.column_types import BLANKS, PLAIN, ValueFormat, is_missing, is_soft_missing
from ml.value_formats import is_date, many, numeric_pattern, thousands_signs

# Different values of a column that are looked at.
_MOST_VALUES = 300
# Where several read as many columns, the first is right: what asks for less comes first.
_CANDIDATES = (
    ValueFormat(),
    ValueFormat(thousands=","),
    ValueFormat(decimal=","),
    ValueFormat(thousands=" "),
    ValueFormat(thousands="'"),
    ValueFormat(decimal=",", thousands="."),
    ValueFormat(decimal=",", thousands=" "),
    ValueFormat(decimal=",", thousands="'"),
)
_COMMA_MEANS = (ValueFormat(thousands=","), ValueFormat(decimal=","))
_DAY_FIRST = ValueFormat(date_order="dmy")
_MONTH_FIRST = ValueFormat(date_order="mdy")
_YEAR_FIRST = ValueFormat(date_order="ymd")
_MAY_BE_DATE = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}(?:[ ,T].*)?", re.ASCII)
_EXAMPLE_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguity:
    """A choice that the file itself does not settle: the dialect's ``field``, and a sentence that asks."""

    field: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The same before the columns have names."""

    field: str
    column: int
    example: str

    def about(self, names: Sequence[str]) -> Ambiguity:
        named = self.column < len(names) and names[self.column].strip()
        what = f"“{' '.join(names[self.column].split())}”" if named else f"column {self.column + 1}"
        if self.field == "date_order":
            sentence = (
                f"The dates in {what}, such as {self.example}, can be read as day/month or as month/day, "
                "and nothing in the file tells which it is."
            )
        else:
            sentence = (
                f"The comma in the numbers of {what}, such as {self.example}, can be a decimal sign or part "
                "thousands, and nothing in the file tells which it does."
            )
        return Ambiguity(field=self.field, sentence=sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFormat:
    formats: ValueFormat
    questions: tuple[Question, ...] = ()
    undecided_dates: tuple[int, ...] = ()


def value_format(rows: Sequence[Sequence[str]], *, delimiter: str) -> FoundFormat:
    """How the columns write numbers and dates. The first row may be a header and is no evidence beside others."""
    columns = _columns(rows[1:] if len(rows) > 1 else rows)
    numbers, asked = _number_format(columns, delimiter)
    order, undecided = _date_order(columns)
    questions = list(asked)
    if undecided:
        questions.append(Question(field="date_order", column=undecided[0], example=_example(columns[undecided[0]])))
    return FoundFormat(
        formats=ValueFormat(decimal=numbers.decimal, thousands=numbers.thousands, date_order=order),
        questions=tuple(questions),
        undecided_dates=undecided,
    )


def _columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The different values of each column that has them, in order, without those that are missing."""
    width = max(map(len, rows), default=0)
    columns: list[list[str]] = []
    for index in range(width):
        values = dict.fromkeys(row[index].strip(BLANKS) for row in rows if index < len(row))
        present = [value for value in values if not is_missing(value) and not is_soft_missing(value)]
        columns.append(present[:_MOST_VALUES])
    return columns


def _example(values: Sequence[str]) -> str:
    return values[0][:_EXAMPLE_LENGTH]


def _number_format(columns: Sequence[Sequence[str]], delimiter: str) -> tuple[ValueFormat, list[Question]]:
    """The format in which most columns are all numbers."""
    open_columns = [index for index, values in enumerate(columns) if values and not _all_numeric(values, PLAIN)]
    signed = [index for index in open_columns if _may_be_numeric(columns[index])]
    if not signed:
        return PLAIN, []
    read = {
        formats: [index for index, values in enumerate(columns) if values and _is_evidence(values, formats)]
        for formats in _CANDIDATES
    }
    most = max(map(len, read.values()))
    best = [formats for formats in _CANDIDATES if len(read[formats]) == most]
    if best[0] == PLAIN:
        return PLAIN, []
    simplest = best[0]
    commas = [index for index in read[simplest] if "," in "".join(columns[index])]
    either = all(_all_numeric(columns[index], formats) for index in commas for formats in _COMMA_MEANS)
    if simplest in _COMMA_MEANS and either:  # all commas before three digits, as in 1,234
        example = next(value for value in columns[commas[0]] if "," in value)[:_EXAMPLE_LENGTH]
        chosen = _COMMA_MEANS[0] if delimiter == "," else _COMMA_MEANS[1]
        return chosen, [Question(field="decimal", column=commas[0], example=example)]
    return simplest, []


def _may_be_numeric(values: Sequence[str]) -> bool:
    return all(value[:1] in "+-.,0123456789" and value[-1:] in ".,0123456789" for value in values)


def _all_numeric(values: Sequence[str], formats: ValueFormat) -> bool:
    return many(numeric_pattern(formats)).fullmatch("\n".join([*values, ""])) is not None


def _is_evidence(values: Sequence[str], formats: ValueFormat) -> bool:
    """All numbers; with parted thousands not all of one shape, as telephone numbers are."""
    if not _all_numeric(values, formats):
        return False
    signs = thousands_signs(formats)
    if not any(sign in value for sign in signs for value in values):
        return True
    if any(formats.decimal in value for value in values):
        return True
    shapes = {re.sub("[0-9]", "0", value) for value in values}
    return len(shapes) > 1 or (len(values) < 3 and formats.thousands in ",.")


def _date_order(columns: Sequence[Sequence[str]]) -> tuple[str, tuple[int, ...]]:
    """The order of dates, and the columns that can be read in two."""
    day_first = month_first = year_first = dotted = 0
    undecided: list[int] = []
    for index, values in enumerate(columns):
        if not values or not all(map(_MAY_BE_DATE.fullmatch, values)) or _all_numeric(values, PLAIN):
            continue
        if all(is_date(value, _YEAR_FIRST) for value in values):
            year_first += not all(map(is_date, values))
            continue
        as_day, as_month = (all(is_date(value, order) for value in values) for order in (_DAY_FIRST, _MONTH_FIRST))
        if as_day and as_month and "." in values[0][:3]:  # nobody writes m.d.y
            dotted += 1
        elif as_day and as_month:
            undecided.append(index)
        day_first += as_day and not as_month
        month_first += as_month and not as_day
    if day_first != month_first:
        return ("dmy" if day_first > month_first else "mdy"), ()
    if dotted and not day_first:
        return "dmy", ()
    return ("ymd" if year_first else ""), tuple(undecided)
