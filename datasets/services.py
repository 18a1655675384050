"""What a person, a task or a command can do with datasets."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from django.conf import settings
from django.utils import timezone

from datasets import activities, overrides, previews, repository
from datasets.file_names import clean_name
from datasets.heartbeat import ABANDONED_AFTER
from datasets.ingest import Ingest, begin_ingest
from datasets.overrides import types_of
from datasets.previews import first_rows, formats_of, normalised, target_summary_of
from datasets.records import Dataset, DatasetSort, DatasetStatus, Totals
from ml.column_types import ColumnType
from smartml.errors import InvalidInput, NotFound
from storage import sweeping
from storage.blobs import Removed, get_blobs
from storage.emptying import delete_all
from storage.paging import Page

__all__ = [
    "ABANDONED_AFTER",
    "Ingest",
    "abandon",
    "begin_ingest",
    "columns_of",
    "delete_all_of_user",
    "delete_dataset",
    "existing",
    "find_for_deletion",
    "find_upload",
    "first_rows",
    "formats_of",
    "get_dataset",
    "has_dataset",
    "list_datasets",
    "normalised",
    "open_download",
    "rename",
    "set_target",
    "set_type",
    "sweep_datasets",
    "target_summary_of",
    "totals_of",
    "types_of",
]

log = logging.getLogger(__name__)

_GONE = "There is no such dataset."


def get_dataset(*, user_id: str, dataset_id: str) -> Dataset:
    """A ready dataset of this person, else :class:`NotFound`."""
    dataset = repository.get(dataset_id=dataset_id, user_id=user_id)
    if dataset is None or dataset.status != DatasetStatus.READY:
        raise NotFound(_GONE)
    return dataset


def has_dataset(*, user_id: str, dataset_id: str) -> bool:
    """Whether this person still has this dataset, ready for use."""
    dataset = repository.get(dataset_id=dataset_id, user_id=user_id)
    return dataset is not None and dataset.status == DatasetStatus.READY


def find_upload(*, user_id: str, dataset_id: str) -> Dataset | None:
    """What an earlier request has stored, or is storing, under the id of an upload form."""
    return repository.get(dataset_id=dataset_id, user_id=user_id)


def find_for_deletion(*, user_id: str, dataset_id: str) -> Dataset:
    """A dataset that can be deleted, or whose deletion can be finished."""
    dataset = repository.get(dataset_id=dataset_id, user_id=user_id)
    if dataset is None or dataset.status == DatasetStatus.UPLOADING:
        raise NotFound(_GONE)
    return dataset


def existing(*, keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these pairs of user and dataset id are on record, in any state."""
    return repository.existing(keys=keys)


