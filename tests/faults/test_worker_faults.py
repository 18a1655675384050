"""Killed processes, cancellations and failing services during a training: it always ends, and leaves nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import psutil
import pytest
from bson import ObjectId
from django.utils import timezone
from django_q.models import OrmQ

from datasets import services as datasets
from datasets import stopping
from models_app import jobs_repository, queue, services, sweep, worker
from models_app.records import JobStatus
from models_app.tasks import run_training
from storage.blobs import get_blobs
from storage.mongo import get_database
from storage.workspace import sweep_workspaces
from tests.factories import queued_job, stored_dataset
from tests.services import blob_service
from tests.training import (
    assert_nothing_left,
    assert_one_model,
    change_child,
    child_of,
    model_blobs,
    processes_of,
    start_worker,
    use_one_family,
    wait_for,
)
from tests.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
# Lines of the training's process: where the stage named in a file has begun it goes no further while that is there.
STAND_STILL = """
import pathlib, time
from django.conf import settings
from models_app import jobs_repository as jobs

settings.BASE_DIR = pathlib.Path(__file__).parent
held = settings.BASE_DIR / "stand_still"

def stands(stage):
    try:
        return stage is not None and stage.startswith(held.read_text())
    except FileNotFoundError:
        return False

def standing(before):
    def call(**named):
        done = before(**named)
        while stands(named.get("stage")):
            time.sleep(0.02)
        return done
    return call

