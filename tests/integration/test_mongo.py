"""The client of MongoDB: prepares it, answers in time, after forks and from many threads."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from datasets import repository as datasets
from models_app import jobs_repository as jobs
from smartml.errors import InvalidInput, MetadataUnavailable, NotFound
from storage import mongo, mongo_schema
from storage.ids import new_id
from storage.mongo_indexes import INDEXES
from storage.mongo_schema import VALIDATORS
from tests.records import (
    held_job,
    make_dataset,
    now,
    ready_dataset,
)

pytestmark = pytest.mark.usefixtures("stack")

USER_FIELDS = ("datasets_count", "models_count", "datasets_bytes", "models_bytes", "revision")


# --- Preparing -----------------------------------------------------------------------------------------------
def _state() -> dict[str, Any]:
    database = mongo.get_database()
    return {
        found["name"]: (found["options"], database[found["name"]].index_information())
        for found in database.list_collections()
    }


def test_preparing_twice_changes_nothing_and_keeps_documents():
    dataset = ready_dataset()
    before = _state()
    mongo.prepare_database()
    assert _state() == before
    assert set(before) == set(VALIDATORS)
    assert datasets.get(dataset_id=dataset.id, user_id=dataset.user_id) == dataset


def test_preparing_repairs_validators_and_indexes():
    before = _state()
    mongo.get_database().command("collMod", "datasets", validator={}, validationAction="warn")
    mongo.get_database().command("collMod", "jobs", validationLevel="off")
    mongo.get_collection("datasets").drop_index("by_name")
    mongo.get_collection("datasets").create_indexes([IndexModel([("user_id", 1), ("name", 1)], name="by_name")])
    mongo.get_collection("jobs").drop_indexes()
    mongo.prepare_database()
    assert _state() == before


def test_several_processes_may_prepare_at_once():
    before = _state()
    mongo.get_client().drop_database(mongo.get_database().name)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(mongo.prepare_database) for _ in range(8)]:
            done.result()
    assert _state() == before


def test_every_index_is_named_and_prepared():
    for name, (_, indexes) in _state().items():
        assert set(indexes) == {"_id_", *(index.document["name"] for index in INDEXES[name])}
        for index in indexes.values():
            assert "ns" not in index


# --- MongoDB away --------------------------------------------------------------------------------------------
OPERATIONS = {
    "ping": mongo.ping,
    "prepare": mongo.prepare_database,
    "read": lambda: datasets.get(dataset_id=new_id(), user_id=new_id()),
    "list": lambda: datasets.list_page(user_id=new_id()),
    "write": lambda: datasets.insert_uploading(dataset=make_dataset()),
    "transaction": lambda: datasets.remove(dataset_id=new_id(), user_id=new_id()),
    "job": lambda: jobs.claim(job_id=new_id(), owner="o", lease_seconds=1),
}


@pytest.fixture
def usual_patience(settings) -> None:
    settings.MONGODB_TIMEOUT_SECONDS = 2.5


@pytest.fixture
def closed_port(usual_patience) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port
    mongo.reset_client()


@pytest.fixture
def silent_port(usual_patience) -> Iterator[int]:
    """Connections are accepted (the kernel's backlog takes them) and nothing ever answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]
        mongo.reset_client()


def assert_unavailable_in_time(operation: Callable[[], object]) -> None:
    start = time.monotonic()
    with pytest.raises(MetadataUnavailable, match="does not answer"):
        operation()
    # A machine under load adds to the two and a half seconds; the driver's own patience is 30.
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_closed_port_is_reported_in_time(settings, closed_port: int, operation: str):
    settings.MONGODB_URI = f"mongodb://127.0.0.1:{closed_port}/?directConnection=true"
    assert_unavailable_in_time(OPERATIONS[operation])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_server_that_never_answers_is_reported_in_time(settings, silent_port: int, operation: str):
    settings.MONGODB_URI = f"mongodb://127.0.0.1:{silent_port}/?directConnection=true"
    assert_unavailable_in_time(OPERATIONS[operation])


class Relay:
    """A port in front of MongoDB that can fall silent: connections stay open and nothing comes through."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.flowing = threading.Event()
        self.flowing.set()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.server.getsockname()[1]
        self.sockets = [self.server]
        self.threads = [self._start(self._accept)]

    @staticmethod
    def _start(target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.server.accept()
                far = socket.create_connection(self.target)
                self.sockets += [near, far]
                self.threads += [self._start(self._pump, near, far), self._start(self._pump, far, near)]

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                sink.sendall(data)
        _hang_up(source, sink)

    def close(self) -> None:
        self.flowing.set()
        _hang_up(*self.sockets)
        for thread in self.threads:
            thread.join(5)
        for each in self.sockets:
            each.close()


def _hang_up(*sockets: socket.socket) -> None:
    """Wakes whoever reads or accepts on them, which closing alone does not."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(settings, usual_patience) -> Iterator[Relay]:
    from pymongo.uri_parser import parse_uri

    relay = Relay(parse_uri(settings.MONGODB_URI)["nodelist"][0])
    settings.MONGODB_URI = f"mongodb://127.0.0.1:{relay.port}/?directConnection=true"
    yield relay
    mongo.reset_client()
    relay.close()


@pytest.mark.parametrize("operation", ["list", "write", "transaction"])
def test_a_connection_that_falls_silent_is_reported_in_time_and_comes_back(relay: Relay, operation: str):
    OPERATIONS[operation]()
    relay.flowing.clear()
    assert_unavailable_in_time(OPERATIONS[operation])
    relay.flowing.set()
    deadline = time.monotonic() + 60
    while True:
        try:
            OPERATIONS[operation]()
            break
        except MetadataUnavailable:
            assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "uri", ["http://example.test", "mongodb://", "mongodb://127.0.0.1:notaport", "", "localhost"]
)
def test_an_address_that_is_none_is_a_clear_error(settings, uri: str):
    settings.MONGODB_URI = uri
    with pytest.raises(MetadataUnavailable, match="address") as caught:
        mongo.ping()
    assert "MONGODB_URI" in caught.value.hint


