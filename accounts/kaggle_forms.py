"""The form that takes a Kaggle token."""

import json

from django import forms

from smartml.errors import InvalidInput


class KaggleTokenForm(forms.Form):
    """A token of today; or a user name with a key; or the whole of ``kaggle.json``, which holds both."""

    token = forms.CharField(
        label="API token",
        max_length=4_000,
        error_messages={"required": "Paste the token that Kaggle showed you."},
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="On kaggle.com: your picture, Settings, API. The content of a kaggle.json file works too.",
    )
    username = forms.CharField(
        label="Kaggle user name",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Only for a legacy API key; a token needs none.",
    )

    def clean(self) -> dict[str, str]:
        cleaned: dict[str, str] = super().clean() or {}
        if cleaned.get("token", "").lstrip().startswith("{"):
            cleaned |= self._from_file(cleaned["token"])
        return cleaned

    def _from_file(self, text: str) -> dict[str, str]:
        try:
            content = json.loads(text)
            return {"username": str(content["username"]), "token": str(content["key"])}
        except (ValueError, KeyError, TypeError):
            self.add_error("token", "This is not the content of a kaggle.json file: copy it once more, all of it.")
            return {}

    @property
    def credential(self) -> dict[str, str]:
        """What is to be stored; of a valid form only."""
        return {"secret": self.cleaned_data["token"], "username": self.cleaned_data.get("username", "")}

    def add_service_error(self, error: InvalidInput) -> None:
        """Show a refusal of the service at its field."""
        for name, message in error.fields.items():
            self.add_error(name if name in self.fields else None, message)
