"""Batches in MongoDB. Every move is one atomic update whose filter holds the state it may start from; None means
that somebody else was first. A batch is counted in its owner's totals from ``mark_done`` until it is removed."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from models_app.batch_records import Batch, BatchError, BatchFacts, BatchStatus
from smartml.errors import Conflict
from storage import mongo_users
from storage.mongo import (
    Document,
    clip,
    get_collection,
    known_fields,
    object_id,
    run_in_transaction,
    translated,
)
from storage.mongo_schema import MAX_SENTENCE, Name

_SWEEP_LIMIT: Final = 1000
_UPLOADING, _WAITING, _DONE, _FAILED, _DELETING = (status.value for status in BatchStatus)


@translated()
def insert(*, batch: Batch) -> None:
    """Store a batch that begins.

    :raises Conflict: there is one of this id.
    :raises AccountClosing: its owner's account is being deleted.
    """
    document = _to_document(batch)

    def commit(session: ClientSession) -> None:
        mongo_users.count_in(session, user_id=batch.user_id)
        get_collection(Name.BATCHES).insert_one(document, session=session)

    try:
        run_in_transaction(commit)
    except DuplicateKeyError as error:
        raise Conflict("This form has already been used.", hint="Open the page of the model.") from error


@translated()
def get(*, batch_id: str, user_id: str) -> Batch | None:
    """A person's batch in any state."""
    return _maybe(get_collection(Name.BATCHES).find_one(_key(batch_id, user_id)))


@translated()
def of_version(*, user_id: str, model_id: str, version: int, limit: int = 50) -> tuple[Batch, ...]:
    """The newest batches of a version, in any state."""
    where: Document = {"model_id": object_id(model_id), "version": version, "user_id": object_id(user_id)}
    order = [("created_at", -1), ("_id", -1)]
    return tuple(map(_to_record, get_collection(Name.BATCHES).find(where, sort=order, limit=limit)))


@translated()
def touch(*, batch_id: str, user_id: str) -> bool:
    """Say that an upload is alive; whether it still is wanted."""
    where = _key(batch_id, user_id) | {"status": _UPLOADING}
    changed = get_collection(Name.BATCHES).update_one(where, {"$set": {"touched_at": datetime.now(UTC)}})
    return changed.matched_count == 1


@translated()
def mark_waiting(
    *,
    batch_id: str,
    user_id: str,
    rows: int,
    bad_rows: int,
    first_bad_lines: tuple[int, ...],
    columns: int,
    input_size: int,
    dialect: dict[str, object],
    is_strict: bool = False,
) -> Batch | None:
    """Its file is stored, and known to be a table."""
    facts: Document = {
        "rows": rows,
        "bad_rows": bad_rows,
        "first_bad_lines": list(first_bad_lines),
        "columns": columns,
        "input_size": input_size,
        "dialect": dialect,
        "is_strict": is_strict,
    }
    return _move(batch_id, user_id, _UPLOADING, {**facts, "status": _WAITING})


