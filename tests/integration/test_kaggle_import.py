"""Imports from a stand-in of Kaggle, from the queue to the staged file; nothing is left when one fails."""

import gzip
import io
import logging
import threading
import time
import zipfile

import pytest
from django.db import connections

from accounts import kaggle_credentials
from datasets import activities, kaggle_download, kaggle_import, repository, work_progress
from datasets import activities_repository as stored
from datasets.activities import ActivityKind, ActivityStatus
from datasets.kaggle_records import DatasetRef, FileRef
from datasets.records import DatasetStatus, Source
from datasets.tasks import run_activity
from smartml.errors import StorageUnavailable
from storage.blobs import get_blobs
from storage.ids import new_id
from storage.mongo import get_database
from tests.kaggle_stub import PIECE, StubDataset, kaggle_stub
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, temporary_files

pytestmark = pytest.mark.django_db

REF = DatasetRef(owner="ada", slug="houses")
TABLE = b"id,city,price\n" + b"".join(b"%d,Town %d,%d\n" % (n, n % 7, n * 10) for n in range(50_000))
CHANGED = TABLE.replace(b"Town 3", b"Town 4")
SECRET = "KGAT_the-secret-of-this-test-0123456789"


@pytest.fixture
def kaggle(settings):
    with kaggle_stub() as stub:
        stub.datasets[REF.text] = StubDataset("House prices", {"houses.csv": TABLE})
        settings.KAGGLE_BASE_URL = stub.url
        yield stub


@pytest.fixture
def person(stack, user, monkeypatch):
    """Somebody with a token; retries do not wait, and pages of progress are stored at once."""
    monkeypatch.setattr(kaggle_download, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(work_progress, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(work_progress, "BEAT_SECONDS", 0.1)
    kaggle_credentials.store(user_id=user.id, secret=SECRET)
    return user


def queued(person, name="houses.csv"):
    return activities.start(
        user_id=person.id,
        dataset_id=new_id(),
        kind=ActivityKind.KAGGLE,
        subject=FileRef(dataset=REF, name=name, version=3).text,
    )


def imported(person, name="houses.csv"):
    activity = queued(person, name)
    status = run_activity(activity.id)
    over = stored.get(activity_id=activity.id)
    assert status == over.status
    return over, repository.get(dataset_id=activity.dataset_id, user_id=person.id)


def failed(stack, person, name="houses.csv"):
    """The error of an import that fails and leaves nothing."""
    over, _ = imported(person, name)
    assert over.status is ActivityStatus.FAILED
    assert not over.has_leftovers
    assert_no_dataset_left(stack)
    assert over.error.hint
    return over.error


def content_of(dataset):
    blobs = get_blobs()
    name = blobs.dataset_blob(dataset.user_id, dataset.id, dataset.file_name)
    return b"".join(blobs.iter_chunks(blobs.datasets_container, name))


# --- What arrives --------------------------------------------------------------------------------------------
def test_a_file_arrives_as_an_upload_does(stack, person, kaggle):
    over, dataset = imported(person)
    assert (over.status, over.progress) == (ActivityStatus.SUCCEEDED, 1.0)
    assert over.done_bytes == over.total_bytes == len(TABLE)
    assert (dataset.status, dataset.source) == (DatasetStatus.STAGED, Source.KAGGLE)
    assert dataset.source_ref == "ada/houses@3:houses.csv"
    assert (dataset.name, dataset.row_count, dataset.column_count) == ("houses", 50_000, 3)
    assert content_of(dataset) == TABLE
    assert temporary_files(stack) == []


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "sent"),
    [("houses.csv", zipped(houses_csv=TABLE)), ("houses.csv.gz", gzip.compress(TABLE, mtime=0))],
    ids=["zip-of-the-file", "gzip"],
)
def test_a_packed_file_is_unpacked_as_an_upload_is(stack, person, kaggle, name, sent):
    kaggle.datasets[REF.text].files[name] = TABLE
    kaggle.datasets[REF.text].packed[name] = sent
    over, dataset = imported(person, name)
    assert over.status is ActivityStatus.SUCCEEDED
    assert over.total_bytes == len(sent)
    assert (dataset.status, dataset.row_count) == (DatasetStatus.STAGED, 50_000)
    assert content_of(dataset) == TABLE


