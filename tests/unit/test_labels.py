"""Tags and notes as they are kept."""

import pytest

from models_app.labels import read_note, read_tags
from smartml.errors import InvalidInput


def test_tags_are_short_words_in_lower_case_each_once():
    assert read_tags("  #Churn, churn;Q3-2025\n\u00dcber.uns  CHURN ,, # ") == ("churn", "q3-2025", "\u00fcber.uns")
    assert read_tags("\uff21\uff22") == ("ab",)
    assert read_tags(" ") == ()
    assert len(read_tags(" ".join("abcdefghij"))) == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" * 25, "at most 24 characters"),
        (" ".join("abcdefghijk"), "These are 11 tags"),
        ("<b>", "is no tag"),
        ("a\u200bb", "is no tag"),
        ("a\x01b", "is no tag"),
        ("$set", "is no tag"),
    ],
)
def test_what_is_no_tag_is_said_at_the_field(text, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        read_tags(text)
    assert list(caught.value.fields) == ["tags"]


def test_a_note_keeps_its_lines_and_has_2000_characters():
    assert read_note(" a\r\n\r\nb\tc \r\n") == "a\n\nb\tc"
    # As a browser sends them: a line break counts once.
    assert len(read_note("a\r\n" * 999 + "bb")) == 2000
    for wrong in ("x" * 2001, "a\x00b", "a\x1bb"):
        with pytest.raises(InvalidInput) as caught:
            read_note(wrong, field="version_note")
        assert list(caught.value.fields) == ["version_note"]
