"""One value against one feature: what the model is given for it, and what is odd about it. Plain Python."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from ml.column_types import BLANKS, is_missing, is_soft_missing
from ml.features import Feature

TRUE_WORDS: Final = frozenset({"true", "yes", "y", "t", "1", "on"})
FALSE_WORDS: Final = frozenset({"false", "no", "n", "f", "0", "off"})
_INT64: Final = 2**63
_PLAIN_WHOLE: Final = re.compile("-?[0-9]{1,18}")
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,20}(?:e[+-]?[0-9]{1,3})?")
_LONG: Final = 40
# Comparing words costs the product of their lengths, for each candidate.
_LONGEST_COMPARED: Final = 100
_MOST_COMPARED: Final = 300

FindingKind = Literal["missing", "unknown", "unseen_category", "out_of_range", "rounded", "wrong_type"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a row that does not stop the prediction but may make it worse; ``field`` is a column."""

    field: str
    kind: FindingKind
    message: str


@dataclass(frozen=True, slots=True)
class Oddity:
    """A finding in two sentences: what is wrong, and what is done about it where the row is answered anyway."""

    field: str
    kind: FindingKind
    fault: str
    remedy: str = ""

    @property
    def finding(self) -> Finding:
        return Finding(field=self.field, kind=self.kind, message=f"{self.fault} {self.remedy}".strip())


def check_value(feature: Feature, value: Any) -> tuple[Any, tuple[Oddity, ...]]:
    """What the model is given for ``value`` (as typed, sent as JSON, or in a cell of a frame), and its oddities.

    A gap stays one where the training rows had gaps too; where they never had, the model knows nothing of gaps and
    the feature's usual value takes its place. What cannot be read as the feature's type counts as a gap.
    """
    try:
        text = _as_text(feature, value)
        if text is None:
            if feature.missing_share > 0:
                return None, ()
            return left_empty(feature, f'There is no value for "{short(feature.name)}".')
        made = _coerced(feature, text)
    except ValueError as error:
        return left_empty(feature, str(error), kind="wrong_type")
    oddities = _oddities(feature, made)
    return (round(made) if feature.is_whole else made), oddities


def quick_number(feature: Feature) -> Callable[[str], float | int | None] | None:
    """What ``check_value`` gives for a plain number that is as in training, several times quicker; None for any
    other text. There is no such short cut for a feature without bounds."""
    bounds = _bounds(feature)
    if bounds is None:
        return None
    low, high = bounds
    pattern, read = (_PLAIN_WHOLE, int) if feature.is_whole else (_PLAIN_NUMBER, float)
    matches = pattern.fullmatch

    def quick(text: str) -> float | int | None:
        if matches(text) is None:
            return None
        number = read(text)
        return number if low <= number <= high else None

    return quick


def usual_number(feature: Feature) -> Callable[[Any], bool] | None:
    """Whether a value is a number that ``check_value`` gives back as it is, with nothing to say about it. There is
    no such short cut for a feature without bounds."""
    bounds = _bounds(feature)
    if bounds is None:
        return None
    low, high = bounds
    types = (int,) if feature.is_whole else (int, float)

    def is_usual(value: Any) -> bool:
        return type(value) in types and low <= value <= high

    return is_usual


def _bounds(feature: Feature) -> tuple[float | int, float | int] | None:
    low, high = feature.minimum, feature.maximum
    if feature.kind == "number" and isinstance(low, int | float) and isinstance(high, int | float):
        return low, high
    return None


def left_empty(
    feature: Feature, fault: str, *, kind: FindingKind = "missing", rows: str = ""
) -> tuple[Any, tuple[Oddity, ...]]:
    """The value of a feature that has none, with the oddity that says so. ``rows``: "in every row", or nothing."""
    where = f" {rows}" if rows else ""
    if feature.missing_share > 0 or feature.default is None:
        return None, (Oddity(feature.name, kind, fault, f"It counts as missing{where}."),)
    remedy = f"Its usual value {short(str(feature.default))} is used{where}."
    return feature.default, (Oddity(feature.name, kind, fault, remedy),)


