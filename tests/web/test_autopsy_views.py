"""The leak autopsy on the model page: begun by a button, in words to act on, seen by its owner alone."""

import json

import pytest
from django.urls import reverse

from datasets import profiles
from datasets import services as datasets
from datasets.activities import ActivityKind
from ml.profile_records import Relation, TargetRelation
from models_app import followups
from models_app.records import JobSettings
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model
from tests.web.followup_pages import store_found, text_of

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}

FOUND = {
    "format": 1,
    "metric": "accuracy",
    "lower_is_better": False,
    "seconds": 30,
    "rows": 178,
    "alone_metric": "balanced accuracy",
    "suspects": [
        {"column": "wings", "alone": 1.0, "chance": 0.5},
        {"column": "<b>legs</b>", "alone": 0.99, "chance": 0.5},
    ],
    "unopened": [],
    "score": 1.0,
    "guess": 0.62,
    "sides": [
        {"columns": ["wings"], "score": 0.83, "worse": 0.17, "low": 0.12, "high": 0.22, "failed": ""},
        {"columns": ["<b>legs</b>"], "score": 1.0, "worse": 0.0, "low": None, "high": None, "failed": ""},
        {
            "columns": ["wings", "<b>legs</b>"],
            "score": None,
            "worse": None,
            "low": None,
            "high": None,
            "failed": "No column holds anything to learn from.",
        },
    ],
}


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


@pytest.fixture
def model(user, dataset):
    return stored_model(user.id, dataset, settings=JobSettings(target="species", leave_out=("weight",)))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def store(model, **changes) -> None:
    store_found(model, "autopsy", FOUND | changes)


def url(model, name="autopsy") -> str:
    return reverse(f"models:{name}", args=[model.id, 1])


def store_relation(dataset, *columns: str) -> None:
    """What the dataset's page would have found: these columns are suspect."""
    found = TargetRelation(
        target="species",
        problem_type="binary",
        rows=40,
        rows_used=40,
        group_column=None,
        relations=tuple(
            Relation(
                column=name,
                score=1.0,
                metric="balanced accuracy",
                baseline=0.5,
                strength=1.0,
                suspicion="high",
                sentence="",
            )
            for name in columns
        ),
        checks=(),
        note="",
    )
    get_blobs().put_derived(
        user_id=dataset.user_id,
        dataset_id=dataset.id,
        name=profiles.relation_name("species"),
        data=json.dumps({**profiles.header(dataset=dataset, types={}), "relation": found.as_dict()}).encode(),
    )


def test_it_is_offered_with_its_time_begun_by_a_button_polls_and_ends_when_cancelled(owner, model):
    assert f'hx-get="{url(model)}"' in owner.get(reverse("models:detail", args=[model.id])).content.decode()
    offer = owner.get(url(model), headers=HX)
    assert "<html" not in offer.content.decode()
    assert "hx-trigger" not in offer.content.decode()
    # 30 seconds for each of at most six fits, and a margin.
    assert "This takes up to 5 min; you may" in text_of(offer)
    assert followups.latest(model=model, version=1, kind=ActivityKind.AUTOPSY) is None
    running = owner.post(url(model), headers=HX).content.decode()
    assert 'hx-trigger="load delay:2s"' in running
    begun = followups.latest(model=model, version=1, kind=ActivityKind.AUTOPSY)
    assert owner.post(url(model)).status_code == 302
    assert followups.latest(model=model, version=1, kind=ActivityKind.AUTOPSY).id == begun.id
    stopped = owner.post(url(model, "autopsy_cancel"), headers=HX)
    assert "This was cancelled." in text_of(stopped)
    assert "hx-trigger" not in stopped.content.decode()
    assert "Try again" in text_of(owner.get(url(model)))


def test_known_suspects_are_named_and_none_among_the_columns_trained_on_needs_no_work(owner, model, dataset):
    store_relation(dataset, "wings", "weight")
    offer = text_of(owner.get(url(model), headers=HX))
    assert "wings alone says more about species than seems fair." in offer
    assert "weight" not in offer
    store_relation(dataset, "weight")
    clean = owner.get(url(model), headers=HX).content.decode()
    assert 'data-test="autopsy-clean"' in clean
    assert "<form" not in clean


def test_the_result_says_what_to_do_and_leads_to_a_form_with_the_column_left_out(owner, model):
    store(model)
    response = owner.get(url(model), headers=HX)
    page, text = response.content.decode(), text_of(response)
    assert "Without wings the accuracy falls from 1 to 0.83: the model leans on it. Is it known before" in text
    assert "0.17 0.12 to 0.22" in text
    assert "Without &lt;b&gt;legs&lt;/b&gt; the accuracy stays at 1." in text
    assert "Without both of them nothing could be fitted: No column holds anything" in text
    assert page.count("Train again without") == 2
    assert "<b>legs" not in page
    assert "hx-trigger" not in page
    again = reverse("models:train", args=[model.current.dataset_id])
    query = f"?model={model.id}&amp;version=1&amp;leave_out=wings"
    assert f'href="{again}{query}"' in page
    form = owner.get(f"{again}{query}".replace("&amp;", "&")).context["form"]
    assert form.initial["leave_out"] == ["wings", "weight"]


def test_without_its_dataset_it_says_that_it_cannot_and_a_result_stays(owner, model):
    datasets.delete_dataset(user_id=model.user_id, dataset_id=model.current.dataset_id)
    assert "The dataset of this version was deleted" in text_of(owner.get(url(model), headers=HX))
    assert owner.post(url(model), headers=HX).status_code == 404
    store(model, sides=FOUND["sides"][:1])
    page = owner.get(url(model), headers=HX).content.decode()
    assert "leans on it" in page
    assert "Train again" not in page


def test_nobody_else_sees_or_begins_it(client, client_for, other_user, model):
    store(model)
    stranger = client_for(other_user)
    assert stranger.get(url(model)).status_code == 404
    assert client.get(url(model)).status_code == 302
    for name in ("autopsy", "autopsy_cancel"):
        assert stranger.post(url(model, name)).status_code == 404
        assert client.post(url(model, name)).status_code == 302
    assert followups.latest(model=model, version=1, kind=ActivityKind.AUTOPSY) is None
