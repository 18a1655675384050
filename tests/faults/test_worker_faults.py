"""Killed processes, cancellations and failing services during a training: it always ends, and leaves nothing."""

import signal
import threading
import time

import psutil
import pytest

from datasets import services as datasets
from models_app import jobs_repository, services, sweep, worker
from models_app.records import JobStatus
from models_app.tasks import run_training
from storage.blobs import get_blobs
from storage.workspace import sweep_workspaces
from tests.factories import queued_job, stored_dataset
from tests.training import (
    assert_nothing_left,
    assert_one_model,
    child_of,
    model_blobs,
    processes_of,
    start_worker,
    use_one_family,
    wait_for,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def quick(settings, monkeypatch):
    use_one_family(settings, monkeypatch)
    monkeypatch.setenv("JOB_LEASE_SECONDS", "3")
    settings.JOB_LEASE_SECONDS = 3
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.5)


@pytest.fixture
def job(stack, user):
    return queued_job(user.id, stored_dataset(user.id))


@pytest.fixture
def in_thread():
    """``in_thread(job)`` runs the worker beside the test; joined at the end."""
    threads = []

    def start(job):
        thread = threading.Thread(target=worker.run_job, args=(job.id,))
        thread.start()
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def at_stage(job, stage: str) -> psutil.Process:
    """The child, stopped where ``stage`` has just begun (or a little later: stages of a small table are short)."""
    wait_for(job.id, lambda job: job.stage.startswith(stage) or job.status.is_over)
    child = child_of(job)
    child.suspend()
    return child


def is_over(job) -> bool:
    return job.status.is_over


def test_a_killed_child_is_a_failure_that_speaks_of_memory(stack, job, in_thread):
    in_thread(job)
    at_stage(job, "Fitting").kill()
    failed = wait_for(job.id, is_over)
    assert (failed.status, failed.error) == (JobStatus.FAILED, worker.OUT_OF_MEMORY)
    assert_nothing_left(stack, job)


def test_a_crashed_child_is_a_failure_with_a_reason(stack, job, in_thread):
    in_thread(job)
    child = at_stage(job, "Fitting")
    child.send_signal(signal.SIGSEGV)
    child.resume()
    failed = wait_for(job.id, is_over)
    assert (failed.status, failed.error) == (JobStatus.FAILED, worker.CRASHED)
    assert_nothing_left(stack, job)


@pytest.mark.parametrize(
    "stage", ["Starting", "Downloading data", "Reading", "Splitting", "Fitting", "Scoring", "Packing", "Storing"]
)
def test_cancelling_at_any_stage_keeps_nothing(stack, user, job, in_thread, stage):
    in_thread(job)
    wait_for(job.id, lambda job: job.stage.startswith(stage) or job.status.is_over)
    asked = time.monotonic()
    services.cancel_job(user_id=user.id, job_id=job.id)
    over = wait_for(job.id, is_over)
    assert time.monotonic() - asked < 5
    if over.status is JobStatus.SUCCEEDED:
        # The model was stored in the moment between: that is one of the two ends, whole.
        assert stage == "Storing"
        assert_one_model(stack, over)
    else:
        assert over.status is JobStatus.CANCELLED
        assert_nothing_left(stack, job)


def test_a_child_that_does_not_react_is_cancelled_in_time_too(stack, user, job, in_thread):
    in_thread(job)
    at_stage(job, "Fitting")  # and it stays stopped: SIGTERM does not reach it
    asked = time.monotonic()
    services.cancel_job(user_id=user.id, job_id=job.id)
    assert wait_for(job.id, is_over).status is JobStatus.CANCELLED
    assert time.monotonic() - asked < 5
    assert_nothing_left(stack, job)


