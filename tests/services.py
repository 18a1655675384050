"""The services that the suite runs against, as a plugin that pytest loads before Django's settings are read.

One MongoDB and one Azurite for a run, in one directory for everything that the run writes; ``TMPDIR`` leads
there too, into a directory for each process. The process that was started by hand owns them; pytest-xdist's
workers inherit the environment. At the end nothing may be left: no process, no workspace, no database, no
container. What is left fails the run.
"""

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from azure.storage.blob import BlobServiceClient
from pymongo import MongoClient

from smartml.local import LocalStackError, parts
from smartml.local.machine import STACK_MARK, free_port, marked_processes, stop_processes
from smartml.local.stack import DataServices, data_services

RUN_MARK = "SMARTML_TEST_RUN"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
# Azurite's published key.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# Nothing listens there, and no server of another test can come to, as it might on a port that is free just now.
CLOSED_PORT = 1
WORKSPACES = ("kaggle_", "dataset_", "model_")


def prepare_environment() -> Path:
    """Point every setting into this run's directory. Runs before the settings are read, in every process."""
    if not WORKER:
        run = Path(tempfile.mkdtemp(prefix=f"smartml-tests-{os.getpid()}-")).resolve()
        ports = DataServices(mongodb_port=free_port(), azurite_port=free_port())
        os.environ |= {RUN_MARK: str(run), "SMARTML_TEST_MONGODB_PORT": str(ports.mongodb_port)}
        os.environ |= {"SMARTML_TEST_AZURITE_PORT": str(ports.azurite_port), "PYTEST_DEBUG_TEMPROOT": str(run)}
        os.environ |= ports.environment
    run = Path(os.environ[RUN_MARK])
    own = run / (WORKER or "main")
    (own / "static").mkdir(parents=True)
    # One for each process: tests say what is left in it while others are at work.
    (own / "tmp").mkdir()
    tempfile.tempdir = None
    os.environ |= {
        "TMPDIR": str(own / "tmp"),
        "SMARTML_LOCAL_DIR": str(own),
        "DATABASE_URL": f"sqlite:///{own / 'app.sqlite3'}",
        "STATIC_ROOT": str(own / "static"),
        # Tests run beside each other: threads that wait for each other while they spin would take the others' time.
        "OMP_NUM_THREADS": "1",
        "AG_CPU_COUNT": "1",
        "CACHE_URL": "locmemcache://smartml",
        "EMAIL_URL": "consolemail://",
        "SECRET_KEY": "a-key-that-only-the-tests-use-0123456789-abcdefghij",
        # Nobody's own: neither is a token of whoever runs the tests used, nor Kaggle itself asked.
        "KAGGLE_CREDENTIALS_KEY": "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
        "KAGGLE_API_TOKEN": "",
        "KAGGLE_USERNAME": "",
        "KAGGLE_KEY": "",
        "KAGGLE_BASE_URL": "http://127.0.0.1:9",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        # Not the application's names: a test that forgot the `stack` fixture must not find anything there.
        "MONGODB_DATABASE": "not_prepared",
        "AZURE_DATASETS_CONTAINER": "not-prepared-datasets",
        "AZURE_MODELS_CONTAINER": "not-prepared-models",
    }
    return run


RUN = prepare_environment()
SERVICES = DataServices(
    mongodb_port=int(os.environ["SMARTML_TEST_MONGODB_PORT"]),
    azurite_port=int(os.environ["SMARTML_TEST_AZURITE_PORT"]),
)
_running = ExitStack()
if not WORKER:
    # pytest does not unconfigure when it fails before the first test, for example over a setting.
    atexit.register(lambda: RUN.exists() and clean_up())
_left: list[str] = []


def blob_service(url: str = "") -> BlobServiceClient:
    """A client of the run's Azurite (or of another one), apart from the application's own."""
    credential = {"account_name": parts.AZURITE_ACCOUNT, "account_key": AZURITE_KEY}
    return BlobServiceClient(url or parts.azurite_url(SERVICES.azurite_port), credential=credential)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the services before xdist starts its workers."""
    if WORKER or session.config.option.collectonly:
        return
    remove_dead_runs()
    # A SIGTERM must take the same way out as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _running.enter_context(
            data_services(RUN / "services", mongodb_port=SERVICES.mongodb_port, azurite_port=SERVICES.azurite_port)
        )
    except LocalStackError as error:
        raise pytest.UsageError(str(error)) from None
    # A transaction whose client is gone keeps its database from being dropped; a minute would be waited for it.
    with MongoClient(parts.mongodb_uri(SERVICES.mongodb_port)) as client:
        client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=15)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look for what the tests left behind, in the process that owns the services, after xdist's workers ended."""
    if WORKER or session.config.option.collectonly:
        return
    _left.extend(left_behind())
    if _left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left:
        terminalreporter.section("left behind by the tests", red=True)
        for line in _left:
            terminalreporter.line(line)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if not WORKER and RUN.exists():
        clean_up()


def clean_up() -> None:
    """Stop the services and remove the directory of the run; a Ctrl-C meanwhile must not leave a server behind."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _running.close()
        stop_processes(marked_processes({RUN_MARK: str(RUN)}), within=2)
        shutil.rmtree(RUN, ignore_errors=True)
    finally:
        signal.signal(signal.SIGINT, old)


def remove_dead_runs() -> None:
    """Stop and remove what a run left that was killed with SIGKILL."""
    for run in RUN.parent.glob("smartml-tests-*-*"):
        owner = run.name.split("-")[2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            stop_processes(marked_processes({RUN_MARK: str(run)}), within=2)
            shutil.rmtree(run, ignore_errors=True)


def left_behind() -> list[str]:
    """A line for each process, workspace, database and container that should be gone."""
    return [*_left_processes(), *_left_workspaces(), *_left_databases(), *_left_containers()]


def _left_processes(patience: float = 5.0) -> list[str]:
    services = str(RUN / "services")
    deadline = time.monotonic() + patience
    while True:
        lines = []
        for process in marked_processes({RUN_MARK: str(RUN)}):
            with contextlib.suppress(psutil.Error):
                if process.environ().get(STACK_MARK) != services:
                    lines.append(f"process {process.pid}: {' '.join(process.cmdline())[:200]}")
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.2)


def _left_workspaces() -> list[str]:
    return [f"directory {path}" for path in RUN.glob("*/tmp/*") if path.name.startswith(WORKSPACES)]


def _left_databases() -> list[str]:
    with MongoClient(parts.mongodb_uri(SERVICES.mongodb_port), serverSelectionTimeoutMS=5000) as client:
        names = set(client.list_database_names()) - {"admin", "config", "local"}
    return [f"MongoDB database {name}" for name in sorted(names)]


def _left_containers() -> list[str]:
    with blob_service() as service:
        return [f"container {container.name}" for container in service.list_containers()]
