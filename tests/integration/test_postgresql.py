"""Accounts, sessions and the queue's broker on PostgreSQL, chosen by ``DATABASE_URL`` alone."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smartml.local.machine import free_port
from tests.services import RUN

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def _program(name: str) -> str | None:
    """A server program; Debian keeps it off PATH, in a directory by version."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(versions[-1]) if versions else shutil.which(name)


@pytest.fixture
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A throw-away server on loopback. It refuses to run as root, so then it runs as ``postgres``."""
    if not _program("postgres"):
        pytest.skip("PostgreSQL is not installed; .ci/run installs it")
    home = tmp_path_factory.mktemp("postgresql")
    run_as: dict[str, object] = {}
    if os.geteuid() == 0:
        run_as = {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
        for directory in (home, *home.parents):
            directory.chmod(directory.stat().st_mode | 0o055)
            if directory == RUN:
                break
        shutil.chown(home, "postgres")
    data, port = home / "data", free_port()
    quiet = {"check": True, "capture_output": True, "cwd": "/", **run_as}
    subprocess.run(
        [
            _program("initdb"),
            "-D",
            data,
            "-U",
            "tester",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--no-locale",
        ],
        **quiet,
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    log = home / "log"
    subprocess.run([_program("pg_ctl"), "-D", data, "-l", log, "-w", "-o", options, "start"], **quiet)
    try:
        yield f"postgres://tester@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([_program("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop"], **quiet)


SCRIPT = """
import django
django.setup()
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
call_command("prepare", static=True, verbosity=0)
call_command("prepare", verbosity=0)
from accounts.models import User
from django.test import Client
from django_q.models import OrmQ, Schedule
user = User.objects.create_user("Ada@Example.com", "a long enough passphrase")
try:
    with transaction.atomic():
        User.objects.create_user("ADA@example.com", "x")
except IntegrityError:
    print("unique without regard to case")
client = Client()
answer = client.post("/accounts/sign-in", {"username": "ada@example.com", "password": "a long enough passphrase"})
print("signed in", answer.status_code, client.get("/").status_code)
from models_app import queue
from storage.ids import new_id
queue.enqueue(new_id())
print(connection.vendor, OrmQ.objects.count(), Schedule.objects.count())
"""


def test_accounts_sessions_and_queue_work_on_postgresql(stack, database_url, tmp_path):
    environment = os.environ | stack.environment
    environment |= {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "smartml.settings",
        "ALLOWED_HOSTS": "testserver",
        "STATIC_ROOT": str(tmp_path / "static"),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.strip().splitlines()
    assert said[-3:] == ["unique without regard to case", "signed in 302 200", "postgresql 1 2"]