def test_refused_credentials_are_a_clear_error(settings):
    settings.MONGODB_URI = settings.MONGODB_URI.replace("mongodb://", "mongodb://nobody:wrong@")
    with pytest.raises(MetadataUnavailable, match="credentials"):
        datasets.get(dataset_id=new_id(), user_id=new_id())
    mongo.reset_client()


def test_faults_of_this_program_are_not_disguised():
    with pytest.raises(OperationFailure, match="unknown top level operator"), mongo.translated():
        mongo.get_collection("datasets").find_one({"$nonsense": 1})


# --- The client ----------------------------------------------------------------------------------------------
def test_threads_share_one_client():
    mongo.reset_client()
    with ThreadPoolExecutor(16) as pool:
        clients = list(pool.map(lambda _: mongo.get_client(), range(64)))
    assert len({id(client) for client in clients}) == 1


def test_a_change_of_settings_makes_a_new_client(settings):
    first = mongo.get_client()
    settings.MONGODB_TIMEOUT_SECONDS = 2.0
    second = mongo.get_client()
    assert second is not first
    assert mongo.get_client() is second


def test_a_forked_child_has_a_client_of_its_own_and_leaves_the_parents_alone():
    dataset = ready_dataset()
    parents = mongo.get_client()
    mongo.ping()
    # The lock is held by another thread at the moment of the fork, as it may be in a busy worker.
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with mongo._lock:
            held.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 2
        try:
            found = datasets.get(dataset_id=dataset.id, user_id=dataset.user_id)
            removed = datasets.remove(dataset_id=dataset.id, user_id=dataset.user_id)
            code = 0 if found == dataset and removed and mongo.get_client() is not parents else 1
        finally:
            os._exit(code)
    release.set()
    holder.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert mongo.get_client() is parents
    assert datasets.get(dataset_id=dataset.id, user_id=dataset.user_id) is None


# --- Transactions and helpers --------------------------------------------------------------------------------
def test_an_error_undoes_the_whole_transaction():
    before = now()

    def callback(session: Any) -> None:
        mongo.get_collection("users").insert_one(
            {"_id": ObjectId()} | dict.fromkeys(USER_FIELDS, 1), session=session
        )
        raise KeyError(before)

    with pytest.raises(KeyError):
        mongo.run_in_transaction(callback)
    assert mongo.get_collection("users").count_documents({}) == 0


def test_a_transaction_that_meets_another_runs_again():
    user = ObjectId()
    mongo.get_collection("users").insert_one({"_id": user} | dict.fromkeys(USER_FIELDS, 0))
    meeting, runs = threading.Barrier(2), []

    def callback(session: Any) -> None:
        runs.append(1)
        users = mongo.get_collection("users")
        count = users.find_one({"_id": user}, session=session)["datasets_count"]
        if len(runs) <= 2:
            meeting.wait(10)
        users.update_one({"_id": user}, {"$set": {"datasets_count": count + 1}}, session=session)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(mongo.run_in_transaction, callback) for _ in range(2)]:
            done.result()
    assert len(runs) == 3
    assert mongo.get_collection("users").find_one()["datasets_count"] == 2


@pytest.mark.parametrize("malformed", ["", "x", "0" * 23, "0" * 25, "G" * 24, "A" * 24, "../../etc/passwd"])
def test_a_malformed_id_is_not_found(malformed: str):
    with pytest.raises(NotFound):
        datasets.get(dataset_id=malformed, user_id=new_id())
    with pytest.raises(NotFound):
        jobs.get(job_id=malformed)


def test_text_that_utf8_cannot_hold_is_a_clear_error():
    dataset = ready_dataset()
    with pytest.raises(InvalidInput, match="characters"):
        datasets.set_target(dataset_id=dataset.id, user_id=dataset.user_id, target_column="\udcff")
    job = held_job()
    assert jobs.report(job_id=job.id, owner="worker", stage="Fitting \udcff" + "x" * 500)
    stored = jobs.get(job_id=job.id)
    assert stored is not None
    assert len(stored.stage) == mongo_schema.MAX_STAGE
