"""Quality checks of columns: what was looked at, what was found in numbers, and what follows for a person.

Every kind of check says something, also when all is well. Limits stand at the top; they are meant to be agreed
with: an alert that a reader shrugs off costs more than a hint that is missing.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from ml.column_looks import Look
from ml.column_types import ID_ROWS, ColumnType
from ml.column_values import Numbers, Order, Outliers, seconds_of
from ml.profile_records import CheckStatus, ColumnProfile
from ml.written_otherwise import written_otherwise

_MANY_MISSING = 0.4
_SOME_MISSING = 0.05
_NEARLY_CONSTANT = 0.99
_NEARLY_CONSTANT_ROWS = 100
_MANY_CATEGORIES = 100
_CODE_LENGTH = 50  # longer texts are prose, of which all are different
_FEW_VALUES = 20
_MANY_ZEROS = 0.25
_SKEWED = 4.0
_REPEATED = 3
_GROUPS = 10
_NUMBERS_AMONG_WORDS = 0.5
_STAND_INS = {float(f"{sign}{digit * length}") for sign in "- " for digit in "9" for length in range(2, 9)} | {
    -(2.0**31),
    2.0**31 - 1,
    -32768.0,
}
_STAND_IN_DATES = ("0001-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "2099-12-31", "9999-12-31")
_DATE_STAND_INS = {seconds_of(date): date for date in _STAND_IN_DATES}
_GROUP_NAME = re.compile(
    r"(?i)(?:.*[_\- .])?(?:id|uuid|guid|key|user|customer|client|patient|subject|person|household|family|session|"
    r"group|store|shop|device|machine|batch|site|hospital|school|account)(?:[_\- .]?(?:id|no|nr|number|key|code))?|"
    r".*[a-z]I[dD]",
    re.DOTALL,
)
_TIME_NAME = re.compile(r"(?i)(?:.*[_\- .])?(?:year|month|date|day|time|timestamp)(?:[_\- .].*)?")


def is_time_name(name: str) -> bool:
    return _TIME_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the checks need beyond the profile, of ``rows`` rows: all of them, or a sample."""

    rows: int
    is_sample: bool
    outliers: Outliers | None
    skewness: float
    order: Order
    stand_ins: tuple[tuple[str, int], ...]
    zeros_apart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    index: int
    look: Look
    profile: ColumnProfile
    traits: Traits

    @property
    def name(self) -> str:
        return f"`{self.profile.name}`"

    @property
    def is_number(self) -> bool:
        return self.profile.type in (ColumnType.INTEGER, ColumnType.NUMERIC)

    @property
    def of_rows(self) -> str:
        """The rows that sampled figures are of."""
        return f"{self.traits.rows:,} {'sampled ' if self.traits.is_sample else ''}rows"


def traits_of(profile: ColumnProfile, numbers: Numbers, order: Order) -> Traits:
    """``numbers`` are those of the rows that the profile's sampled figures are of."""
    is_number = profile.type in (ColumnType.INTEGER, ColumnType.NUMERIC)
    many = is_number and numbers.total > 0 and profile.unique > _FEW_VALUES
    return Traits(
        rows=profile.sampled_rows or profile.rows,
        is_sample=profile.sampled_rows > 0,
        outliers=_far_out(numbers) if many else None,
        skewness=numbers.skewness if many else 0.0,
        order=order,
        stand_ins=_stand_ins(numbers, profile.type),
        zeros_apart=is_number and _zeros_apart(numbers),
    )


def _far_out(numbers: Numbers) -> Outliers | None:
    """Outliers of the values, and of their logarithms too where none is negative: a long tail alone is no error."""
    import numpy as np

    found = numbers.outliers()
    if found is None or not found.count or numbers.values[0] < 0:
        return found
    positive = numbers.values > 0
    logarithms = Numbers(np.log(numbers.values[positive]), numbers.counts[positive]).outliers()
    if logarithms is None:
        return found
    low, high = min(found.low, _exp(logarithms.low)), max(found.high, _exp(logarithms.high))
    mask = (numbers.values < low) | (numbers.values > high)
    middle = numbers.quantile(0.5)
    farthest = sorted(numbers.values[mask].tolist(), key=lambda value: -abs(value - middle))
    return Outliers(count=numbers.count_where(mask), low=low, high=high, examples=tuple(farthest[:3]))


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))


