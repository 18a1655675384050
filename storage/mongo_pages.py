"""Reads one page of a list by keyset, straight from an index."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any, TypeVar

from pymongo import ASCENDING, DESCENDING
from pymongo.collation import Collation
from pymongo.collection import Collection

from storage.mongo import Document, object_id
from storage.mongo_schema import MAX_NAME
from storage.paging import Page, clamp_limit, decode_cursor, encode_cursor

T = TypeVar("T")


def find_page(
    collection: Collection[Document],
    *,
    where: Document,
    order: str,
    cursor: str | None,
    limit: int,
    to_record: Callable[[Document], T],
    collation: Collation | None = None,
) -> Page[T]:
    """The documents of ``where`` after ``cursor``, sorted by ``order`` (a field; ``-field`` descending).

    The id breaks ties in the same direction, so that one index on (equalities of ``where``, field, ``_id``)
    serves the order both ways and rows with equal keys are neither repeated nor lost.

    :raises InvalidInput: the cursor is not one of this order.
    """
    field, descending = order.lstrip("-"), order.startswith("-")
    if cursor:
        # Not merged: `where` may hold a condition on the same field (a search in names sorted by name).
        where = {"$and": [where, _after(cursor, order=order, field=field, descending=descending)]}
    limit = clamp_limit(limit)
    direction = DESCENDING if descending else ASCENDING
    found = list(
        collection.find(where, sort=[(field, direction), ("_id", direction)], limit=limit + 1, collation=collation)
    )
    shown = found[:limit]
    more = len(found) > limit
    return Page(
        items=tuple(to_record(document) for document in shown),
        next_cursor=encode_cursor(order=order, key=shown[-1][field], last_id=str(shown[-1]["_id"]))
        if more
        else None,
    )


def _after(cursor: str, *, order: str, field: str, descending: bool) -> Document:
    key, last_id = decode_cursor(cursor, order=order)
    beyond, from_here = ("$lt", "$lte") if descending else ("$gt", "$gte")
    return {
        # This bound lets the scan start at the cursor; the alternatives alone would read the index from its start.
        field: {from_here: key},
        "$or": [{field: {beyond: key}}, {field: key, "_id": {beyond: object_id(last_id)}}],
    }


def name_contains(search: str) -> dict[str, Any]:
    """A filter for names that contain ``search``, whatever its case; every character stands for itself.

    It is evaluated on one person's documents only: combine it with ``user_id``.
    """
    text = search.strip()
    if not text:
        return {}
    if len(text) > MAX_NAME or any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        # `checked_name` lets no such name in, and a regular expression cannot hold all of these.
        return {"_id": {"$in": []}}
    return {"name": {"$regex": re.escape(text), "$options": "i"}}