jobs.report, jobs.advance = standing(jobs.report), standing(jobs.advance)
"""


@pytest.fixture(autouse=True)
def quick(settings, monkeypatch):
    use_one_family(settings, monkeypatch)
    # Longer than a busy machine keeps a heartbeat waiting; who needs it over says so (``settle``).
    monkeypatch.setenv("JOB_LEASE_SECONDS", "60")
    settings.JOB_LEASE_SECONDS = 60
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.5)


@pytest.fixture
def job(stack, user):
    return queued_job(user.id, stored_dataset(user.id))


@pytest.fixture
def still(settings, tmp_path):
    """``still.write_text(stage)``: the next training stands still there, until ``still.unlink()``. At first
    "Fitting", so that no test has to be quicker than a training."""
    directory = tmp_path / "child"
    directory.mkdir()
    change_child(settings, directory, STAND_STILL)
    path = directory / "stand_still"
    path.write_text("Fitting")
    return path


@pytest.fixture
def in_thread(still):
    """``in_thread(job)`` runs the worker beside the test; joined at the end."""
    threads = []

    def start(job):
        thread = threading.Thread(target=worker.run_job, args=(job.id,))
        thread.start()
        threads.append(thread)
        return thread

    yield start
    still.unlink(missing_ok=True)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def at_stage(job, stage: str) -> psutil.Process:
    """The child, stopped where ``stage`` has just begun: there it stands ``still`` anyhow."""
    wait_for_stage(job, stage)
    child = child_of(job)
    child.suspend()
    return child


def wait_for_stage(job, stage: str = "Fitting") -> None:
    wait_for(job.id, lambda job: job.stage.startswith(stage))


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
def test_cancelling_at_any_stage_keeps_nothing(stack, user, job, in_thread, still, stage):
    if stage == "Storing":
        still.unlink()
    else:
        still.write_text(stage)
    in_thread(job)
    wait_for(job.id, lambda job: job.stage.startswith(stage) or job.status.is_over)
    services.cancel_job(user_id=user.id, job_id=job.id)
    over = wait_for(job.id, is_over)
    if over.status is JobStatus.SUCCEEDED:
        # The model was stored in the moment between: that is one of the two ends, whole.
        assert stage == "Storing"
        assert_one_model(stack, over)
    else:
        assert over.status is JobStatus.CANCELLED
        assert_nothing_left(stack, job)


def test_stopping_early_keeps_the_best_so_far(stack, user, job, in_thread, still):
    in_thread(job)
    wait_for_stage(job)
    services.stop_job(user_id=user.id, job_id=job.id)
    still.unlink()
    over = wait_for(job.id, is_over)
    assert over.status is JobStatus.SUCCEEDED
    assert_one_model(stack, over)


def test_a_child_that_does_not_react_is_cancelled_too(stack, user, job, in_thread):
    in_thread(job)
    at_stage(job, "Fitting")  # and it stays stopped: SIGTERM does not reach it
    services.cancel_job(user_id=user.id, job_id=job.id)
    assert wait_for(job.id, is_over).status is JobStatus.CANCELLED
    assert_nothing_left(stack, job)


def test_a_killed_worker_takes_its_child_along_and_the_job_is_tried_once_more(stack, job, still):
    process = start_worker(job.id, directory=still.parent)
    wait_for_stage(job)
    process.kill()
    process.wait()
    give_up = time.monotonic() + 60
    while processes_of(job):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    sweep_workspaces()
    assert_nothing_left(stack, job)

    still.unlink()
    settle(job)
    assert sweep.sweep_expired_leases() == 1
    assert run_training(job.id) == JobStatus.SUCCEEDED
    over = jobs_repository.get(job_id=job.id)
    assert over.attempt == 2
    assert_one_model(stack, over)


def test_a_worker_killed_twice_is_a_failure_with_the_reason(stack, job, still):
    for _ in range(2):
        process = start_worker(job.id, directory=still.parent)
        wait_for(job.id, lambda job: job.status is JobStatus.RUNNING)
        process.kill()
        process.wait()
        settle(job)
        assert sweep.sweep_expired_leases() == 1
    sweep.sweep_job_blobs()
    sweep_workspaces()
    failed = jobs_repository.get(job_id=job.id)
    assert (failed.status, failed.error) == (JobStatus.FAILED, sweep.STOPPED_TWICE)
    assert run_training(job.id) == JobStatus.FAILED
    assert_nothing_left(stack, job)


def test_blob_storage_that_is_away_at_the_end_is_waited_for(stack, job, in_thread, still):
    in_thread(job)
    wait_for_stage(job)
    with blob_service() as service:
        service.delete_container(stack.models_container)
        still.unlink()
        wait_for(job.id, lambda job: job.stage == "Storing")
        time.sleep(2)
        service.create_container(stack.models_container)
    over = wait_for(job.id, is_over)
    assert (over.status, over.attempt) == (JobStatus.SUCCEEDED, 1)
    assert_one_model(stack, over)


def test_blob_storage_that_stays_away_is_a_failure_with_its_reason(stack, job, in_thread, settings, still):
    change_child(
        settings, still.parent, f"{STAND_STILL}\nfrom models_app import storing; storing.STORE_SECONDS = 1"
    )
    thread = in_thread(job)
    wait_for_stage(job)
    with blob_service() as service:
        # Not there when the model is to be stored, and when the worker wants to clean up.
        service.delete_container(stack.models_container)
        still.unlink()
        failed = wait_for(job.id, is_over)
        thread.join(90)
        assert (failed.status, failed.error.code) == (JobStatus.FAILED, "storage_unavailable")
        service.create_container(stack.models_container)
    settle(job)
    sweep.sweep_job_blobs()
    assert jobs_repository.with_leftovers() == ()
    assert_nothing_left(stack, job)


def settle(job) -> None:
    """As if the lease had run out, and with it the time in which a request of the ended child could arrive."""
    past = timezone.now() - timedelta(seconds=1)
    get_database()["jobs"].update_one({"_id": ObjectId(job.id)}, {"$set": {"lease_until": past}})


def test_what_an_ended_child_had_on_its_way_is_found_by_the_sweep(stack, user, job, in_thread, still):
    still.write_text("Storing")
    thread = in_thread(job)
    at_stage(job, "Storing")
    services.cancel_job(user_id=user.id, job_id=job.id)
    assert wait_for(job.id, is_over).status is JobStatus.CANCELLED
    thread.join(90)
    upload_zip(job)  # the request arrives when its sender and the worker's clean-up are gone
    assert sweep.sweep_job_blobs() == 0
    settle(job)
    assert sweep.sweep_job_blobs() == 1
    assert jobs_repository.with_leftovers() == ()
    assert_nothing_left(stack, job)


def upload_zip(job) -> None:
    blobs = get_blobs()
    blobs.upload_bytes(blobs.models_container, blobs.model_blob(job.user_id, job.model_id, job.version), b"PK")


def test_an_attempt_whose_job_was_ended_by_others_leaves_no_blob(stack, job, in_thread, monkeypatch):
    thread = in_thread(job)
    child = at_stage(job, "Fitting")
    held = jobs_repository.get(job_id=job.id)
    jobs_repository.fail(job_id=job.id, owner=held.lease_owner, error=worker.CRASHED)
    jobs_repository.mark_clean(job_id=job.id)
    upload_zip(job)  # by the child, before its worker noticed
    thread.join(90)
    assert not child.is_running()
    assert_nothing_left(stack, job)
    upload_zip(job)
    settle(job)
    assert sweep.sweep_job_blobs() == 1
    assert jobs_repository.with_leftovers() == ()
    assert_nothing_left(stack, job)


def test_an_attempt_that_lost_its_job_to_a_living_one_leaves_the_blobs_of_that(stack, job, in_thread):
    thread = in_thread(job)
    at_stage(job, "Fitting")
    held = jobs_repository.get(job_id=job.id)
    jobs_repository.requeue(job_id=job.id, owner=held.lease_owner)
    jobs_repository.claim(job_id=job.id, owner="another", lease_seconds=60)
    upload_zip(job)
    thread.join(90)
    assert len(model_blobs(stack)) == 1


def test_a_worker_that_cannot_renew_ends_its_child_before_the_lease_has_run_out(stack, job, still):
    with Wire(stack.services.mongodb_port) as wire:
        process = start_worker(
            job.id,
            directory=still.parent,
            MONGODB_URI=f"mongodb://127.0.0.1:{wire.port}/?directConnection=true",
            MONGODB_TIMEOUT_SECONDS="1",
            JOB_LEASE_SECONDS="8",
        )
        wait_for_stage(job)
        child_of(job).suspend()
        wire.cut()
        lease_until = jobs_repository.get(job_id=job.id).lease_until
        while processes_of(job):
            assert timezone.now() < lease_until
            time.sleep(0.05)
    # It goes on asking, to end the job itself if MongoDB comes back soon.
    process.kill()
    process.wait()
    sweep_workspaces()
    assert_nothing_left(stack, job)


@pytest.fixture
def own_broker(tmp_path):
    """For a process that writes to the queue: the test's own database is locked by the test's transaction. This
    one has no tables, so the message is left to the sweep."""
    return {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}"}


def test_a_terminated_worker_puts_its_job_back_and_the_attempt_does_not_count(stack, job, own_broker, still):
    process = start_worker(job.id, directory=still.parent, **own_broker)
    wait_for_stage(job)
    process.terminate()
    assert process.wait(90) == -signal.SIGTERM
    waiting = jobs_repository.get(job_id=job.id)
    assert (waiting.status, waiting.attempt, waiting.lease_owner) == (JobStatus.QUEUED, 0, None)
    assert_nothing_left(stack, job, seconds=0)
    still.unlink()
    assert run_training(job.id) == JobStatus.SUCCEEDED
    over = jobs_repository.get(job_id=job.id)
    assert over.attempt == 1
    assert_one_model(stack, over)


def test_a_service_manager_that_terminates_every_process_costs_no_attempt_either(stack, job, own_broker, still):
    process = start_worker(job.id, directory=still.parent, **own_broker)
    wait_for_stage(job)
    child_of(job).terminate()
    process.terminate()
    assert process.wait(90) == -signal.SIGTERM
    waiting = jobs_repository.get(job_id=job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    assert_nothing_left(stack, job, seconds=0)


def test_a_child_that_alone_is_terminated_has_crashed(stack, job, in_thread):
    in_thread(job)
    wait_for_stage(job)
    child_of(job).terminate()
    failed = wait_for(job.id, is_over)
    assert (failed.status, failed.error) == (JobStatus.FAILED, worker.CRASHED)


def test_a_worker_whose_cluster_stops_puts_its_job_back_into_the_queue(stack, job, still):
    waker = threading.Thread(target=lambda: (wait_for_stage(job), stopping.announce()))
    queue.enqueue(job.id)
    OrmQ.objects.update(lock=timezone.now() + timedelta(hours=4))  # the message that brought the job here
    waker.start()
    try:
        assert worker.run_job(job.id) is JobStatus.QUEUED
        waker.join(60)
        # It takes no other job now, nor this one again.
        assert worker.run_job(job.id) is JobStatus.QUEUED
    finally:
        stopping.retract()
    assert jobs_repository.get(job_id=job.id).attempt == 0
    assert [row.lock <= timezone.now() for row in OrmQ.objects.filter(key="training")] == [True]
    assert_nothing_left(stack, job)


def test_a_cluster_that_is_stopped_during_a_training_ends_soon_and_loses_nothing(stack, job, tmp_path, still):
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path / 'queue.sqlite3'}"}

    def manage(*arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=still.parent,
            env=environment | {"Q_CLUSTER_NAME": "training"},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )

    enqueue = f"from models_app import queue; queue.enqueue('{job.id}')"
    messages = "from django_q.models import OrmQ; assert OrmQ.objects.count() == 1"
    for arguments in (("migrate", "-v0"), ("shell", "-v0", "-c", enqueue)):
        assert manage(*arguments).wait(90) == 0
    cluster = manage("qcluster")
    try:
        wait_for_stage(job)
        cluster.terminate()
        assert cluster.wait(90) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(cluster.pid, signal.SIGKILL)
    waiting = jobs_repository.get(job_id=job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    assert manage("shell", "-v0", "-c", messages).wait(60) == 0
    assert_nothing_left(stack, job, seconds=0)


def test_a_dataset_deleted_during_the_fit_does_not_matter_any_more(stack, user, job, in_thread, still):
    in_thread(job)
    wait_for_stage(job)
    datasets.delete_dataset(user_id=user.id, dataset_id=job.dataset_id)
    still.unlink()
    over = wait_for(job.id, is_over)
    assert over.status is JobStatus.SUCCEEDED
    assert_one_model(stack, over)


def test_an_account_closed_during_the_fit_leaves_nothing(stack, user, job, in_thread):
    from accounts.closing import close_account

    in_thread(job)
    wait_for_stage(job)
    close_account(user)
    assert jobs_repository.get(job_id=job.id) is None
    assert model_blobs(stack) == []
    assert_nothing_left(stack, job)


def test_two_deliveries_at_once_make_one_model(stack, job):
    processes = [start_worker(job.id), start_worker(job.id)]
    for process in processes:
        assert process.wait(300) == 0
    over = jobs_repository.get(job_id=job.id)
    assert (over.status, over.attempt) == (JobStatus.SUCCEEDED, 1)
    assert_one_model(stack, over)
