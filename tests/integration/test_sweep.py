"""The sweep: what dead processes left is finished or undone, and nothing that lives is touched."""

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from datasets import services as datasets
from models_app import jobs_repository as jobs
from models_app import queue, repository, sweep
from models_app.records import JobStatus
from models_app.services import delete_model
from models_app.tasks import sweep as sweep_task
from smartml.errors import StorageUnavailable
from storage import sweeping
from storage.blobs import AzureBlobStorage, get_blobs
from storage.mongo import get_database
from tests.factories import queued_job, stored_dataset, stored_model
from tests.training import model_blobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


def abandoned_job(user, dataset, *, attempts: int = 1):
    """A job whose worker stopped in its ``attempts``-th attempt."""
    job = queued_job(user.id, dataset)
    for attempt in range(attempts):
        if attempt:
            jobs.requeue(job_id=job.id, owner="dead worker")
        job = jobs.claim(job_id=job.id, owner="dead worker", lease_seconds=-1)
    return job


def messages() -> list[str]:
    return [row.task["args"][0] for row in OrmQ.objects.filter(key="training")]


def upload_leftovers(job) -> None:
    blobs = get_blobs()
    name = blobs.model_file(job.user_id, job.model_id, job.version, "evaluation", "json")
    blobs.upload_bytes(blobs.models_container, name, b"{}")


def test_a_job_whose_worker_stopped_is_queued_once_more(user, dataset):
    job = abandoned_job(user, dataset)
    queue.enqueue(job.id)
    OrmQ.objects.update(lock=timezone.now() + timedelta(hours=4))  # taken by the cluster that died
    assert sweep.sweep_expired_leases() == 1
    waiting = jobs.get(job_id=job.id)
    assert (waiting.status, waiting.attempt, waiting.lease_owner) == (JobStatus.QUEUED, 1, None)
    assert messages() == [job.id]
    assert OrmQ.objects.filter(lock__lte=timezone.now()).count() == 1


def test_a_job_whose_worker_stopped_twice_fails_with_the_reason(user, dataset, stack):
    job = abandoned_job(user, dataset, attempts=2)
    upload_leftovers(job)
    sweep_task()
    failed = jobs.get(job_id=job.id)
    assert failed.status is JobStatus.FAILED
    assert "stopped twice" in failed.error.message
    assert model_blobs(stack) == []
    assert messages() == []


def test_an_abandoned_job_that_was_to_be_cancelled_is_cancelled(user, dataset, stack):
    for attempts in (1, 2):
        job = abandoned_job(user, dataset, attempts=attempts)
        jobs.request_cancel(job_id=job.id, user_id=user.id)
        upload_leftovers(job)
        sweep_task()
        assert jobs.get(job_id=job.id).status is JobStatus.CANCELLED
    assert messages() == []
    assert model_blobs(stack) == []


def test_a_job_whose_worker_lives_is_left_alone(user, dataset, stack):
    job = queued_job(user.id, dataset)
    jobs.claim(job_id=job.id, owner="worker", lease_seconds=60)
    upload_leftovers(job)
    sweep_task()
    assert jobs.get(job_id=job.id).status is JobStatus.RUNNING
    assert len(model_blobs(stack)) == 1


def test_a_waiting_job_that_no_message_speaks_of_is_enqueued_once(user, dataset):
    old = timezone.now() - timedelta(minutes=2)
    forgotten = queued_job(user.id, dataset, created_at=old)
    queued_job(user.id, dataset)  # its request may still be about to enqueue it
    assert sweep.sweep_unclaimed_jobs() == 1
    assert sweep.sweep_unclaimed_jobs() == 0
    assert messages() == [forgotten.id]


def test_a_message_that_a_dead_cluster_holds_does_not_count_but_nothing_piles_up(user, dataset):
    job = queued_job(user.id, dataset, created_at=timezone.now() - timedelta(minutes=2))
    queue.enqueue(job.id)
    OrmQ.objects.update(lock=timezone.now() + timedelta(hours=4))
    for _ in range(3):
        sweep.sweep_unclaimed_jobs()
    assert messages() == [job.id, job.id]


def test_blobs_of_a_failed_job_are_removed_when_storage_is_back(user, dataset, stack, settings):
    job = queued_job(user.id, dataset)
    jobs.claim(job_id=job.id, owner="worker", lease_seconds=60)
    upload_leftovers(job)
    jobs.fail(job_id=job.id, owner="worker", error=sweep.STOPPED_TWICE)
    kept = stored_model(user.id, dataset)
    assert sweep.sweep_job_blobs() == 1
    assert sweep.sweep_job_blobs() == 0
    assert {name.split("/")[1] for name in model_blobs(stack)} == {kept.id}
    assert jobs.with_leftovers() == ()


