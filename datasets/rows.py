"""Rows of a dataset by their number, whatever the size of the file.

The first megabytes are read as they are. What lies behind needs an index of where rows are: made once in the
background, kept as the derived blob ``rows-index.json`` for every process, and in each one's cache under the etag.
It holds places and numbers, no value of a row.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError

from datasets import activities, previews, repository
from datasets.activities import Activity, ActivityKind, ActivityStatus, Progress
from datasets.records import Dataset, DatasetStatus
from ml.column_types import is_missing
from ml.row_index import RowIndex, RowIndexer, rows_at
from smartml.errors import NotFound, SmartMLError
from storage.blobs import get_blobs

log = logging.getLogger(__name__)

PAGE_ROWS: Final = 50
# So much is read for a page without an index; a file that is no longer needs none.
HEAD_BYTES: Final = 8 * 2**20
INDEX: Final = "rows-index.json"
# Raised when what is stored means something else than before: older ones are then made anew.
_FORMAT: Final = 1

Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """Rows from number ``first`` (counted from 1) on; None in a row stands for a missing value.

    ``rows`` is None while it is not known where they are; ``work`` is what finds that out, when it is not done.
    """

    first: int
    rows: tuple[Row, ...] | None
    work: Activity | None


def page_of(*, dataset: Dataset, first: int) -> RowPage:
    """The page that begins with row ``first``; makes the index if it is needed and nobody is making it."""
    index = index_of(dataset=dataset)
    found = _read(dataset, index, first)
    if index is not None or dataset.file_size <= HEAD_BYTES:
        return RowPage(first=first, rows=found, work=None)
    complete = len(found) == min(PAGE_ROWS, dataset.row_count - first + 1)
    work = _work_for(dataset, is_needed=not complete)
    if not complete and work is not None and work.status is ActivityStatus.SUCCEEDED:
        return page_of(dataset=dataset, first=first)  # it has just been made
    return RowPage(first=first, rows=found if complete else None, work=work)


def index_of(*, dataset: Dataset) -> RowIndex | None:
    """The index of this very file, when it has been made."""
    if dataset.file_size <= HEAD_BYTES:
        return None
    known = previews.known_row_index(dataset=dataset)
    if known is not None:
        return known
    data = get_blobs().get_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=INDEX)
    stored = None if data is None else json.loads(data)
    if stored is None or stored.get("of") != _identity(dataset):
        return None
    index = RowIndex.from_dict(stored["index"])
    previews.remember_row_index(dataset=dataset, index=index)
    return index


def start_index(*, dataset: Dataset) -> Activity:
    """Have the index made; the same work that is not over yet is returned."""
    return activities.start(user_id=dataset.user_id, dataset_id=dataset.id, kind=ActivityKind.INDEX)


def work_on(*, dataset: Dataset) -> Activity | None:
    """The newest work on the index."""
    return activities.latest(user_id=dataset.user_id, dataset_id=dataset.id, kind=ActivityKind.INDEX)


def make_index(activity: Activity, progress: Progress) -> None:
    """The work itself: one pass over the file, in flat memory."""
    dataset = _dataset(activity)
    if index_of(dataset=dataset) is not None:
        return
    indexer = RowIndexer(previews.dialect_of(dataset=dataset))
    read = 0
    for chunk in previews.read_chunks(dataset=dataset):
        indexer.feed(chunk)
        read += len(chunk)
        progress.report(
            stage="Finding where the rows are",
            progress=read / max(dataset.file_size, 1),
            done_bytes=read,
            total_bytes=dataset.file_size,
        )
    _store(activity, dataset, indexer.finish())


def _store(activity: Activity, dataset: Dataset, index: RowIndex) -> None:
    """Keep the index, unless the dataset is going: whichever comes second, this or that, leaves nothing."""
    blob = {"user_id": dataset.user_id, "dataset_id": dataset.id, "name": INDEX}
    document = {"of": _identity(dataset), "index": index.as_dict()}
    get_blobs().put_derived(**blob, data=json.dumps(document, separators=(",", ":")).encode())
    try:
        _dataset(activity)
    except NotFound:
        get_blobs().delete_derived(**blob)
        raise


def _dataset(activity: Activity) -> Dataset:
    dataset = repository.get(dataset_id=activity.dataset_id, user_id=activity.user_id)
    if dataset is None or dataset.status != DatasetStatus.READY:
        raise NotFound("The dataset was deleted meanwhile.")
    return dataset


def _work_for(dataset: Dataset, *, is_needed: bool) -> Activity | None:
    """The work on an index that is not there, begun unless it was given up. As long as a page can do without it, it
    is no fault that it cannot be begun."""
    try:
        work = work_on(dataset=dataset)
        if work is None or (work.status is ActivityStatus.SUCCEEDED and index_of(dataset=dataset) is None):
            work = start_index(dataset=dataset)
    except (SmartMLError, DatabaseError) as error:
        if is_needed:
            raise
        log.warning("The row index of dataset %s waits: %s", dataset.id, type(error).__name__)
        return None
    return work


def _read(dataset: Dataset, index: RowIndex | None, first: int) -> tuple[Row, ...]:
    blobs = get_blobs()
    name = blobs.dataset_blob(dataset.user_id, dataset.id, dataset.file_name)

    def read(offset: int, length: int) -> bytes:
        return blobs.read_range(blobs.datasets_container, name, offset=offset, length=length, etag=dataset.etag)

    table = rows_at(
        read,
        previews.dialect_of(dataset=dataset),
        index,
        first=first - 1,
        count=PAGE_ROWS,
        most_bytes=None if index is not None else HEAD_BYTES,
    )
    return tuple(tuple(None if is_missing(value) else value for value in row) for row in table)


def _identity(dataset: Dataset) -> dict[str, Any]:
    """What an index is of: another file, or another way to read it, has other rows in other places."""
    return {"format": _FORMAT, "etag": dataset.etag, "dialect": dataset.dialect}
