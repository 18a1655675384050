"""Which rows and columns of a dataset a page shows."""

import re

from django import forms

from datasets.presenters import SHOWN_COLUMNS
from datasets.records import Dataset

# Numbers are often pasted with what groups their digits.
_GROUPING = re.compile(r"[\s,'_\u2019]")
_LONGEST = 18


class CountField(forms.IntegerField):
    """A number from 1 on that may be written with grouped digits; one when it is left out."""

    def to_python(self, value: object) -> int | None:
        text = _GROUPING.sub("", str(value or ""))
        if not text:
            return 1
        if not text.isascii() or not text.isdigit():
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        # Whatever is too long is out of range, and need not be read to the end.
        return int(text[:_LONGEST].ljust(min(len(text), _LONGEST + 1), "9"))


class RowsForm(forms.Form):
    """The number of the first row to show, and of the first column."""

    row = CountField(label="Row number", required=False, widget=forms.TextInput())
    columns = CountField(label="First column", required=False, widget=forms.HiddenInput())

    def __init__(self, *args: object, dataset: Dataset, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._dataset = dataset
        self.fields["row"].widget.attrs.update(
            {"inputmode": "numeric", "autocomplete": "off", "placeholder": f"1 to {dataset.row_count:,}"}
        )
        self.fields["row"].error_messages["invalid"] = "Write a whole number, such as 5000."

    def clean_row(self) -> int:
        row: int = self.cleaned_data["row"]
        total = self._dataset.row_count
        if not 1 <= row <= total:
            raise forms.ValidationError(f"There are rows 1 to {total:,}.")
        return row

    def clean_columns(self) -> int:
        column: int = self.cleaned_data["columns"]
        if not 1 <= column <= self._dataset.column_count:
            raise forms.ValidationError(f"There are columns 1 to {self._dataset.column_count:,}.")
        # Windows of columns begin at fixed places, whatever was asked for.
        return (column - 1) // SHOWN_COLUMNS * SHOWN_COLUMNS + 1

    @property
    def first_row(self) -> int:
        """The row to begin with; the first when what was asked for is none."""
        return int(self.cleaned_data.get("row", 1))

    @property
    def first_column(self) -> int:
        return int(self.cleaned_data.get("columns", 1))
