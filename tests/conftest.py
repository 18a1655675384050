"""Fixtures of the whole suite. The services behind them are in ``tests.services``."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.cache import caches
from django.db import connections
from django.test import Client
from django.test.utils import override_settings

from accounts.models import User
from datasets.records import Dataset
from models_app import predictor
from smartml import health
from smartml.local.stack import DataServices
from storage import blobs, mongo
from storage.ids import new_id
from tests import databases
from tests.factories import stored_dataset
from tests.leftovers import all_temporary_files
from tests.services import RUN, SERVICES, WORKER, blob_service

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A prepared database and two containers that only this test sees."""

    services: DataServices
    database: str
    datasets_container: str
    models_container: str
    # In the temporary directory when the test began.
    found: frozenset[str]

    @property
    def environment(self) -> dict[str, str]:
        """What a program started by the test needs to see the same data; ``stack`` has set it for this process."""
        return {
            **self.services.environment,
            "MONGODB_DATABASE": self.database,
            "AZURE_DATASETS_CONTAINER": self.datasets_container,
            "AZURE_MODELS_CONTAINER": self.models_container,
        }


# --- The whole session ---------------------------------------------------------------------------------------
@pytest.fixture(autouse=True, scope="session")
def only_local_sockets() -> Iterator[None]:
    """A connection or a look-up that leaves this machine is a failure, in every thread."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded_connect(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))
        yield


@pytest.fixture(autouse=True, scope="session")
def no_cross_validation() -> Iterator[None]:
    """Tests train on tables so small that each would be cross-validated: five fits more, or fifteen."""
    with pytest.MonkeyPatch.context() as patch, override_settings(CROSS_VALIDATE_BELOW=0):
        patch.setenv("CROSS_VALIDATE_BELOW", "0")
        yield


def _is_local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _guarded_connect(original: Callable) -> Callable:
    def connect(self: socket.socket, address: object) -> object:
        if self.family != socket.AF_UNIX and not _is_local(address[0]):
            raise RuntimeError(f"A test tried to connect to {address!r}; only this machine is allowed.")
        return original(self, address)

    return connect


def _guarded_lookup(original: Callable) -> Callable:
    def getaddrinfo(host: object, *args: object, **kwargs: object) -> object:
        if not _is_local(host):
            raise RuntimeError(f"A test tried to look up {host!r}; only this machine is allowed.")
        return original(host, *args, **kwargs)

    return getaddrinfo


@pytest.fixture(autouse=True, scope="session")
def test_settings() -> Iterator[None]:
    """Static files without a collected manifest, and passwords that hash in no time."""
    staticfiles = "django.contrib.staticfiles.storage.StaticFilesStorage"
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        STORAGES={
            "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
            "staticfiles": {"BACKEND": staticfiles},
        },
    ):
        yield


@pytest.fixture(autouse=True, scope="session")
def predictor_stopped_at_the_end() -> Iterator[None]:
    """A page that predicts starts a process that is kept for the next prediction."""
    yield
    predictor.stop()


@pytest.fixture(autouse=True, scope="session")
def databases_dropped_at_the_end() -> Iterator[None]:
    yield
    databases.drop_all()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of a real model (``tests.opening``)."""
    from tests.opening import make_archive

    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """SQLite in a file, the one of ``DATABASE_URL``: programs that a test starts see the same rows."""
    connections["default"].settings_dict["TEST"]["NAME"] = str(RUN / (WORKER or "main") / "app.sqlite3")


# --- One test ------------------------------------------------------------------------------------------------
@pytest.fixture
def stack(settings: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Real MongoDB and Azurite, prepared and empty; what the test leaves in them no other test sees."""
    # Long enough for a server that the rest of the suite keeps busy; who tests the time-out sets it.
    settings.MONGODB_TIMEOUT_SECONDS = 20.0
    unique = new_id()
    made = Stack(
        services=SERVICES,
        database=databases.take(settings),
        datasets_container=f"datasets-{unique}",
        models_container=f"models-{unique}",
        found=all_temporary_files(),
    )
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    settings.AZURE_DATASETS_CONTAINER = made.datasets_container
    settings.AZURE_MODELS_CONTAINER = made.models_container
    blobs.reset_blobs()
    blobs.get_blobs().ensure_containers()
    try:
        yield made
    finally:
        # The process that predicts keeps a workspace, in which the next test would see a left-over.
        predictor.stop()
        _drop(made)


def _drop(stack: Stack) -> None:
    # A test may have pointed the settings elsewhere, so what is dropped is named here.
    blobs.reset_blobs()
    mongo.reset_client()
    os.environ |= stack.services.environment
    databases.give_back(stack.database)
    with blob_service() as service:
        for container in (stack.datasets_container, stack.models_container):
            service.delete_container(container)


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What the process remembers from the test before: attempts of this address, whether services answered."""
    caches["limits"].clear()
    health.forget()


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada@example.com", PASSWORD)


@pytest.fixture
def other_user(db: None) -> User:
    return User.objects.create_user("bob@example.com", PASSWORD)


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def dataset(stack: Stack, user: User) -> Dataset:
    """One of ``user`` that is ready; modules that need another have one of their own."""
    caches["default"].clear()
    return stored_dataset(user.id)


@pytest.fixture
def client_for() -> Callable[[User], Client]:
    """``client_for(user)``: a browser's stand-in in which that person is signed in."""

    def make(person: User) -> Client:
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make
