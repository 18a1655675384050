"""The model pages: what the owner sees, and that nobody else sees anything."""

from dataclasses import replace

import pytest
from django.urls import reverse

from accounts.models import User
from models_app import repository
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.factories import EVALUATION, running_job, stored_dataset, stored_model

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def _urls(model):
    return {
        "detail": reverse("models:detail", args=[model.id]),
        "predict": reverse("models:predict", args=[model.id, 1]),
        "download": reverse("models:download", args=[model.id, 1]),
        "delete": reverse("models:delete", args=[model.id]),
    }


def test_the_page_shows_the_holdout_score_beside_its_baseline(owner, model):
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert "0.875" in page
    assert "Baseline <strong>0.5</strong>" in page
    assert "On 8 rows the model had never seen, it was right 87.5% of the time" in page
    assert "LightGBM" in page


def test_a_score_no_better_than_the_baseline_is_said_plainly(stack, owner, user):

    dataset = stored_dataset(user.id)
    model = stored_model(user.id, dataset, evaluation=replace(EVALUATION, score=0.5, metrics={"accuracy": 0.5}))
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert "no better than that of a guess" in page


def test_the_list_searches_by_name_in_page_and_fragment(owner, model):
    found = owner.get(reverse("models:list"), {"q": "ANIM"})
    assert model.name in found.content.decode()
    fragment = owner.get(reverse("models:list"), {"q": "zebra"}, headers=HX)
    assert model.name not in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert "HX-Request" in fragment["Vary"]


def test_the_download_is_the_stored_zip_with_a_safe_name(owner, model, user):
    repository.rename(model_id=model.id, user_id=user.id, name='we"ird; naïve 🦆/../x')
    response = owner.get(_urls(model)["download"])
    assert b"".join(response.streaming_content) == b"PK not a predictor"
    assert response["Content-Length"] == "18"
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''we%22ird%3B")


def test_an_unknown_version_is_a_404(owner, model):
    for number in (0, 2, 99):
        assert owner.get(reverse("models:download", args=[model.id, number])).status_code == 404
    for version in ("0", "7", "x", "-1", "1" * 40):
        assert owner.get(_urls(model)["detail"], {"version": version}).status_code == 404


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_renaming(owner, model, headers):
    url = reverse("models:rename", args=[model.id])
    response = owner.post(url, {"name": "Better"}, headers=headers)
    assert response.status_code == (200 if headers else 302)
    assert "Better" in owner.get(_urls(model)["detail"]).content.decode()
    refused = owner.post(url, {"name": "  "}, headers=headers)
    assert refused.status_code == 422
    assert "needs a name" in refused.content.decode()
    for name in ("x" * 121, "a\x01b"):
        assert owner.post(url, {"name": name}, headers=headers).status_code == 422


def test_deleting_shows_a_receipt_and_leaves_nothing(owner, model, user):
    asked = owner.get(_urls(model)["delete"])
    assert "cannot be undone" in asked.content.decode()
    receipt = owner.post(_urls(model)["delete"])
    text = receipt.content.decode()
    assert receipt.status_code == 200
    assert "3 files removed" in text
    assert f"{user.id}/{model.id}/model-v1.zip" in text
    assert "nothing is left there" in text
    blobs = get_blobs()
    assert list(blobs.list_prefix(blobs.models_container, blobs.model_prefix(user.id, model.id))) == []
    assert repository.get(model_id=model.id, user_id=user.id) is None
    assert owner.get(_urls(model)["detail"]).status_code == 404
    assert owner.post(_urls(model)["delete"]).status_code == 404


def test_a_model_whose_file_does_not_match_its_checksum_is_never_opened(owner, model, user):
    """The stored zip is not a predictor at all; nothing may be unpickled and the page says what to do."""
    blobs = get_blobs()
    name = blobs.model_blob(user.id, model.id, 1)
    blobs.delete_prefix(blobs.models_container, blobs.model_prefix(user.id, model.id))
    blobs.upload_bytes(blobs.models_container, name, b"PK something else!")
    evaluation = owner.get(_urls(model)["detail"])
    assert evaluation.status_code == 410


@pytest.mark.parametrize("who", ["other", "staff"])
def test_nobody_else_finds_the_model(model, client_for, other_user, staff, who):
    client = client_for(other_user if who == "other" else staff)
    for url in _urls(model).values():
        assert client.get(url).status_code == 404
        assert client.get(url, headers=HX).status_code == 404
    assert client.post(reverse("models:rename", args=[model.id]), {"name": "mine"}).status_code == 404
    assert client.post(_urls(model)["delete"]).status_code == 404
    assert client.post(_urls(model)["predict"], {"f0": "4"}).status_code == 404
    assert model.name not in client.get(reverse("models:list")).content.decode()


def test_anonymous_visitors_are_sent_to_the_sign_in(model, client):
    for url in _urls(model).values():
        response = client.get(url)
        assert response.status_code == 302
        assert response.url.startswith(reverse("accounts:sign_in"))


def test_another_persons_model_cannot_be_trained_again(stack, user, other_user, client_for):
    theirs = stored_model(user.id, stored_dataset(user.id))
    mine = stored_dataset(other_user.id)
    client = client_for(other_user)
    url = reverse("models:train", args=[mine.id])
    assert client.get(url, {"model": theirs.id}).status_code == 404
    assert client.get(url, {"model": "../x"}).status_code == 404
    posted = {"target": "species", "preset": "quick", "job_id": new_id(), "model_id": theirs.id}
    assert client.post(url, posted).status_code == 404


def test_two_versions_stand_side_by_side(stack, owner, user: User):
    dataset = stored_dataset(user.id)
    first = stored_model(user.id, dataset)
    number = repository.next_version(model_id=first.id, user_id=user.id)
    job = running_job(user.id, dataset, model_id=first.id, version=number)
    second = stored_model(user.id, dataset, job=job)
    assert [v.version for v in second.versions] == [1, 2]
    page = owner.get(reverse("models:detail", args=[first.id])).content.decode()
    assert "Version 1" in page
    assert "Version 2" in page
    for version in (1, 2):
        assert owner.get(reverse("models:download", args=[first.id, version])).status_code == 200


def test_a_poor_accuracy_with_a_useful_ranking_is_not_called_useless(stack, owner, user):
    poor = replace(
        EVALUATION,
        score=0.5,
        metrics={"accuracy": 0.5, "roc_auc": 0.9},
        baseline_metrics={"accuracy": 0.5, "roc_auc": 0.5},
    )
    model = stored_model(user.id, stored_dataset(user.id), evaluation=poor)
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert "Accuracy is no better than that of a guess" in page
    assert "ROC AUC 0.9" in page
    assert "Do not rely on it" not in page


def test_one_sided_metrics_name_their_class(owner, model):
    assert "ROC AUC for “duck”" in owner.get(_urls(model)["detail"]).content.decode()


def test_a_model_with_thousands_of_features_takes_its_form(owner, model):
    values = {f"f{number}": "1" for number in range(3000)}
    response = owner.post(_urls(model)["predict"], values)
    # The stored zip of this model is no predictor; what matters is that the form got through.
    assert response.status_code != 400
