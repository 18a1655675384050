"""Blobs without metadata: reported, and removed when they are old and their owner is known."""

from datetime import timedelta

import pytest
from django.utils import timezone

from models_app import jobs_repository, repository, strays
from models_app.records import JobError
from models_app.tasks import sweep_strays
from storage import mongo_users
from storage.blobs import get_blobs
from storage.ids import new_id
from storage.mongo import get_database
from tests.factories import queued_job, running_job, stored_dataset, stored_model
from tests.leftovers import dataset_blobs
from tests.training import model_blobs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _all_blobs_are_old(stack, settings):
    settings.STRAY_BLOB_HOURS = -1


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


def put(container, name):
    get_blobs().upload_bytes(container, name, b"x")
    return name


def test_what_has_metadata_stays(user, dataset, stack, monkeypatch):
    monkeypatch.setattr(strays, "_BATCH", 2)
    blobs = get_blobs()
    model, going = stored_model(user.id, dataset), stored_model(user.id, dataset)
    repository.mark_deleting(model_id=going.id, user_id=user.id)
    running = running_job(user.id, dataset, model_id=model.id, version=2)
    failed = running_job(user.id, dataset)
    jobs_repository.fail(job_id=failed.id, owner="owner", error=JobError(code="x", message="x"))
    for job in (running, failed):
        put(stack.models_container, blobs.model_blob(user.id, job.model_id, job.version))
    put(stack.models_container, f"{blobs.model_prefix(user.id, model.id)}notes.txt")

    assert sweep_strays() == 0
    assert len(model_blobs(stack)) == 9
    assert len(dataset_blobs(stack)) == 1


def test_what_has_none_is_said_and_removed(user, other_user, dataset, stack, caplog):
    blobs = get_blobs()
    model, gone = stored_model(user.id, dataset), stored_model(user.id, dataset)
    get_database()["models"].delete_one({"_id": get_database()["models"].find_one({"name": gone.name})["_id"]})
    left = {str(each["_id"]) for each in get_database()["models"].find()}
    kept_model = model if model.id in left else gone
    queued_job(user.id, dataset, model_id=kept_model.id, version=3)  # it has never run, so it has no blob
    lost = [
        put(stack.models_container, blobs.model_blob(user.id, kept_model.id, 3)),
        put(stack.models_container, blobs.model_blob(user.id, kept_model.id, 12)),
        put(stack.datasets_container, blobs.dataset_blob(user.id, new_id(), "lost.csv")),
    ]

    assert sweep_strays() == 3 + len(lost)
    assert {name.split("/")[1] for name in model_blobs(stack)} == {kept_model.id}
    assert len(model_blobs(stack)) == 3
    assert dataset_blobs(stack) == [f"{user.id}/{dataset.id}/animals.csv"]
    assert lost[2] in caplog.text


def test_the_id_of_somebody_elses_dataset_is_no_excuse(user, other_user, dataset, stack):
    stored_dataset(other_user.id)
    name = put(stack.datasets_container, get_blobs().dataset_blob(other_user.id, dataset.id, "lost.csv"))
    assert sweep_strays() == 1
    assert name not in dataset_blobs(stack)


def test_a_young_one_is_only_said(user, dataset, stack, settings, caplog):
    settings.STRAY_BLOB_HOURS = 24
    name = put(stack.datasets_container, get_blobs().dataset_blob(user.id, new_id(), "lost.csv"))
    assert sweep_strays() == 0
    assert name in dataset_blobs(stack)
    assert name in caplog.text


def test_blobs_of_people_this_database_has_never_seen_are_only_said(stack, caplog):
    names = [
        put(stack.datasets_container, get_blobs().dataset_blob(new_id(), new_id(), "theirs.csv")),
        put(stack.datasets_container, "backup/readme.txt"),
        put(stack.datasets_container, "readme.txt"),
    ]
    assert sweep_strays() == 0
    assert sorted(dataset_blobs(stack)) == sorted(names)
    assert all(name in caplog.text for name in names)


def test_what_appears_after_an_account_is_gone_is_removed_as_long_as_its_tombstone_stands(stack):
    user_id = new_id()
    mongo_users.bury(user_id=user_id)
    put(stack.datasets_container, get_blobs().dataset_blob(user_id, new_id(), "late.csv"))
    assert sweep_strays() == 1
    assert dataset_blobs(stack) == []


def test_the_light_cluster_is_told_to_look_each_hour():
    from django_q.models import Schedule

    schedule = Schedule.objects.get(name="stray blobs")
    assert (schedule.func, schedule.schedule_type) == ("models_app.tasks.sweep_strays", Schedule.HOURLY)
    assert schedule.next_run < timezone.now() + timedelta(hours=1)
