"""The versions of a model in MongoDB: which one is current, what is written on them, and one that goes while the
others stay.

Every write is one atomic step on one person's document. A version that is being deleted is marked first
(``deleting_at``): from then on it is none for anybody, and the sweep goes on where a dead process stopped.
"""

from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from models_app.records import Model, ModelStatus
from models_app.repository import MIRRORED, key_of, to_record
from storage import mongo_users
from storage.mongo import Document, get_collection, object_id, run_in_transaction, translated
from storage.mongo_schema import Name

_READY = ModelStatus.READY.value
_SWEEP_LIMIT = 1000


@translated()
def promote(*, model_id: str, user_id: str, version: int, instead_of: int) -> Model | None:
    """Make a version current, with its mirrored facts, and keep it so whatever is trained; None when it is none, is
    being deleted, or ``instead_of`` is not the current one any more."""
    where = _with_version(model_id, user_id, version) | {"status": _READY, "version": instead_of}
    chosen = {"$first": {"$filter": {"input": "$versions", "cond": {"$eq": ["$$this.version", version]}}}}

    def fact(field: str) -> Document:
        return {"$let": {"vars": {"chosen": chosen}, "in": f"$$chosen.{field}"}}

    return _changed(
        where,
        [
            {
                "$set": {
                    **{field: fact(field) for field in MIRRORED},
                    "previous_version": "$version",
                    "current_since": datetime.now(UTC),
                    "pinned": True,
                }
            }
        ],
    )


@translated()
def set_pinned(*, model_id: str, user_id: str, pinned: bool) -> Model | None:
    """Whether the current version stays so when a further one is trained."""
    return _changed(key_of(model_id, user_id) | {"status": _READY}, {"$set": {"pinned": pinned}})


@translated()
def set_labels(
    *, model_id: str, user_id: str, version: int, tags: tuple[str, ...], note: str, version_note: str
) -> Model | None:
    """What its owner has written on a model and on one version of it; None when there is no such version."""
    return _changed(
        _with_version(model_id, user_id, version) | {"status": _READY},
        {"$set": {"tags": list(tags), "note": note, "versions.$.note": version_note}},
    )


@translated()
def tags_of_user(*, user_id: str) -> tuple[str, ...]:
    """Every tag of a person's models, in order."""
    return tuple(sorted(get_collection(Name.MODELS).distinct("tags", {"user_id": object_id(user_id)})))


@translated()
def mark_deleting(*, model_id: str, user_id: str, version: int) -> Model | None:
    """Begin to delete a version, or go on with it; None when it is none, or the current one."""
    return _changed(
        key_of(model_id, user_id) | {"status": _READY, "version": {"$ne": version}, "versions.version": version},
        {"$set": {"versions.$.deleting_at": datetime.now(UTC)}},
    )


@translated()
def remove(*, model_id: str, user_id: str, version: int) -> bool:
    """Forget a marked version whose blobs are gone and lower the totals, in one transaction.

    :returns: whether there was something to remove; a second call changes nothing.
    """
    marked = {"version": version, "deleting_at": {"$exists": True}}

    def commit(session: ClientSession) -> bool:
        before = get_collection(Name.MODELS).find_one_and_update(
            key_of(model_id, user_id) | {"version": {"$ne": version}, "versions": {"$elemMatch": marked}},
            {"$pull": {"versions": {"version": version}}},
            session=session,
        )
        if before is None:
            return False
        size = next(each["stored_size"] for each in before["versions"] if each["version"] == version)
        mongo_users.uncount_in(session, user_id=user_id, models_bytes=size)
        return True

    return run_in_transaction(commit)


@translated()
def unfinished(*, untouched_since: datetime) -> tuple[tuple[Model, int], ...]:
    """Versions whose deletion nobody has moved since then."""
    found = get_collection(Name.MODELS).find({"versions.deleting_at": {"$lt": untouched_since}}, limit=_SWEEP_LIMIT)
    return tuple(
        (model, version.version)
        for model in map(to_record, found)
        for version in model.leaving
        if version.deleting_at is not None and version.deleting_at < untouched_since
    )


def _with_version(model_id: str, user_id: str, version: int) -> Document:
    """One model of one person that has this version, and is not losing it."""
    present = {"version": version, "deleting_at": {"$exists": False}}
    return key_of(model_id, user_id) | {"versions": {"$elemMatch": present}}


def _changed(where: Document, change: Document | list[dict[str, Any]]) -> Model | None:
    found = get_collection(Name.MODELS).find_one_and_update(where, change, return_document=ReturnDocument.AFTER)
    return None if found is None else to_record(found)
