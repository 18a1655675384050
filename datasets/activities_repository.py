"""Background work on datasets and models in MongoDB. Every move is one atomic update whose filter holds the state
it may start from and, for a worker, the lease it believes to have; None means that somebody else was first."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from datasets.activity_records import Activity, ActivityError, ActivityKind, ActivityStatus
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
from storage.mongo_schema import MAX_COLUMN_NAME, MAX_SENTENCE, MAX_STAGE, Name

_QUEUED, _RUNNING = ActivityStatus.QUEUED.value, ActivityStatus.RUNNING.value
_NOT_OVER: Final = [_QUEUED, _RUNNING]
_OVER: Final = [status.value for status in ActivityStatus if status.is_over]
_SWEEP_LIMIT: Final = 1000
# What makes two pieces of work the same; as in the index "sole".
_SOLE: Final = ("dataset_id", "model_id", "version", "kind", "subject")


@translated()
def insert(*, activity: Activity) -> Activity:
    """Store queued work, or return what is being done already about the same subject of the dataset or version.

    :raises AccountClosing: its owner's account is being deleted.
    """
    document = _to_document(activity)

    def commit(session: ClientSession) -> None:
        mongo_users.count_in(session, user_id=activity.user_id)
        get_collection(Name.ACTIVITIES).insert_one(document, session=session)

    while True:
        try:
            run_in_transaction(commit)
        except DuplicateKeyError:
            same = {key: document.get(key) for key in _SOLE}
            running = get_collection(Name.ACTIVITIES).find_one(
                {"$or": [{"_id": document["_id"]}, {**same, "status": {"$in": _NOT_OVER}}]}
            )
            if running is None:
                continue  # it ended just now
            return _to_record(running)
        return activity


@translated()
def get(*, activity_id: str, user_id: str | None = None) -> Activity | None:
    """One piece of work; with ``user_id`` only if it is that person's."""
    where: Document = {"_id": object_id(activity_id)}
    if user_id is not None:
        where["user_id"] = object_id(user_id)
    return _maybe(get_collection(Name.ACTIVITIES).find_one(where))


@translated()
def latest(
    *, user_id: str, dataset_id: str, kind: ActivityKind | None = None, subject: str | None = None
) -> Activity | None:
    """The newest work on a dataset, of one kind and about one subject if these are given."""
    where: Document = {"user_id": object_id(user_id), "dataset_id": object_id(dataset_id)}
    if kind is not None:
        where["kind"] = kind.value
    if subject is not None:
        where["subject"] = clip(subject, MAX_COLUMN_NAME)
    return _maybe(get_collection(Name.ACTIVITIES).find_one(where, sort=[("created_at", -1), ("_id", -1)]))


@translated()
def latest_of_model(
    *, user_id: str, model_id: str, version: int, kind: ActivityKind, subject: str | None = None
) -> Activity | None:
    """The newest work of one kind on a version of a model, about one subject if that is given."""
    where: Document = {"user_id": object_id(user_id), "model_id": object_id(model_id)}
    where |= {"version": version, "kind": kind.value}
    if subject is not None:
        where["subject"] = clip(subject, MAX_COLUMN_NAME)
    return _maybe(get_collection(Name.ACTIVITIES).find_one(where, sort=[("created_at", -1), ("_id", -1)]))


@translated()
def active_of_user(*, user_id: str, kind: ActivityKind | None = None) -> tuple[Activity, ...]:
    """What is waiting or running for a person, the newest first."""
    where: Document = {"user_id": object_id(user_id), "status": {"$in": _NOT_OVER}}
    if kind is not None:
        where["kind"] = kind.value
    return _find(where, sort=[("created_at", -1)])


@translated()
def of_dataset(*, dataset_id: str) -> tuple[Activity, ...]:
    """All work on a dataset that is not over."""
    return _find({"dataset_id": object_id(dataset_id), "status": {"$in": _NOT_OVER}}, sort=[("created_at", -1)])