def test_a_killed_worker_takes_its_child_along_and_the_job_is_tried_once_more(stack, job):
    process = start_worker(job.id)
    wait_for(job.id, lambda job: job.stage.startswith("Fitting"))
    process.kill()
    process.wait()
    give_up = time.monotonic() + 5
    while processes_of(job):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    sweep_workspaces()
    assert_nothing_left(stack, job)

    wait_until_expired(job)
    assert sweep.sweep_expired_leases() == 1
    assert run_training(job.id) == JobStatus.SUCCEEDED
    over = jobs_repository.get(job_id=job.id)
    assert over.attempt == 2
    assert_one_model(stack, over)


def test_a_worker_killed_twice_is_a_failure_with_the_reason(stack, job):
    for _ in range(2):
        process = start_worker(job.id)
        wait_for(job.id, lambda job: job.status is JobStatus.RUNNING)
        process.kill()
        process.wait()
        wait_until_expired(job)
        assert sweep.sweep_expired_leases() == 1
    sweep.sweep_job_blobs()
    sweep_workspaces()
    failed = jobs_repository.get(job_id=job.id)
    assert (failed.status, failed.error) == (JobStatus.FAILED, sweep.STOPPED_TWICE)
    assert run_training(job.id) == JobStatus.FAILED
    assert_nothing_left(stack, job)


def wait_until_expired(job) -> None:
    from django.utils import timezone

    wait_for(job.id, lambda job: job.lease_until is not None and job.lease_until < timezone.now(), seconds=10)


def test_blob_storage_that_refuses_the_upload_is_a_failure_and_the_sweep_cleans_up(stack, job, in_thread):
    blobs = get_blobs()
    # Somebody took the name of the evaluation: the zip is stored already when its upload is refused.
    taken = blobs.model_file(job.user_id, job.model_id, 1, "evaluation", "json")
    blobs.upload_bytes(blobs.models_container, taken, b"{}")
    in_thread(job)
    failed = wait_for(job.id, is_over)
    assert failed.status is JobStatus.FAILED
    assert failed.error.code == "conflict"
    assert_nothing_left(stack, job)


def test_blob_storage_that_is_away_at_the_end_is_a_failure_with_its_reason(stack, job, monkeypatch, settings):
    # The container is gone when the model is to be stored, and when the worker wants to clean up.
    from tests.services import blob_service

    thread = threading.Thread(target=worker.run_job, args=(job.id,))
    thread.start()
    wait_for(job.id, lambda job: job.stage.startswith("Fitting"))
    with blob_service() as service:
        service.delete_container(stack.models_container)
    failed = wait_for(job.id, is_over)
    thread.join(30)
    assert failed.status is JobStatus.FAILED
    assert failed.error.message
    with blob_service() as service:
        service.create_container(stack.models_container)
    sweep.sweep_job_blobs()
    assert jobs_repository.with_leftovers() == ()
    assert_nothing_left(stack, job)


def test_a_dataset_deleted_during_the_fit_does_not_matter_any_more(stack, user, job, in_thread):
    in_thread(job)
    wait_for(job.id, lambda job: job.stage.startswith("Fitting"))
    datasets.delete_dataset(user_id=user.id, dataset_id=job.dataset_id)
    over = wait_for(job.id, is_over)
    assert over.status is JobStatus.SUCCEEDED
    assert_one_model(stack, over)


def test_an_account_closed_during_the_fit_leaves_nothing(stack, user, job, in_thread):
    from accounts.closing import close_account

    in_thread(job)
    wait_for(job.id, lambda job: job.stage.startswith("Fitting"))
    close_account(user)
    assert jobs_repository.get(job_id=job.id) is None
    assert model_blobs(stack) == []
    assert_nothing_left(stack, job)


def test_two_deliveries_at_once_make_one_model(stack, job):
    processes = [start_worker(job.id), start_worker(job.id)]
    for process in processes:
        assert process.wait(90) == 0
    over = jobs_repository.get(job_id=job.id)
    assert (over.status, over.attempt) == (JobStatus.SUCCEEDED, 1)
    assert_one_model(stack, over)
