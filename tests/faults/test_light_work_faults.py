"""The child and the worker of each kind of light work killed: a reason or one more attempt, and nothing left."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta

import psutil
import pytest
from bson import ObjectId
from django.utils import timezone

from datasets import activities
from datasets import activities_repository as stored
from datasets import services as datasets
from datasets.activities import ActivityKind, ActivityStatus
from datasets.tasks import run_activity
from storage import mongo
from storage.blobs import get_blobs
from storage.workspace import sweep_workspaces
from tests.animals import animals_model
from tests.leftovers import derived_blobs
from tests.training import ROOT, model_blobs, workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# The kind of work, and the module that its child runs. Batches have tests of their own.
ON_A_MODEL = {
    ActivityKind.EXPLAIN: "ml.explainer",
    ActivityKind.AUTOPSY: "ml.autopsist",
    ActivityKind.LABELS: "ml.doubter",
    ActivityKind.TWIN: "ml.twin_maker",
    ActivityKind.COMPARE: "ml.comparer",
}
ON_A_DATASET = {ActivityKind.PROFILE: "ml.profiler", ActivityKind.RELATION: "ml.profiler"}
WORK = "import sys, django; django.setup(); from datasets.tasks import run_activity; run_activity(sys.argv[1])"


def with_holdout(user):
    """A model whose rows held out are there; nobody comes as far as reading them."""
    model = animals_model(user.id)
    place = {"user_id": user.id, "model_id": model.id, "version": 1}
    get_blobs().put_model_file(**place, stem="holdout", ext="parquet", data=b"PAR1")
    return model


@pytest.fixture(params=[*ON_A_MODEL, *ON_A_DATASET], ids=str)
def begin(request, stack, user):
    """``begin()``: the work, asked for as a page does. Also the module of its child."""
    kind, model = request.param, with_holdout(user)
    if kind in ON_A_DATASET:
        about = {"dataset_id": model.versions[0].dataset_id, "subject": "species" * (kind == "relation")}
    else:
        other = with_holdout(user) if kind is ActivityKind.COMPARE else model
        about = {"model_id": model.id, "version": 1, "subject": f"{other.id}:1" * (kind == "compare")}
    module = (ON_A_MODEL | ON_A_DATASET)[kind]
    return lambda: activities.start(user_id=user.id, kind=kind, **about), module


def child_of(parent: int, module: str) -> psutil.Process:
    """The child that does the work, standing still."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        for child in psutil.Process(parent).children(recursive=True):
            try:
                if module in child.cmdline():
                    child.suspend()
                    return child
            except psutil.Error:
                continue
        time.sleep(0.01)
    raise AssertionError(f"{module} was not begun")


def test_killed_it_is_a_failure_or_tried_once_more_and_leaves_nothing(stack, user, begin):
    start, module = begin
    before = model_blobs(stack), derived_blobs(stack), datasets.totals_of(user_id=user.id)
    work = start()
    thread = threading.Thread(target=run_activity, args=(work.id,))
    thread.start()
    child_of(os.getpid(), module).kill()
    thread.join(120)
    assert not thread.is_alive()
    failed = activities.get(user_id=user.id, activity_id=work.id)
    assert (failed.status, failed.error.code) == (ActivityStatus.FAILED, "out_of_memory")
    assert failed.error.hint
    assert (workspaces(), workspaces("dataset_")) == ([], [])

    # Asked for again by the person: now its worker is killed, and then the worker of the second attempt.
    again = start()
    assert again.id != work.id
    for status in (ActivityStatus.QUEUED, ActivityStatus.FAILED):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORK, again.id], cwd=ROOT, env=os.environ, start_new_session=True
        )
        try:
            child = child_of(worker.pid, module)
        finally:
            worker.kill()
            worker.wait(30)
        child.resume()
        psutil.wait_procs([child], timeout=60)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
        past = {"$set": {"lease_until": timezone.now() - timedelta(seconds=1)}}
        mongo.get_database()["activities"].update_one({"_id": ObjectId(again.id)}, past)
        assert activities.sweep() >= 1
        assert stored.get(activity_id=again.id).status is status
    activities.sweep()
    sweep_workspaces()
    over = activities.get(user_id=user.id, activity_id=again.id)
    assert (over.error, over.has_leftovers) == (activities.STOPPED_TWICE, False)
    assert (workspaces(), workspaces("dataset_")) == ([], [])
    assert (model_blobs(stack), derived_blobs(stack), datasets.totals_of(user_id=user.id)) == before
    assert start().id != again.id
