"""Forms of the Kaggle pages."""

from django import forms

from datasets.kaggle_services import LONGEST_PAGE_TOKEN, LONGEST_SEARCH


class KaggleSearchForm(forms.Form):
    """What to look for; ``token`` is the page that Kaggle named last."""

    q = forms.CharField(
        label="Search Kaggle",
        required=False,
        max_length=LONGEST_SEARCH,
        error_messages={"max_length": f"Search for at most {LONGEST_SEARCH} characters."},
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "house prices, or the address of a dataset",
                "autocomplete": "off",
            }
        ),
    )
    token = forms.CharField(required=False, max_length=LONGEST_PAGE_TOKEN, widget=forms.HiddenInput())


class ImportForm(forms.Form):
    """One file of a dataset as its page listed it. Only its name counts; Kaggle is asked about the rest."""

    file = forms.CharField(
        max_length=LONGEST_PAGE_TOKEN, error_messages={"required": "Choose a file."}, widget=forms.HiddenInput()
    )
    version = forms.IntegerField(required=False, min_value=1, max_value=10**9 - 1, widget=forms.HiddenInput())
    token = forms.CharField(required=False, max_length=LONGEST_PAGE_TOKEN, widget=forms.HiddenInput())

    # The list of a dataset has one such form for each file; none of their fields is referred to.
    use_required_attribute = False
