"""A worker that is killed in the middle of an import from Kaggle: taken up again, or failed; nothing is left."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from accounts import kaggle_credentials
from datasets import activities, repository
from datasets import activities_repository as stored
from datasets.activities import ActivityKind, ActivityStatus
from datasets.kaggle_records import DatasetRef, FileRef
from datasets.records import DatasetStatus
from datasets.tasks import run_activity
from storage.ids import new_id
from tests.kaggle_stub import PIECE, StubDataset, kaggle_stub
from tests.leftovers import assert_no_dataset_left, dataset_rows
from tests.training import ROOT

# The worker is a process of its own: what it reads must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

REF = DatasetRef(owner="ada", slug="houses")
TABLE = b"id,price\n" + b"".join(b"%d,%d\n" % (n, n * 10) for n in range(50_000))
WORKER = "import sys, django; django.setup(); from datasets.tasks import run_activity; run_activity(sys.argv[1])"


@pytest.fixture
def kaggle(settings, monkeypatch):
    """A transfer that stands still after three pieces until ``go`` is set."""
    settings.JOB_LEASE_SECONDS = 2
    monkeypatch.setenv("JOB_LEASE_SECONDS", "2")
    with kaggle_stub() as stub:
        stub.datasets[REF.text] = StubDataset("House prices", {"houses.csv": TABLE})
        stub.reached, stub.go = threading.Event(), threading.Event()

        def hold(position):
            if position >= PIECE * 3:
                stub.reached.set()
                stub.go.wait(60)

        stub.before_piece = hold
        settings.KAGGLE_BASE_URL = stub.url
        monkeypatch.setenv("KAGGLE_BASE_URL", stub.url)
        yield stub
        stub.go.set()


@pytest.fixture
def activity(stack, user, kaggle):
    kaggle_credentials.store(user_id=user.id, secret=f"KGAT_{new_id()}")
    subject = FileRef(dataset=REF, name="houses.csv", version=3).text
    return activities.start(user_id=user.id, dataset_id=new_id(), kind=ActivityKind.KAGGLE, subject=subject)


def killed_in_the_middle(activity, kaggle):
    """A worker that is killed while the file is coming in."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "smartml.settings"}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, activity.id], cwd=ROOT, env=environment)
    try:
        assert kaggle.reached.wait(60)
        give_up = time.monotonic() + 30
        while not dataset_rows():
            assert time.monotonic() < give_up
            time.sleep(0.05)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
    kaggle.reached.clear()


def swept(activity, status):
    """The activity after its lease has run out and the sweep has looked."""
    give_up = time.monotonic() + 20
    while (now := stored.get(activity_id=activity.id)).status is not status:
        assert time.monotonic() < give_up, now
        time.sleep(0.2)
        activities.sweep()
    return now


def test_another_worker_takes_it_up(stack, user, activity, kaggle):
    killed_in_the_middle(activity, kaggle)
    assert stored.get(activity_id=activity.id).status is ActivityStatus.RUNNING
    swept(activity, ActivityStatus.QUEUED)
    kaggle.go.set()
    assert run_activity(activity.id) == ActivityStatus.SUCCEEDED
    dataset = repository.get(dataset_id=activity.dataset_id, user_id=user.id)
    assert (dataset.status, dataset.row_count) == (DatasetStatus.STAGED, 50_000)
    assert len(dataset_rows()) == 1


def test_one_that_was_cancelled_before_its_worker_died(stack, user, activity, kaggle):
    killed_in_the_middle(activity, kaggle)
    activities.request_cancel(user_id=user.id, activity_id=activity.id)
    swept(activity, ActivityStatus.CANCELLED)
    activities.sweep()
    assert not stored.get(activity_id=activity.id).has_leftovers
    assert_no_dataset_left(stack)


def test_twice_is_a_failure_that_leaves_nothing(stack, user, activity, kaggle):
    killed_in_the_middle(activity, kaggle)
    swept(activity, ActivityStatus.QUEUED)
    killed_in_the_middle(activity, kaggle)
    failed = swept(activity, ActivityStatus.FAILED)
    assert failed.error.code == "worker_stopped"
    assert failed.error.hint
    activities.sweep()
    assert_no_dataset_left(stack)