def test_an_interrupted_deletion_is_finished(user, dataset, stack):
    model, kept = stored_model(user.id, dataset), stored_model(user.id, dataset)
    repository.mark_deleting(model_id=model.id, user_id=user.id)
    assert sweep.sweep_deleted_models() == 0
    get_database()["models"].update_many({}, {"$set": {"touched_at": timezone.now() - timedelta(minutes=10)}})
    assert sweep.sweep_deleted_models() == 1
    assert {name.split("/")[1] for name in model_blobs(stack)} == {kept.id}
    assert datasets.totals_of(user_id=user.id).models_count == 1


def test_one_item_that_fails_does_not_keep_the_others_from_their_turn(user, dataset, stack, monkeypatch):
    jobs_left = [queued_job(user.id, dataset) for _ in range(2)]
    for job in jobs_left:
        jobs.claim(job_id=job.id, owner="worker", lease_seconds=60)
        upload_leftovers(job)
        jobs.fail(job_id=job.id, owner="worker", error=sweep.STOPPED_TWICE)
    models = [stored_model(user.id, dataset) for _ in range(2)]
    for model in models:
        repository.mark_deleting(model_id=model.id, user_id=user.id)
    get_database()["models"].update_many({}, {"$set": {"touched_at": timezone.now() - timedelta(minutes=10)}})
    for method, bad in (
        ("delete_model_version", jobs.with_leftovers()[0].model_id),
        ("delete_model", models[0].id),
    ):
        fail_for(monkeypatch, method, bad)

    for step in (sweep.sweep_job_blobs, sweep.sweep_deleted_models):
        with pytest.raises(RuntimeError):
            step()
    assert len(jobs.with_leftovers()) == 1
    assert repository.ids_of_user(user_id=user.id) == (models[0].id,)


def fail_for(monkeypatch, method: str, model_id: str) -> None:
    real = getattr(AzureBlobStorage, method)

    def call(self, **values):
        if values["model_id"] == model_id:
            raise RuntimeError("A bug.")
        return real(self, **values)

    monkeypatch.setattr(AzureBlobStorage, method, call)


def test_a_service_that_is_away_is_not_waited_for_item_by_item(monkeypatch):
    tried = []

    def act(item: int) -> int:
        tried.append(item)
        raise StorageUnavailable("Blob storage does not answer.")

    monkeypatch.setattr(sweeping, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(StorageUnavailable):
        sweeping.each(range(1000), act, what="a thing")
    assert tried == [0]


def test_an_account_that_is_closing_is_finished(user, dataset, stack):
    from accounts.closing import begin_closing
    from accounts.models import User

    stored_model(user.id, dataset)
    begin_closing(user)
    sweep_task()
    assert not User.objects.filter(pk=user.pk).exists()
    assert model_blobs(stack) == []


def test_a_workspace_of_a_dead_process_is_removed(stack):
    path = Path(tempfile.gettempdir()) / "model_4000000_1_abcdefgh"
    path.mkdir()
    assert sweep_task()["workspaces"] == 1
    assert not path.exists()


def test_a_step_that_fails_does_not_keep_the_others_from_running(user, dataset, stack, settings, caplog):
    from smartml.errors import StorageNotConfigured
    from storage.blobs import reset_blobs

    job = abandoned_job(user, dataset, attempts=2)
    path = Path(tempfile.gettempdir()) / "model_4000000_1_abcdefgh"
    path.mkdir()
    settings.AZURE_STORAGE_ENABLED = False
    reset_blobs()
    with pytest.raises(StorageNotConfigured):
        sweep_task()
    assert jobs.get(job_id=job.id).status is JobStatus.FAILED
    assert not path.exists()
    assert "job_blobs" in caplog.text


def test_the_light_cluster_is_told_to_sweep_each_minute():
    from django_q.models import Schedule

    schedule = Schedule.objects.get(name="sweep")
    assert (schedule.func, schedule.minutes, schedule.cluster) == ("models_app.tasks.sweep", 1, None)


def test_what_follows_a_training_is_begun_by_the_sweep_where_its_worker_could_not(user, dataset):
    model, deleted = stored_model(user.id, dataset), stored_model(user.id, dataset)
    delete_model(user_id=user.id, model_id=deleted.id)
    assert sweep.sweep()["followups"] == 1
    begun = get_database()["activities"].find({}, {"model_id": 1, "kind": 1})
    assert [(str(each["model_id"]), each["kind"]) for each in begun] == [(model.id, "explain")]
    assert sweep.sweep()["followups"] == 0
