"""The last things that a training has said, for its live page."""

import logging
import re
import time
from typing import Final

from models_app import jobs_repository as jobs
from models_app.records import LogLine
from smartml.errors import MetadataUnavailable
from storage.mongo_schema import MAX_LOG_LINES

logger = logging.getLogger(__name__)

# A fit says several things at once: they are stored together, at the latest with what happens next.
STORE_SECONDS: Final = 1.0


class LogTail:
    """Keeps the last lines of one attempt."""

    def __init__(self, *, job_id: str, owner: str) -> None:
        self._job_id, self._owner = job_id, owner
        self._began = self._stored = time.monotonic()
        self._lines: list[LogLine] = []

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The last lines, oldest first."""
        return tuple(self._lines)

    def note(self, text: str) -> None:
        """Add a line, in the place of the one before where only numbers differ: one part after the other. It is
        stored with whatever is stored next."""
        line = LogLine(at_seconds=round(time.monotonic() - self._began, 1), text=text)
        if self._lines and _without_numbers(self._lines[-1].text) == _without_numbers(text):
            self._lines = self._lines[:-1]
        self._lines = [*self._lines, line][-MAX_LOG_LINES:]

    def hear(self, text: str) -> None:
        """The same in the middle of a fit, where nothing else may be stored for minutes. A fit does not end because
        its words could not be stored."""
        self.note(text)
        if time.monotonic() - self._stored < STORE_SECONDS:
            return
        self._stored = time.monotonic()
        try:
            jobs.report(job_id=self._job_id, owner=self._owner, log=self.lines)
        except MetadataUnavailable as error:
            logger.warning("Job %s: what the fit says could not be written: %s", self._job_id, error.message)


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "#", text)
