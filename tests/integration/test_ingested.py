"""What is done with a table that was taken in: looked at, aimed at a target, deleted."""

import pytest
from django.core.cache import cache

from datasets import repository, services
from smartml.errors import (
    BlobMissing,
    InvalidInput,
    NotFound,
    StorageUnavailable,
)
from storage import blobs
from tests.ingesting import OTHER, TABLE, USER, age, begin, stored, totals
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, temporary_files
from tests.services import CLOSED_PORT


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


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


def test_closing_an_account_deletes_its_datasets_and_nobody_elses(stack):
    stored()
    begin()
    theirs = stored(user_id=OTHER)
    services.delete_all_of_user(USER)
    services.delete_all_of_user(USER)

    assert [str(row["_id"]) for row in dataset_rows()] == [theirs.id]
    assert dataset_blobs(stack) == [f"{OTHER}/{theirs.id}/cities.csv"]