def _stand_ins(numbers: Numbers, kind: ColumnType) -> tuple[tuple[str, int], ...]:
    """Repeated values at an end that are usual for "unknown" and lie farther off than the others lie apart."""
    if len(numbers.values) < 3 or kind not in (ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.DATE):
        return ()
    found = []
    for end, others in ((0, numbers.values[1:]), (-1, numbers.values[:-1])):
        value, count = float(numbers.values[end]), int(numbers.counts[end])
        usual = value in (_DATE_STAND_INS if kind == ColumnType.DATE else _STAND_INS)
        gap = abs(value - float(others[0 if end == 0 else -1]))
        if usual and count >= _REPEATED and gap > float(others[-1] - others[0]):
            text = _DATE_STAND_INS[value] if kind == ColumnType.DATE else f"{value:g}"
            found.append((text if kind == ColumnType.DATE or abs(value) >= 1e6 else str(int(value)), count))
    return tuple(found)


def _zeros_apart(numbers: Numbers) -> bool:
    """Whether there are some zeros, nothing below them, and a gap above them wider than the middle half."""
    if len(numbers.values) <= _FEW_VALUES or numbers.values[0] != 0 or numbers.counts[0] < _REPEATED:
        return False
    positive = Numbers(numbers.values[1:], numbers.counts[1:])
    return float(positive.values[0]) > positive.quantile(0.75) - positive.quantile(0.25) > 0


Finding = tuple[CheckStatus, str, str]


def _missing(column: Examined) -> Finding | None:
    profile = column.profile
    share = profile.missing / profile.rows if profile.rows else 0.0
    if share < _SOME_MISSING or profile.missing == profile.rows:
        return None
    evidence = f"{column.name} has no value in {profile.missing:,} of {profile.rows:,} rows ({_percent(share)})."
    if share < _MANY_MISSING:
        return "done", evidence, "Gaps are kept as gaps; the models can handle them, and nothing is filled in here."
    return "alert", evidence, "Leave the column out, or find out whether a gap itself means something."


def _disguised(column: Examined) -> Finding | None:
    profile = column.profile
    if not profile.disguised_missing:
        return None
    written = ", ".join(f"“{word}” ({count:,})" for word, count in profile.disguises[:5])
    evidence = f"{column.name} has {_values(profile.disguised_missing)} written as {written}."
    return "done", evidence, "They were read as missing."


def _sentinel(column: Examined) -> Finding | None:
    if not column.traits.stand_ins:
        return None
    written = " and ".join(f"{text} ({count:,} times)" for text, count in column.traits.stand_ins)
    evidence = f"{column.name} has {written} in {column.of_rows}, far from all its other values."
    return "alert", evidence, "If that stands for “unknown”, leave these cells empty and upload the file again."


def _constant(column: Examined) -> Finding | None:
    profile = column.profile
    if not profile.present:
        return "alert", f"{column.name} is empty in all {profile.rows:,} rows.", "Leave it out of training."
    if profile.unique != 1 or profile.rows < 2:
        return None
    if not profile.missing:
        evidence = f"{column.name} has the same value in all {profile.rows:,} rows."
        return "alert", evidence, "Leave it out of training: it cannot tell rows apart."
    evidence = f"{column.name} has the same value in all {profile.present:,} rows that have one."
    return (
        "alert",
        evidence,
        "Only whether it is filled in can tell rows apart; leave it out if that means nothing.",
    )


def _nearly_constant(column: Examined) -> Finding | None:
    profile = column.profile
    if not profile.top or profile.unique < 2 or profile.rows < _NEARLY_CONSTANT_ROWS:
        return None
    rows = column.traits.rows if profile.sampled_rows else profile.present
    share = profile.top[0][1] / rows if rows else 0.0
    if share < _NEARLY_CONSTANT:
        return None
    evidence = f"{column.name} has the same value in {_percent(share)} of {rows:,} rows."
    return "alert", evidence, "It can hardly tell rows apart; leave it out unless the rare values matter."


