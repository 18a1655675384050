"""Processes killed between an upload and its import, while a file is read again, and while it is unpacked."""

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from bson import ObjectId
from django.utils import timezone

from datasets import activities, packed, receipts, repository, services, staging
from datasets.activity_records import Activity, ActivityStatus
from datasets.records import DatasetStatus
from storage import mongo
from storage.ids import new_id
from tests.leftovers import assert_no_dataset_left, dataset_blobs, derived_blobs

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
USER = "a" * 24
# A megabyte, and a record that does not fit near the beginning.
TABLE = b"a;b\n1;2\n3\n" + b"4;5\n" * 300_000

# What a program does before it is killed; `wait` says so and lasts.
PROGRAM = """
import os, sys, time
import django
django.setup()
from datasets import activities, repository, services

def wait(*_, **__):
    print("here", flush=True)
    time.sleep(600)

{body}
"""
UPLOAD = """
with services.begin_ingest(user_id="{user}", dataset_id="{dataset}", file_name="t.csv") as ingest:
    ingest.write(b"a;b\\n1;2\\n3\\n4;5\\n" * 100)
    {before}
    ingest.stage()
    wait()
"""
WORK = """
{before}
activities.run("{activity}")
"""


@pytest.fixture(autouse=True)
def quick(stack, settings, monkeypatch):
    settings.JOB_LEASE_SECONDS = 2
    monkeypatch.setenv("JOB_LEASE_SECONDS", "2")


