"""The one MongoDB client of a process, and what every repository needs around it.

Settings: ``MONGODB_URI``, ``MONGODB_DATABASE``, ``MONGODB_TIMEOUT_SECONDS``. The time-out bounds one operation
as a whole (choosing a server, connecting, sending, the driver's own retry), and one attempt at a transaction.
Transactions need a replica set; one node is enough.
"""

import os
import random
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

import pymongo
from bson import ObjectId
from bson.errors import InvalidStringData
from django.conf import settings
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    CollectionInvalid,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)

from smartml.errors import InvalidInput, MetadataUnavailable, NotFound
from storage.ids import is_id
from storage.mongo_indexes import INDEXES
from storage.mongo_schema import MAX_NAME, VALIDATORS

T = TypeVar("T")
Document = dict[str, Any]

_UNAUTHORIZED, _AUTHENTICATION_FAILED, _NOT_A_REPLICA_SET = 13, 18, 20
_NAMESPACE_EXISTS = 48
_INDEX_CONFLICTS = {85, 86}  # the same name with other options, or other keys
# Index builds on a grown collection take as long as they take.
_PREPARE_SECONDS = 600.0
_CONFLICT_SECONDS = 15.0
_TRANSIENT = "TransientTransactionError"

_lock = threading.Lock()
_client: MongoClient[Document] | None = None
_made_for: tuple[str, float] | None = None
# Clients of a parent process. They are kept, never closed: closing would speak on sockets the parent still uses.
_inherited: list[MongoClient[Document] | None] = []


def _after_fork() -> None:
    """A forked child starts with a client and a lock of its own."""
    global _client, _lock, _made_for
    _inherited.append(_client)
    _client, _made_for, _lock = None, None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def get_client() -> MongoClient[Document]:
    """The client of this process, made on first use and again after a fork or a change of settings.

    :raises MetadataUnavailable: the address in ``MONGODB_URI`` cannot be used.
    """
    global _client, _made_for
    wanted = (settings.MONGODB_URI, settings.MONGODB_TIMEOUT_SECONDS)
    with _lock:
        if _client is None or _made_for != wanted:
            _close()
            _client, _made_for = _connect(*wanted), wanted
        return _client


def reset_client() -> None:
    """Close the client; the next use makes a new one."""
    with _lock:
        _close()


def get_database() -> Database[Document]:
    """The application's database."""
    return get_client()[settings.MONGODB_DATABASE]


def get_collection(name: str) -> Collection[Document]:
    """One of ``datasets``, ``models``, ``jobs``, ``users``."""
    return get_database()[name]


def _close() -> None:
    global _client, _made_for
    if _client is not None:
        _client.close()
    _client, _made_for = None, None


