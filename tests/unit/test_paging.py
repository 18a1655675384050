"""Cursors come back as they went out, or are refused."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from smartml.errors import InvalidInput
from storage.paging import MAX_PAGE, clamp_limit, decode_cursor, encode_cursor

# Fixed, because it is part of the names of tests.
ID = "6b05a9f72f422aa7a6681194"

MOMENT = datetime(2025, 3, 1, 12, 30, 15, 987_000, tzinfo=UTC)


def _wrap(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("key", ["", "Zebra", 'a"b\\c', "Żółw 🐢", 0, 2**60, MOMENT])
def test_a_cursor_comes_back(key: str | int | datetime):
    last_id = ID
    cursor = encode_cursor(order="-name", key=key, last_id=last_id)
    assert decode_cursor(cursor, order="-name") == (key, last_id)
    assert cursor.isascii()
    assert not set(cursor) & set("=+/&?#")


def test_times_are_exact_to_the_millisecond():
    for milliseconds in range(0, 1000, 7):
        moment = MOMENT.replace(microsecond=0) + timedelta(milliseconds=milliseconds)
        cursor = encode_cursor(order="x", key=moment, last_id=ID)
        assert decode_cursor(cursor, order="x")[0] == moment


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!!!",
        "é",
        "\udcff",
        "AAAA",
        "9" * 3000,
        _wrap([]),
        _wrap({"name": 1}),
        _wrap(None),
        _wrap(["name", "s", "a"]),
        _wrap(["name", "s", "a", "not-an-id"]),
        _wrap(["name", "s", "a", 5]),
        _wrap(["name", "s", {"$gt": ""}, ID]),
        _wrap(["name", "s", 5, ID]),
        _wrap(["name", "s", "\udcff", ID]),
        _wrap(["name", "t", 10**18, ID]),
        _wrap(["name", "t", -1, ID]),
        _wrap(["name", "i", 2**70, ID]),
        _wrap(["name", "i", True, ID]),
        _wrap(["name", "i", 1.5, ID]),
        _wrap(["name", "?", "a", ID]),
        _wrap(["-name", "s", "a", ID]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("="),
    ],
)
def test_anything_else_is_refused(cursor: str):
    with pytest.raises(InvalidInput, match="not valid any more"):
        decode_cursor(cursor, order="name")


def test_a_limit_is_kept_within_reason():
    assert [clamp_limit(n) for n in (-5, 0, 1, 20, 10**9)] == [1, 1, 1, 20, MAX_PAGE]