def list_datasets(
    *,
    user_id: str,
    search: str = "",
    sort: DatasetSort = DatasetSort.NEWEST,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[Dataset]:
    """One page of this person's datasets."""
    return repository.list_page(user_id=user_id, search=search, sort=sort, cursor=cursor, limit=limit)


def totals_of(*, user_id: str) -> Totals:
    """How many datasets and models this person has, and how large they are."""
    return repository.totals(user_id=user_id)


def columns_of(*, dataset: Dataset) -> tuple[str, ...]:
    """The names of the columns, in the order of the file."""
    return first_rows(dataset=dataset).columns


def rename(*, user_id: str, dataset_id: str, name: str) -> Dataset:
    """Change the name people see; the blob keeps its own."""
    cleaned = clean_name(name)
    if not cleaned:
        message = "Give the dataset a name."
        raise InvalidInput(message, fields={"name": message})
    renamed = repository.rename(dataset_id=dataset_id, user_id=user_id, name=cleaned)
    if renamed is None:
        raise NotFound(_GONE)
    return renamed


def set_target(*, user_id: str, dataset_id: str, target_column: str | None) -> Dataset:
    """Store the column to predict, or none; it must be a column of the file."""
    dataset = get_dataset(user_id=user_id, dataset_id=dataset_id)
    if target_column is not None and target_column not in columns_of(dataset=dataset):
        message = "This file has no such column."
        raise InvalidInput(message, fields={"target_column": message})
    changed = repository.set_target(dataset_id=dataset_id, user_id=user_id, target_column=target_column)
    if changed is None:
        raise NotFound(_GONE)
    return changed


def set_type(*, user_id: str, dataset_id: str, column: str, type: ColumnType | None) -> dict[str, ColumnType]:
    """Choose the type of a column, or with None go back to the one that was found; returns all that are chosen."""
    dataset = get_dataset(user_id=user_id, dataset_id=dataset_id)
    if column not in columns_of(dataset=dataset):
        message = "This file has no such column."
        raise InvalidInput(message, fields={"column": message})
    return overrides.set_type(dataset=dataset, column=column, type=type)


def open_download(*, dataset: Dataset) -> Iterator[bytes]:
    """The stored bytes. The first piece is fetched at once, so that a failure is still a page of its own."""
    chunks = previews.read_chunks(dataset=dataset)
    first = next(chunks, b"")
    return chain([first], chunks)


def delete_dataset(*, user_id: str, dataset_id: str) -> Removed:
    """Delete blobs, then metadata and count; may be called again at any point to finish.

    :raises ServiceUnavailable: not all blobs are gone; the row stays ``deleting`` and the sweep goes on.
    """
    dataset = repository.mark_deleting(dataset_id=dataset_id, user_id=user_id)
    if dataset is None:
        raise NotFound(_GONE)
    return _finish_deletion(dataset)


def _finish_deletion(dataset: Dataset) -> Removed:
    previews.forget(dataset=dataset)
    activities.stop_for_dataset(user_id=dataset.user_id, dataset_id=dataset.id)
    blobs = get_blobs()
    removed = delete_all(partial(blobs.delete_dataset, user_id=dataset.user_id, dataset_id=dataset.id))
    repository.remove(dataset_id=dataset.id, user_id=dataset.user_id)
    activities.forget_dataset(dataset_id=dataset.id)
    log.info("Deleted dataset %s of %s: %d blobs.", dataset.id, dataset.user_id, removed.count)
    return removed


def abandon(*, user_id: str, dataset_id: str) -> Dataset:
    """Delete an upload that its owner does not want to import; returns what it was.

    Raises as :func:`delete_dataset` does; :class:`NotFound` also for a dataset that is imported already.
    """
    dataset = repository.mark_deleting(dataset_id=dataset_id, user_id=user_id, status=DatasetStatus.STAGED)
    if dataset is None:
        raise NotFound("There is no such upload.")
    _finish_deletion(dataset)
    return dataset


def sweep_datasets() -> int:
    """Finish what a dead process left in ``uploading`` or ``deleting``, and delete uploads that nobody has imported
    for too long; returns how many."""
    now = timezone.now()
    dead = now - ABANDONED_AFTER
    forgotten = now - timedelta(hours=settings.STAGED_UPLOAD_HOURS)
    found: list[tuple[Dataset, datetime, DatasetStatus | None]] = [
        *((dataset, dead, None) for dataset in repository.unfinished(untouched_since=dead)),
        *((each, forgotten, DatasetStatus.STAGED) for each in repository.staged(untouched_since=forgotten)),
    ]
    return sweeping.each(found, lambda each: _finish_stale(*each), what="finishing a dataset")


def _finish_stale(seen: Dataset, since: datetime, status: DatasetStatus | None) -> bool:
    # An upload that has moved meanwhile is alive after all.
    dataset = repository.mark_deleting(
        dataset_id=seen.id, user_id=seen.user_id, status=status, untouched_since=since
    )
    if dataset is not None:
        _finish_deletion(dataset)
    return dataset is not None


def delete_all_of_user(user_id: str) -> None:
    """Delete every dataset of an account that is being closed, whatever its state."""

    def delete(dataset_id: str) -> bool:
        dataset = repository.mark_deleting(dataset_id=dataset_id, user_id=user_id)
        if dataset is not None:
            _finish_deletion(dataset)
        return dataset is not None

    sweeping.each(repository.ids_of_user(user_id=user_id), delete, what="deleting a dataset")