def _id_like(column: Examined) -> Finding | None:
    profile, look = column.profile, column.look
    if profile.rows < ID_ROWS or profile.missing:
        return None
    all_different = profile.unique >= profile.rows
    if profile.type == ColumnType.ID and all_different:
        evidence = f"{column.name} is different in every one of {profile.rows:,} rows."
    elif (
        profile.type == ColumnType.INTEGER
        and all_different
        and look.low_whole is not None
        and look.high_whole == look.low_whole + profile.rows - 1
    ):
        evidence = (
            f"{column.name} numbers the {profile.rows:,} rows from {look.low_whole:,} to {look.high_whole:,}."
        )
    else:
        return None
    return "alert", evidence, "It names rows and says nothing about new ones: leave it out of training."


def _mixed(column: Examined) -> Finding | None:
    look, profile = column.look, column.profile
    if look.facts.all_numeric or look.facts.all_date or not look.present or not look.words:
        return None
    kind, fit = max((("numbers", look.numbers or 0), ("dates", look.dates or 0)), key=lambda found: found[1])
    share = fit / look.present
    if share < _NUMBERS_AMONG_WORDS or all(word.isdigit() for word in look.words):
        return None
    words = ", ".join(f"“{_short(word)}”" for word in look.words[:3])
    odd = look.present - fit
    others = "1 other value" if odd == 1 else f"{odd:,} other values"
    evidence = f"{column.name} holds {fit:,} {kind} and {others}, such as {words}."
    if profile.type in (ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.DATE):
        return "done", evidence, f"As the type is set to {profile.type.label}, these {odd:,} count as missing."
    wanted = ColumnType.NUMERIC if kind == "numbers" else ColumnType.DATE
    return "alert", evidence, f"Correct them, or set the type to {wanted.label}: then they count as missing."


def _written_otherwise(column: Examined) -> Finding | None:
    """Numbers and dates that nobody meant as words: with a currency sign, a unit, the name of a month."""
    look, profile = column.look, column.profile
    if profile.type not in (ColumnType.TEXT, ColumnType.CATEGORY, ColumnType.ID):
        return None
    seen = [value.text for value in look.values or ()] or [text for text, _ in profile.top]
    found = written_otherwise([*seen, *([look.example] if look.example else [])])
    if found is None:
        return None
    what, action = found
    example = f", such as “{_short(look.example)}”" if look.example else ""
    return "alert", f"{column.name} holds {what}{example}, which are read as {profile.type.label}.", action


def _high_cardinality(column: Examined) -> Finding | None:
    profile = column.profile
    kinds = (ColumnType.CATEGORY, ColumnType.TEXT)
    too_many = profile.type in kinds and profile.unique > _MANY_CATEGORIES
    if not too_many or (profile.type == ColumnType.TEXT and (profile.longest > _CODE_LENGTH or _spread(profile))):
        return None
    each = profile.present / profile.unique
    about = "" if profile.unique_is_exact else "about "
    evidence = f"{column.name} has {about}{profile.unique:,} different values, each in {each:.1f} rows on average."
    return "alert", evidence, "Few rows speak for each value: group rare values, or leave the column out."


def _spread(profile: ColumnProfile) -> bool:
    return profile.unique >= profile.present * 0.9


def _excess_zeros(column: Examined) -> Finding | None:
    profile = column.profile
    zeros = profile.zeros or 0
    if not column.is_number or not zeros or profile.unique <= _FEW_VALUES:
        return None
    share = zeros / profile.present
    evidence = f"{column.name} is 0 in {zeros:,} of {profile.present:,} values ({_percent(share)})"
    action = "If 0 stands for “unknown” here, leave these cells empty and upload the file again."
    if column.traits.zeros_apart:
        return "alert", f"{evidence}, and all its other values are far above it.", action
    if share >= _MANY_ZEROS:
        return "alert", f"{evidence}, though it has {profile.unique:,} different values.", action
    return None


