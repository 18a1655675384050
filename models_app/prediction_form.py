"""The form of one prediction: a widget by the type of each feature, filled with what is usual."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.forms import BoundField
from django.forms.widgets import Input

from ml.prediction import Feature, Finding
from ml.readable import plain_number

# A field costs the server half a millisecond and the reader a glance; nobody fills in hundreds.
SHOWN_FEATURES: Final = 60
# Before the value of an option that the training has not met.
_OTHER: Final = "u:"
_HTML_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_HTML_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HTML_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,3})?)?")
# An arrow key moves a number by about this part of its range.
_STEPS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """A field with what is odd about its value, and with values to choose from beside typing one."""

    field: BoundField
    notes: tuple[str, ...]
    suggestions: tuple[str, ...]


class PredictionForm(forms.Form):
    """One field a feature; the fields are called ``f0`` … because column names may hold anything.

    Of a wide model only the first ``SHOWN_FEATURES`` are fields, in the order of its file, unless ``whole``; the
    others keep their usual values. Values stay text: the schema contract (``ml.prediction.check_rows``) judges
    them, here and everywhere else.
    """

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, features: Sequence[Feature], whole: bool = False
    ) -> None:
        super().__init__(data)
        shown = features if whole else features[:SHOWN_FEATURES]
        self.feature_count = len(features)
        self.folded = {feature.name: _usual(feature) for feature in features[len(shown) :]}
        self._features = {f"f{index}": feature for index, feature in enumerate(shown)}
        self._notes: dict[str, list[str]] = {}
        for key, feature in self._features.items():
            self.fields[key] = _field_for(feature, key, None if data is None else data.get(key))

    @classmethod
    def filled(cls, values: Mapping[str, str], *, features: Sequence[Feature], whole: bool) -> "PredictionForm":
        """The form as if somebody had typed these values, given by column name, and sent it."""
        shown = features if whole else features[:SHOWN_FEATURES]
        data = {f"f{index}": _sent(feature, values[feature.name]) for index, feature in enumerate(shown)}
        return cls(data, features=features, whole=whole)

    def values(self) -> dict[str, str]:
        """What was entered, and the usual values of the folded features, by column name."""
        return self.folded | {feature.name: self.cleaned_data[key] for key, feature in self._features.items()}

    def add_column_errors(self, errors: Mapping[str, str]) -> None:
        """Put messages given by column name on their fields."""
        keys = {feature.name: key for key, feature in self._features.items()}
        for name, message in errors.items():
            key = keys.get(name)
            self.add_error(key, message)
            widget = self.fields[key].widget if key is not None else None
            if isinstance(widget, Input):
                # A browser would not show what is no number in a field for numbers.
                widget.input_type = "text"

    def add_findings(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Put findings at their fields; returns those about columns that are none of the model's. Nothing is said
        of what was not asked (the folded)."""
        keys = {feature.name: key for key, feature in self._features.items()}
        others = []
        for finding in findings:
            if finding.field in keys:
                self._notes.setdefault(keys[finding.field], []).append(finding.message)
            elif finding.field not in self.folded:
                others.append(finding)
        return tuple(others)

    def noted(self) -> tuple[BoundField, ...]:
        """The fields whose values are odd."""
        return tuple(self[key] for key in self._features if key in self._notes)

    def rows(self) -> Iterator[FieldRow]:
        """The fields as the page shows them."""
        for key, feature in self._features.items():
            suggestions = () if feature.categories_complete else feature.categories
            yield FieldRow(field=self[key], notes=tuple(self._notes.get(key, ())), suggestions=suggestions)


def _usual(feature: Feature) -> str:
    return "" if feature.default is None else str(feature.default)


def _sent(feature: Feature, value: str) -> str:
    """What the field of a feature sends for a value."""
    if not _is_choice(feature):
        return _as_moment(feature, value)
    numbers = {category: str(number) for number, category in enumerate(_choices(feature))}
    return numbers.get(value, f"{_OTHER}{value}" if value else "")


def _is_choice(feature: Feature) -> bool:
    return feature.kind == "boolean" or bool(feature.categories and feature.categories_complete)


def _choices(feature: Feature) -> tuple[str, ...]:
    return ("True", "False") if feature.kind == "boolean" else feature.categories


