"""Brings databases, storage and static files to what this version needs, and skips what the last start has done.

Collections and containers are looked at every time, which costs a moment. Migrations, static files and the demo
account need a program that takes seconds; it runs when something it depends on has changed since it last ran.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import ERROR
from django.db import Error as SQLError

from smartml import checks
from smartml.errors import SmartMLError
from smartml.local import LocalStackError, state
from smartml.local.machine import STACK_MARK
from smartml.local.reload import source_stamps
from smartml.local.stack import DataServices
from storage import blobs, mongo

_ROOT = Path(__file__).resolve().parent.parent.parent
_SECONDS = 300


def check_settings() -> None:
    """The system checks that would stop any other command; :raises LocalStackError: one has found an error."""
    for check in checks.ALL:
        for finding in check():
            if finding.level >= ERROR:
                raise LocalStackError(f"{finding.msg} {finding.hint or ''}".strip())


def prepare(directory: Path, services: DataServices, *, password: str, static: bool) -> None:
    """Prepare everything; :raises LocalStackError: it failed."""
    note = directory / "prepared"
    before = note.read_text() if note.is_file() else ""
    if before == _state(directory, static=static):
        _prepare_services(services)
        return
    note.unlink(missing_ok=True)
    _run_prepare(directory, password=password, static=static)
    state.write_private(note, _state(directory, static=static))


def _prepare_services(services: DataServices) -> None:
    """What ``manage.py prepare`` does to MongoDB and the blob store, without starting a program."""
    settings.MONGODB_URI = services.environment["MONGODB_URI"]
    settings.AZURE_ACCOUNT_URL = services.environment["AZURE_ACCOUNT_URL"]
    try:
        mongo.prepare_database()
        blobs.get_blobs().ensure_containers()
    except SmartMLError as error:
        raise LocalStackError(f"Preparing the databases failed: {error.message} {error.hint}".strip()) from error
    finally:
        mongo.reset_client()
        blobs.reset_blobs()


def _run_prepare(directory: Path, *, password: str, static: bool) -> None:
    log_path = directory / "logs" / "prepare.log"
    try:
        with log_path.open("wb") as log:
            done = subprocess.run(
                [sys.executable, str(_ROOT / "manage.py"), "prepare", *(["--static"] if static else [])],
                env={
                    **os.environ,
                    "DEMO_EMAIL": state.DEMO_EMAIL,
                    "DEMO_PASSWORD": password,
                    STACK_MARK: str(directory),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
                start_new_session=True,
            )
    except subprocess.TimeoutExpired:
        raise LocalStackError(
            f"Preparing the databases took more than {_SECONDS} seconds (see {log_path})."
        ) from None
    if done.returncode != 0:
        lines = log_path.read_text(errors="replace").strip().splitlines() or ["no output"]
        raise LocalStackError(f"Preparing the databases failed: {lines[-1][:300]} (see {log_path}).")


# --- What a preparation depends on ---------------------------------------------------------------------------
def _state(directory: Path, *, static: bool) -> str:
    """A checksum of the code, the packages, the static files, the accounts' database and the demo account."""
    checksum = hashlib.sha256()
    for fact in _facts(directory, static=static):
        checksum.update(repr(fact).encode() + b"\n")
    return checksum.hexdigest()


def _facts(directory: Path, *, static: bool) -> Iterator[object]:
    yield sys.version
    # Installing or removing a package changes the directory that packages are in.
    yield _stamp(Path(sysconfig.get_path("purelib")))
    yield sorted(source_stamps(_ROOT).items())
    # Its identity: a database that was removed and made anew is another one.
    yield settings.DATABASES["default"]["ENGINE"], settings.DATABASES["default"]["NAME"]
    yield settings.DATABASES["default"].get("HOST"), settings.DATABASES["default"].get("PORT")
    with contextlib.suppress(OSError):
        yield Path(settings.DATABASES["default"]["NAME"]).stat().st_ino
    yield (directory / "demo-password").read_text()
    yield _demo_account()
    yield static
    if static:
        yield sorted((path, _stamp(path)) for path in (_ROOT / "static").rglob("*"))
        yield settings.STATIC_ROOT, _stamp(Path(settings.STATIC_ROOT) / "staticfiles.json")


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _demo_account() -> object:
    """Everything the preparation sees to; None where there is no account or no database yet."""
    columns = ("pk", "password", "is_active", "is_staff", "is_superuser", "closing_at")
    try:
        return get_user_model().objects.filter(email=state.DEMO_EMAIL).values_list(*columns).first()
    except SQLError:
        return None
