"""Whether the services a page stands on answer, asked side by side and within a fixed time."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection

from smartml.errors import ServiceUnavailable, SmartMLError
from storage import mongo
from storage.blobs import get_blobs

logger = logging.getLogger(__name__)

DEADLINE_SECONDS = 2.8
_BANNER_SECONDS = 30
_KEPT_SECONDS = 2.5
_lock = threading.Lock()
_known: tuple[float, "tuple[Check, ...]"] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    message: str


def check_all() -> tuple[Check, ...]:
    """One ``Check`` for each service; one that has not answered by the deadline has failed."""
    probes: dict[str, Callable[[], None]] = {
        "mongodb": mongo.ping,
        "blobs": lambda: get_blobs().check(),
        "accounts": _check_sql,
    }
    pool = ThreadPoolExecutor(max_workers=len(probes), thread_name_prefix="readyz")
    futures = {name: pool.submit(_probe, name, probe) for name, probe in probes.items()}
    wait(futures.values(), timeout=DEADLINE_SECONDS)
    # A probe that hangs ends by its own time-out; the answer does not wait for it.
    pool.shutdown(wait=False, cancel_futures=True)
    late = f"No answer within {DEADLINE_SECONDS:.0f} seconds."
    return tuple(future.result() if future.done() else Check(name, False, late) for name, future in futures.items())


def check_recently() -> tuple[Check, ...]:
    """The same, at most once in 2.5 seconds: anybody may ask, and asking costs three services and three threads.

    Who asks meanwhile waits for the one answer.
    """
    global _known
    with _lock:
        if _known is None or time.monotonic() - _known[0] > _KEPT_SECONDS:
            checks = check_all()
            _known = (time.monotonic(), checks)
        return _known[1]


def forget() -> None:
    """Ask afresh next time."""
    global _known
    with _lock:
        _known = None


def storage_problem() -> str | None:
    """Why blob storage does not answer, asked at most every 30 seconds; None when it does."""
    known = cache.get("storage_problem")
    if known is None:
        check = _probe("blobs", lambda: get_blobs().check())
        known = "" if check.ok else check.message
        cache.set("storage_problem", known, _BANNER_SECONDS)
    return str(known) or None


def _probe(name: str, probe: Callable[[], None]) -> Check:
    try:
        probe()
    except SmartMLError as error:
        return Check(name, False, error.message)
    except Exception:
        logger.exception("The %s check failed in an unforeseen way", name)
        return Check(name, False, "The check itself failed; the log has the details.")
    return Check(name, True, "Answers.")


def _check_sql() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        raise ServiceUnavailable("The accounts database does not answer.") from error
    finally:
        # Each probe has a thread of its own, and so a connection of its own.
        connection.close()
