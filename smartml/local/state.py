"""The directory of the local stack (``SMARTML_LOCAL_DIR``, default ``.local``): lock, secrets, ports, settings.

``secret.env`` (kept) and ``stack.env`` (only while the stack runs) are read by ``smartml.settings``, so every
``manage.py`` command in another shell finds the running stack. Nothing here needs Django's settings.
"""

import base64
import fcntl
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from smartml.local import LocalStackError
from smartml.local.addresses import keep_local

_REPOSITORY = Path(__file__).resolve().parent.parent.parent
DEMO_EMAIL = "demo@example.com"


def local_directory() -> Path:
    """The directory, made when absent; :raises LocalStackError: it cannot be written."""
    path = Path(os.environ.get("SMARTML_LOCAL_DIR") or _REPOSITORY / ".local").resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalStackError(f"The directory {path} cannot be made: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise LocalStackError(f"The directory {path} cannot be written; set SMARTML_LOCAL_DIR to another one.")
    return path


# --- Lock ----------------------------------------------------------------------------------------------------
@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory for this process; the operating system lets go of it even after ``kill -9``.

    :raises LocalStackError: another process holds it.
    """
    path = directory / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LocalStackError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
            raise LocalStackError(
                f"The local stack in {directory} is already running (process {holder}); stop it first, or set "
                "SMARTML_LOCAL_DIR to another directory."
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_running(directory: Path) -> bool:
    """Whether a process holds the directory."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


# --- Before Django's settings are read -----------------------------------------------------------------------
def prepare_settings(command: str) -> None:
    """Have a secret key and no address of somebody else's, and drop the addresses that a killed stack could not
    remove; ends the program with a sentence when the directory cannot be used."""
    try:
        directory = local_directory()
        ensure_secret_keys(directory)
        if not is_running(directory):
            remove_stack_env(directory)
    except LocalStackError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"The local stack's directory cannot be used: {error}.")
    if command == "runlocal":
        ignored = keep_local(directory)
        if ignored:
            print(ignored, flush=True)
        # It stores no blobs itself, and its parts are told the real address; this spares a warning about none.
        os.environ |= {
            "AZURE_STORAGE_ENABLED": "true",
            "AZURE_ACCOUNT_URL": "http://127.0.0.1:10000/devstoreaccount1",
        }
    if command == "automl":
        # It says what people need itself, and starts the services that the log would miss; -v 2 shows the log.
        os.environ.setdefault("LOG_LEVEL", "ERROR")


# --- Secrets -------------------------------------------------------------------------------------------------
def ensure_secret_keys(directory: Path) -> None:
    """Have a ``SECRET_KEY`` and a ``KAGGLE_CREDENTIALS_KEY`` in ``secret.env``, each made once."""
    path = directory / "secret.env"
    before = text = path.read_text() if path.is_file() else ""
    if "SECRET_KEY=" not in text:
        text += f"SECRET_KEY={secrets.token_urlsafe(50)}\n"
    if "KAGGLE_CREDENTIALS_KEY=" not in text:
        text += f"KAGGLE_CREDENTIALS_KEY={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}\n"
    if text != before:
        write_private(path, text)


def demo_password(directory: Path) -> str:
    """The demo account's password, made once."""
    path = directory / "demo-password"
    if not path.is_file():
        write_private(path, f"{secrets.token_urlsafe(12)}\n")
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads; it appears whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


# --- Settings of the running stack ---------------------------------------------------------------------------
def write_stack_env(directory: Path, environment: Mapping[str, str]) -> None:
    lines = [f"{name}={value}" for name, value in sorted(environment.items())]
    write_private(directory / "stack.env", "# Written by `manage.py runlocal`.\n" + "\n".join(lines) + "\n")


def remove_stack_env(directory: Path) -> None:
    (directory / "stack.env").unlink(missing_ok=True)


def remembered_ports(directory: Path) -> dict[str, int]:
    """The ports of the last start; addresses in bookmarks stay good."""
    try:
        stored = json.loads((directory / "ports.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return (
        {name: port for name, port in stored.items() if isinstance(port, int)} if isinstance(stored, dict) else {}
    )


def remember_ports(directory: Path, ports: Mapping[str, int]) -> None:
    write_private(directory / "ports.json", json.dumps(dict(ports)) + "\n")
