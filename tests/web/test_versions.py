"""The versions on a model's page: one is made current after a look at both scores, another is deleted."""

from dataclasses import replace

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from ml.options import HoldoutKind
from ml.setup_report import SetupReport
from ml.splits import HoldoutReport
from models_app import repository, services
from models_app.records import JobSettings
from storage.blobs import get_blobs
from tests.factories import EVALUATION, running_job, stored_dataset, stored_model

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


def setup(seed: int) -> SetupReport:
    return SetupReport(holdout=HoldoutReport(kind=HoldoutKind.RANDOM, share=0.2, seed=seed), seed=seed)


@pytest.fixture
def model(stack, user):
    """Version 1, and a current version 2 that other rows were held out for."""
    dataset = stored_dataset(user.id)
    first = replace(EVALUATION, intervals={"accuracy": (0.7, 0.95)}, resamples=1000, setup=setup(0))
    job = running_job(user.id, dataset)
    stored_model(user.id, dataset, job=job, evaluation=first)
    repository.next_version(model_id=job.model_id, user_id=user.id)
    second = replace(first, score=0.75, intervals={"accuracy": (0.6, 0.9)}, setup=setup(1))
    job = running_job(user.id, dataset, model_id=job.model_id, version=2)
    return stored_model(user.id, dataset, job=job, evaluation=second)


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def url(name, model, *more):
    return reverse(f"models:{name}", args=[model.id, *more])


def text_of(response):
    return " ".join(strip_tags(response.content.decode()).split())


def test_the_page_says_which_version_is_current_and_what_a_training_will_do(owner, model):
    current = text_of(owner.get(url("detail", model)))
    assert "Version 2 current" in current
    assert "The next version that is trained becomes current by itself, if it predicts species too." in current
    other = owner.get(url("detail", model), {"version": "1"})
    assert "This is version 1. The current one" in text_of(other)
    assert url("promote", model, 1) in other.content.decode()


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_promoting_shows_both_scores_and_then_moves_everything_that_names_no_version(owner, model, user, headers):
    asked = text_of(owner.get(url("promote", model, 1), headers=headers))
    assert "Version 2, current now Version 1, current then" in asked
    assert "0.75 Accuracy 0.6 to 0.9 with 95 % confidence" in asked
    assert "0.875 Accuracy 0.7 to 0.95 with 95 % confidence" in asked
    assert "so luck is part of the difference: 20 % of the rows, at random (seed 1), and 20 %" in asked
    done = owner.post(url("promote", model, 1), {"instead_of": "2"}, headers=headers)
    assert done.status_code == (200 if headers else 302)
    assert (done.get("HX-Redirect") or done["Location"]) == url("detail", model)
    page = text_of(owner.get(url("detail", model)))
    assert "Version 1 is current now. Further trainings do not replace it." in page
    assert "Version 2 is newer than this one, which is current." in page
    assert "Version 1 was chosen by hand: the next version that is trained waits" in page
    assert "Roll back" in page
    assert "v1" in text_of(owner.get(reverse("models:list")))
    assert services.get_model(user_id=user.id, model_id=model.id).current.version == 1
    owner.post(url("follow", model), {"follow": "1"}, headers=headers)
    assert "becomes current by itself" in text_of(owner.get(url("detail", model)))


def test_a_promotion_from_a_page_that_is_out_of_date_is_refused(owner, model):
    owner.post(url("promote", model, 1), {"instead_of": "2"})
    owner.post(url("promote", model, 2), {"instead_of": "1"})
    again = owner.post(url("promote", model, 1), {"instead_of": "1"})
    assert again.status_code == 409
    assert "has become current meanwhile" in text_of(again)
    for wrong in ("", "x", "-1", "1" * 40, "²"):
        assert owner.post(url("promote", model, 1), {"instead_of": wrong}).status_code == 422
    assert owner.get(url("promote", model, 2))["Location"] == url("detail", model)


def test_a_version_that_predicts_something_else_is_not_compared_by_score(owner, model, user):
    dataset = stored_dataset(user.id)
    wings = JobSettings(target="wings", time_limit=30)
    repository.next_version(model_id=model.id, user_id=user.id)
    job = running_job(user.id, dataset, model_id=model.id, version=3, settings=wings)
    stored_model(user.id, dataset, job=job)
    asked = owner.get(url("promote", model, 3))
    assert "They predict different columns, species and wings: their scores cannot be compared." in text_of(asked)
    assert asked.content.decode().count('data-test="caution"') == 1


def test_a_version_whose_files_are_lost_can_still_be_left(owner, model, user):
    get_blobs().delete_model_version(user_id=user.id, model_id=model.id, version=2)
    asked = owner.get(url("promote", model, 1))
    assert asked.status_code == 200
    assert "no interval known" in text_of(asked)


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_deleting_a_version_shows_a_receipt_and_leaves_the_others(owner, model, user, headers):
    asked = text_of(owner.get(url("version_delete", model, 1), headers=headers))
    assert "1 other version stays; version 2 is current and stays so." in asked
    receipt = text_of(owner.post(url("version_delete", model, 1), headers=headers))
    assert "3 files removed" in receipt
    assert f"{user.id}/{model.id}/model-v1.zip" in receipt
    assert "nothing is left there" in receipt
    assert owner.get(url("detail", model), {"version": "1"}).status_code == 404
    assert owner.get(url("version_delete", model, 1)).status_code == 404
    assert "Version 1" not in text_of(owner.get(url("detail", model)))
    gone = services.get_model(user_id=user.id, model_id=model.id).versions
    assert [each.version for each in gone] == [2]


def test_the_current_version_is_not_deleted_and_the_only_one_leads_to_its_model(owner, model):
    for method in (owner.get, owner.post):
        refused = method(url("version_delete", model, 2))
        assert refused.status_code == 409
        assert "Make another version current, then delete this one." in text_of(refused)
    owner.post(url("version_delete", model, 1))
    for method in (owner.get, owner.post):
        assert method(url("version_delete", model, 2))["Location"] == url("delete", model)
    assert owner.get(url("detail", model)).status_code == 200


def test_an_interrupted_deletion_is_offered_to_be_finished(owner, model, user):
    from models_app import versions_repository

    versions_repository.mark_deleting(model_id=model.id, user_id=user.id, version=1)
    page = owner.get(url("detail", model))
    assert "Version 1 being deleted" in text_of(page)
    assert url("version_delete", model, 1) in page.content.decode()


def test_nobody_else_can_change_the_versions(model, client_for, other_user, user):
    other = client_for(other_user)
    posted = {"promote": {"instead_of": "2"}, "version_delete": {}}
    for name, data in posted.items():
        for headers in ({}, HX):
            assert other.get(url(name, model, 1), headers=headers).status_code == 404
            assert other.post(url(name, model, 1), data, headers=headers).status_code == 404
    assert other.post(url("follow", model), {"follow": "0"}).status_code == 404
    assert services.get_model(user_id=user.id, model_id=model.id) == model


def test_a_version_that_is_not_there_is_a_404(owner, model):
    for number in (0, 3, 99):
        assert owner.get(url("promote", model, number)).status_code == 404
        assert owner.post(url("promote", model, number), {"instead_of": "2"}).status_code == 404
        assert owner.get(url("version_delete", model, number)).status_code == 404
        assert owner.post(url("version_delete", model, number)).status_code == 404
