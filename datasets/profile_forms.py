"""Forms of the profile: what is shown of it, and the type of a column."""

from django import forms

from ml.column_types import ColumnType

_KINDS = [(str(kind), kind.label) for kind in ColumnType]


class ColumnsForm(forms.Form):
    """Which columns are shown. What cannot be understood shows all, from the first."""

    q = forms.CharField(
        label="Search columns by name",
        required=False,
        max_length=200,
        strip=False,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search columns", "autocomplete": "off"}),
    )
    kind = forms.ChoiceField(
        label="Type", required=False, choices=[("", "All types"), *_KINDS], widget=forms.Select()
    )
    page = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput())

    @property
    def search(self) -> str:
        return str(self.cleaned_data.get("q") or "")

    @property
    def kind_chosen(self) -> str:
        return str(self.cleaned_data.get("kind") or "")

    @property
    def number(self) -> int:
        return int(self.cleaned_data.get("page") or 1)


class TypeForm(forms.Form):
    """The type of one column; empty: as it was found."""

    type = forms.ChoiceField(
        label="Read this column as",
        required=False,
        choices=[("", "As found"), *_KINDS],
        error_messages={"invalid_choice": "There is no such type."},
        widget=forms.Select(),
    )

    @property
    def chosen(self) -> ColumnType | None:
        value = self.cleaned_data["type"]
        return ColumnType(value) if value else None