def test_a_name_that_is_still_encoded_and_in_a_folder(stack, person, kaggle):
    kaggle.datasets[REF.text].files["raw%20data/h%C3%A4user%202.csv"] = TABLE
    _, dataset = imported(person, "raw%20data/h%C3%A4user%202.csv")
    assert dataset.name == "h\u00e4user 2"
    assert dataset.source_ref == "ada/houses@3:raw%20data/h%C3%A4user%202.csv"


@pytest.mark.parametrize("change", [{"direct": True}, {"chunked": True}, {"etag": False}], ids=str)
def test_ways_of_sending(stack, person, kaggle, change):
    for name, value in change.items():
        setattr(kaggle, name, value)
    _, dataset = imported(person)
    assert content_of(dataset) == TABLE


# --- Connections that break ----------------------------------------------------------------------------------
def ranges(kaggle):
    return [seen.headers.get("Range") for seen in kaggle.files_seen]


def test_a_broken_transfer_goes_on_where_it_stopped(stack, person, kaggle):
    kaggle.cuts = [PIECE * 3 + 100, PIECE + 5000]
    _, dataset = imported(person)
    assert content_of(dataset) == TABLE
    assert len(kaggle.files_seen) == kaggle.count("DownloadDataset") == 3
    first, second, third = ranges(kaggle)
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= PIECE * 3 + 100
    assert int(third.removeprefix("bytes=").rstrip("-")) > PIECE * 3


@pytest.mark.parametrize(
    "change", [{"ranges": False}, {"etag": False}, {"chunked": True, "ranges": False}], ids=str
)
def test_where_it_cannot_go_on_it_begins_again_and_compares(stack, person, kaggle, change):
    for name, value in change.items():
        setattr(kaggle, name, value)
    kaggle.cuts = [PIECE * 4]
    _, dataset = imported(person)
    assert content_of(dataset) == TABLE
    assert ranges(kaggle) == [None, None]


def test_a_file_that_changes_between_two_attempts(stack, person, kaggle):
    kaggle.cuts = [PIECE * 4]
    kaggle.before_piece = lambda position: (
        position and kaggle.datasets[REF.text].files.update({"houses.csv": CHANGED})
    )
    error = failed(stack, person)
    assert error.code == "kaggle_file_changed"
    assert "changed while it was being read" in error.message


def test_a_change_that_only_the_bytes_tell(stack, person, kaggle):
    """The same length, no etag, no ranges: what has been passed on is compared."""
    kaggle.etag = kaggle.ranges = False
    kaggle.checksum = "none"
    assert len(CHANGED) == len(TABLE)
    test_a_file_that_changes_between_two_attempts(stack, person, kaggle)


def test_a_file_that_became_shorter(stack, person, kaggle):
    kaggle.etag = kaggle.ranges = False
    kaggle.chunked, kaggle.checksum = True, "none"
    kaggle.cuts = [PIECE * 4]
    kaggle.before_piece = lambda position: (
        position and kaggle.datasets[REF.text].files.update({"houses.csv": TABLE[: PIECE * 2]})
    )
    assert failed(stack, person).code == "kaggle_file_changed"


def test_a_transfer_that_breaks_again_and_again(stack, person, kaggle):
    kaggle.cuts = [PIECE] * 20
    error = failed(stack, person)
    assert error.code == "kaggle_broken_off"
    assert "broke again and again" in error.message
    assert len(kaggle.files_seen) == kaggle_download.MAX_RESUMES + 1


def test_a_transfer_whose_end_cannot_be_known(stack, person, kaggle):
    kaggle.length = False
    assert "does not say how long" in failed(stack, person).message


def test_what_does_not_match_its_checksum(stack, person, kaggle):
    kaggle.checksum = "AAAAAAAAAAAAAAAAAAAAAA=="
    assert "checksum" in failed(stack, person).message