def _outliers(column: Examined) -> Finding | None:
    found = column.traits.outliers
    if found is None or not found.count:
        return None
    share = found.count / column.traits.rows
    examples = ", ".join(f"{value:,.6g}" for value in found.examples)
    below, above = f"below {found.low:,.6g}", f"above {found.high:,.6g}"
    sides = [below] * any(value < found.low for value in found.examples)
    sides += [above] * any(value > found.high for value in found.examples)
    evidence = (
        f"{column.name} has {_values(found.count)} ({_percent(share)} of {column.of_rows}) "
        f"{' or '.join(sides)}, such as {examples}."
    )
    return "alert", evidence, "Look whether they are errors; if they are real, keep them."


def _skew(column: Examined) -> Finding | None:
    skewness = column.traits.skewness
    if abs(skewness) < _SKEWED:
        return None
    side = "high" if skewness > 0 else "low"
    evidence = f"{column.name} has a long tail of {side} values (skewness {skewness:.1f} in {column.of_rows})."
    action = "Trees do not mind. As a target, errors on the tail weigh most: consider its logarithm."
    return "alert", evidence, action


def _time_order(column: Examined) -> Finding | None:
    profile, order = column.profile, column.traits.order
    is_time = profile.type == ColumnType.DATE or (profile.type == ColumnType.INTEGER and is_time_name(profile.name))
    if not is_time or not order.sorted or profile.unique < _GROUPS:
        return None
    evidence = f"The rows are sorted by {column.name}, {order.sorted} ({order.rows:,} rows compared)."
    action = "If the model is to predict what comes later, hold out the latest rows instead of random ones."
    return "alert", evidence, action


def _groups(column: Examined) -> Finding | None:
    """Values that come several times each: by a name that says so, or because their rows stand together."""
    profile, order = column.profile, column.traits.order
    if profile.type not in (ColumnType.INTEGER, ColumnType.CATEGORY, ColumnType.TEXT, ColumnType.ID):
        return None
    if not _GROUPS <= profile.unique <= profile.present / 2 or profile.missing > profile.rows / 2:
        return None
    named = _GROUP_NAME.fullmatch(profile.name) is not None
    together = order.same > 0.5 and order.same_by_chance < 0.2 and profile.type != ColumnType.INTEGER
    if not (named or together):
        return None
    about = "" if profile.unique_is_exact else "about "
    where = " that stand together" if order.same > 0.5 and order.same_by_chance < 0.2 else ""
    evidence = (
        f"{column.name} has {about}{profile.unique:,} different values in {profile.present:,} rows: groups of "
        f"{profile.present / profile.unique:.1f} rows on average{where}."
    )
    action = "If new rows will belong to new groups, keep each group on one side when rows are held out."
    return "alert", evidence, action


def is_group(column: Examined) -> bool:
    return _groups(column) is not None


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "under 0.1 %"
    return f"{share * 100:.1f} %" if share < 0.1 or share > 0.99 else f"{share * 100:.0f} %"


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count:,} values"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


# In the order of CHECK_TITLES; each with what is said where no column gives cause.
COLUMN_CHECKS: tuple[tuple[str, Callable[[Examined], Finding | None], str], ...] = (
    ("constant", _constant, "No column has the same value in all rows."),
    ("nearly_constant", _nearly_constant, "No column has the same value in 99 % of the rows."),
    ("id_like", _id_like, "No column merely names the rows."),
    ("missing", _missing, "No column has gaps in more than 5 % of the rows."),
    ("disguised_missing", _disguised, "No gap is written as a word or sign."),
    ("sentinel", _sentinel, "No column has a number or date that looks like a stand-in for “unknown”."),
    ("mixed_types", _mixed, "No column of numbers or dates has other values among them."),
    (
        "written_otherwise",
        _written_otherwise,
        "No column has numbers or dates with signs, units or names.",
    ),
    ("high_cardinality", _high_cardinality, f"No column has more than {_MANY_CATEGORIES} categories."),
    ("excess_zeros", _excess_zeros, "No column has conspicuously many zeros."),
    ("outliers", _outliers, "No column has values far outside the others."),
    ("skew", _skew, f"No column has a skewness beyond {_SKEWED:.0f}."),
    ("time_order", _time_order, "The rows are not sorted by a date."),
    ("groups", _groups, "No column groups the rows."),
)
