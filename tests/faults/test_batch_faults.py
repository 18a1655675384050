"""A file that is being predicted while processes die or its owner changes their mind: one result, or nothing."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from django.utils import timezone

from datasets import activities, activities_repository, work_progress
from datasets.activities import ActivityStatus
from datasets.tasks import run_activity
from models_app import batch_intake, batches, batches_repository
from models_app.batch_records import BatchStatus
from storage.ids import new_id
from storage.workspace import sweep_workspaces
from tests.animals import animals_model
from tests.training import ROOT, model_blobs, workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TABLE = "legs,wings,weight\n" + "4,no,20.5\n2,yes,1.5\n" * 2000
WORK = "import django; django.setup(); from datasets.tasks import run_activity; print(run_activity('{id}'))"


@pytest.fixture
def model(stack, user, settings, monkeypatch):
    monkeypatch.setenv("JOB_LEASE_SECONDS", "3")
    settings.JOB_LEASE_SECONDS = 3
    monkeypatch.setattr(work_progress, "BEAT_SECONDS", 0.1)
    return animals_model(user.id)


@pytest.fixture
def batch(model):
    intake = batch_intake.begin(model=model, version=1, batch_id=new_id(), file_name="new.csv")
    intake.write(TABLE.encode())
    return intake.finish()


def child_of(process: psutil.Process) -> psutil.Process:
    """The process that predicts, as soon as it is there."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        for child in process.children(recursive=True):
            try:
                if "ml.batch" in child.cmdline():
                    return child
            except psutil.Error:
                continue
        time.sleep(0.02)
    raise AssertionError("no process predicts")


def now(batch):
    return batches_repository.get(batch_id=batch.id, user_id=batch.user_id)


def batch_blobs(stack):
    return [name.rsplit("-", 2)[1] for name in model_blobs(stack) if "/batch-" in name]


@pytest.mark.parametrize("how", ["killed", "cancelled"])
def test_a_child_that_is_ended_leaves_nothing(stack, batch, how):
    ended: list[ActivityStatus | None] = []
    thread = threading.Thread(target=lambda: ended.append(run_activity(batch.id)))
    thread.start()
    child = child_of(psutil.Process())
    if how == "killed":
        child.kill()
    else:
        assert batches.cancel(batch)
    thread.join(120)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert (batch_blobs(stack), workspaces()) == ([], [])
    if how == "cancelled":
        assert (ended, now(batch)) == ([ActivityStatus.CANCELLED], None)
        return
    failed = now(batch)
    assert (ended, failed.status, failed.has_input) == ([ActivityStatus.FAILED], BatchStatus.FAILED, False)
    assert "predicted the file" in failed.error.message
    assert failed.error.hint


def test_a_killed_worker_is_followed_by_another_and_there_is_one_result(stack, batch):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORK.format(id=batch.id)], cwd=ROOT, env=os.environ, start_new_session=True
    )
    try:
        child = child_of(psutil.Process(worker.pid))
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(30)
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert batch_blobs(stack) == ["input"]
    held = activities_repository.get(activity_id=batch.id)
    give_up = time.monotonic() + 60
    while held.lease_until > timezone.now() and time.monotonic() < give_up:
        time.sleep(0.1)
    assert activities.sweep() >= 1
    assert run_activity(batch.id) is ActivityStatus.SUCCEEDED
    assert batch_blobs(stack) == ["result", "summary"]
    assert (now(batch).status, now(batch).rows) == (BatchStatus.DONE, 4000)
    sweep_workspaces()
    assert workspaces() == []
