"""The training form and the prediction form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django import forms

from ml.prediction import Feature
from ml.problem import Preset
from models_app.jobs_services import MIN_FIT_SECONDS, longest_fit_seconds
from models_app.presenters import plain_number
from models_app.records import JobSettings
from smartml.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetChoice:
    """How a preset is offered: in goal words, with the time it is given unless the person says otherwise."""

    preset: Preset
    label: str
    goal: str
    seconds: int


PRESETS = (
    PresetChoice(
        preset=Preset.QUICK,
        label="Quick",
        goal="A first honest answer. Boosted trees, a neural net and their blend, each fitted once.",
        seconds=60,
    ),
    PresetChoice(
        preset=Preset.BALANCED,
        label="Balanced",
        goal="A better score in a small, fast model. Several folds for each; may take twice its limit.",
        seconds=300,
    ),
    PresetChoice(
        preset=Preset.BEST,
        label="Best",
        goal="The strongest score, with larger and slower models. Leave it running; may take twice its limit.",
        seconds=1200,
    ),
)


class TrainForm(forms.Form):
    """What to learn, under which name, and how much time to spend."""

    target = forms.ChoiceField(
        label="Target",
        help_text="The column the model learns to predict.",
        error_messages={
            "required": "Choose the column to predict.",
            "invalid_choice": "This dataset has no column “%(value)s”. Choose one from the list.",
        },
    )
    model_name = forms.CharField(label="Model name", max_length=120, required=False)
    preset = forms.ChoiceField(
        label="Effort",
        choices=[(choice.preset.value, choice.label) for choice in PRESETS],
        initial=Preset.QUICK.value,
        widget=forms.RadioSelect,
    )
    time_limit = forms.IntegerField(
        label="Time limit",
        required=False,
        help_text="Seconds of fitting. Empty: 60 for Quick, 300 for Balanced, 1200 for Best.",
    )
    job_id = forms.RegexField(regex="^[0-9a-f]{24}$", widget=forms.HiddenInput)
    model_id = forms.RegexField(regex="^[0-9a-f]{24}$", required=False, widget=forms.HiddenInput)

    def __init__(self, *args: object, columns: Sequence[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through to Django as they came
        target = self.fields["target"]
        assert isinstance(target, forms.ChoiceField)
        target.choices = [("", "Choose a column"), *((name, name) for name in columns)]

    def clean_time_limit(self) -> int | None:
        """Seconds within the operator's bounds, or None for the preset's own."""
        value: int | None = self.cleaned_data["time_limit"]
        longest = longest_fit_seconds()
        if value is not None and not MIN_FIT_SECONDS <= value <= longest:
            raise forms.ValidationError(f"Give between {MIN_FIT_SECONDS} and {longest} seconds.")
        return value

    def add_service_error(self, error: InvalidInput) -> None:
        """Put what a service refused at the fields it named, or above the form."""
        for name, message in (error.fields or {"": error.message}).items():
            self.add_error(name if name in self.fields else None, f"{message} {error.hint}".strip())

    def job_settings(self) -> JobSettings:
        """The valid form as settings of a job."""
        preset = Preset(self.cleaned_data["preset"])
        default = next(choice.seconds for choice in PRESETS if choice.preset is preset)
        return JobSettings(
            target=self.cleaned_data["target"],
            preset=preset,
            time_limit=self.cleaned_data["time_limit"] or min(default, longest_fit_seconds()),
        )


class RenameForm(forms.Form):
    """A model's new name."""

    name = forms.CharField(
        label="Name", max_length=120, error_messages={"required": "A model needs a name of at least one character."}
    )


class PredictionForm(forms.Form):
    """One field a feature; the fields are called ``f0`` … because column names may hold anything.

    Values stay text: the schema contract (``ml.prediction.check_row``) judges them, here and everywhere else.
    """

    def __init__(self, *args: object, features: Sequence[Feature], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through to Django as they came
        self._names = {f"f{index}": feature.name for index, feature in enumerate(features)}
        for index, feature in enumerate(features):
            self.fields[f"f{index}"] = _field_for(feature)

    def values(self) -> dict[str, str]:
        """What was entered, by column name."""
        return {self._names[key]: value for key, value in self.cleaned_data.items()}

    def add_column_errors(self, errors: Mapping[str, str]) -> None:
        """Put messages given by column name on their fields."""
        keys = {name: key for key, name in self._names.items()}
        for name, message in errors.items():
            self.add_error(keys.get(name), message)


def _field_for(feature: Feature) -> forms.CharField:
    """A widget by type. Every field may stay empty: models take missing values."""
    widget: forms.Widget = forms.TextInput()
    choices = _choices(feature)
    if choices:
        widget = forms.Select(choices=choices)
    elif feature.type in ("integer", "numeric"):
        # Text with a numeric keyboard: type=number hides what it cannot parse, so nobody could say what was wrong.
        widget = forms.TextInput(attrs={"inputmode": "decimal"})
    elif feature.type == "date":
        widget = forms.TextInput(attrs={"placeholder": "2024-12-31"})
    return forms.CharField(
        label=feature.name,
        required=False,
        max_length=10_000,
        initial=feature.default,
        help_text=_help(feature),
        widget=widget,
        strip=True,
    )


def _choices(feature: Feature) -> list[tuple[str, str]]:
    """All values of a column with few; empty when the list is open."""
    if not feature.categories or not feature.categories_complete:
        return []
    return [("", "(missing)"), *((value, value) for value in feature.categories)]


def _help(feature: Feature) -> str:
    if feature.type in ("integer", "numeric") and feature.minimum is not None:
        return f"Seen in training: {plain_number(feature.minimum)} to {plain_number(feature.maximum)}"
    return ""
