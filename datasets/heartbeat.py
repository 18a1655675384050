"""Telling the sweep that something is alive while its bytes go by."""

import logging
import time
from datetime import timedelta
from typing import Final

from datasets import repository
from smartml.errors import Conflict, ServiceUnavailable

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 20
# The sweep takes an upload for abandoned after many missed beats.
ABANDONED_AFTER: Final = timedelta(minutes=15)


class Heartbeat:
    """Says at most once in :data:`HEARTBEAT_SECONDS` that an upload, or the reading of a staged file, is alive."""

    def __init__(self, dataset_id: str) -> None:
        self._dataset_id = dataset_id
        self._beat = self._heard = time.monotonic()

    def touch(self) -> None:
        """That nobody hears it does no harm until the sweep may take the upload for abandoned.

        :raises Conflict: what was being uploaded or read has been deleted.
        """
        now = time.monotonic()
        if now - self._beat < HEARTBEAT_SECONDS:
            return
        self._beat = now
        try:
            alive = repository.touch(dataset_id=self._dataset_id)
        except ServiceUnavailable as error:
            if now - self._heard >= ABANDONED_AFTER.total_seconds():
                raise
            log.warning("Upload %s could not be marked as alive: %s", self._dataset_id, error.message)
            return
        if not alive:
            raise Conflict("This upload was deleted while it was running.", hint="Upload the file again.")
        self._heard = now