def test_a_fault_that_passes(stack, person, kaggle):
    kaggle.fail = {"DownloadDataset": [503, 502], "file": [500]}
    over, _ = imported(person)
    assert over.status is ActivityStatus.SUCCEEDED


# --- Refusals ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (401, "kaggle_token_refused", "does not accept your token"),
        (403, "kaggle_not_allowed", "does not let this account"),
        (404, "not_found", "no such dataset or file"),
        (429, "kaggle_rate_limit", "a pause of 30 seconds"),
        (500, "kaggle_unavailable", "a fault of its own"),
    ],
)
def test_a_refusal_is_a_sentence_on_the_import(stack, person, kaggle, status, code, sentence):
    kaggle.fail["DownloadDataset"] = status
    error = failed(stack, person)
    assert error.code == code
    assert sentence in error.message
    # Only what may pass is tried again.
    assert kaggle.count("DownloadDataset") == (kaggle_download.MAX_RESUMES + 1 if status == 500 else 1)


def test_a_file_over_the_limit_is_refused_before_it_is_read(stack, person, kaggle, settings):
    settings.MAX_UPLOAD_BYTES = len(TABLE) - 1
    # Not a byte of it comes: the announced size is enough.
    held = threading.Event()
    kaggle.before_piece = lambda position: held.wait(20)
    try:
        assert failed(stack, person).code == "too_large"
    finally:
        held.set()


def test_a_file_over_the_limit_whose_size_nobody_says(stack, person, kaggle, settings):
    settings.MAX_UPLOAD_BYTES = len(TABLE) - 1
    kaggle.chunked = True
    assert failed(stack, person).code == "too_large"


def test_what_is_no_table_is_refused(stack, person, kaggle):
    kaggle.datasets[REF.text].files["photo.csv"] = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
    assert failed(stack, person, "photo.csv").code == "invalid_table"


def test_an_empty_file(stack, person, kaggle):
    kaggle.datasets[REF.text].files["empty.csv"] = b""
    assert failed(stack, person, "empty.csv").code == "invalid_table"


def test_a_token_that_was_removed_meanwhile(stack, person, kaggle):
    activity = queued(person)
    kaggle_credentials.remove(user_id=person.id)
    assert run_activity(activity.id) == ActivityStatus.FAILED
    assert stored.get(activity_id=activity.id).error.code == "kaggle_no_token"
    assert_no_dataset_left(stack)


def test_blob_storage_that_is_away(stack, person, kaggle, monkeypatch):
    def away(*args, **kwargs):
        raise StorageUnavailable("Blob storage does not answer.")

    monkeypatch.setattr("storage.blobs_writer.BlobWriter.commit", away)
    assert failed(stack, person).code == "storage_unavailable"


# --- Cancelling ----------------------------------------------------------------------------------------------
@pytest.fixture
def slow(kaggle):
    """A transfer that waits in the middle until the test lets it go."""
    kaggle.reached, kaggle.go = threading.Event(), threading.Event()

    def wait(position):
        if position >= PIECE * 2:
            kaggle.reached.set()
            kaggle.go.wait(20)

    kaggle.before_piece = wait
    yield kaggle
    kaggle.go.set()


def in_thread(activity):
    def run():
        try:
            run_activity(activity.id)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(condition, seconds=10):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


# The worker's thread has a connection of its own, which sees what is committed.
in_threads = pytest.mark.django_db(transaction=True)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "kaggle"]


@in_threads
def test_cancel_in_the_middle_of_a_transfer_that_stands_still(stack, person, slow):
    activity = queued(person)
    worker = in_thread(activity)
    assert slow.reached.wait(10)
    time.sleep(0.3)
    began = time.monotonic()
    activities.request_cancel(user_id=person.id, activity_id=activity.id)
    worker.join(10)
    assert time.monotonic() - began < 5
    assert not worker.is_alive()
    assert stored.get(activity_id=activity.id).status is ActivityStatus.CANCELLED
    assert_no_dataset_left(stack)
    assert readers() == []


