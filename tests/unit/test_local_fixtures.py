"""The suite's own fixtures keep their promises."""

import os
import socket
import tempfile
from collections import deque
from pathlib import Path

import pytest

from storage import blobs, mongo
from tests import databases
from tests.services import RUN, WORKER


def test_data_is_prepared_and_empty(stack, user, client_for):
    assert mongo.get_database().name == stack.database
    assert set(mongo.get_database().list_collection_names()) >= {"datasets", "models", "jobs", "users"}
    storage = blobs.get_blobs()
    storage.check()
    assert storage.datasets_container == stack.datasets_container
    assert list(storage.list_prefix(stack.datasets_container, "")) == []
    assert os.environ["MONGODB_DATABASE"] == stack.database
    assert client_for(user).session["_auth_user_id"] == user.id


def test_a_database_is_used_again_empty_and_with_the_rules_it_was_made_with(settings, monkeypatch):
    monkeypatch.setattr(databases, "_resting", deque())
    monkeypatch.setattr(databases, "_ROUND", 1)
    name = databases.take(settings)
    counts = ("datasets_count", "models_count", "datasets_bytes", "models_bytes", "revision")
    mongo.get_database()["users"].insert_one(dict.fromkeys(counts, 1))
    databases.give_back(name)
    assert databases.take(settings) == name
    assert mongo.get_database()["users"].count_documents({}) == 0
    mongo.get_database().command("collMod", "users", validationLevel="off")
    databases.give_back(name)
    assert databases.take(settings) != name
    assert name not in mongo.get_client().list_database_names()


def test_everything_is_written_below_the_directory_of_the_run():
    assert Path(tempfile.gettempdir()) == RUN / (WORKER or "main") / "tmp"
    assert Path(os.environ["SMARTML_LOCAL_DIR"]).is_relative_to(RUN)


def test_connections_to_elsewhere_are_refused():
    with pytest.raises(RuntimeError, match="only this machine"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(RuntimeError, match="only this machine"):
        socket.getaddrinfo("example.com", 80)
