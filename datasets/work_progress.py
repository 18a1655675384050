"""What a handler of background work says and hears while it is at it; see :mod:`datasets.activities`."""

import logging
import threading
import time
from types import TracebackType
from typing import Any, Final, Self

from django.conf import settings

from datasets import activities_repository as repository
from datasets import stopping
from datasets.activity_records import Activity
from smartml.errors import JobCancelled, ServiceUnavailable

logger = logging.getLogger(__name__)

# How often a worker looks whether it shall stop, and stores what it reports.
BEAT_SECONDS: Final = 1.0
REPORT_SECONDS: Final = 0.5


class Stopped(Exception):
    """The worker has been told to stop: the work is put back."""


class LeaseLost(Exception):
    """Somebody else has ended or taken over the work, or what it was about is gone."""


class Progress:
    """What a handler says, and hears. A thread of its own renews the lease while the handler is busy elsewhere."""

    def __init__(self, activity: Activity, owner: str) -> None:
        self._activity = activity
        self._owner = owner
        self._interrupt: Exception | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._changes: dict[str, Any] = {}
        self._reported = 0.0
        self._thread = threading.Thread(target=self._beat, name=f"activity {activity.id}", daemon=True)

    def report(
        self,
        stage: str | None = None,
        progress: float | None = None,
        done_bytes: int | None = None,
        total_bytes: int | None = None,
    ) -> None:
        """Say how far the work is; stored at most twice a second.

        :raises JobCancelled: the person does not want it any more. Whatever else ends it is raised too: let
            everything but what has to be cleaned up pass.
        """
        share = None if progress is None else min(1.0, max(0.0, progress))
        said = {"stage": stage, "progress": share, "done_bytes": done_bytes, "total_bytes": total_bytes}
        with self._lock:
            self._changes |= {name: value for name, value in said.items() if value is not None}
        self.check()
        if time.monotonic() - self._reported >= REPORT_SECONDS:
            self._store()
            self.check()

    def check(self) -> None:
        """Raise when the work has to stop; costs nothing."""
        if self._interrupt is not None:
            raise self._interrupt

    @property
    def is_interrupted(self) -> bool:
        """Whether the work has to stop: for loops that wait for something else."""
        return self._interrupt is not None

    def _store(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, {}
            self._reported = time.monotonic()
        try:
            held = repository.renew(
                activity_id=self._activity.id,
                owner=self._owner,
                lease_seconds=settings.JOB_LEASE_SECONDS,
                changes=changes,
            )
        except ServiceUnavailable as error:
            # Progress only: MongoDB being away for a moment ends nothing.
            logger.warning("Activity %s: progress could not be written: %s", self._activity.id, error.message)
            with self._lock:
                self._changes = changes | self._changes
            return
        if held is None:
            self._interrupt = LeaseLost()
        elif held.cancel_requested:
            self._interrupt = self._interrupt or JobCancelled("This was cancelled.")

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            if stopping.asked():
                self._interrupt = self._interrupt or Stopped()
            self._store()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