def _connect(uri: str, seconds: float) -> MongoClient[Document]:
    milliseconds = int(seconds * 1000)
    try:
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            # The driver would take it for a host name and look it up.
            raise ConfigurationError("the scheme is neither mongodb:// nor mongodb+srv://")
        return MongoClient(
            uri,
            appname="smartml",
            tz_aware=True,
            timeoutMS=milliseconds,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            # Nothing is sent before the first operation, so that a web process starts while MongoDB is away.
            connect=False,
        )
    except (ConfigurationError, ValueError) as error:
        raise MetadataUnavailable(
            "The address of the metadata database cannot be used.", hint="Correct MONGODB_URI and restart."
        ) from error


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's faults into ``SmartMLError``; also usable as a decorator.

    Only what is not a fault of this program is translated: no answer, refused credentials, text that cannot be
    stored. Anything else (a document that a validator refuses, say) is a bug and stays as it is.
    """
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout) as error:
        raise MetadataUnavailable("The metadata database does not answer.") from error
    except OperationFailure as error:
        if error.code in {_UNAUTHORIZED, _AUTHENTICATION_FAILED}:
            raise MetadataUnavailable(
                "The metadata database refuses the app's credentials.", hint="Correct MONGODB_URI and restart."
            ) from error
        if error.code == _NOT_A_REPLICA_SET:
            raise MetadataUnavailable(
                "The metadata database runs without a replica set, so nothing can be stored safely.",
                hint="Start mongod with --replSet and initiate it once; one node is enough.",
            ) from error
        if error.has_error_label(_TRANSIENT):
            raise MetadataUnavailable("The metadata database is too busy.") from error
        raise
    except PyMongoError as error:
        if error.timeout:
            raise MetadataUnavailable("The metadata database does not answer.") from error
        raise
    except (InvalidStringData, UnicodeEncodeError) as error:
        raise InvalidInput("The text contains characters that cannot be stored.") from error


def run_in_transaction(callback: Callable[[ClientSession], T]) -> T:
    """Run ``callback(session)`` in one transaction and return what it returns.

    It runs again when MongoDB aborts it for a conflict with another one (``TransientTransactionError``), so it
    does nothing but database work and passes ``session`` to every operation. An exception undoes everything.

    The driver's own loop is not used: its one deadline is either too long for a server that has fallen silent
    or too short for many people at once. Here an attempt has the time of one operation, conflicts have longer.
    """
    give_up_at = time.monotonic() + _CONFLICT_SECONDS
    pause = 0.005
    while True:
        try:
            with (
                pymongo.timeout(settings.MONGODB_TIMEOUT_SECONDS),
                get_client().start_session() as session,
                session.start_transaction(),
            ):
                return callback(session)
        except OperationFailure as error:
            if not error.has_error_label(_TRANSIENT) or time.monotonic() > give_up_at:
                raise
        time.sleep(random.uniform(0, pause))  # noqa: S311 - spreads the attempts, guards nothing
        pause = min(pause * 1.5, 0.25)


@translated()
def ping() -> None:
    """Ask MongoDB for a sign of life.

    :raises MetadataUnavailable: none came within ``MONGODB_TIMEOUT_SECONDS``.
    """
    get_client().admin.command("ping")


@translated()
def prepare_database() -> None:
    """Bring collections, validators and indexes to what this version needs. Safe to repeat, also in several
    processes at once; documents are never touched.

    :raises MetadataUnavailable: MongoDB does not answer; said as soon as for any other operation.
    """
    ping()
    with pymongo.timeout(_PREPARE_SECONDS):
        database = get_database()
        existing = {found["name"]: found.get("options", {}) for found in database.list_collections()}
        for name, schema in VALIDATORS.items():
            _prepare_validator(database, name, {"$jsonSchema": schema}, existing.get(name))
            if INDEXES[name]:
                _prepare_indexes(database[name], INDEXES[name])


def _prepare_validator(
    database: Database[Document], name: str, validator: Document, existing: Mapping[str, Any] | None
) -> None:
    rules: Document = {"validator": validator, "validationLevel": "strict", "validationAction": "error"}
    if existing is None:
        try:
            database.create_collection(name, **rules)
            return
        except (CollectionInvalid, OperationFailure) as error:
            # Another process was faster; its version may be another one, so set the rules below.
            if isinstance(error, OperationFailure) and error.code != _NAMESPACE_EXISTS:
                raise
    elif all(existing.get(key, default) == rules[key] for key, default in _RULE_DEFAULTS.items()):
        return
    database.command("collMod", name, **rules)


_RULE_DEFAULTS: Document = {"validator": None, "validationLevel": "strict", "validationAction": "error"}


def _prepare_indexes(collection: Collection[Document], indexes: Sequence[pymongo.IndexModel]) -> None:
    try:
        collection.create_indexes(list(indexes))
    except OperationFailure as error:
        if error.code not in _INDEX_CONFLICTS:
            raise
        # One of them had other keys or options in an earlier version; which one the error does not say reliably.
        for index in indexes:
            _replace_index(collection, index)


def _replace_index(collection: Collection[Document], index: pymongo.IndexModel) -> None:
    try:
        collection.create_indexes([index])
    except OperationFailure as error:
        if error.code not in _INDEX_CONFLICTS:
            raise
        collection.drop_index(index.document["name"])
        collection.create_indexes([index])


def object_id(value: str) -> ObjectId:
    """The ObjectId of 24 hexadecimal characters.

    :raises NotFound: it is malformed, so nothing can have it.
    """
    if not is_id(value):
        raise NotFound("There is nothing with this id.")
    return ObjectId(value)


def known_fields(record: type, document: Mapping[str, Any]) -> Document:
    """The part of a document that a record has fields for: a newer version may have stored more."""
    names = {each.name for each in fields(record)}
    return {name: value for name, value in document.items() if name in names}


def clip(text: str, limit: int) -> str:
    """``text`` in a form that MongoDB and its validator take: for words of the program, never a person's data."""
    clean = text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def checked_name(name: str, *, field: str = "name") -> str:
    """A person's name for a thing, as it will be stored.

    :raises InvalidInput: empty, too long, or with characters that cannot be seen.
    """
    clean = name.strip()
    if not clean:
        raise InvalidInput("The name is empty.", fields={field: "Give it a name."})
    if len(clean) > MAX_NAME:
        sentence = f"Use at most {MAX_NAME} characters; this name has {len(clean)}."
        raise InvalidInput("The name is too long.", fields={field: sentence})
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in clean):
        sentence = "Use letters, digits, spaces and signs only; this name holds invisible control characters."
        raise InvalidInput("The name cannot be stored.", fields={field: sentence})
    return clean
