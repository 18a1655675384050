"""Each part of the product killed in each stage of a training, which stands still there until the part is gone.

Killed                while fitting       while evaluating     while storing
its process           test_worker_faults  here                 here
its worker            test_worker_faults  here                 here
the cluster's main    here                here                 here
MongoDB, Azurite      here                here                 here
the web server        test_runlocal        test_runlocal        test_runlocal

``test_runlocal`` kills everything at once too; ``test_full_disk`` fills the disk in each stage.
"""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from bson import ObjectId
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from accounts.closing import close_account, sweep_closing
from models_app import jobs_repository, queue, services, sweep, worker
from models_app.records import JobStatus
from models_app.tasks import run_training
from smartml.errors import NotFound, ServiceUnavailable
from smartml.local import parts
from smartml.local.machine import free_port
from smartml.local.process import start_together, stop_in_reverse
from storage import blobs, mongo
from storage.workspace import sweep_workspaces
from tests.factories import queued_job, stored_dataset, stored_model
from tests.training import (
    ROOT,
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

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

STAGES = ("running", "evaluating", "storing")
# The training stops itself at a stage whose file is there, once. In "storing" some of its files are stored by then.
PAUSES = """
import pathlib, signal
from django.conf import settings
from models_app import pipeline, storing

settings.BASE_DIR = pathlib.Path(__file__).parent

def stand_still(stage):
    try:
        (settings.BASE_DIR / stage).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGSTOP)

def on_event(self, event, before=pipeline._Run._on_event):
    before(self, event)
    if event.kind == "model_finished":
        stand_still("running")

def answer(*rest, before=pipeline.answer_holdout, **named):
    stand_still("evaluating")
    return before(*rest, **named)

def upload(*rest, before=storing._upload_file):
    stored = before(*rest)
    stand_still("storing")
    return stored

pipeline._Run._on_event = on_event
pipeline.answer_holdout = answer
storing._upload_file = upload
"""


@pytest.fixture(autouse=True)
def quick(settings, monkeypatch):
    use_one_family(settings, monkeypatch)
    # Longer than any pause here.
    monkeypatch.setenv("JOB_LEASE_SECONDS", "120")
    settings.JOB_LEASE_SECONDS = 120
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.5)


@pytest.fixture
def job(stack, user):
    return queued_job(user.id, stored_dataset(user.id))


@pytest.fixture
def pauses(settings, tmp_path):
    """``pauses(stage)``: the next training stands still there."""
    directory = tmp_path / "paused"
    directory.mkdir()
    change_child(settings, directory, PAUSES)

    def arm(*stages):
        for stage in stages:
            (directory / stage).touch()
        return directory

    return arm


def standing_still(job, stage: str, *, seconds: float = 120.0) -> psutil.Process:
    """The training's process, when it has come to that stage and stopped."""
    give_up = time.monotonic() + seconds
    while True:
        with contextlib.suppress(StopIteration, psutil.Error):
            child = child_of(job)
            if child.status() == psutil.STATUS_STOPPED and jobs_repository.get(job_id=job.id).status == stage:
                return child
        assert time.monotonic() < give_up, jobs_repository.get(job_id=job.id)
        time.sleep(0.02)


def is_over(job) -> bool:
    return job.status.is_over


def wait_until_gone(job) -> None:
    give_up = time.monotonic() + 20
    while processes_of(job):
        assert time.monotonic() < give_up
        time.sleep(0.02)


def taken_up_again(job) -> None:
    """What the sweep does once the lease has run out, as if it had."""
    past = timezone.now() - timedelta(seconds=1)
    mongo.get_database()["jobs"].update_one({"_id": ObjectId(job.id)}, {"$set": {"lease_until": past}})
    assert sweep.sweep_expired_leases() == 1


@pytest.mark.parametrize("stage", ["evaluating", "storing"])
def test_a_killed_training_is_a_failure_and_what_it_had_stored_is_removed(stack, job, pauses, stage):
    pauses(stage)
    thread = threading.Thread(target=worker.run_job, args=(job.id,))
    thread.start()
    child = standing_still(job, stage)
    assert bool(model_blobs(stack)) is (stage == "storing")
    # Delivered once more meanwhile: nothing happens.
    assert worker.run_job(job.id) == stage
    child.kill()
    failed = wait_for(job.id, is_over)
    assert (failed.status, failed.error) == (JobStatus.FAILED, worker.OUT_OF_MEMORY)
    thread.join(30)
    assert_nothing_left(stack, job)


