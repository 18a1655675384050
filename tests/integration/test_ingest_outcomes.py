"""Ingestions and deletions whose outcome nobody knows at first."""

from datetime import timedelta

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.storage.blob import BlobClient
from django.core.cache import cache

from datasets import heartbeat, previews, repository, services
from datasets import ingest as ingest_module
from smartml.errors import (
    AccountClosing,
    BlobMissing,
    Conflict,
    MetadataUnavailable,
    ServiceUnavailable,
    StorageUnavailable,
)
from storage import blobs, emptying, mongo_users
from tests.ingesting import TABLE, USER, age, begin, stored, totals, write_and_commit
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


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
