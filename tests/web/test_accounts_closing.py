"""Deleting an account with everything it owns, also after an interruption."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth import get_user
from django.test import Client

from accounts import closing
from accounts.models import User
from datasets import repository as datasets_repository
from datasets import services as datasets
from datasets.records import Totals
from models_app import jobs_repository, jobs_services
from models_app import repository as models_repository
from smartml.errors import AccountClosing, Conflict, JobCancelled, ServiceUnavailable, StorageUnavailable
from storage import emptying, mongo, mongo_users
from storage.blobs import AzureBlobStorage, Removed, get_blobs
from storage.ids import new_id
from tests.conftest import PASSWORD
from tests.factories import queued_job, running_job, stored_dataset, stored_model

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


def tombstone_only(user_id):
    from bson import ObjectId

    found = mongo.get_database()["users"].find_one({"_id": ObjectId(user_id)})
    return (
        documents_of(user_id) == {"datasets": 0, "models": 0, "jobs": 0, "users": 1}
        and found["closing_at"]
        and not any(found[total] for total in found if total.endswith(("_count", "_bytes")))
    )


def test_the_page_says_what_goes(owned, client_for):
    page = client_for(owned).get(DELETE).content.decode()
    assert "1 dataset " in page
    assert "1 model " in page


@pytest.mark.parametrize("password", ["", "wrong"])
def test_nothing_goes_without_the_password(owned, client_for, password):
    client = client_for(owned)
    assert client.post(DELETE, {"password": password}).status_code == 422
    assert get_user(client).is_authenticated
    assert len(blobs_of(owned.id)) == 5


def test_everything_goes_and_nothing_of_others(owned, other_user, client_for):
    kept = stored_dataset(other_user.id)
    client = client_for(owned)
    user_id = owned.id
    response = client.post(DELETE, {"password": PASSWORD}, follow=True)
    assert "is deleted" in response.content.decode()
    assert not get_user(client).is_authenticated
    assert not User.objects.filter(id=user_id).exists()
    assert blobs_of(user_id) == []
    assert tombstone_only(user_id)
    assert len(blobs_of(other_user.id)) == 2  # the file and its receipt
    assert datasets_repository.get(dataset_id=kept.id, user_id=other_user.id)


def test_no_sign_in_of_the_person_is_remembered(owned, client_for):
    for password in ("wrong password", PASSWORD):
        Client().post("/accounts/sign-in", {"username": owned.email, "password": password})
    Client().post("/accounts/sign-in", {"username": owned.email, "password": "wrong password"})
    assert AccessAttempt.objects.count() == 1
    client_for(owned).post(DELETE, {"password": PASSWORD})
    assert not AccessAttempt.objects.exists()
    assert not AccessLog.objects.exists()


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
    assert tombstone_only(user_id)
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


def test_models_are_cleaned_before_the_datasets_they_came_from(monkeypatch, stack, user):
    order = []
    monkeypatch.setattr(closing, "_cleanups", [])
    monkeypatch.setattr(closing, "_last", [])
    closing.register(lambda user_id: order.append("datasets"))
    closing.register(lambda user_id: order.append("models"), last=lambda user_id: order.append("jobs"))
    closing.close_account(user)
    assert order == ["models", "datasets", "jobs"]


def test_the_apps_have_registered_what_they_own():
    apps = [cleanup.__module__.split(".")[0] for cleanup in closing._cleanups]
    assert apps == ["accounts", "accounts", "datasets", "datasets", "models_app"]


def test_one_closing_with_a_bug_does_not_hold_up_the_others_either(stack, user, other_user, monkeypatch):
    def cleanup(user_id):
        if user_id == user.id:
            raise RuntimeError

    monkeypatch.setattr(closing, "_cleanups", [cleanup])
    for person in (user, other_user):
        closing.begin_closing(person)
    other_id = other_user.id
    assert closing.sweep_closing() == [other_id]


def test_blobs_that_no_metadata_speaks_of_go_too(owned):
    blobs, user_id = get_blobs(), owned.id
    lost = blobs.dataset_blob(user_id, new_id(), "lost.csv")
    for container in (blobs.datasets_container, blobs.models_container):
        blobs.upload_bytes(container, lost, b"x")
    closing.close_account(owned)
    assert blobs_of(user_id) == []


def test_as_long_as_a_blob_is_left_nothing_is_forgotten(owned, monkeypatch):
    def delete(self, *, user_id):
        return Removed(count=0, names=(), prefix=f"{user_id}/", remaining=1)

    user_id = owned.id
    with monkeypatch.context() as patch:
        patch.setattr(emptying, "PAUSE_SECONDS", 0.0)
        patch.setattr(AzureBlobStorage, "delete_everything_of", delete)
        with pytest.raises(ServiceUnavailable):
            closing.close_account(owned)
    assert User.objects.get(id=user_id).closing_at
    assert documents_of(user_id)["jobs"] == 2
    assert closing.sweep_closing() == [user_id]
    assert tombstone_only(user_id)


def test_a_training_that_has_not_stopped_yet_keeps_the_account_closing(owned, client_for, monkeypatch):
    monkeypatch.setattr(jobs_services, "_END_OF_JOBS_SECONDS", 0.0)
    dataset = stored_dataset(owned.id)
    job = running_job(owned.id, dataset)
    user_id = owned.id
    page = client_for(owned).post(DELETE, {"password": PASSWORD}, follow=True).content.decode()
    assert "A training is still being stopped. The rest of it follows by itself." in page
    assert User.objects.get(id=user_id).closing_at
    assert jobs_repository.get(job_id=job.id).cancel_requested
    assert Client().post("/accounts/sign-in", {"username": owned.email, "password": PASSWORD}).status_code == 422
    with pytest.raises(JobCancelled):
        stored_model(user_id, dataset, job=job)
    assert closing.sweep_closing() == []

    jobs_repository.cancel(job_id=job.id, owner="owner")
    assert closing.sweep_closing() == [user_id]
    assert blobs_of(user_id) == []
    assert tombstone_only(user_id)


def test_a_request_in_flight_stores_nothing_after_the_account_is_gone(owned):
    user_id = owned.id
    ingest = datasets.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name="late.csv")
    ingest.write(b"a,b\n1,2\n")
    dataset = stored_dataset(user_id)
    closing.close_account(owned)
    with pytest.raises(Conflict):
        ingest.commit()
    with pytest.raises(AccountClosing):
        stored_dataset(user_id)
    with pytest.raises(AccountClosing):
        queued_job(user_id, dataset)
    assert blobs_of(user_id) == []
    assert tombstone_only(user_id)


def test_a_tombstone_goes_after_some_days_but_not_before_its_account(owned, user, monkeypatch):
    user_id = owned.id
    assert closing.sweep_tombstones() == 0
    monkeypatch.setattr(closing, "TOMBSTONE_LIFE", timedelta(0))
    mongo_users.begin_closing(user_id=user_id)
    assert closing.sweep_tombstones() == 0
    closing.close_account(owned)
    assert closing.sweep_tombstones() == 1
    assert set(documents_of(user_id).values()) == {0}


def test_a_person_without_anything_can_leave(stack, user):
    user_id = user.id
    closing.close_account(user)
    assert not User.objects.exists()
    assert datasets_repository.totals(user_id=user_id) == Totals()
    assert jobs_repository.recent(user_id=user_id) == ()
    assert models_repository.ids_of_user(user_id=new_id()) == ()