def kill_when_it_waits(body: str) -> None:
    """Run a program until it waits, then kill it."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "smartml.settings", "LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def staged(content: bytes, name: str):
    with services.begin_ingest(user_id=USER, dataset_id=new_id(), file_name=name) as ingest:
        ingest.write(content)
        return ingest.stage()


def reload(dataset):
    return repository.get(dataset_id=dataset.id, user_id=USER)


def age(dataset_id: str, **by: int) -> None:
    mongo.get_database()["datasets"].update_one(
        {"_id": ObjectId(dataset_id)}, {"$set": {"touched_at": timezone.now() - timedelta(**by)}}
    )


def wait_for_the_lease_to_end() -> None:
    time.sleep(2.5)
    assert activities.sweep() >= 1


@pytest.mark.parametrize(
    "before",
    [
        "repository.mark_staged = wait",
        "from storage.blobs_writer import BlobWriter; BlobWriter.commit = wait",
        "from datasets import receipts; receipts.store = wait",
    ],
    ids=["before it is staged", "before the quarantine is stored", "before the receipt is stored"],
)
def test_killed_before_the_upload_is_staged(stack, before):
    dataset_id = new_id()
    kill_when_it_waits(UPLOAD.format(user=USER, dataset=dataset_id, before=before))
    assert repository.get(dataset_id=dataset_id, user_id=USER).status is DatasetStatus.UPLOADING
    age(dataset_id, hours=1)

    assert services.sweep_datasets() == 1
    assert_no_dataset_left(stack)


def test_killed_after_it_is_staged_it_can_still_be_imported(stack):
    dataset_id = new_id()
    kill_when_it_waits(UPLOAD.format(user=USER, dataset=dataset_id, before=""))

    dataset = staging.get_staged(user_id=USER, dataset_id=dataset_id)
    assert receipts.receipt_of(dataset=dataset).quarantined
    age(dataset_id, hours=30)
    assert services.sweep_datasets() == 1
    assert_no_dataset_left(stack)


READ_POINTS = {
    "in the middle": "from datasets.scans import TableScan; TableScan.finish = wait",
    "after the quarantine": "from datasets import receipts; receipts.store = wait",
    "before it is ready": "repository.mark_ready = wait",
    "after it is ready": "from datasets import receipts; receipts.tidy = wait",
}


@pytest.mark.parametrize("point", list(READ_POINTS))
def test_killed_while_it_is_read_again(stack, monkeypatch, point):
    monkeypatch.setattr(staging, "INLINE_BYTES", 0)
    dataset = staged(TABLE, "t.csv")
    dialect = staging.detected_dialect(dataset)
    other = type(dialect).from_dict(dialect.as_dict() | {"has_header": False})
    work = staging.import_staged(dataset=dataset, dialect=other)
    assert isinstance(work, Activity)
    kill_when_it_waits(WORK.format(activity=work.id, before=READ_POINTS[point]))
    is_ready = point == "after it is ready"
    assert reload(dataset).status is (DatasetStatus.READY if is_ready else DatasetStatus.STAGED)

    wait_for_the_lease_to_end()
    assert activities.run(work.id) is ActivityStatus.SUCCEEDED
    imported = services.get_dataset(user_id=USER, dataset_id=dataset.id)
    receipt = receipts.receipt_of(dataset=imported)
    assert receipt.rows == imported.row_count == 300_002
    assert receipt.quarantined == 1
    assert b"".join(receipts.open_quarantine(dataset=imported)).count(b"\n") == 2
    assert repository.totals(user_id=USER).datasets_count == 1
    assert dataset_blobs(stack) == [f"{USER}/{dataset.id}/t.csv"]
    if not is_ready:
        assert len(derived_blobs(stack)) == 2
    services.delete_dataset(user_id=USER, dataset_id=dataset.id)
    assert_no_dataset_left(stack)


CONVERT_POINTS = {
    "in the middle": "from datasets.scans import TableScan; TableScan.finish = wait",
    "before the table is stored": "from storage.blobs_writer import BlobWriter; BlobWriter.commit = wait",
    "before it is recorded": "repository.mark_staged = wait",
    "before the archive goes": "from datasets import packed; packed._remove_source = wait",
}


@pytest.mark.parametrize("point", list(CONVERT_POINTS))
def test_killed_while_it_is_unpacked(stack, monkeypatch, point):
    monkeypatch.setattr(packed, "_INLINE_BYTES", dict.fromkeys(packed.SOURCE_KINDS, 0))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as made:
        made.writestr("t.csv", TABLE)
    dataset = staged(archive.getvalue(), "t.zip")
    work = staging.running(dataset=dataset)
    kill_when_it_waits(WORK.format(activity=work.id, before=CONVERT_POINTS[point]))
    assert reload(dataset).is_packed is (point != "before the archive goes")

    wait_for_the_lease_to_end()
    assert activities.run(work.id) is ActivityStatus.SUCCEEDED
    taken = staging.get_staged(user_id=USER, dataset_id=dataset.id)
    assert (taken.row_count, taken.bad_row_count) == (300_001, 1)
    assert dataset_blobs(stack) == [f"{USER}/{dataset.id}/t.csv"]
    imported = staging.import_detected(dataset=taken)
    assert sorted(name.rsplit("/", 1)[1].split("-")[0] for name in derived_blobs(stack)) == [
        "quarantine",
        "receipt",
    ]
    assert sum(map(len, services.open_download(dataset=imported))) == len(TABLE)


def test_killed_twice_while_it_is_unpacked_it_says_so_and_keeps_only_the_archive(stack, monkeypatch):
    monkeypatch.setattr(packed, "_INLINE_BYTES", dict.fromkeys(packed.SOURCE_KINDS, 0))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as made:
        made.writestr("t.csv", TABLE)
    dataset = staged(archive.getvalue(), "t.zip")
    work = staging.running(dataset=dataset)
    for _ in range(2):
        kill_when_it_waits(WORK.format(activity=work.id, before=CONVERT_POINTS["before it is recorded"]))
        wait_for_the_lease_to_end()

    assert "stopped twice" in staging.latest_work(dataset=dataset).error.message
    assert dataset_blobs(stack) == []
    assert f"{USER}/{dataset.id}/derived/source.zip" in derived_blobs(stack)
    services.abandon(user_id=USER, dataset_id=dataset.id)
    assert_no_dataset_left(stack)
