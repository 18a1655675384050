"""Ingestion: all of a table is stored, or nothing of it."""

import hashlib
import time
import tracemalloc
from datetime import timedelta

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.storage.blob import BlobClient
from django.core.cache import cache
from django.utils import timezone

from datasets import heartbeat, previews, repository, services
from datasets import ingest as ingest_module
from datasets.records import DatasetStatus, Source
from smartml.errors import (
    AccountClosing,
    BlobMissing,
    Conflict,
    InvalidInput,
    InvalidTable,
    MetadataUnavailable,
    NotFound,
    ServiceUnavailable,
    SmartMLError,
    StorageNotConfigured,
    StorageUnavailable,
    TooLarge,
)
from storage import blobs, emptying, mongo, mongo_users
from storage.ids import new_id
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, temporary_files
from tests.services import CLOSED_PORT, SERVICES
from tests.wire import Wire

TABLE = b"city,price\nBerlin,10\nParis,20\nRome,30\n"
USER = "a" * 24
OTHER = "b" * 24


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


def begin(**changes):
    values = {"user_id": USER, "dataset_id": new_id(), "file_name": "cities.csv"} | changes
    return services.begin_ingest(**values)


def stored(content=TABLE, **changes):
    ingest = begin(**changes)
    ingest.write(content)
    return ingest.commit()


def write_and_commit(ingest, content):
    ingest.write(content)
    return ingest.commit()


def totals(user_id=USER):
    found = repository.totals(user_id=user_id)
    return found.datasets_count, found.datasets_bytes


def test_a_table_is_stored_with_its_facts(stack):
    dataset = stored(name="My cities", source=Source.SAMPLE)

    assert dataset.status == DatasetStatus.READY
    assert (dataset.name, dataset.file_name, dataset.source) == ("My cities", "cities.csv", Source.SAMPLE)
    assert (dataset.row_count, dataset.column_count, dataset.bad_row_count) == (3, 2, 0)
    assert dataset.file_size == len(TABLE)
    assert dataset.sha256 == hashlib.sha256(TABLE).hexdigest()
    assert dataset_blobs(stack) == [f"{USER}/{dataset.id}/cities.csv"]
    assert dataset.azure_dataset_url.endswith(f"{stack.datasets_container}/{USER}/{dataset.id}/cities.csv")
    assert b"".join(services.open_download(dataset=dataset)) == TABLE
    assert totals() == (1, len(TABLE))


def test_the_row_is_there_before_the_first_byte_and_the_blob_only_at_the_end(stack):
    ingest = begin()

    assert [row["status"] for row in dataset_rows()] == ["uploading"]
    ingest.write(TABLE)
    assert dataset_blobs(stack) == []
    with pytest.raises(NotFound):
        services.get_dataset(user_id=USER, dataset_id=ingest.dataset.id)
    ingest.commit()
    assert services.get_dataset(user_id=USER, dataset_id=ingest.dataset.id).row_count == 3


def test_pieces_may_break_anywhere(stack):
    ingest = begin()
    for index in range(len(TABLE)):
        ingest.write(TABLE[index : index + 1])

    assert ingest.commit().row_count == 3


def test_leaving_the_context_without_commit_leaves_nothing(stack):
    with begin() as ingest:
        ingest.write(TABLE)

    assert_no_dataset_left(stack)


def test_abort_after_commit_keeps_the_dataset_and_twice_is_harmless(stack):
    ingest = begin()
    ingest.write(TABLE)
    ingest.commit()
    ingest.abort()
    ingest.abort()

    assert len(dataset_blobs(stack)) == len(dataset_rows()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n\n",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
        bytes(range(256)) * 40,
        b"only,a,header\n",
        ",".join(f"c{i}" for i in range(50_000)).encode() + b"\n" + b",".join([b"1"] * 50_000) + b"\n",
    ],
    ids=["empty", "blank lines", "png", "binary", "no rows", "50 000 columns"],
)
def test_what_is_no_table_is_refused_and_leaves_nothing(stack, content):
    with pytest.raises(InvalidTable) as refusal:
        stored(content)

    assert refusal.value.message.endswith(".")
    assert_abort_is_clean(stack)