@translated()
def of_model(*, model_id: str, version: int | None = None) -> tuple[Activity, ...]:
    """All work on one version of a model, or on any, that is not over."""
    where = _about_model(model_id, version) | {"status": {"$in": _NOT_OVER}}
    return _find(where, sort=[("version", 1), ("kind", 1), ("created_at", 1), ("_id", 1)])


@translated()
def claim(*, activity_id: str, owner: str, lease_seconds: float) -> Activity | None:
    """Take queued work for ``owner``; None when it is taken, over, cancelled or gone."""
    now = datetime.now(UTC)
    return _update(
        {"_id": object_id(activity_id), "status": _QUEUED, "cancel_requested": False},
        {
            "$set": {
                "status": _RUNNING,
                "stage": "Starting",
                "progress": 0.0,
                "done_bytes": 0,
                "started_at": now,
                "lease_owner": owner,
                "lease_until": now + timedelta(seconds=lease_seconds),
                "has_leftovers": True,
            },
            "$inc": {"attempt": 1},
        },
    )


@translated()
def renew(
    *, activity_id: str, owner: str, lease_seconds: float, changes: Mapping[str, Any] | None = None
) -> Activity | None:
    """Renew the lease, store ``changes`` of stage, progress and bytes, and read (is it to be cancelled?)."""
    values: Document = {"lease_until": datetime.now(UTC) + timedelta(seconds=lease_seconds), **(changes or {})}
    if "stage" in values:
        values["stage"] = clip(str(values["stage"]), MAX_STAGE)
    return _update(_held(activity_id, owner), {"$set": values})


@translated()
def finish(
    *,
    activity_id: str,
    owner: str,
    status: ActivityStatus,
    error: ActivityError | None = None,
    has_leftovers: bool = False,
    expired_before: datetime | None = None,
) -> Activity | None:
    """End held work; None when the lease is lost, or was renewed after ``expired_before``."""
    changes: Document = {
        "status": status.value,
        "stage": status.value.capitalize(),
        "finished_at": datetime.now(UTC),
        "lease_until": None,
        "has_leftovers": has_leftovers,
    }
    if status is ActivityStatus.SUCCEEDED:
        changes["progress"] = 1.0
    if error is not None:
        changes["error"] = {
            "code": clip(error.code, 100),
            "message": clip(error.message, MAX_SENTENCE),
            "hint": clip(error.hint, MAX_SENTENCE),
        }
    return _update(_held(activity_id, owner, expired_before), {"$set": changes})


@translated()
def requeue(
    *, activity_id: str, owner: str, expired_before: datetime | None = None, counted: bool = True
) -> Activity | None:
    """Put held work back into the queue; the attempt stays counted unless the worker was told to stop."""
    return _update(
        _held(activity_id, owner, expired_before),
        {
            "$set": {
                "status": _QUEUED,
                "stage": "Waiting for a worker",
                "progress": 0.0,
                "done_bytes": 0,
                "queued_at": datetime.now(UTC),
                "lease_owner": None,
                "lease_until": None,
            },
            "$inc": {"attempt": 0 if counted else -1},
        },
    )


@translated()
def request_cancel(*, activity_id: str, user_id: str) -> Activity | None:
    """A person's wish: waiting work is cancelled at once, running work is told, what is over stays as it is."""
    waiting = {"$eq": ["$status", _QUEUED]}

    def if_waiting(value: Any, field: str) -> Document:
        return {"$cond": [waiting, {"$literal": value}, f"${field}"]}

    over = {"status": ActivityStatus.CANCELLED.value, "stage": "Cancelled", "finished_at": datetime.now(UTC)}
    return _update(
        {"_id": object_id(activity_id), "user_id": object_id(user_id)},
        [
            {
                "$set": {
                    "cancel_requested": {"$or": ["$cancel_requested", {"$in": ["$status", _NOT_OVER]}]},
                    **{field: if_waiting(value, field) for field, value in over.items()},
                }
            }
        ],
    )


@translated()
def expired(*, now: datetime) -> tuple[Activity, ...]:
    """Work whose worker has stopped renewing its lease."""
    return _find({"status": _RUNNING, "lease_until": {"$lt": now}}, sort=[("lease_until", 1)])


