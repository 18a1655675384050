"""The form that makes a token of the API."""

from datetime import timedelta

from django import forms

from accounts.api_tokens import LONGEST_NAME, Scope
from smartml.errors import InvalidInput

SCOPES = (
    (Scope.READ.value, "Read: see datasets, trainings and models, and download them"),
    (Scope.WRITE.value, "Write: upload, train, cancel and delete"),
    (Scope.PREDICT.value, "Predict: ask models for predictions"),
)
_DAYS = (("30", "30 days"), ("90", "90 days"), ("365", "One year"), ("", "No end"))


class TokenForm(forms.Form):
    """What the token is for, what it may do, and how long."""

    name = forms.CharField(
        label="Name",
        max_length=LONGEST_NAME,
        error_messages={"required": "Say what the token is for."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Nightly predictions"}),
        help_text="What it is for, so that you know later whether it is still needed.",
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=SCOPES,
        initial=[Scope.READ.value, Scope.PREDICT.value],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose at least one thing that the token may do."},
    )
    days = forms.ChoiceField(label="Valid for", choices=_DAYS, initial="90", required=False, widget=forms.Select())

    @property
    def valid_for(self) -> timedelta | None:
        """How long, of a valid form; None for no end."""
        days: str = self.cleaned_data["days"]
        return timedelta(days=int(days)) if days else None

    @property
    def chosen(self) -> tuple[Scope, ...]:
        """What it may do, of a valid form."""
        return tuple(map(Scope, self.cleaned_data["scopes"]))

    def add_service_error(self, error: InvalidInput) -> None:
        """Put what was refused at its field, or above the form."""
        for name, message in (error.fields or {"": f"{error.message} {error.hint}".strip()}).items():
            self.add_error(name if name in self.fields else None, message)