def _as_text(feature: Feature, value: Any) -> str | None:
    """The value as a file would have it, trimmed; None for a gap."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, Mapping | list | tuple | set | frozenset | bytes | bytearray):
        raise ValueError(f'The value of "{short(feature.name)}" is a list or an object, not a single value.')
    if type(value).__module__ == "numpy" and value.dtype.kind in "biuf":
        value = value.item()
    if isinstance(value, bool):
        return _own_word(feature, is_true=value)
    if isinstance(value, float) and value.is_integer() and str(int(value)) in feature.categories:
        return str(int(value))  # 3.0 for a category that is called 3
    try:
        text = str(value).strip(BLANKS)
    except ValueError:  # a whole number of thousands of digits
        raise ValueError(f'The value of "{short(feature.name)}" is too long a number.') from None
    among_values = feature.kind in ("number", "date")
    return None if is_missing(text) or (among_values and is_soft_missing(text)) else text


def _own_word(feature: Feature, *, is_true: bool) -> str:
    """What the column calls it: true is "Y" in a column of Y and N, and "yes" in one of yes and no."""
    if str(is_true) in feature.categories:
        return str(is_true)
    words = TRUE_WORDS if is_true else FALSE_WORDS
    own = [category for category in feature.categories if category.casefold() in words]
    return own[0] if len(own) == 1 else str(is_true).lower()


def _coerced(feature: Feature, text: str) -> Any:
    """The value by the feature's kind; a ValueError carries the sentence for the field."""
    if feature.kind == "number":
        if (feature.minimum, feature.maximum) == (0, 1) and feature.default in (0, 1):
            text = _zero_or_one(text)
        return _number(text, whole=feature.is_whole)
    if feature.kind == "boolean":
        return _is_true(text)
    if feature.kind == "date":
        return _date(text)
    if feature.type == "boolean":
        return _own_word(feature, is_true=_is_true(text))
    return text


def _zero_or_one(text: str) -> str:
    word = text.casefold()
    return "1" if word in TRUE_WORDS else "0" if word in FALSE_WORDS else text


def _is_true(text: str) -> bool:
    word = text.casefold()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(f'"{short(text)}" is neither yes nor no.')
    return word in TRUE_WORDS


def _date(text: str) -> str:
    """As in a file: ISO 8601, the time as written, an offset dropped."""
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise ValueError(f'"{short(text)}" is not a date; write it like 2026-03-31.') from None
    if not 1678 <= moment.year <= 2261:  # what pandas' nanoseconds hold
        raise ValueError(f'"{short(text)}" is not a date the model can use.')
    return moment.isoformat()


def _number(text: str, *, whole: bool) -> float | int:
    try:
        if "_" in text or not text.isascii():  # Python's digits, not a file's
            raise ValueError(text)
        number = int(text) if text.lstrip("+-").isdecimal() else float(text)
        finite = math.isfinite(number)
    except OverflowError:  # a whole number beyond the range of floats
        finite = False
    except ValueError:
        raise ValueError(f'"{short(text)}" is not a number; write it like 1234.5.') from None
    if not finite or (whole and not -_INT64 <= number < _INT64):
        raise ValueError(f'"{short(text)}" is not a number the model can use.')
    return number


def _oddities(feature: Feature, value: Any) -> tuple[Oddity, ...]:
    found = []
    name = short(feature.name)
    if feature.kind == "category" and feature.categories_complete and value not in feature.categories:
        fault = f'"{short(value)}" was never seen in "{name}" during training.'
        found.append(Oddity(feature.name, "unseen_category", fault + did_you_mean(value, feature.categories)))
    if feature.kind in ("number", "date") and feature.minimum is not None and feature.maximum is not None:
        low, high = feature.minimum, feature.maximum
        if _sortable(value) < _sortable(low) or _sortable(value) > _sortable(high):
            fault = f'{short(str(value))} is outside what "{name}" was during training, {low} to {high}.'
            found.append(Oddity(feature.name, "out_of_range", fault))
    if feature.is_whole and value != round(value):
        fault = f'"{name}" has only whole numbers, and this is {value}.'
        found.append(Oddity(feature.name, "rounded", fault, f"It is taken as {round(value)}."))
    return tuple(found)


def _sortable(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def short(text: str) -> str:
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def nearest(word: str, candidates: Collection[str]) -> str | None:
    """The candidate that ``word`` may be a slip of, if one is near enough."""
    if len(word) > _LONGEST_COMPARED:
        return None
    comparable = [each for each in candidates if len(each) <= _LONGEST_COMPARED][:_MOST_COMPARED]
    folded = {_folded(each): each for each in reversed(comparable)}
    near = difflib.get_close_matches(_folded(word), folded, n=1)
    return folded[near[0]] if near else None


def did_you_mean(word: str, candidates: Collection[str]) -> str:
    """A question to add to a sentence, or nothing."""
    near = nearest(word, candidates)
    return "" if near is None else f' Did you mean "{short(near)}"?'


def _folded(word: str) -> str:
    """Without what people change most: case, blanks and their substitutes."""
    return " ".join(word.casefold().replace("_", " ").replace("-", " ").split())