@translated()
def unclaimed(*, older_than: datetime) -> tuple[Activity, ...]:
    """Work that has been waiting since before ``older_than``."""
    return _find({"status": _QUEUED, "queued_at": {"$lt": older_than}}, sort=[("queued_at", 1)])


@translated()
def with_leftovers() -> tuple[Activity, ...]:
    """Work that is over, but not undone or cleaned up yet."""
    return _find({"has_leftovers": True, "status": {"$in": _OVER}}, sort=[("created_at", 1)])


@translated()
def mark_clean(*, activity_id: str) -> None:
    """Nothing is left to undo."""
    get_collection(Name.ACTIVITIES).update_one({"_id": object_id(activity_id)}, {"$set": {"has_leftovers": False}})


@translated()
def forget_old(*, finished_before: datetime) -> int:
    """Drop what ended long ago and left nothing; returns how many."""
    where = {"finished_at": {"$lt": finished_before}, "has_leftovers": False, "status": {"$in": _OVER}}
    return get_collection(Name.ACTIVITIES).delete_many(where).deleted_count


@translated()
def forget_dataset(*, dataset_id: str) -> None:
    """Drop all work on a dataset that is gone; a worker on it finds its lease lost."""
    get_collection(Name.ACTIVITIES).delete_many({"dataset_id": object_id(dataset_id)})


@translated()
def forget_model(*, model_id: str, version: int | None = None) -> None:
    """Drop all work on a model, or one version, that is gone; a worker on it finds its lease lost."""
    get_collection(Name.ACTIVITIES).delete_many(_about_model(model_id, version))


@translated()
def forget_user(*, user_id: str) -> None:
    """Drop all work of a person whose account is closed."""
    get_collection(Name.ACTIVITIES).delete_many({"user_id": object_id(user_id)})


def _about_model(model_id: str, version: int | None) -> Document:
    where: Document = {"model_id": object_id(model_id)}
    return where if version is None else where | {"version": version}


def _held(activity_id: str, owner: str, expired_before: datetime | None = None) -> Document:
    where: Document = {"_id": object_id(activity_id), "status": _RUNNING, "lease_owner": owner}
    return where if expired_before is None else where | {"lease_until": {"$lt": expired_before}}


def _update(where: Document, change: Document | list[Document]) -> Activity | None:
    return _maybe(
        get_collection(Name.ACTIVITIES).find_one_and_update(where, change, return_document=ReturnDocument.AFTER)
    )


def _find(where: Document, *, sort: list[tuple[str, int]]) -> tuple[Activity, ...]:
    found = get_collection(Name.ACTIVITIES).find(where, sort=sort, limit=_SWEEP_LIMIT)
    return tuple(_to_record(document) for document in found)


def _to_document(activity: Activity) -> Document:
    document = asdict(activity)
    about = {name: document.pop(name) for name in ("dataset_id", "model_id", "version")}
    # Absent, not empty: work on a model is no work on a dataset, and the other way round.
    if activity.model_id:
        document |= {"model_id": object_id(about["model_id"]), "version": about["version"]}
    else:
        document["dataset_id"] = object_id(about["dataset_id"])
    return document | {
        "_id": object_id(document.pop("id")),
        "user_id": object_id(activity.user_id),
        "kind": activity.kind.value,
        "status": activity.status.value,
        "subject": clip(activity.subject, MAX_COLUMN_NAME),
    }


def _maybe(document: Document | None) -> Activity | None:
    return None if document is None else _to_record(document)


def _to_record(document: Document) -> Activity:
    error = document["error"]
    values = document | {
        "id": str(document["_id"]),
        "user_id": str(document["user_id"]),
        "dataset_id": str(document.get("dataset_id", "")),
        "model_id": str(document.get("model_id", "")),
        "kind": ActivityKind(document["kind"]),
        "status": ActivityStatus(document["status"]),
        "error": None if error is None else ActivityError(**known_fields(ActivityError, error)),
    }
    return Activity(**known_fields(Activity, values))