@in_threads
def test_cancel_while_kaggle_has_not_answered(stack, person, kaggle):
    kaggle.stall = 2.5
    activity = queued(person)
    worker = in_thread(activity)
    wait_until(lambda: kaggle.seen)
    began = time.monotonic()
    activities.request_cancel(user_id=person.id, activity_id=activity.id)
    worker.join(10)
    assert time.monotonic() - began < 5
    assert stored.get(activity_id=activity.id).status is ActivityStatus.CANCELLED
    assert_no_dataset_left(stack)
    for reader in readers():
        reader.join(10)


@in_threads
def test_progress_is_told_on_the_way(stack, person, slow):
    activity = queued(person)
    worker = in_thread(activity)
    wait_until(lambda: stored.get(activity_id=activity.id).done_bytes)
    now = stored.get(activity_id=activity.id)
    assert (now.stage, now.total_bytes) == ("Downloading from Kaggle", len(TABLE))
    assert 0 < now.progress < 1
    slow.go.set()
    worker.join(10)
    assert stored.get(activity_id=activity.id).status is ActivityStatus.SUCCEEDED


# --- Workers that die ----------------------------------------------------------------------------------------
def test_an_import_is_taken_up_again_after_its_worker_died(stack, person, kaggle):
    """The row and the staged blocks of the dead worker are in the way of nothing."""
    activity = queued(person)
    claimed = stored.claim(activity_id=activity.id, owner="dead", lease_seconds=-1)
    ingest = kaggle_import._begin(claimed, FileRef.parse(claimed.subject))
    ingest.write(TABLE[:1000])
    assert dataset_rows()
    activities.sweep()
    assert stored.get(activity_id=activity.id).status is ActivityStatus.QUEUED
    assert run_activity(activity.id) == ActivityStatus.SUCCEEDED
    dataset = repository.get(dataset_id=activity.dataset_id, user_id=person.id)
    assert content_of(dataset) == TABLE


def test_one_whose_worker_died_twice_fails_and_leaves_nothing(stack, person, kaggle):
    activity = queued(person)
    for _ in range(activities.MAX_ATTEMPTS):
        claimed = stored.claim(activity_id=activity.id, owner="dead", lease_seconds=-1)
        if not dataset_rows():
            kaggle_import._begin(claimed, FileRef.parse(claimed.subject)).write(TABLE[:1000])
        activities.sweep()
    over = stored.get(activity_id=activity.id)
    assert (over.status, over.error.code) == (ActivityStatus.FAILED, "worker_stopped")
    activities.sweep()
    assert not stored.get(activity_id=activity.id).has_leftovers
    assert_no_dataset_left(stack)


def test_one_that_was_stored_before_its_worker_died_is_not_fetched_again(stack, person, kaggle):
    activity = queued(person)
    kaggle_import.run_import(activity, Silent())
    asked = len(kaggle.seen)
    kaggle_import.run_import(activity, Silent())
    assert len(kaggle.seen) == asked
    assert len(dataset_rows()) == 1


def test_undoing_leaves_what_the_person_has_imported(stack, person, kaggle):
    activity = queued(person)
    kaggle_import.run_import(activity, Silent())
    get_database()["datasets"].update_one({}, {"$set": {"status": "ready"}})
    kaggle_import.undo_import(activity)
    assert len(dataset_rows()) == 1
    get_database()["datasets"].update_one({}, {"$set": {"status": "staged"}})
    for _ in range(2):
        kaggle_import.undo_import(activity)
    assert dataset_blobs(stack) == dataset_rows() == []


class Silent:
    """A Progress that nobody looks at."""

    def report(self, **said):
        pass

    def check(self):
        pass


# --- Secrets -------------------------------------------------------------------------------------------------
def test_the_token_is_in_no_log_and_in_no_document(stack, person, kaggle, caplog):
    with caplog.at_level(logging.DEBUG):
        imported(person)
        kaggle.fail["DownloadDataset"] = 401
        imported(person)
    assert SECRET not in caplog.text
    database = get_database()
    for name in database.list_collection_names():
        assert SECRET not in repr(list(database[name].find()))
