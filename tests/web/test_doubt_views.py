"""Answers worth a look on the model page: begun by a button, listed by row, downloaded, seen by the owner alone."""

import csv
import io

import pytest
from django.urls import reverse

from datasets import services as datasets
from datasets.activities import ActivityKind
from models_app import followups
from tests.factories import stored_dataset, stored_model
from tests.web.followup_pages import store_found, text_of

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}


def doubt(row: int, **changes):
    return {
        "row": row,
        "held_out": False,
        "given": "duck",
        "expected": "<b>dog</b>",
        "given_share": 0.04,
        "expected_share": 0.96,
        "reaches": None,
    } | changes


FOUND = {
    "format": 1,
    "is_number": False,
    "family": "GBM",
    "folds": 5,
    "seconds": 20,
    "train_rows": 712,
    "all_train_rows": 713,
    "holdout_rows": 178,
    "skipped": 1,
    "train_reach": None,
    "holdout_reach": None,
    "found": 2,
    "doubts": [doubt(1234), doubt(7, held_out=True)],
}


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def store(model, **changes) -> None:
    store_found(model, "labels", FOUND | changes)


def url(model, name="doubts") -> str:
    return reverse(f"models:{name}", args=[model.id, 1])


def test_it_is_offered_with_its_time_begun_by_a_button_polls_and_ends_when_cancelled(owner, model):
    assert f'hx-get="{url(model)}"' in owner.get(reverse("models:detail", args=[model.id])).content.decode()
    offer = owner.get(url(model), headers=HX)
    assert "This takes up to 3 min; you may" in text_of(offer)
    assert "hx-trigger" not in offer.content.decode()
    assert owner.get(url(model, "doubts_data")).status_code == 404
    running = owner.post(url(model), headers=HX).content.decode()
    assert 'hx-trigger="load delay:2s"' in running
    begun = followups.latest(model=model, version=1, kind=ActivityKind.LABELS)
    assert owner.post(url(model)).status_code == 302
    assert followups.latest(model=model, version=1, kind=ActivityKind.LABELS).id == begun.id
    stopped = owner.post(url(model, "doubts_cancel"), headers=HX)
    assert "This was cancelled." in text_of(stopped)
    assert "hx-trigger" not in stopped.content.decode()


def test_rows_are_listed_in_neutral_words_with_a_way_to_each_and_as_a_file(owner, model):
    store(model)
    response = owner.get(url(model), headers=HX)
    page, text = response.content.decode(), text_of(response)
    assert "Of 890 rows, 2 rows have a species that models which had not seen the row did not expect." in text
    assert "1,234 training duck &lt;b&gt;dog&lt;/b&gt; 96 % expected, 4 % given" in text
    assert "712 of the 713 rows of the training were judged by 5 models made for this (LightGBM, at most 20" in text
    assert "Not looked at: 1 row of classes" in text
    assert "wrong" not in text.lower()
    assert "<b>dog" not in page
    assert f"{reverse('datasets:rows', args=[model.current.dataset_id])}?row=1234" in page
    answer = owner.get(url(model, "doubts_data"))
    assert "worth-a-look.csv" in answer["Content-Disposition"]
    first, *rows = csv.reader(io.StringIO(answer.content.decode()))
    assert first[:4] == ["row", "part", "given", "expected"]
    assert rows == [
        ["1234", "training", "duck", "<b>dog</b>", "0.04", "0.96", ""],
        ["7", "held out", "duck", "<b>dog</b>", "0.04", "0.96", ""],
    ]


def test_numbers_say_how_many_reaches_away_and_none_found_is_said(owner, model):
    far = doubt(3, given="900", expected="12.5", given_share=None, expected_share=None, reaches=3.25)
    store(model, is_number=True, doubts=[far], found=1, train_reach=4.0, holdout_reach=5.0)
    text = text_of(owner.get(url(model), headers=HX))
    assert "3 training 900 12.5 3.2 times the usual reach" in text
    assert "Nine of ten rows stay within 4 for rows of the training and 5 for rows held out." in text
    store(model, doubts=[], found=0)
    assert "Of 890 rows none has a species that stands out." in text_of(owner.get(url(model), headers=HX))


def test_without_its_dataset_the_rows_stay_listed_but_lead_nowhere_and_nothing_new_begins(owner, model):
    datasets.delete_dataset(user_id=model.user_id, dataset_id=model.current.dataset_id)
    assert "The dataset of this version was deleted" in text_of(owner.get(url(model), headers=HX))
    assert owner.post(url(model), headers=HX).status_code == 404
    store(model)
    page = owner.get(url(model), headers=HX).content.decode()
    assert "1,234" in page
    assert "?row=" not in page


def test_nobody_else_sees_or_begins_it(client, client_for, other_user, model):
    store(model)
    stranger = client_for(other_user)
    for name in ("doubts", "doubts_data"):
        assert stranger.get(url(model, name)).status_code == 404
        assert client.get(url(model, name)).status_code == 302
    for name in ("doubts", "doubts_cancel"):
        assert stranger.post(url(model, name)).status_code == 404
        assert client.post(url(model, name)).status_code == 302
    assert followups.latest(model=model, version=1, kind=ActivityKind.LABELS) is None