def assert_abort_is_clean(stack):
    """`stored` writes outside a context, so what `write` refused is still to be aborted."""
    for row in dataset_rows():
        assert row["status"] == "uploading"
        services.delete_dataset(user_id=str(row["user_id"]), dataset_id=str(row["_id"]))
    assert_no_dataset_left(stack)
    assert totals() == (0, 0)


def test_one_byte_over_the_limit_is_refused_while_streaming(stack, settings):
    settings.MAX_UPLOAD_BYTES = len(TABLE)
    stored()
    with begin() as ingest:
        ingest.write(TABLE)
        with pytest.raises(TooLarge, match="larger than the limit of 38"):
            ingest.write(b"x")

    assert len(dataset_rows()) == 1


def test_the_same_id_again_is_a_conflict_that_touches_nothing(stack):
    dataset = stored()
    with pytest.raises(Conflict, match="already been uploaded"):
        begin(dataset_id=dataset.id)
    running = begin()
    with pytest.raises(Conflict, match="already running"):
        begin(dataset_id=running.dataset.id)
    running.write(TABLE)
    running.commit()

    assert len(dataset_blobs(stack)) == len(dataset_rows()) == 2


def test_an_id_of_somebody_else_is_not_found(stack):
    dataset = stored()
    with pytest.raises(NotFound):
        begin(user_id=OTHER, dataset_id=dataset.id)

    assert services.get_dataset(user_id=USER, dataset_id=dataset.id) == dataset


def test_rows_that_do_not_fit_are_counted_and_left_out(stack):
    content = b"a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n"
    dataset = stored(content)

    assert (dataset.row_count, dataset.bad_row_count) == (3, 2)
    with services.normalised(dataset=dataset) as path:
        assert path.read_text() == "a,b\n1,2\n4,5\n9,10\n"
    assert temporary_files(stack) == []


def test_the_heartbeat_moves_while_bytes_come(stack, monkeypatch):
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.0)
    with begin() as ingest:
        before = dataset_rows()[0]["touched_at"]
        time.sleep(0.01)
        ingest.write(TABLE)
        assert dataset_rows()[0]["touched_at"] > before


def test_metadata_that_cannot_be_committed_takes_the_blob_with_it(stack):
    ingest = begin()
    ingest.write(TABLE)
    # The sweep of another machine took this upload for abandoned.
    repository.remove(dataset_id=ingest.dataset.id, user_id=USER)
    with pytest.raises(SmartMLError):
        ingest.commit()

    assert_no_dataset_left(stack)
    assert totals() == (0, 0)


def test_storage_that_is_away_fails_in_seconds_and_leaves_nothing(stack, settings):
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        stored()

    assert time.monotonic() - started < 15
    assert_no_dataset_left(stack)