def _field_for(feature: Feature, key: str, sent: Any) -> forms.Field:
    """A widget by type. Every field may stay empty: models take missing values."""
    attributes = {
        "data-column": feature.name,
        "data-kind": feature.kind if feature.type != "boolean" else "boolean",
        "aria-describedby": f"id_{key}_notes id_{key}_helptext",
    }
    if _is_choice(feature):
        return _CategoryField(feature, attributes, sent)
    if feature.missing_share > 0:
        attributes["placeholder"] = "missing"
    if feature.categories and not feature.categories_complete:
        attributes["list"] = f"id_{key}_list"
    text = _as_moment(feature, _usual(feature)) if sent is None else str(sent)
    return forms.CharField(
        label=feature.name,
        required=False,
        max_length=10_000,
        initial=_as_moment(feature, _usual(feature)),
        help_text=_help(feature),
        widget=_widget(feature, text, attributes),
        # The contract trims what the training trimmed; a no-break space is part of a value.
        strip=False,
    )


def _widget(feature: Feature, text: str, attributes: dict[str, str]) -> forms.Widget:
    """Text where a browser could not show the value in a field of its kind: it would lose it without a word."""
    if feature.kind == "number":
        whole = feature.is_whole
        attributes |= {
            "inputmode": "numeric" if whole and _is_positive(feature) else "decimal",
            "step": _step(feature),
        }
        if not text or _HTML_NUMBER.fullmatch(text):
            return forms.NumberInput(attrs=attributes)
    elif feature.kind == "date":
        days = not _has_times(feature)
        pattern, kind = (_HTML_DAY, "date") if days else (_HTML_MOMENT, "datetime-local")
        if not text or pattern.fullmatch(text):
            attributes |= {} if days else {"step": "any"}
            return forms.DateInput(attrs=attributes | {"type": kind})
        attributes["placeholder"] = "2024-12-31"
    elif feature.type == "text":
        return forms.Textarea(attrs=attributes | {"rows": "2"})
    return forms.TextInput(attrs=attributes)


def _has_times(feature: Feature) -> bool:
    return feature.kind == "date" and any(
        "T" in str(each) for each in (feature.minimum, feature.maximum, feature.default)
    )


def _as_moment(feature: Feature, text: str) -> str:
    """A day among moments is its first minute: a field for moments shows nothing else."""
    return f"{text}T00:00" if _has_times(feature) and _HTML_DAY.fullmatch(text) else text


def _is_positive(feature: Feature) -> bool:
    return isinstance(feature.minimum, int | float) and feature.minimum >= 0


def _step(feature: Feature) -> str:
    """A power of ten that fits the range."""
    low, high = feature.minimum, feature.maximum
    if feature.is_whole:
        return "1"
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not math.isfinite(high - low):
        return "any"
    width = (high - low) / _STEPS
    return f"{10.0 ** math.floor(math.log10(width)):.15f}".rstrip("0").rstrip(".") if width > 1e-14 else "any"


class _CategoryField(forms.TypedChoiceField):
    """A choice of all values of a column with few; a value that the training has not met can be sent all the same.

    An option is sent as the number of its category: browsers rewrite the line breaks of a value.
    """

    def __init__(self, feature: Feature, attributes: dict[str, str], sent: Any) -> None:
        values = _choices(feature)
        numbers = {value: str(number) for number, value in enumerate(values)}
        usual = numbers.get(_usual(feature), "")
        # No value at all is offered where the training has met one.
        none = [("", "(missing)")] if feature.missing_share > 0 or not usual or sent == "" else []
        other = [(sent, sent.removeprefix(_OTHER))] if isinstance(sent, str) and sent.startswith(_OTHER) else []
        labels = ("yes", "no") if feature.kind == "boolean" else values
        super().__init__(
            label=feature.name,
            required=False,
            choices=[*none, *((str(number), label) for number, label in enumerate(labels)), *other],
            coerce=lambda sent: sent.removeprefix(_OTHER) if sent.startswith(_OTHER) else values[int(sent)],
            empty_value="",
            initial=usual,
            error_messages={"invalid_choice": "Choose one of the values in the list."},
            widget=_choice_widget(feature, attributes),
        )


def _choice_widget(feature: Feature, attributes: dict[str, str]) -> forms.Widget:
    """Yes and no stand side by side; other choices unfold."""
    if feature.type == "boolean":
        return forms.RadioSelect(attrs=attributes | {"class": "form-selectgroup-input"})
    return forms.Select(attrs=attributes)


def _bound(value: float) -> str:
    """Four digits stand together: they may be a year."""
    text = plain_number(value)
    return text.replace(",", "") if abs(value) < 10_000 else text


def _help(feature: Feature) -> str:
    low, high = feature.minimum, feature.maximum
    if isinstance(low, int | float) and isinstance(high, int | float):
        return f"Seen in training: {_bound(low)} to {_bound(high)}"
    if isinstance(low, str) and isinstance(high, str):
        return f"Seen in training: {low.replace('T', ' ')} to {high.replace('T', ' ')}"
    return ""
