"""The training form, and that of a new name."""

from collections.abc import Sequence
from dataclasses import dataclass

from django import forms
from django.http import QueryDict

from datasets.file_names import clean_name
from ml.problem import Preset
from models_app.jobs_services import MAX_MODEL_NAME, MIN_FIT_SECONDS, longest_fit_seconds, time_limit_fault
from models_app.records import JobSettings
from models_app.setup_form import ColumnSelect, SetupForm, field_of
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
        goal="A better score in a small, fast model. Several folds for each; may take half its limit more.",
        seconds=300,
    ),
    PresetChoice(
        preset=Preset.BEST,
        label="Best",
        goal="The strongest score, with larger and slower models. Leave it running; may take half its limit more.",
        seconds=1200,
    ),
)


# What the services call these fields.
_FIELD_OF = {"name": "model_name", "target_column": "target"}


class TrainForm(SetupForm):
    """What to learn, under which name, and how much time to spend; the rest is in ``SetupForm``."""

    target = forms.ChoiceField(
        label="Target",
        widget=ColumnSelect,
        help_text="The column the model learns to predict.",
        error_messages={
            "required": "Choose the column to predict.",
            "invalid_choice": "This dataset has no column “%(value)s”. Choose one from the list.",
        },
    )
    model_name = forms.CharField(label="Model name", max_length=MAX_MODEL_NAME, required=False)
    preset = forms.ChoiceField(
        label="Effort",
        choices=[(choice.preset.value, choice.label) for choice in PRESETS],
        initial=Preset.QUICK.value,
        widget=forms.RadioSelect,
    )
    time_limit = forms.IntegerField(label="Time limit", required=False)
    # Not required here: what is wrong with it, the view finds out when it redeems it.
    ticket = forms.CharField(required=False, widget=forms.HiddenInput(attrs={"autocomplete": "off"}))
    model_id = forms.RegexField(regex="^[0-9a-f]{24}$", required=False, widget=forms.HiddenInput)
    # The target whose suspects have been ticked, so that they are ticked once and not again after a person unticked
    # one. Not for browsers to remember: it goes with the ticks.
    suspects_of = forms.CharField(
        required=False, strip=False, widget=forms.HiddenInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: object, columns: Sequence[str], **kwargs: object) -> None:
        super().__init__(*args, columns=columns, **kwargs)
        target = self.fields["target"]
        assert isinstance(target, forms.ChoiceField)
        target.choices = [("", "Choose a column"), *((name, name) for name in columns)]
        usual = ", ".join(f"{_usual_seconds(choice)} for {choice.label}" for choice in PRESETS)
        bounds = f"{MIN_FIT_SECONDS} to {longest_fit_seconds()}"
        self.fields["time_limit"].help_text = f"Seconds of fitting, {bounds}. Empty: {usual}."

    def clean_time_limit(self) -> int | None:
        """Seconds within the operator's bounds, or None for the preset's own."""
        value: int | None = self.cleaned_data["time_limit"]
        if value is not None and (fault := time_limit_fault(value)):
            raise forms.ValidationError(fault)
        return value

    def clean_model_name(self) -> str:
        """The name that will be seen; empty for one made from the data."""
        wished: str = self.cleaned_data["model_name"]
        name = clean_name(wished)
        if wished and not name:
            raise forms.ValidationError("Nothing of this name can be seen. Give another, or leave it empty.")
        return name

    def add_service_error(self, error: InvalidInput) -> None:
        """Put what a service refused at the fields it named, or above the form."""
        for name, message in (error.fields or {"": error.message}).items():
            field = field_of(_FIELD_OF.get(name, name), self)
            self.add_error(field if field in self.fields else None, f"{message} {error.hint}".strip())

    def renew(self, ticket: str) -> None:
        """Let the form as it stands be sent as a new one."""
        assert isinstance(self.data, QueryDict)
        renewed = self.data.copy()
        renewed["ticket"] = ticket
        self.data = renewed

    def job_settings(self) -> JobSettings:
        """The valid form as settings of a job."""
        preset = Preset(self.cleaned_data["preset"])
        choice = next(choice for choice in PRESETS if choice.preset is preset)
        return JobSettings(
            target=self.cleaned_data["target"],
            preset=preset,
            time_limit=self.cleaned_data["time_limit"] or _usual_seconds(choice),
            **self.setup_settings(),
        )


def _usual_seconds(choice: PresetChoice) -> int:
    return min(choice.seconds, longest_fit_seconds())


class RenameForm(forms.Form):
    """A model's new name."""

    name = forms.CharField(
        label="Name", max_length=120, error_messages={"required": "A model needs a name of at least one character."}
    )
