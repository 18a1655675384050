"""Forms of the pages on which a file is predicted."""

from collections.abc import Sequence

from django import forms

from datasets.file_names import ACCEPTED
from datasets.records import Dataset
from datasets.uploads import FIELD

_STRICT = "Refuse the {} if anything about a row is odd"


class BatchFileForm(forms.Form):
    """Draws the fields; the bytes never pass through it (see ``models_app.batch_intake``)."""

    is_strict = forms.BooleanField(label=_STRICT.format("file"), required=False)
    file = forms.FileField(label="File", widget=forms.FileInput(attrs={"accept": ",".join(ACCEPTED[:4])}))

    def refuse(self, message: str) -> None:
        """Show ``message`` at the file field."""
        self.is_bound = True
        self.cleaned_data = {}
        self._errors = forms.utils.ErrorDict()
        self.add_error(FIELD, message)


class BatchDatasetForm(forms.Form):
    """One of the person's datasets."""

    dataset = forms.ChoiceField(
        label="Dataset",
        widget=forms.Select(),
        error_messages={"invalid_choice": "You have no such dataset.", "required": "Choose a dataset."},
    )
    is_strict = forms.BooleanField(
        label=_STRICT.format("dataset"), required=False, widget=forms.CheckboxInput(attrs={"id": "id_strict2"})
    )

    def __init__(self, *args: object, datasets: Sequence[Dataset], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["dataset"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", "Choose one"),
            *((each.id, f"{each.name} ({each.row_count:,} rows)") for each in datasets),
        ]