def test_a_half_stored_model_of_a_killed_worker_gives_way_to_the_next_attempt(stack, job, pauses, monkeypatch):
    monkeypatch.setattr(sweep, "MAX_ATTEMPTS", 3)
    directory = pauses("evaluating", "storing")
    for stage in ("evaluating", "storing"):
        process = start_worker(job.id, directory=directory)
        child = standing_still(job, stage)
        process.kill()
        process.wait()
        child.resume()
        wait_until_gone(job)
        sweep_workspaces()
        taken_up_again(job)
    assert model_blobs(stack)
    assert run_training(job.id) == JobStatus.SUCCEEDED
    assert jobs_repository.get(job_id=job.id).attempt == 3
    assert_one_model(stack, job)


def test_a_cluster_whose_main_process_is_killed_ends_whole_and_its_training_waits_again(
    stack, job, pauses, tmp_path
):
    database = tmp_path / "queue.sqlite3"
    with sqlite3.connect(connection.settings_dict["NAME"]) as tables, sqlite3.connect(database) as copy:
        tables.backup(copy)
    directory = pauses(*STAGES)
    for stage in STAGES:
        send(job, database)
        cluster = subprocess.Popen(
            [sys.executable, directory / "manage.py", "qcluster", "--skip-checks"],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": f"sqlite:///{database}", "Q_CLUSTER_NAME": "training"},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            child = standing_still(job, stage)
            family = [*psutil.Process(cluster.pid).children(recursive=True)]
            cluster.kill()
            cluster.wait()
            # It stays where it is: on a quick machine it could be done before its worker hears of this.
            assert child.status() == psutil.STATUS_STOPPED
            _, alive = psutil.wait_procs(family, timeout=20)
            assert alive == []
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(cluster.pid, signal.SIGKILL)
            cluster.wait()
        waiting = jobs_repository.get(job_id=job.id)
        assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
        assert_nothing_left(stack, job, seconds=0)


def send(job, database) -> None:
    """Put the job into the queue of another process, whose database is that file."""
    queue.enqueue(job.id)
    message = OrmQ.objects.get(key="training")
    # As Django writes it: the broker looks for the very same text.
    row = (message.key, message.payload, str(message.lock.replace(tzinfo=None)))
    message.delete()
    with sqlite3.connect(database) as other:
        other.execute("DELETE FROM django_q_ormq")
        other.execute("INSERT INTO django_q_ormq (key, payload, lock) VALUES (?, ?, ?)", row)


@pytest.fixture
def own_services(stack, settings, monkeypatch, tmp_path):
    """MongoDB and Azurite of this test alone, which may be killed."""
    directory = tmp_path / "services"
    directory.mkdir()
    mongodb_port, azurite_port = free_port(), free_port()
    running = start_together(
        [parts.mongod(directory, port=mongodb_port), parts.azurite(directory, port=azurite_port)], directory
    )
    try:
        for name, value in (
            ("MONGODB_URI", parts.mongodb_uri(mongodb_port)),
            ("AZURE_ACCOUNT_URL", parts.azurite_url(azurite_port)),
        ):
            monkeypatch.setenv(name, value)
            setattr(settings, name, value)
        # Away is noticed as soon as in the application.
        settings.MONGODB_TIMEOUT_SECONDS = 2.5
        mongo.reset_client()
        blobs.reset_blobs()
        mongo.prepare_database()
        blobs.get_blobs().ensure_containers()
        yield running
    finally:
        mongo.reset_client()
        blobs.reset_blobs()
        stop_in_reverse(running)


def wait_until_kept(services: Path, *, seconds: float = 30.0) -> None:
    """Until Azurite, which writes down what it has every five seconds, would know its containers and blobs again:
    unlike Azure, it forgets younger ones when it is killed."""
    store = blobs.get_blobs()
    containers = {store.datasets_container, store.models_container}
    names = containers | {blob.name for container in containers for blob in store.list_prefix(container, "")}
    (index,) = services.rglob("__azurite_db_blob__.json")
    (contents,) = services.rglob("__azurite_db_blob_extent__.json")
    give_up = time.monotonic() + seconds
    while True:
        kept = index.read_text()
        extents = set(re.findall(r'"persistency":\{"id":"([^"]+)"', kept))
        if (
            extents
            and all(name in kept for name in names)
            and all(extent in contents.read_text() for extent in extents)
        ):
            return
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_databases_killed_in_each_stage_and_started_again_cost_the_training_nothing(
    stack, user, own_services, pauses, tmp_path
):
    job = queued_job(user.id, stored_dataset(user.id))
    pauses(*STAGES)
    thread = threading.Thread(target=worker.run_job, args=(job.id,))
    thread.start()
    for stage in STAGES:
        child = standing_still(job, stage)
        wait_until_kept(tmp_path / "services")
        for service in own_services:
            os.kill(service.pid, signal.SIGKILL)
        # It goes on while they are away.
        child.resume()
        for service in own_services:
            service.stop()
            service.start()
        for service in own_services:
            service.wait_ready()
    over = wait_for(job.id, is_over, seconds=120)
    thread.join(60)
    assert (over.status, over.attempt) == (JobStatus.SUCCEEDED, 1)
    assert_one_model(stack, over)


@pytest.mark.parametrize("stage", ["evaluating", "storing"])
def test_an_account_that_is_closed_meanwhile_keeps_nothing(stack, user, job, pauses, stage):
    pauses(stage)
    thread = threading.Thread(target=worker.run_job, args=(job.id,))
    thread.start()
    standing_still(job, stage)
    user_id = user.id
    # While it stores, a request may still be on its way when it is gone: the sweep goes on minutes later.
    with contextlib.suppress(ServiceUnavailable):
        close_account(user)
    thread.join(120)
    assert not thread.is_alive()
    if jobs_repository.get(job_id=job.id) is not None:
        past = {"$set": {"lease_until": timezone.now()}}
        mongo.get_database()["jobs"].update_one({"_id": ObjectId(job.id)}, past)
        assert sweep_closing() == [user_id]
    assert jobs_repository.get(job_id=job.id) is None
    assert_nothing_left(stack, job)


def test_a_model_that_is_deleted_while_its_next_version_is_stored_stays_deleted(stack, user, pauses):
    dataset = stored_dataset(user.id)
    model = stored_model(user.id, dataset)
    job = queued_job(user.id, dataset, model_id=model.id, version=2)
    pauses("storing")
    thread = threading.Thread(target=worker.run_job, args=(job.id,))
    thread.start()
    child = standing_still(job, "storing")
    services.delete_model(user_id=user.id, model_id=model.id)
    with contextlib.suppress(psutil.NoSuchProcess):
        child.resume()
    thread.join(120)
    assert not thread.is_alive()
    with pytest.raises(NotFound):
        services.get_model(user_id=user.id, model_id=model.id)
    over = jobs_repository.get(job_id=job.id)
    assert over is None or over.status in (JobStatus.FAILED, JobStatus.CANCELLED)
    assert over is None or over.status is JobStatus.CANCELLED or over.error.message
    sweep.sweep_job_blobs()
    assert_nothing_left(stack, job)


class Refuse(BaseHTTPRequestHandler):
    """Blob storage whose role for this app was taken away."""

    def do_PUT(self) -> None:
        self.send_response(403)
        self.send_header("x-ms-error-code", "AuthorizationPermissionMismatch")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_DELETE = do_PUT

    def log_message(self, *_) -> None:
        """Not into the output of the tests."""


def test_uploads_that_are_refused_half_way_are_a_failure_with_the_reason_and_leave_nothing(
    stack, job, settings, tmp_path
):
    with HTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lines = f"""
from django.conf import settings
from models_app import storing
from storage.blobs import reset_blobs
storing.STORE_SECONDS = 1
def upload(*rest, before=storing._upload_file):
    settings.AZURE_ACCOUNT_URL = "http://127.0.0.1:{server.server_port}/devstoreaccount1"
    reset_blobs()
    return before(*rest)
storing._upload_file = upload
"""
        change_child(settings, tmp_path, lines)
        assert worker.run_job(job.id) is JobStatus.FAILED
        server.shutdown()
    error = jobs_repository.get(job_id=job.id).error
    assert (error.code, error.message) == ("storage_unavailable", "Blob storage refused the app's credentials.")
    sweep.sweep_job_blobs()
    assert_nothing_left(stack, job)
