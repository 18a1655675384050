"""Pages of a list by keyset: a cursor remembers the last row shown, not a number of rows to skip.

Rows inserted or removed elsewhere therefore never repeat or hide a row of the next page. A cursor is opaque to
everybody else: it goes out in a link and comes back as it was.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from smartml.errors import InvalidInput
from storage.ids import is_id

T = TypeVar("T")
Key = str | int | datetime

MAX_PAGE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Beyond these a number is no BSON integer and no datetime; a cursor that holds one is not ours.
_MAX_INT = 2**63 - 1
_MAX_MILLISECONDS = 253_402_300_799_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some rows of a list; ``next_cursor`` is None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


def encode_cursor(*, order: str, key: Key, last_id: str) -> str:
    """The cursor that continues after the row with this sort key and id in the list sorted by ``order``."""
    value: list[str | int]
    if isinstance(key, datetime):
        # Integer arithmetic: a float of seconds loses the millisecond that MongoDB keeps.
        value = ["t", (key - _EPOCH) // _MILLISECOND]
    elif isinstance(key, str):
        value = ["s", key]
    else:
        value = ["i", key]
    text = json.dumps([order, *value, last_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *, order: str) -> tuple[Key, str]:
    """The sort key and id inside a cursor.

    :raises InvalidInput: it is not a cursor of this order (edited, cut short, or from another sorting).
    """
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made_for, kind, value, last_id = json.loads(raw)
        if made_for != order or not isinstance(last_id, str) or not is_id(last_id):
            raise ValueError("a cursor of another list")
        return _key(kind, value), last_id
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise InvalidInput(
            "This link to the next page is not valid any more.", hint="Go back to the first page of the list."
        ) from error


def clamp_limit(limit: int) -> int:
    """Between one row and ``MAX_PAGE``, whatever a query string asks for."""
    return max(1, min(limit, MAX_PAGE))


def _key(kind: object, value: object) -> Key:
    if kind == "s" and isinstance(value, str):
        value.encode()  # a lone surrogate is a ValueError here rather than in the driver
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if kind == "i" and abs(value) <= _MAX_INT:
            return value
        if kind == "t" and 0 <= value <= _MAX_MILLISECONDS:
            return _EPOCH + value * _MILLISECOND
    raise ValueError("no key of a kind that lists are sorted by")
