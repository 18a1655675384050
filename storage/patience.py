"""Waiting for a service that is away for a moment, where giving up at once would lose work that is done."""

import time
from collections.abc import Callable
from typing import TypeVar

from smartml.errors import ServiceUnavailable

T = TypeVar("T")


def insist(call: Callable[[], T], *, seconds: float, pause: float) -> T:
    """Call until the service answers.

    :raises ServiceUnavailable: it has not for ``seconds``; tried every ``pause`` seconds.
    """
    give_up = time.monotonic() + seconds
    while True:
        try:
            return call()
        except ServiceUnavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(pause)
