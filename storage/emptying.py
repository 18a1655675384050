"""Deleting blobs until none is listed any more."""

import time
from collections.abc import Callable
from typing import Final

from smartml.errors import ServiceUnavailable
from storage.blobs import Removed

ATTEMPTS: Final = 3
PAUSE_SECONDS: Final = 0.5


def delete_all(delete: Callable[[], Removed]) -> Removed:
    """Call ``delete`` until its receipt says that nothing remains; one receipt for all of it.

    Blobs remain when somebody stored one while the others were being deleted.

    :raises ServiceUnavailable: some are still there after a few attempts. What the blobs belong to must stay on
        record then, so that the sweep can go on.
    """
    names: list[str] = []
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        removed = delete()
        names += removed.names
        if not removed.remaining:
            return Removed(count=len(names), names=tuple(names), prefix=removed.prefix, remaining=0)
    raise ServiceUnavailable(
        "Blob storage still holds files that were to be deleted.",
        hint="Nothing needs to be done: the deletion goes on by itself within minutes.",
    )
