"""How scores, durations and sentences are written."""

import pytest

from models_app.templatetags.scores import milliseconds, score, with_code


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (0.123456, "0.1235"), (1.0, "1"), (48321.77, "48,322"), (-0.25, "-0.25")],
)
def test_a_score_has_four_digits_and_an_undefined_one_is_a_dash(value, text):
    assert score(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.00005, "50 µs"), (0.0123, "12.3 ms"), (1.5, "1.50 s")])
def test_predict_times(value, text):
    assert milliseconds(value) == text


def test_names_in_backticks_become_code_and_nothing_a_person_typed_becomes_markup():
    shown = with_code("`<b>x</b>` has <i>two</i> values & more")
    assert shown == "<code>&lt;b&gt;x&lt;/b&gt;</code> has &lt;i&gt;two&lt;/i&gt; values &amp; more"
