"""How every sweep goes through what it has found."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from smartml.errors import ServiceUnavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Each item of a service that does not answer takes seconds: after so many of them the rest waits for the next time.
PATIENCE_SECONDS: Final = 45.0


def each(items: Iterable[T], act: Callable[[T], int], *, what: str) -> int:
    """Call ``act`` with every item and return the sum of its answers.

    An item that fails is logged as ``what`` and does not keep the others from their turn; the first failure is
    raised at the end.
    """
    done, lost = 0, 0.0
    first: Exception | None = None
    for item in items:
        started = time.monotonic()
        try:
            done += act(item)
        except Exception as error:
            logger.exception("Sweep: %s failed.", what)
            first = first or error
            if isinstance(error, ServiceUnavailable):
                lost += time.monotonic() - started
            if lost > PATIENCE_SECONDS:
                logger.warning("Sweep: a service is away, so the rest (%s) waits for the next time.", what)
                break
    if first is not None:
        raise first
    return done
