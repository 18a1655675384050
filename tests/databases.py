"""Prepared MongoDB databases for the tests of this process, each used by one test at a time.

Collections, validators and two score of indexes take MongoDB as long to make and to drop as most tests take, so
a database is emptied and used again. One that a test has changed (another validator, a collection more) is not.
"""

from collections import deque
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from smartml.local import parts
from storage import mongo
from storage.ids import new_id
from tests.services import SERVICES

# A database rests while others are used: what a killed process has still sent is not seen by the next test.
_ROUND = 4
_resting: deque[str] = deque()
_as_prepared: dict[str, Any] = {}


def take(settings: Any) -> str:
    """Name an empty, prepared database in the settings."""
    name = _emptied(_resting.popleft()) if len(_resting) >= _ROUND else None
    settings.MONGODB_DATABASE = name or f"test_{new_id()}"
    return name or _prepared(settings.MONGODB_DATABASE)


def give_back(name: str) -> None:
    _resting.append(name)


def drop_all() -> None:
    with _client() as client:
        for name in _as_prepared:
            client.drop_database(name)
    _resting.clear()
    _as_prepared.clear()


def _prepared(name: str) -> str:
    _as_prepared[name] = {}
    mongo.prepare_database()
    with _client() as client:
        _as_prepared[name] = _shape(client[name])
    return name


def _emptied(name: str) -> str | None:
    with _client() as client:
        if _shape(client[name]) != _as_prepared[name]:
            client.drop_database(name)
            del _as_prepared[name]
            return None
        for collection in _as_prepared[name]:
            client[name][collection].delete_many({})
    return name


def _shape(database: Database) -> dict[str, Any]:
    """Collections with their validators and indexes; their ids tell one from another of the same name."""
    return {
        found["name"]: (found, list(database[found["name"]].list_indexes()))
        for found in database.list_collections()
    }


def _client() -> MongoClient:
    return MongoClient(parts.mongodb_uri(SERVICES.mongodb_port), serverSelectionTimeoutMS=30_000)