@translated()
def mark_done(*, batch_id: str, user_id: str, facts: BatchFacts) -> Batch | None:
    """Its result is stored: count it, in one transaction. Again is harmless."""
    changes = asdict(facts) | {"status": _DONE, "finished_at": datetime.now(UTC)}

    def commit(session: ClientSession) -> Document | None:
        found = get_collection(Name.BATCHES).find_one_and_update(
            _key(batch_id, user_id) | {"status": _WAITING},
            {"$set": changes},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if found is not None:
            mongo_users.count_in(session, user_id=user_id, batches_count=1, batches_bytes=facts.stored_size)
        return found

    return _maybe(run_in_transaction(commit)) or _maybe(
        get_collection(Name.BATCHES).find_one(_key(batch_id, user_id) | {"status": _DONE})
    )


@translated()
def mark_failed(*, batch_id: str, user_id: str, error: BatchError) -> Batch | None:
    """It ended without a result."""
    told = {
        "code": clip(error.code, 100),
        "message": clip(error.message, MAX_SENTENCE),
        "hint": clip(error.hint, MAX_SENTENCE),
    }
    return _move(batch_id, user_id, _WAITING, {"status": _FAILED, "error": told, "finished_at": datetime.now(UTC)})


@translated()
def forget_input(*, batch_id: str, user_id: str) -> None:
    """Its file is gone."""
    get_collection(Name.BATCHES).update_one(_key(batch_id, user_id), {"$set": {"has_input": False}})


@translated()
def mark_deleting(*, batch_id: str, user_id: str) -> Batch | None:
    """Begin to delete it, or go on with that; None when it is gone."""
    return _maybe(
        get_collection(Name.BATCHES).find_one_and_update(
            _key(batch_id, user_id),
            {"$set": {"status": _DELETING, "touched_at": datetime.now(UTC)}},
            return_document=ReturnDocument.AFTER,
        )
    )


@translated()
def remove(*, batch_id: str, user_id: str) -> bool:
    """Forget a batch whose blobs are gone and lower the totals, in one transaction; again is harmless."""

    def commit(session: ClientSession) -> bool:
        gone = get_collection(Name.BATCHES).find_one_and_delete(_key(batch_id, user_id), session=session)
        if gone is not None and gone["stored_size"]:
            less = {"batches_count": 1, "batches_bytes": gone["stored_size"]}
            mongo_users.uncount_in(session, user_id=user_id, **less)
        return gone is not None

    return run_in_transaction(commit)


@translated()
def forget_model(*, model_id: str, version: int | None = None) -> None:
    """The blobs of a model, or of one version of it, are gone: forget its batches."""
    where: Document = {"model_id": object_id(model_id)} | ({} if version is None else {"version": version})
    for found in get_collection(Name.BATCHES).find(where, {"user_id": 1}):
        remove(batch_id=str(found["_id"]), user_id=str(found["user_id"]))


@translated()
def unfinished(*, status: BatchStatus, untouched_since: datetime) -> tuple[Batch, ...]:
    """Batches in a state that should not last, the longest untouched first."""
    where: Document = {"status": status.value, "touched_at": {"$lt": untouched_since}}
    found = get_collection(Name.BATCHES).find(where, sort=[("touched_at", 1)], limit=_SWEEP_LIMIT)
    return tuple(map(_to_record, found))


@translated()
def with_input() -> tuple[Batch, ...]:
    """Batches that are over and still have their file."""
    where: Document = {"has_input": True, "status": {"$in": [_DONE, _FAILED]}}
    return tuple(map(_to_record, get_collection(Name.BATCHES).find(where, limit=_SWEEP_LIMIT)))


@translated()
def existing(*, batch_ids: set[str]) -> set[str]:
    """Which of these are on record, in any state."""
    wanted = [object_id(batch_id) for batch_id in batch_ids]
    return {str(found["_id"]) for found in get_collection(Name.BATCHES).find({"_id": {"$in": wanted}}, {"_id": 1})}


def _move(batch_id: str, user_id: str, status: str, changes: Document) -> Batch | None:
    return _maybe(
        get_collection(Name.BATCHES).find_one_and_update(
            _key(batch_id, user_id) | {"status": status},
            {"$set": changes | {"touched_at": datetime.now(UTC)}},
            return_document=ReturnDocument.AFTER,
        )
    )


def _key(batch_id: str, user_id: str) -> Document:
    return {"_id": object_id(batch_id), "user_id": object_id(user_id)}


def _to_document(batch: Batch) -> Document:
    document = asdict(batch)
    document |= {
        "_id": object_id(document.pop("id")),
        "user_id": object_id(batch.user_id),
        "model_id": object_id(batch.model_id),
        "dataset_id": None if batch.dataset_id is None else object_id(batch.dataset_id),
        "status": batch.status.value,
        "first_bad_lines": list(batch.first_bad_lines),
    }
    return document


def _maybe(document: Document | None) -> Batch | None:
    return None if document is None else _to_record(document)


def _to_record(document: Document) -> Batch:
    error = document["error"]
    dataset_id = document["dataset_id"]
    values = document | {
        "id": str(document["_id"]),
        "user_id": str(document["user_id"]),
        "model_id": str(document["model_id"]),
        "dataset_id": None if dataset_id is None else str(dataset_id),
        "status": BatchStatus(document["status"]),
        "first_bad_lines": tuple(document["first_bad_lines"]),
        "error": None if error is None else BatchError(**known_fields(BatchError, error)),
    }
    return Batch(**known_fields(Batch, values))
