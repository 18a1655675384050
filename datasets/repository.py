"""Datasets in MongoDB: facts about them, never their rows.

A dataset is counted in its owner's totals from ``mark_ready`` until ``remove``; ``azure_dataset_url`` is set
exactly as long, so the document itself says whether removing it lowers the totals.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from datasets.records import Dataset, DatasetSort, DatasetStatus, Source, TableFacts, Totals
from smartml.errors import Conflict, InvalidInput
from storage import mongo_users
from storage.mongo import (
    Document,
    checked_name,
    get_collection,
    known_fields,
    object_id,
    run_in_transaction,
    translated,
)
from storage.mongo_pages import find_page, name_contains
from storage.mongo_schema import MAX_COLUMN_NAME, NAME_ORDER, Name
from storage.paging import Page

# Ready, or being deleted after it was: an upload that is being undone was never there for its owner.
_COUNTED: Document = {
    "status": {"$in": [DatasetStatus.READY.value, DatasetStatus.DELETING.value]},
    "azure_dataset_url": {"$ne": None},
}
_COMING = [DatasetStatus.UPLOADING.value, DatasetStatus.STAGED.value]
_UNFINISHED = [DatasetStatus.UPLOADING.value, DatasetStatus.DELETING.value]
_SWEEP_LIMIT = 1000
# More than that are waiting only for somebody who has stopped looking at them; they leave after a day.
_STAGED_LIMIT = 50


@translated()
def insert_uploading(*, dataset: Dataset) -> None:
    """Store a dataset whose file is still coming.

    :raises Conflict: its id is taken (the same form sent twice).
    :raises AccountClosing: its owner's account is being deleted.
    """
    document = _to_document(dataset)
    document["status"] = DatasetStatus.UPLOADING.value

    def commit(session: ClientSession) -> None:
        mongo_users.count_in(session, user_id=dataset.user_id)
        get_collection(Name.DATASETS).insert_one(document, session=session)

    try:
        run_in_transaction(commit)
    except DuplicateKeyError as error:
        raise Conflict("This upload has been sent already.") from error


@translated()
def touch(*, dataset_id: str) -> bool:
    """Say that an upload is alive, or that a staged file is being read; False when somebody has deleted it."""
    found = get_collection(Name.DATASETS).update_one(
        {"_id": object_id(dataset_id), "status": {"$in": _COMING}},
        {"$set": {"touched_at": datetime.now(UTC)}},
    )
    return found.matched_count == 1


@translated()
def mark_packed(*, dataset_id: str, user_id: str, file_size: int) -> Dataset:
    """An archive or a workbook has arrived, out of which a table is still to be taken.

    :raises Conflict: it is not an upload any more (deleted meanwhile).
    :raises AccountClosing: its owner's account is being deleted.
    """
    packed: Document = {"status": DatasetStatus.STAGED.value, "dialect": None, "file_size": file_size}
    return _move(dataset_id, user_id, [{"status": DatasetStatus.UPLOADING.value}], packed, already=packed)


@translated()
def mark_staged(*, dataset_id: str, user_id: str, facts: TableFacts) -> Dataset:
    """A table has arrived, or was taken out of what had arrived; its owner may look before it is imported.

    Once more with the same blob (its etag) returns the dataset. Raises as :func:`mark_packed` does.
    """
    staged: Document = {"status": DatasetStatus.STAGED.value, **_facts(facts)}
    came_from: list[Document] = [
        {"status": DatasetStatus.UPLOADING.value},
        {"status": DatasetStatus.STAGED.value, "dialect": None},
    ]
    already = {"status": DatasetStatus.STAGED.value, "etag": facts.etag}
    return _move(dataset_id, user_id, came_from, staged, already=already)


@translated()
def mark_ready(*, dataset_id: str, user_id: str, azure_dataset_url: str, facts: TableFacts) -> Dataset:
    """Make an upload, or a staged file with this very blob, a dataset and count it, in one transaction.

    Once more with the same blob (its etag) returns the dataset as it is and counts nothing. Raises as
    :func:`mark_packed` does.
    """
    ready: Document = {
        "status": DatasetStatus.READY.value,
        "azure_dataset_url": azure_dataset_url,
        **_facts(facts),
    }
    came_from: list[Document] = [
        {"status": DatasetStatus.UPLOADING.value},
        {"status": DatasetStatus.STAGED.value, "etag": facts.etag},
    ]
    already = {"status": DatasetStatus.READY.value, "etag": facts.etag}
    counted = {"datasets_count": 1, "datasets_bytes": facts.file_size}
    return _move(dataset_id, user_id, came_from, ready, already=already, counted=counted)


def _facts(facts: TableFacts) -> Document:
    return {field.name: getattr(facts, field.name) for field in fields(facts)}


def _move(
    dataset_id: str,
    user_id: str,
    came_from: list[Document],
    changes: Document,
    *,
    already: Document,
    counted: Mapping[str, int] | None = None,
) -> Dataset:
    """Change the state in one transaction with the owner's totals, which a closing account refuses."""
    key = {"_id": object_id(dataset_id), "user_id": object_id(user_id)}

    def commit(session: ClientSession) -> Document | None:
        datasets = get_collection(Name.DATASETS)
        found = datasets.find_one_and_update(
            {**key, "$or": came_from},
            {"$set": {**changes, "touched_at": datetime.now(UTC)}},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if found is None:
            return datasets.find_one({**key, **already}, session=session)
        mongo_users.count_in(session, user_id=user_id, **(counted or {}))
        return found

    stored = run_in_transaction(commit)
    if stored is None:
        raise Conflict("This upload was deleted before it was complete.", hint="Upload the file again.")
    return _to_record(stored)


@translated()
def get(*, dataset_id: str, user_id: str) -> Dataset | None:
    """A person's dataset in any state."""
    found = get_collection(Name.DATASETS).find_one({"_id": object_id(dataset_id), "user_id": object_id(user_id)})
    return _to_record(found) if found else None


@translated()
def list_page(
    *,
    user_id: str,
    search: str = "",
    sort: DatasetSort = DatasetSort.NEWEST,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[Dataset]:
    """A page of a person's datasets: those that are, or were, ready."""
    return find_page(
        get_collection(Name.DATASETS),
        where={"user_id": object_id(user_id), **_COUNTED, **name_contains(search)},
        order=sort.value,
        cursor=cursor,
        limit=limit,
        to_record=_to_record,
        collation=NAME_ORDER if sort is DatasetSort.NAME else None,
    )


@translated()
def rename(*, dataset_id: str, user_id: str, name: str) -> Dataset | None:
    """Give a ready dataset another name."""
    return _update_ready(dataset_id, user_id, {"name": checked_name(name)})


@translated()
def set_target(*, dataset_id: str, user_id: str, target_column: str | None) -> Dataset | None:
    """Remember which column of a ready dataset is to be predicted; None forgets it."""
    if target_column is not None and len(target_column) > MAX_COLUMN_NAME:
        sentence = f"A target's name has at most {MAX_COLUMN_NAME} characters; rename the column in the file."
        raise InvalidInput("This column's name is too long.", fields={"target_column": sentence})
    return _update_ready(dataset_id, user_id, {"target_column": target_column})


@translated()
def mark_deleting(
    *,
    dataset_id: str,
    user_id: str,
    status: DatasetStatus | None = None,
    untouched_since: datetime | None = None,
) -> Dataset | None:
    """Begin to delete a dataset, or go on with it; None when it is gone.

    With ``status`` only while it is in that state. With ``untouched_since`` (the sweep) only what is still
    untouched since then: an upload that became ready, or moved, after the sweep had looked at it is left alone.
    """
    where: Document = {"_id": object_id(dataset_id), "user_id": object_id(user_id)}
    if status is not None:
        where |= {"status": status.value}
    if untouched_since is not None:
        where |= {"status": status.value if status else {"$in": _UNFINISHED}}
        where |= {"touched_at": {"$lt": untouched_since}}
    found = get_collection(Name.DATASETS).find_one_and_update(
        where,
        {"$set": {"status": DatasetStatus.DELETING.value, "touched_at": datetime.now(UTC)}},
        return_document=ReturnDocument.AFTER,
    )
    return _to_record(found) if found else None


@translated()
def remove(*, dataset_id: str, user_id: str) -> bool:
    """Forget a dataset whose blobs are gone and lower the totals if it was counted, in one transaction.

    :returns: whether there was something to remove; a second call changes nothing.
    """
    key = {"_id": object_id(dataset_id), "user_id": object_id(user_id)}

    def commit(session: ClientSession) -> bool:
        gone = get_collection(Name.DATASETS).find_one_and_delete(key, session=session)
        if gone is None:
            return False
        if gone["azure_dataset_url"] is not None:
            mongo_users.uncount_in(
                session, user_id=user_id, datasets_count=1, datasets_bytes=int(gone["file_size"])
            )
        return True

    return run_in_transaction(commit)


@translated()
def unfinished(*, untouched_since: datetime) -> tuple[Dataset, ...]:
    """Uploads and deletions that nobody has moved since then, the longest untouched first."""
    found = get_collection(Name.DATASETS).find(
        {"status": {"$in": _UNFINISHED}, "touched_at": {"$lt": untouched_since}},
        sort=[("touched_at", 1)],
        limit=_SWEEP_LIMIT,
    )
    return tuple(_to_record(document) for document in found)


@translated()
def staged(*, untouched_since: datetime) -> tuple[Dataset, ...]:
    """Files that have been waiting for their owner's choice since before then, the longest untouched first."""
    found = get_collection(Name.DATASETS).find(
        {"status": DatasetStatus.STAGED.value, "touched_at": {"$lt": untouched_since}},
        sort=[("touched_at", 1)],
        limit=_SWEEP_LIMIT,
    )
    return tuple(_to_record(document) for document in found)


@translated()
def staged_of_user(*, user_id: str) -> tuple[Dataset, ...]:
    """What is waiting for a person's choice, the newest first."""
    found = get_collection(Name.DATASETS).find(
        {"user_id": object_id(user_id), "status": DatasetStatus.STAGED.value},
        sort=[("uploaded_at", -1), ("_id", -1)],
        limit=_STAGED_LIMIT,
    )
    return tuple(_to_record(document) for document in found)


@translated()
def first_with_content(
    *, user_id: str, sha256: str, before: datetime, other_than: str | None = None
) -> Dataset | None:
    """A person's earliest dataset, ready or staged, with exactly these bytes, that was there at that time."""
    other: Document = {"_id": {"$ne": object_id(other_than)}} if other_than else {}
    found = get_collection(Name.DATASETS).find_one(
        {
            "user_id": object_id(user_id),
            "sha256": sha256,
            "uploaded_at": {"$lte": before},
            "status": {"$in": [DatasetStatus.STAGED.value, DatasetStatus.READY.value]},
            **other,
        },
        sort=[("uploaded_at", 1), ("_id", 1)],
    )
    return _to_record(found) if found else None


@translated()
def ids_of_user(*, user_id: str) -> tuple[str, ...]:
    """The ids of everything a person has, in any state."""
    found = get_collection(Name.DATASETS).find({"user_id": object_id(user_id)}, {"_id": 1})
    return tuple(str(document["_id"]) for document in found)


@translated()
def totals(*, user_id: str) -> Totals:
    """A person's counters; all zero before the first dataset."""
    found = get_collection(Name.USERS).find_one({"_id": object_id(user_id)})
    return Totals(**known_fields(Totals, found)) if found else Totals()


@translated()
def existing(*, keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these pairs of user and dataset id are stored, in any state."""
    ids = [object_id(dataset_id) for _, dataset_id in keys]
    found = get_collection(Name.DATASETS).find({"_id": {"$in": ids}}, {"user_id": 1})
    return keys & {(str(document["user_id"]), str(document["_id"])) for document in found}


def _update_ready(dataset_id: str, user_id: str, changes: Document) -> Dataset | None:
    found = get_collection(Name.DATASETS).find_one_and_update(
        {
            "_id": object_id(dataset_id),
            "user_id": object_id(user_id),
            "status": DatasetStatus.READY.value,
        },
        {"$set": changes},
        return_document=ReturnDocument.AFTER,
    )
    return _to_record(found) if found else None


def _to_document(dataset: Dataset) -> Document:
    return {
        "_id": object_id(dataset.id),
        "user_id": object_id(dataset.user_id),
        "name": checked_name(dataset.name),
        "file_name": dataset.file_name,
        "row_count": dataset.row_count,
        "bad_row_count": dataset.bad_row_count,
        "column_count": dataset.column_count,
        "file_size": dataset.file_size,
        "status": dataset.status.value,
        "azure_dataset_url": dataset.azure_dataset_url,
        "source": dataset.source.value,
        "target_column": dataset.target_column,
        "uploaded_at": dataset.uploaded_at,
        "touched_at": dataset.touched_at,
        "etag": dataset.etag,
        "sha256": dataset.sha256,
        "dialect": dataset.dialect,
    } | ({} if dataset.source_ref is None else {"source_ref": dataset.source_ref})


def _to_record(document: Document) -> Dataset:
    return Dataset(
        **known_fields(Dataset, document)
        | {
            "id": str(document["_id"]),
            "user_id": str(document["user_id"]),
            "status": DatasetStatus(document["status"]),
            "source": Source(document["source"]),
        }
    )
