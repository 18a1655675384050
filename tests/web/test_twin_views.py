"""The twin of a version on its page: made when somebody asks, and handed out as files that run nothing here."""

import json

import pytest
from django.urls import reverse

from datasets.activities import ActivityKind
from models_app import followups
from models_app.twins import page_of
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model
from tests.twins import make_twin

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def store(model, twin) -> None:
    files = {"json": json.dumps(twin).encode(), "html": page_of(model.name, model.current, twin)}
    for extension, data in files.items():
        get_blobs().put_model_file(
            user_id=model.user_id, model_id=model.id, version=1, stem="twin", ext=extension, data=data
        )


def url(model, name="twin", *more) -> str:
    return reverse(f"models:{name}", args=[model.id, 1, *more])


def test_nothing_begins_by_itself_and_what_is_asked_for_can_be_cancelled(owner, model):
    assert f'hx-get="{url(model)}"' in owner.get(reverse("models:detail", args=[model.id])).content.decode()
    offered = owner.get(url(model), headers=HX).content.decode()
    assert "Make a twin" in offered
    assert "hx-trigger" not in offered
    assert followups.latest(model=model, version=1, kind=ActivityKind.TWIN) is None
    running = owner.post(url(model), headers=HX).content.decode()
    assert 'hx-trigger="load delay:2s"' in running
    stopped = owner.post(url(model, "twin_cancel"), headers=HX).content.decode()
    assert "This was cancelled." in stopped
    assert "hx-trigger" not in stopped
    assert owner.post(url(model)).status_code == 302


def test_its_agreement_and_both_scores_are_said_and_its_files_are_saved(owner, model):
    store(model, make_twin())
    page = " ".join(owner.get(url(model)).content.decode().split())
    assert "The twin gives the model&#x27;s answer for 98.5 % of the rows it was tried on." in page
    assert "On 200 rows held out that it did not learn from, its Accuracy is <strong>0.84" in page
    assert "It is 40 small decision trees. It learned the model's answers to 800 rows of the training" in page
    assert "It does not read free text: remark." in page
    saved = owner.get(url(model, "twin_file", "html"))
    assert saved["Content-Disposition"].startswith("attachment")
    policy = saved["Content-Security-Policy"]
    assert all(said in policy for said in ("sandbox", "script-src 'none'", "default-src 'none'"))
    assert "allow-scripts" not in policy
    assert b"</b>Lima" not in saved.content
    assert json.loads(owner.get(url(model, "twin_file", "json")).content) == make_twin()


def test_one_that_does_not_agree_says_so(owner, model):
    store(model, make_twin("regression", fidelity=0.7, is_good=False))
    page = owner.get(url(model), headers=HX).content.decode()
    assert "The twin does not agree well with the model: it follows 70.0 % of what moves its answers" in page
    assert "text-danger" in page


def test_nobody_else_finds_it_and_a_version_without_one_says_what_to_do(owner, other_user, client_for, model):
    store(model, make_twin())
    stranger = client_for(other_user)
    assert stranger.get(url(model)).status_code == 404
    assert stranger.post(url(model)).status_code == 404
    assert stranger.get(url(model, "twin_file", "json")).status_code == 404
    assert owner.get(url(model, "twin_file", "exe")).status_code == 404
    get_blobs().delete_model_file(user_id=model.user_id, model_id=model.id, version=1, stem="twin", ext="json")
    answer = owner.get(url(model, "twin_file", "json"))
    assert answer.status_code == 404
    assert "Have one made" in answer.content.decode()
