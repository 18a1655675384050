"""Ingestion: all of a table is stored, or nothing of it."""

import hashlib
import time
import tracemalloc

import pytest
from django.core.cache import cache

from datasets import heartbeat, repository, services
from datasets.records import DatasetStatus, Source
from smartml.errors import (
    Conflict,
    InvalidTable,
    MetadataUnavailable,
    NotFound,
    SmartMLError,
    StorageNotConfigured,
    StorageUnavailable,
    TooLarge,
)
from storage import blobs, mongo
from tests.ingesting import OTHER, TABLE, USER, begin, stored, totals, write_and_commit
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, temporary_files
from tests.services import CLOSED_PORT, SERVICES
from tests.wire import Wire


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


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