@pytest.mark.parametrize("size", [1, 9 * 2**20], ids=["small", "several blocks"])
def test_storage_that_goes_away_in_the_middle_leaves_nothing(stack, settings, size):
    with Wire(SERVICES.azurite_port) as wire:
        settings.AZURE_ACCOUNT_URL = settings.AZURE_ACCOUNT_URL.replace(str(SERVICES.azurite_port), str(wire.port))
        blobs.reset_blobs()
        with begin() as ingest:
            wire.cut()
            with pytest.raises(StorageUnavailable):
                write_and_commit(ingest, TABLE + b"Oslo,40\n" * (size // 8))

    assert_no_dataset_left(stack)


def test_storage_that_is_not_configured_says_so_and_leaves_nothing(stack, settings):
    settings.AZURE_STORAGE_ENABLED = False
    blobs.reset_blobs()
    with pytest.raises(StorageNotConfigured):
        begin()

    assert dataset_rows() == []


def test_metadata_that_is_away_fails_in_seconds_and_stores_nothing(stack, settings):
    settings.MONGODB_URI = f"mongodb://127.0.0.1:{CLOSED_PORT}/?directConnection=true"
    settings.MONGODB_TIMEOUT_SECONDS = 2.5
    mongo.reset_client()
    started = time.monotonic()
    with pytest.raises(MetadataUnavailable):
        begin()
    assert time.monotonic() - started < 10

    settings.MONGODB_URI = SERVICES.environment["MONGODB_URI"]
    mongo.reset_client()
    assert_no_dataset_left(stack)


def test_memory_stays_flat(stack):
    line = b"0123456789,abcdefghij,0123456789\n"
    piece = line * 8_000
    with begin() as ingest:
        ingest.write(b"a,b,c\n" + piece)
        tracemalloc.start()
        try:
            for _ in range(300):
                ingest.write(piece)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak < 100 * 2**20


# --- After the ingestion -------------------------------------------------------------------------------------
def test_first_rows_read_only_the_head(stack):
    content = b"a,b\n" + b"1,x\n" * 200_000
    dataset = stored(content)
    preview = services.first_rows(dataset=dataset)

    assert preview.columns == ("a", "b")
    assert preview.rows == (("1", "x"),) * 20
    assert services.columns_of(dataset=dataset) == ("a", "b")


def test_previews_are_kept_under_the_etag(stack):
    dataset = stored()
    rows = services.first_rows(dataset=dataset)
    blobs.get_blobs().delete_dataset(user_id=USER, dataset_id=dataset.id)

    assert services.first_rows(dataset=dataset) == rows
    cache.clear()
    with pytest.raises(BlobMissing):
        services.first_rows(dataset=dataset)
    with pytest.raises(BlobMissing):
        services.open_download(dataset=dataset)
    assert temporary_files(stack) == []


def test_the_target_must_be_a_column(stack):
    dataset = stored()
    changed = services.set_target(user_id=USER, dataset_id=dataset.id, target_column="price")
    assert changed.target_column == "price"
    with pytest.raises(InvalidInput):
        services.set_target(user_id=USER, dataset_id=dataset.id, target_column="prize")

    cleared = services.set_target(user_id=USER, dataset_id=dataset.id, target_column=None)
    assert cleared.target_column is None


def test_deleting_removes_blob_row_count_and_cache(stack):
    dataset = stored()
    kept = stored()
    services.first_rows(dataset=dataset)
    removed = services.delete_dataset(user_id=USER, dataset_id=dataset.id)

    prefix = f"{USER}/{dataset.id}/"
    assert [name for name in removed.names if "derived" not in name] == [f"{prefix}cities.csv"]
    assert all(name.startswith(prefix) for name in removed.names)
    assert (removed.count, removed.remaining) == (len(removed.names), 0)
    assert dataset_blobs(stack) == [f"{USER}/{kept.id}/cities.csv"]
    assert totals() == (1, len(TABLE))
    with pytest.raises(BlobMissing):
        services.first_rows(dataset=dataset)
    with pytest.raises(NotFound):
        services.delete_dataset(user_id=USER, dataset_id=dataset.id)


def test_a_deletion_can_be_finished_from_any_point(stack):
    marked, emptied = stored(), stored()
    for dataset in (marked, emptied):
        repository.mark_deleting(dataset_id=dataset.id, user_id=USER)
    blobs.get_blobs().delete_dataset(user_id=USER, dataset_id=emptied.id)

    assert services.delete_dataset(user_id=USER, dataset_id=marked.id).count == 2
    assert services.delete_dataset(user_id=USER, dataset_id=emptied.id).count == 0
    assert_no_dataset_left(stack)
    assert totals() == (0, 0)


def test_deleting_while_storage_is_away_keeps_the_row_for_later(stack, settings):
    dataset = stored()
    url = settings.AZURE_ACCOUNT_URL
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()
    with pytest.raises(StorageUnavailable):
        services.delete_dataset(user_id=USER, dataset_id=dataset.id)
    assert [row["status"] for row in dataset_rows()] == ["deleting"]

    settings.AZURE_ACCOUNT_URL = url
    blobs.reset_blobs()
    services.delete_dataset(user_id=USER, dataset_id=dataset.id)
    assert_no_dataset_left(stack)


def test_the_sweep_finishes_only_what_is_stale(stack):
    ready, deleting = stored(), stored()
    repository.mark_deleting(dataset_id=deleting.id, user_id=USER)
    abandoned, alive = begin(), begin()
    age(deleting.id, abandoned.dataset.id, ready.id)

    assert services.sweep_datasets() == 2
    left = {str(row["_id"]) for row in dataset_rows()}
    assert left == {ready.id, alive.dataset.id}
    assert totals() == (1, len(TABLE))
    alive.abort()
    abandoned.abort()
    assert services.sweep_datasets() == 0


def age(*ids):
    from bson import ObjectId

    long_ago = timezone.now() - timedelta(hours=1)
    mongo.get_database()["datasets"].update_many(
        {"_id": {"$in": [ObjectId(i) for i in ids]}}, {"$set": {"touched_at": long_ago}}
    )


def test_closing_an_account_deletes_its_datasets_and_nobody_elses(stack):
    stored()
    begin()
    theirs = stored(user_id=OTHER)
    services.delete_all_of_user(USER)
    services.delete_all_of_user(USER)

    assert [str(row["_id"]) for row in dataset_rows()] == [theirs.id]
    assert dataset_blobs(stack) == [f"{OTHER}/{theirs.id}/cities.csv"]


# --- Outcomes that nobody knows ------------------------------------------------------------------------------
def unanswered(monkeypatch, *, done: bool, times: int):
    """``mark_ready`` whose answer is lost so many times, after it was ``done`` or not."""
    real, left = repository.mark_ready, [times]

    def call(**facts):
        if not left[0]:
            return real(**facts)
        left[0] -= 1
        if done:
            real(**facts)
        raise MetadataUnavailable("The metadata database does not answer.")

    monkeypatch.setattr(repository, "mark_ready", call)
    monkeypatch.setattr(ingest_module, "READY_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize("done", [True, False])
def test_a_lost_answer_to_the_last_step_is_asked_for_again(stack, monkeypatch, done):
    unanswered(monkeypatch, done=done, times=3)
    dataset = stored()

    assert services.get_dataset(user_id=USER, dataset_id=dataset.id) == dataset
    assert len(dataset_blobs(stack)) == 1
    assert totals() == (1, len(TABLE))


@pytest.mark.parametrize("done", [True, False])
def test_an_outcome_that_stays_unknown_takes_neither_blob_nor_row(stack, monkeypatch, done):
    unanswered(monkeypatch, done=done, times=1000)
    monkeypatch.setattr(ingest_module, "READY_SECONDS", 0.05)
    with begin() as ingest, pytest.raises(MetadataUnavailable, match="has arrived"):
        write_and_commit(ingest, TABLE)

    (row,) = dataset_rows()
    assert row["status"] == ("ready" if done else "uploading")
    assert len(dataset_blobs(stack)) == 1
    age(ingest.dataset.id)
    assert services.sweep_datasets() == (0 if done else 1)
    assert len(dataset_blobs(stack)) == len(dataset_rows()) == (1 if done else 0)


def test_undoing_marks_the_row_before_it_takes_the_blob(stack, monkeypatch):
    seen = []
    real = blobs.AzureBlobStorage.delete_dataset

    def delete(self, **ids):
        seen.extend(row["status"] for row in dataset_rows())
        return real(self, **ids)

    monkeypatch.setattr(blobs.AzureBlobStorage, "delete_dataset", delete)
    monkeypatch.setattr(repository, "mark_ready", refuse)
    with pytest.raises(Conflict):
        stored()

    assert seen == ["deleting"]
    assert_no_dataset_left(stack)


def refuse(**_):
    raise Conflict("No.")


def test_a_row_that_cannot_be_marked_keeps_its_blob(stack, monkeypatch):
    def away(**_):
        raise MetadataUnavailable("The metadata database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(repository, "mark_ready", refuse)
        patch.setattr(repository, "mark_deleting", away)
        with pytest.raises(Conflict):
            stored()
    assert len(dataset_blobs(stack)) == len(dataset_rows()) == 1

    age(str(dataset_rows()[0]["_id"]))
    assert services.sweep_datasets() == 1
    assert_no_dataset_left(stack)


def test_a_blob_that_appears_late_is_found_by_the_sweep(stack, monkeypatch):
    late = []
    real = BlobClient.commit_block_list

    def commit(self, *args, **kwargs):
        late.append(lambda: real(self, *args, **kwargs))
        raise ServiceResponseError("The answer is lost.")

    with monkeypatch.context() as patch:
        patch.setattr(BlobClient, "commit_block_list", commit)
        with begin() as ingest, pytest.raises(StorageUnavailable):
            write_and_commit(ingest, TABLE)
    assert [row["status"] for row in dataset_rows()] == ["deleting"]
    assert services.list_datasets(user_id=USER).items == ()

    late[0]()
    assert len(dataset_blobs(stack)) == 1
    assert services.sweep_datasets() == 0
    age(ingest.dataset.id)
    assert services.sweep_datasets() == 1
    assert_no_dataset_left(stack)


def test_a_heartbeat_that_nobody_hears_is_tolerated_for_a_while(stack, monkeypatch):
    def away(**_):
        raise MetadataUnavailable("The metadata database does not answer.")

    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.0)
    with begin() as ingest:
        with monkeypatch.context() as patch:
            patch.setattr(repository, "touch", away)
            ingest.write(TABLE)
            patch.setattr(heartbeat, "ABANDONED_AFTER", timedelta(0))
            with pytest.raises(MetadataUnavailable):
                ingest.write(b"Oslo,40\n")
        assert ingest.commit().row_count == 4


def test_a_blob_that_does_not_go_keeps_the_row_for_the_sweep(stack, monkeypatch):
    dataset = stored()
    calls = []

    def delete(self, **ids):
        calls.append(ids)
        return blobs.Removed(count=0, names=(), prefix="", remaining=1)

    with monkeypatch.context() as patch:
        patch.setattr(emptying, "PAUSE_SECONDS", 0.0)
        patch.setattr(blobs.AzureBlobStorage, "delete_dataset", delete)
        with pytest.raises(ServiceUnavailable, match="still holds files"):
            services.delete_dataset(user_id=USER, dataset_id=dataset.id)
    assert len(calls) == emptying.ATTEMPTS
    assert [row["status"] for row in dataset_rows()] == ["deleting"]
    assert totals() == (1, len(TABLE))

    age(dataset.id)
    assert services.sweep_datasets() == 1
    assert_no_dataset_left(stack)


def test_one_dataset_that_cannot_be_finished_does_not_keep_the_others(stack, monkeypatch):
    bad, good = stored(), stored()
    for dataset in (bad, good):
        repository.mark_deleting(dataset_id=dataset.id, user_id=USER)
    age(bad.id)
    age(good.id)
    break_deletion_of(monkeypatch, bad.id)
    with pytest.raises(RuntimeError):
        services.sweep_datasets()

    assert [str(row["_id"]) for row in dataset_rows()] == [bad.id]


def break_deletion_of(monkeypatch, dataset_id):
    real = blobs.AzureBlobStorage.delete_dataset

    def delete(self, **ids):
        if ids["dataset_id"] == dataset_id:
            raise RuntimeError("A bug.")
        return real(self, **ids)

    monkeypatch.setattr(blobs.AzureBlobStorage, "delete_dataset", delete)


def test_an_upload_into_a_closing_account_is_refused_with_a_sentence(stack):
    ingest = begin()
    ingest.write(TABLE)
    mongo_users.begin_closing(user_id=USER)
    with pytest.raises(AccountClosing, match="is being deleted"):
        begin()
    with pytest.raises(AccountClosing, match="is being deleted"):
        ingest.commit()

    assert_no_dataset_left(stack)
    assert totals() == (0, 0)


def test_what_a_reader_in_flight_caches_of_a_deleted_dataset_is_dropped(stack):
    dataset = stored()
    rows = services.first_rows(dataset=dataset)
    summary = services.target_summary_of(dataset=dataset, target="city")
    assert services.target_summary_of(dataset=dataset, target="city") == summary
    previews.forget(dataset=dataset)
    assert services.first_rows(dataset=dataset) == rows
    blobs.get_blobs().delete_dataset(user_id=USER, dataset_id=dataset.id)
    with pytest.raises(BlobMissing):
        services.first_rows(dataset=dataset)
    with pytest.raises(BlobMissing):
        services.target_summary_of(dataset=dataset, target="city")


def test_the_cache_holds_nothing_of_a_deleted_dataset(stack):
    before = cached()
    dataset = stored(b"a,b\n1,2\n3\n4,5\n")
    services.first_rows(dataset=dataset)
    services.target_summary_of(dataset=dataset, target="a")
    assert len(cached() - before) == 2
    services.delete_dataset(user_id=USER, dataset_id=dataset.id)
    assert {key.rsplit(":", 1)[1] for key in cached() - before} == {"gone"}


def cached():
    return set(cache._cache)
