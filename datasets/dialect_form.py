"""The choices of how a file is read, as a form: each can be changed, and what the file leaves open is asked."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from django import forms
from django.utils.html import escape

from ml.dialects import ENCODINGS, MAX_SKIP_LINES, Dialect
from smartml.errors import InvalidTable

# Values that are blanks or signs travel as words.
_DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "colon": ":", "space": " "}
# The blank, any number of which is one delimiter.
_SPACES: Final = "spaces"
_QUOTES: Final = {"double": '"', "single": "'", "none": ""}
_ESCAPES: Final = {"none": "", "backslash": "\\"}
_COMMENTS: Final = {"none": "", "hash": "#", "percent": "%", "semicolon": ";", "slashes": "//"}
_DECIMALS: Final = {"point": ".", "comma": ","}
_THOUSANDS: Final = {"none": "", "comma": ",", "point": ".", "blank": " ", "apostrophe": "'"}
_DATES: Final = {"iso": "", "dmy": "dmy", "mdy": "mdy", "ymd": "ymd"}
_WORDS: Final[dict[str, dict[str, str]]] = {
    "delimiter": _DELIMITERS,
    "quotechar": _QUOTES,
    "escapechar": _ESCAPES,
    "comment": _COMMENTS,
    "decimal": _DECIMALS,
    "thousands": _THOUSANDS,
    "date_order": _DATES,
}
# In a form that was shown: which records it was shown with.
SEEN: Final = "seen"
_FLAGS: Final = ("has_header", "skip_blanks")
_FORMATS: Final = ("decimal", "thousands", "date_order")
_USUAL: Final = {
    "quotechar": "double",
    "decimal": "point",
    "date_order": "iso",
    "has_header": "yes",
    "skip_blanks": "no",
}
_CHOOSE: Final = ("", "Choose…")


def _choice(label: str, *options: tuple[str, str]) -> forms.ChoiceField:
    # Left out or empty: as it was detected.
    return forms.ChoiceField(label=label, choices=options, required=False, widget=forms.Select())


class DialectForm(forms.Form):
    """Bound to a query or a post; what is left out is as it was detected."""

    delimiter = _choice(
        "Values are separated by",
        ("comma", "Comma  ,"),
        ("semicolon", "Semicolon  ;"),
        ("tab", "Tab"),
        ("bar", "Bar  |"),
        ("colon", "Colon  :"),
        ("space", "Space"),
        (_SPACES, "Spaces, one or more"),
    )
    has_header = _choice("First row", ("yes", "Names of the columns"), ("no", "Data already"))
    encoding = _choice("Encoding", *ENCODINGS.items())
    quotechar = _choice(
        "Values are framed by", ("double", 'Double quotes  "'), ("single", "Single quotes  '"), ("none", "Nothing")
    )
    skip_blanks = _choice("Spaces before a value", ("no", "Are part of it"), ("yes", "Are left out"))
    escapechar = _choice("Quotes inside are written", ("none", "Twice"), ("backslash", "After a backslash"))
    skip_lines = forms.IntegerField(
        label="Lines above the table",
        required=False,
        min_value=0,
        max_value=MAX_SKIP_LINES,
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    comment = _choice(
        "Comment lines begin with",
        ("none", "Nothing: there are none"),
        ("hash", "#"),
        ("percent", "%"),
        ("semicolon", ";"),
        ("slashes", "//"),
    )
    decimal = _choice("Decimal sign", ("point", "Point  1.5"), ("comma", "Comma  1,5"))
    thousands = _choice(
        "Thousands are separated by",
        ("none", "Nothing  1000"),
        ("comma", "Comma  1,000"),
        ("point", "Point  1.000"),
        ("blank", "Space  1 000"),
        ("apostrophe", "Apostrophe  1'000"),
    )
    date_order = _choice(
        "Dates are written",
        ("iso", "Year-month-day with dashes; others stay text"),
        ("dmy", "Day / month / year"),
        ("mdy", "Month / day / year"),
        ("ymd", "Year / month / day"),
    )

    def __init__(
        self,
        data: Mapping[str, str],
        *,
        detected: Dialect,
        ambiguities: Mapping[str, str] | None = None,
    ) -> None:
        self._detected = detected
        self._ambiguities = dict(ambiguities or {})
        shown = _as_words(detected) | dict.fromkeys(self._ambiguities, "")
        super().__init__(shown | {name: data[name] for name in shown if name in data})
        for name, text in self._ambiguities.items():
            # A template shows a help text as it is, and the question may quote the file.
            self.fields[name].help_text = escape(text)
        for name, field in self.fields.items():
            if isinstance(field, forms.ChoiceField):
                self._offer(name, field, str(shown[name]))

    def _offer(self, name: str, field: forms.ChoiceField, detected: str) -> None:
        """The detected value is always one of the choices; what is asked begins with none."""
        options = list(cast("Iterable[tuple[str, str]]", field.choices))
        if name in self._ambiguities:
            options.insert(0, _CHOOSE)
        elif detected not in dict(options):
            options.insert(0, (detected, detected))
        field.choices = options

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        values = self._settled(self._chosen(cleaned))
        if values["decimal"] == values["thousands"]:
            self.add_error("thousands", "The decimal sign cannot separate thousands as well.")
            return cleaned
        try:
            self._dialect = Dialect.from_dict(values)
        except InvalidTable as error:
            at = "comment" if values["comment"] and "comment" in error.message else "delimiter"
            self.add_error(at, error.message)
        return cleaned

    @property
    def dialect(self) -> Dialect:
        """The choices of a valid form, with what has not been answered as it was detected."""
        return self._dialect

    def _chosen(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = self._detected.as_dict()
        for name, given in cleaned.items():
            if given in ("", None):
                continue
            if name in _FLAGS:
                values[name] = given == "yes"
            else:
                values[name] = _WORDS[name].get(given, given) if name in _WORDS else given
        if values["delimiter"] in (_SPACES, " "):
            values |= {"skip_blanks": values["delimiter"] == _SPACES, "delimiter": " "}
        return values

    def _settled(self, values: dict[str, Any]) -> dict[str, Any]:
        """Who is asked what the commas in the numbers are and answers, has said the other sign's part too."""
        if "decimal" not in self._ambiguities or not self.cleaned_data.get("decimal"):
            return values
        if values["decimal"] == ",":
            return values | {"thousands": "" if values["thousands"] == "," else values["thousands"]}
        return values | {"thousands": values["thousands"] or ","}

    @property
    def asked(self) -> tuple[str, ...]:
        """The fields that the file leaves open."""
        return tuple(self._ambiguities)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The fields that are asked about and have not been chosen."""
        return tuple(name for name in self._ambiguities if self.cleaned_data.get(name) == "")

    def demand_answers(self) -> None:
        """An import needs an answer to everything that is asked, even if it is to leave things as they are."""
        for name in self.unanswered:
            self.add_error(name, "Choose one, so that nothing is read the wrong way round.")

    @property
    def signature(self) -> str:
        """What a valid form makes records of; the same for all forms that make the same ones."""
        values = {name: value for name, value in self.dialect.as_dict().items() if name not in _FORMATS}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def is_rare(self, name: str) -> bool:
        """Whether a choice differs from what nearly every file has."""
        return str(self.data[name]) not in (_USUAL.get(name, "none"), "0")

    @property
    def as_sent(self) -> dict[str, str]:
        """The values that make this form again."""
        return {name: str(self.data[name]) for name in self.fields}


def _as_words(dialect: Dialect) -> dict[str, str]:
    words = {name: str(value) for name, value in dialect.as_dict().items()}
    words |= {name: "yes" if getattr(dialect, name) else "no" for name in _FLAGS}
    for name, options in _WORDS.items():
        sign = words[name]
        words[name] = next((word for word, value in options.items() if value == sign), sign)
    if dialect.layout.has_runs:
        words["delimiter"] = _SPACES
    return words
