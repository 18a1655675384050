"""Template tags of the layout."""

import pytest
from django import forms
from django.template import Context, Template

from smartml.templatetags.ui import duration, icon


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0042, "4.2 ms"),
        (0.4, "0.4 s"),
        (0.999, "1 s"),
        (1.4, "1 s"),
        (59.6, "1 min"),
        (80, "1 min 20 s"),
        (120, "2 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (-3, "0 s"),
        ("12", "12 s"),
        (None, ""),
        ("soon", ""),
        (float("nan"), ""),
        (float("inf"), ""),
    ],
)
def test_duration_says_seconds_as_people_do(seconds, text):
    assert duration(seconds) == text


def test_an_icon_is_decoration_unless_it_has_a_name():
    assert 'aria-hidden="true"' in icon("trash")
    named = icon("trash", label='Delete "this"')
    assert 'role="img"' in named
    assert "aria-hidden" not in named
    assert "&quot;this&quot;" in named
    assert 'href="/static/vendor/icons.svg#trash"' in named


class Everything(forms.Form):
    name = forms.CharField(help_text="As on the label.")
    kind = forms.ChoiceField(choices=[("a", "A")])
    agreed = forms.BooleanField()
    sort = forms.ChoiceField(choices=[("x", "X"), ("y", "Y")], widget=forms.RadioSelect)
    token = forms.CharField(widget=forms.HiddenInput)


def render(field):
    return Template('{% include "shared/_field.html" with field=field %}').render(Context({"field": field}))


@pytest.mark.parametrize(
    ("name", "css"), [("name", "form-control"), ("kind", "form-select"), ("agreed", "form-check-input")]
)
def test_a_field_gets_the_class_of_its_kind(name, css):
    html = render(Everything()[name])
    assert css in html
    assert "is-invalid" not in html


def test_a_faulty_field_is_tied_to_its_sentence():
    html = render(Everything({"kind": "zzz"})["name"])
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert "is-invalid" in html
    assert "This field is required." in html


def test_a_group_of_radio_buttons_is_a_fieldset_with_its_error():
    html = render(Everything({})["sort"])
    assert "<fieldset" in html
    assert "<legend" in html
    assert 'id="id_sort_error"' in html


def test_a_hidden_field_has_no_label():
    html = render(Everything()["token"])
    assert 'type="hidden"' in html
    assert "<label" not in html


def test_what_a_person_typed_is_escaped():
    html = render(Everything({"name": "", "kind": '"><script>'})["kind"])
    assert "<script>" not in html
