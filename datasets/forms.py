"""Forms of the dataset pages."""

from collections.abc import Sequence

from django import forms

from datasets.file_names import ACCEPTED, SHOWN_LENGTH, clean_name
from datasets.records import DatasetSort
from datasets.uploads import FIELD

SORTS = (
    (DatasetSort.NEWEST.value, "Newest first"),
    (DatasetSort.OLDEST.value, "Oldest first"),
    (DatasetSort.NAME.value, "By name"),
    (DatasetSort.LARGEST.value, "Largest first"),
    (DatasetSort.MOST_ROWS.value, "Most rows first"),
)


class UploadForm(forms.Form):
    """Draws the file field; the bytes never pass through it (see ``datasets.uploads``)."""

    file = forms.FileField(label="File", widget=forms.FileInput(attrs={"accept": ",".join(ACCEPTED)}))

    def refuse(self, message: str) -> None:
        """Show ``message`` at the file field."""
        self.is_bound = True
        self.cleaned_data = {}
        self._errors = forms.utils.ErrorDict()
        self.add_error(FIELD, message)


class RenameForm(forms.Form):
    """The name people see."""

    name = forms.CharField(
        label="Name",
        max_length=SHOWN_LENGTH,
        error_messages={"required": "Give the dataset a name."},
        # The form opens in the place of the name.
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )

    def clean_name(self) -> str:
        name = clean_name(self.cleaned_data["name"])
        if not name:
            raise forms.ValidationError("Give the dataset a name.")
        return name


class TargetForm(forms.Form):
    """The column to predict, or none yet."""

    target_column = forms.ChoiceField(
        label="Target column",
        required=False,
        help_text="The column that a model learns to predict.",
        error_messages={"invalid_choice": "This file has no such column."},
        widget=forms.Select(),
    )

    def __init__(self, *args: object, columns: Sequence[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["target_column"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Not chosen yet"), *((column, column) for column in columns)]


class ListForm(forms.Form):
    """What the list shows. A sort order that does not exist falls back to the newest first."""

    q = forms.CharField(
        label="Search datasets by name",
        required=False,
        max_length=SHOWN_LENGTH,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search by name", "autocomplete": "off"}),
    )
    sort = forms.ChoiceField(label="Sort order", required=False, choices=SORTS, widget=forms.Select())

    @property
    def search(self) -> str:
        """What was searched for, even when no name can be like it."""
        return str(self.cleaned_data.get("q", self.data.get("q", "")))

    @property
    def can_match(self) -> bool:
        """A search too long for any name, or with a character no name has, finds nothing; it must not find all."""
        return "q" not in self.errors

    @property
    def order(self) -> DatasetSort:
        return DatasetSort(self.cleaned_data.get("sort") or DatasetSort.NEWEST)
