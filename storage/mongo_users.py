"""The ``users`` documents: what a person has in total, and whether the account is closing.

A document that carries ``closing_at`` is a tombstone. It outlives the account for a while, so that whatever was on
its way when the account was closed finds it and stores nothing. Whoever stores something for a person calls
:func:`count_in` in the same transaction: it writes the document, so of a closing and a storing at the same moment
one waits for the other, and the one that comes second sees what the first has done.
"""

from datetime import UTC, datetime
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from smartml.errors import AccountClosing
from storage.mongo import Document, get_collection, object_id, translated
from storage.mongo_schema import Name

_TOTALS: Final = ("datasets_count", "models_count", "datasets_bytes", "models_bytes")
_NOTHING: Final[Document] = dict.fromkeys(_TOTALS, 0)
_LIMIT: Final = 1000


def count_in(session: ClientSession, *, user_id: str, **more: int) -> None:
    """Raise a person's totals, also by nothing, in the transaction that stores something for them.

    :raises AccountClosing: the account is being deleted, or is gone; the transaction stores nothing.
    """
    # A change by nothing would not be a write, and would not meet that of a closing: hence `revision`.
    found = get_collection(Name.USERS).find_one_and_update(
        {"_id": object_id(user_id)},
        {"$inc": _NOTHING | more | {"revision": 1}},
        projection={"closing_at": 1},
        upsert=True,
        return_document=ReturnDocument.AFTER,
        session=session,
    )
    if found is not None and found.get("closing_at") is not None:
        raise AccountClosing("This account is being deleted, so nothing more can be stored in it.")


def uncount_in(session: ClientSession, *, user_id: str, **less: int) -> None:
    """Lower a person's totals in the transaction that removes something of theirs.

    Never below zero: a wrong total is for the storage audit to correct, not a reason to keep the thing.
    """
    lowered: dict[str, Any] = {
        field: {"$max": [0, {"$subtract": [f"${field}", amount]}]} for field, amount in less.items()
    }
    revision = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}
    get_collection(Name.USERS).update_one(
        {"_id": object_id(user_id)}, [{"$set": lowered | {"revision": revision}}], session=session
    )


@translated()
def begin_closing(*, user_id: str) -> None:
    """From here on nothing more is stored for this person."""
    get_collection(Name.USERS).update_one(
        {"_id": object_id(user_id)},
        {"$set": {"closing_at": datetime.now(UTC)}, "$inc": _NOTHING | {"revision": 1}},
        upsert=True,
    )


@translated()
def bury(*, user_id: str) -> None:
    """Keep nothing of a person but the tombstone, whose time begins now."""
    get_collection(Name.USERS).update_one(
        {"_id": object_id(user_id)},
        {"$set": _NOTHING | {"closing_at": datetime.now(UTC)}, "$inc": {"revision": 1}},
        upsert=True,
    )


@translated()
def reopen(*, user_id: str) -> None:
    """Take a tombstone back: the account is used again."""
    get_collection(Name.USERS).update_one(
        {"_id": object_id(user_id)}, {"$unset": {"closing_at": ""}, "$inc": _NOTHING | {"revision": 1}}
    )


@translated()
def tombstones(*, before: datetime) -> tuple[str, ...]:
    """The ids of people whose tombstone is older than that, the oldest first."""
    found = get_collection(Name.USERS).find(
        {"closing_at": {"$lt": before}}, {"_id": 1}, sort=[("closing_at", 1)], limit=_LIMIT
    )
    return tuple(str(document["_id"]) for document in found)


@translated()
def forget(*, user_id: str) -> None:
    """Drop a person's document, tombstone or not."""
    get_collection(Name.USERS).delete_one({"_id": object_id(user_id)})


@translated()
def known(*, user_ids: set[str]) -> set[str]:
    """Which of these people this database has ever stored something for, and not forgotten since."""
    wanted = [object_id(user_id) for user_id in user_ids]
    return {str(found["_id"]) for found in get_collection(Name.USERS).find({"_id": {"$in": wanted}}, {"_id": 1})}
