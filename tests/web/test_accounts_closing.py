"""Deleting an account with everything it owns, also after an interruption."""

import pytest
from django.contrib.auth import get_user
from django.test import Client

from accounts import closing
from accounts.models import User
from datasets import repository as datasets_repository
from datasets.records import Totals
from models_app import jobs_repository
from models_app import repository as models_repository
from smartml.errors import StorageUnavailable
from storage import mongo
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.conftest import PASSWORD
from tests.factories import queued_job, stored_dataset, stored_model

DELETE = "/accounts/delete"


def blobs_of(user_id):
    blobs = get_blobs()
    containers = (blobs.datasets_container, blobs.models_container)
    return [b.name for container in containers for b in blobs.list_prefix(container, f"{user_id}/")]


def documents_of(user_id):
    from bson import ObjectId

    database, key = mongo.get_database(), ObjectId(user_id)
    found = {name: database[name].count_documents({"user_id": key}) for name in ("datasets", "models", "jobs")}
    return found | {"users": database["users"].count_documents({"_id": key})}


@pytest.fixture
def owned(stack, user):
    """A person with a dataset, a model and a waiting job."""
    dataset = stored_dataset(user.id)
    stored_model(user.id, dataset)
    queued_job(user.id, dataset)
    return user


def test_the_page_says_what_goes(owned, client_for):
    page = client_for(owned).get(DELETE).content.decode()
    assert "1 dataset " in page
    assert "1 model " in page


@pytest.mark.parametrize("password", ["", "wrong"])
def test_nothing_goes_without_the_password(owned, client_for, password):
    client = client_for(owned)
    assert client.post(DELETE, {"password": password}).status_code == 422
    assert get_user(client).is_authenticated
    assert len(blobs_of(owned.id)) == 4


def test_everything_goes_and_nothing_of_others(owned, other_user, client_for):
    kept = stored_dataset(other_user.id)
    client = client_for(owned)
    user_id = owned.id
    response = client.post(DELETE, {"password": PASSWORD}, follow=True)
    assert "is deleted" in response.content.decode()
    assert not get_user(client).is_authenticated
    assert not User.objects.filter(id=user_id).exists()
    assert blobs_of(user_id) == []
    assert set(documents_of(user_id).values()) == {0}
    assert len(blobs_of(other_user.id)) == 1
    assert datasets_repository.get(dataset_id=kept.id, user_id=other_user.id)


def test_a_second_click_only_leads_to_the_sign_in_page(owned, client_for):
    client = client_for(owned)
    locations = [client.post(DELETE, {"password": PASSWORD})["Location"] for _ in range(2)]
    assert locations[0] == "/accounts/sign-in"
    assert locations[1].startswith("/accounts/sign-in")


def test_an_interrupted_closing_is_finished_by_the_sweep(owned, client_for, monkeypatch):
    user_id = owned.id
    answers = iter([StorageUnavailable("Blob storage does not answer.")])

    def cleanup(user_id):
        if error := next(answers, None):
            raise error

    monkeypatch.setattr(closing, "_cleanups", [*closing._cleanups, cleanup])
    client = client_for(owned)
    page = client.post(DELETE, {"password": PASSWORD}, follow=True).content.decode()
    assert "Your account is closed. Blob storage does not answer. The rest of it follows by itself." in page
    assert User.objects.get(id=user_id).closing_at
    assert blobs_of(user_id)
    refused = Client().post("/accounts/sign-in", {"username": owned.email, "password": PASSWORD})
    assert refused.status_code == 422
    taken = Client().post("/accounts/sign-up", {"email": owned.email, "password": "a long enough one"})
    assert "is being deleted" in taken.content.decode()

    assert closing.sweep_closing() == [user_id]
    assert blobs_of(user_id) == []
    assert set(documents_of(user_id).values()) == {0}
    assert closing.sweep_closing() == []


def test_one_closing_that_fails_does_not_hold_up_the_others(stack, user, other_user, monkeypatch):
    def cleanup(user_id):
        if user_id == user.id:
            raise StorageUnavailable("Blob storage does not answer.")

    monkeypatch.setattr(closing, "_cleanups", [cleanup])
    for person in (user, other_user):
        closing.begin_closing(person)
    other_id = other_user.id
    assert closing.sweep_closing() == [other_id]
    assert User.objects.get() == user


def test_models_are_cleaned_before_the_datasets_they_came_from(monkeypatch, user):
    order = []
    monkeypatch.setattr(closing, "_cleanups", [])
    closing.register(lambda user_id: order.append("datasets"))
    closing.register(lambda user_id: order.append("models"))
    closing.close_account(user)
    assert order == ["models", "datasets"]


def test_the_apps_have_registered_what_they_own():
    apps = [cleanup.__module__.split(".")[0] for cleanup in closing._cleanups]
    assert apps == ["datasets", "models_app"]


def test_a_person_without_anything_can_leave(stack, user):
    user_id = user.id
    closing.close_account(user)
    assert not User.objects.exists()
    assert datasets_repository.totals(user_id=user_id) == Totals()
    assert jobs_repository.recent(user_id=user_id) == ()
    assert models_repository.ids_of_user(user_id=new_id()) == ()
