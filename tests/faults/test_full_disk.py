"""A full disk in each stage of a training and in each process that writes to one: a reason, and nothing left."""

import errno
import io
import json
import os
import tempfile
from pathlib import Path

import pytest
from django.urls import reverse

from accounts import kaggle_credentials
from datasets import activities, packed, profiles, staging
from datasets import services as datasets
from datasets.activities import ActivityKind, ActivityStatus
from datasets.kaggle_records import DatasetRef, FileRef
from datasets.tasks import run_activity
from models_app import batches, explanations, jobs_repository, predictor, worker
from models_app.batch_records import BatchStatus
from models_app.records import JobStatus
from models_app.training_limits import DISK_FULL
from smartml.errors import DiskFull
from storage.ids import new_id
from tests.animals import animals_model
from tests.factories import ANIMALS, queued_job, stored_dataset
from tests.full_disk import full_disk
from tests.kaggle_stub import StubDataset, kaggle_stub
from tests.leftovers import derived_blobs
from tests.training import assert_nothing_left, change_child, model_blobs, use_one_family, workspaces
from tests.web.dataset_pages import upload

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

FULL_AT = """
from models_app import pipeline
from tests.full_disk import fill

def fit(*rest, before=pipeline.training.fit, **named):
    if {stage!r} == "running":
        fill()
    return before(*rest, **named)

def advance(self, to, *rest, before=pipeline._Run._advance):
    before(self, to, *rest)
    if {stage!r} == to:
        fill()
        if to == "evaluating":  # written by a library's native code
            (self.scratch / "holdout.parquet").symlink_to("/dev/full")

pipeline.training.fit = fit
pipeline._Run._advance = advance
"""


@pytest.mark.parametrize("stage", ["running", "evaluating", "storing"])
def test_a_training_fails_with_the_reason_and_leaves_nothing(stack, user, settings, monkeypatch, tmp_path, stage):
    use_one_family(settings, monkeypatch)
    job = queued_job(user.id, stored_dataset(user.id))
    change_child(settings, tmp_path, FULL_AT.format(stage=stage))
    assert worker.run_job(job.id) is JobStatus.FAILED
    failed = jobs_repository.get(job_id=job.id)
    assert failed.error == DISK_FULL
    assert failed.progress < 0.95
    assert_nothing_left(stack, job)


def test_a_training_whose_workspace_cannot_be_made_does_not_hang(stack, user, monkeypatch):
    def mkdtemp(*rest, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job = queued_job(user.id, stored_dataset(user.id))
    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    assert worker.run_job(job.id) is JobStatus.FAILED
    assert jobs_repository.get(job_id=job.id).error == DISK_FULL
    assert_nothing_left(stack, job)


def assert_disk_full(error) -> None:
    assert (error.code, error.message, error.hint) == (DiskFull.code, DiskFull().message, DiskFull.default_hint)


@pytest.fixture
def full_child(monkeypatch):
    """No room for what children of the light queue write."""
    make = tempfile.mkdtemp

    def mkdtemp(*rest, **named):
        made = make(*rest, **named)
        # Nothing that is read again: there is no end of it.
        for name in ("result.json", "result.csv", "table.result.json", "child.log"):
            (Path(made) / name).symlink_to("/dev/full")
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)


def test_a_child_of_the_light_queue_says_so_and_leaves_nothing(stack, user, full_child, monkeypatch):
    model = animals_model(user.id)
    before = model_blobs(stack)
    dataset = stored_dataset(user.id)
    profile = profiles.start(dataset=dataset)
    batch = batches.predict_dataset(model=model, version=1, dataset=dataset, batch_id=new_id())
    for work in (profile, activities.get(user_id=user.id, activity_id=batch.id)):
        assert run_activity(work.id) is ActivityStatus.FAILED
        assert_disk_full(activities.get(user_id=user.id, activity_id=work.id).error)
    failed = batches.state_of(batch).batch
    assert failed.status is BatchStatus.FAILED
    assert_disk_full(failed.error)
    assert (model_blobs(stack), workspaces(), workspaces("dataset_")) == (before, [], [])

    # Asked for again once there is room.
    monkeypatch.undo()
    again = profiles.start(dataset=dataset)
    assert again.id != profile.id
    assert run_activity(again.id) is ActivityStatus.SUCCEEDED
    assert profiles.current(dataset=dataset) is not None


def test_a_worker_of_the_light_queue_says_so_and_leaves_nothing(stack, user):
    model = animals_model(user.id)
    before = model_blobs(stack)
    dataset = stored_dataset(user.id)
    stored = derived_blobs(stack)
    batch = batches.predict_dataset(model=model, version=1, dataset=dataset, batch_id=new_id())
    work = [explanations.start(model=model, version=1), profiles.start(dataset=dataset)]
    with full_disk():
        for each in (batch, *work):
            assert run_activity(each.id) is ActivityStatus.FAILED
            assert_disk_full(activities.get(user_id=user.id, activity_id=each.id).error)
    assert_disk_full(batches.state_of(batch).batch.error)
    assert (model_blobs(stack), derived_blobs(stack)) == (before, stored)
    assert (workspaces(), workspaces("dataset_")) == ([], [])


def test_a_page_that_needs_the_disk_says_so_and_works_again_when_there_is_room(stack, user, client_for):
    model = animals_model(user.id)
    page = reverse("models:predict", args=[model.id, 1])
    row = {"legs": "4", "wings": "no", "weight": "20"}
    client = client_for(user)
    predictor.stop()
    with full_disk():
        refused = client.post(page, row, headers={"Accept": "application/json"})
    assert refused.status_code == 503
    assert json.loads(refused.content)["error"]["code"] == "disk_full"
    assert workspaces() == []
    assert client.post(page, row).status_code == 200


def workbook() -> bytes:
    from openpyxl import Workbook

    made = Workbook()
    for row in [["a", "b"], *([n, f"Town {n}"] for n in range(50))]:
        made.active.append(row)
    with io.BytesIO() as buffer:
        made.save(buffer)
        return buffer.getvalue()


def test_what_comes_in_needs_no_room_on_the_disk(stack, user, client_for, settings, monkeypatch):
    """An upload, a workbook converted at once and on the queue, and an import from Kaggle go straight through."""
    client = client_for(user)
    content = workbook()
    with kaggle_stub() as stub, full_disk() as tried:
        upload(client, ANIMALS.encode())
        upload(client, content, name="towns.xlsx")
        monkeypatch.setattr(packed, "_INLINE_BYTES", dict.fromkeys(packed.SOURCE_KINDS, 0))
        with datasets.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="towns.xlsx") as ingest:
            ingest.write(content)
            taken = ingest.stage()
        assert run_activity(staging.running(dataset=taken).id) is ActivityStatus.SUCCEEDED
        ref = DatasetRef(owner="ada", slug="houses")
        stub.datasets[ref.text] = StubDataset("House prices", {"houses.csv": ANIMALS.encode()})
        settings.KAGGLE_BASE_URL = stub.url
        kaggle_credentials.store(user_id=user.id, secret=f"KGAT_{new_id()}")
        subject = FileRef(dataset=ref, name="houses.csv", version=3).text
        kind = ActivityKind.KAGGLE
        work = activities.start(user_id=user.id, dataset_id=new_id(), kind=kind, subject=subject)
        assert run_activity(work.id) is ActivityStatus.SUCCEEDED
    assert tried == []
    found = [staging.get_staged(user_id=user.id, dataset_id=each) for each in (taken.id, work.dataset_id)]
    assert [each.row_count for each in found] == [50, 40]
