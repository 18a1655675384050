"""Keeps the local stack off databases and caches that are not this machine's own.

It migrates, makes a demo account and takes the queue's messages: all of it wanted here only, whatever ``.env``
says for the real service.
"""

import os
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import environ

_ENV_FILE = Path(__file__).resolve().parent.parent.parent / ".env"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_IN_MEMORY = {"locmemcache", "dummycache"}
# Options of the database's driver that lead elsewhere whatever the host is.
_DETOURS = {"host", "hostaddr", "service", "servicefile", "passfile"}


class _EnvFile(environ.Env):  # type: ignore[misc]  # has no types
    """Reads a file without touching the environment."""

    ENVIRON: ClassVar[dict[str, str]] = {}


def keep_local(directory: Path) -> str | None:
    """Point ``DATABASE_URL`` and ``CACHE_URL`` into the stack unless they lead to this machine.

    Returns the sentence about those that were set and are ignored; it quotes none, they hold passwords.
    """
    database = directory / "app.sqlite3"
    given = _given()
    ignored = []
    if not _is_on_loopback(given.get("DATABASE_URL", "")):
        if given.get("DATABASE_URL") and not _is_file(given["DATABASE_URL"], database):
            ignored.append("DATABASE_URL")
        given["DATABASE_URL"] = f"sqlite:///{database}"
    if not _is_on_loopback(given.get("CACHE_URL", "")) and _scheme(given.get("CACHE_URL", "")) not in _IN_MEMORY:
        if given.get("CACHE_URL"):
            ignored.append("CACHE_URL")
        given["CACHE_URL"] = "locmemcache://smartml"
    os.environ |= {name: given[name] for name in ("DATABASE_URL", "CACHE_URL")}
    if not ignored:
        return None
    return (
        f"Ignored here: {' and '.join(ignored)}. The local stack uses {database} and a cache in memory; set an "
        "address on 127.0.0.1 for others."
    )


def _given() -> dict[str, str]:
    """The settings as ``smartml.settings`` would read them."""
    _EnvFile.ENVIRON.clear()
    if _ENV_FILE.is_file():
        _EnvFile.read_env(_ENV_FILE)
    return {**_EnvFile.ENVIRON, **os.environ}


def _is_on_loopback(url: str) -> bool:
    try:
        address = urlsplit(url)
        detours = _DETOURS.intersection(parse_qs(address.query, keep_blank_values=True))
        # Several hosts, with a comma between them, are each looked at.
        hosts = [urlsplit(f"//{one}").hostname for one in address.netloc.rpartition("@")[2].split(",")]
    except ValueError:
        return False
    return not detours and all(host in _LOOPBACK for host in hosts)


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def _is_file(url: str, path: Path) -> bool:
    if _scheme(url) not in {"sqlite", "sqlite3"}:
        return False
    return Path(url.partition("://")[2].removeprefix("/").partition("?")[0]).resolve() == path.resolve()
