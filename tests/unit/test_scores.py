"""How scores, durations and sentences are written."""

import pytest

from ml.readable import plain_number
from models_app.templatetags.scores import milliseconds, score
from smartml.templatetags.ui import with_code


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.123456, "0.1235"),
        (1.0, "1"),
        (48321.77, "48,322"),
        (-0.25, "-0.25"),
        (-6.79e-05, "-0.000068"),
    ],
)
def test_a_score_has_four_digits_and_an_undefined_one_is_a_dash(value, text):
    assert score(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.00005, "50 µs"), (0.0123, "12.3 ms"), (1.5, "1.50 s")])
def test_predict_times(value, text):
    assert milliseconds(value) == text


def test_names_in_backticks_become_code_and_nothing_a_person_typed_becomes_markup():
    shown = with_code("`<b>x</b>` has <i>two</i> values & more")
    assert shown == "<code>&lt;b&gt;x&lt;/b&gt;</code> has &lt;i&gt;two&lt;/i&gt; values &amp; more"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.0, "3"),
        (29.699118, "29.6991"),
        (1234567.0, "1,234,567"),
        (1234567.89, "1,234,568"),
        (-48321.5, "-48,321.5"),
        (0.000123456789, "0.000123457"),
        (1e20, "1e+20"),
    ],
)
def test_an_answer_keeps_its_digits(value, text):
    assert plain_number(value) == text
