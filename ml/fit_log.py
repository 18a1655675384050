"""What AutoGluon says while it fits, in sentences of our own.

Its lines may quote cells (classes, names of columns) and paths. So only lines of known kinds are taken, and of
these only numbers and names of models; everything else is dropped.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

MOST_LINES: Final = 30
LONGEST: Final = 200

_MODEL: Final = r"(?P<model>[A-Z][A-Za-z]+(?:_[A-Za-z0-9]+)*)"
_NUMBER: Final = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"

# Of these loggers the lines are heard, whatever the verbosity of the one above them.
_LOGGERS: Final = ("autogluon.tabular", "autogluon.core", "autogluon.features", "autogluon.common")

_Values = dict[str, Any]
_Say = Callable[[_Values], str]


def _whole(text: str) -> str:
    return f"{int(text):,}"


def _seconds(text: str) -> str:
    value = float(text)
    return f"{value:.0f} s" if value >= 10 else f"{value:.2g} s"


def _begins(found: _Values) -> str:
    if found["most"] is None or float(found["left"]) < float(found["most"]):
        return f"{found['model']}: fitting"
    return f"{found['model']}: fitting, with up to {_seconds(found['most'])} of the {_seconds(found['left'])} left"


def _scored(found: _Values) -> str:
    # An error is logged as a negative number, so that more is better.
    value = -float(found["score"]) if found["sign"] else float(found["score"])
    return f"{found['of']}: validation {found['metric'].replace('_', ' ')} {value:.6g}"


# (kind of line, what is said). ``of`` is the model that was spoken of last.
_KINDS: Final[tuple[tuple[re.Pattern[str], _Say], ...]] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (
            rf"Beginning AutoGluon training \.\.\. Time limit = (?P<n>{_NUMBER})s$",
            lambda found: f"The fit begins, for {_seconds(found['n'])} at most",
        ),
        (r"Train Data Rows:\s+(?P<n>\d+)$", lambda found: f"{_whole(found['n'])} rows to learn from"),
        (r"Train Data Columns:\s+(?P<n>\d+)$", lambda found: f"{_whole(found['n'])} columns to learn from"),
        (r"Tuning Data Rows:\s+(?P<n>\d+)$", lambda found: f"{_whole(found['n'])} rows to choose by"),
        (r"Using Feature Generators to preprocess", lambda found: "Preparing the columns"),
        (
            rf"Data preprocessing and feature engineering runtime = (?P<n>{_NUMBER})s",
            lambda found: f"The columns are prepared, after {_seconds(found['n'])}",
        ),
        (
            r"Automatically generating train/validation split with .*Train Rows: (?P<n>\d+), Val Rows: (?P<m>\d+)$",
            lambda found: f"{_whole(found['n'])} rows to learn from, {_whole(found['m'])} to choose by",
        ),
        (
            r"Fitting (?P<n>\d+) L(?P<m>\d+) models",
            lambda found: f"Up to {_whole(found['n'])} models are tried, on level {found['m']}",
        ),
        (
            rf"Fitting model: {_MODEL} \.\.\."
            rf"(?:\s+Training model for up to (?P<most>{_NUMBER})s of the (?P<left>{_NUMBER})s of remaining time)?",
            _begins,
        ),
        (
            r"Fitting (?P<n>\d+) child models",
            lambda found: f"{found['of']}: fitted on {_whole(found['n'])} folds",
        ),
        (
            rf"(?P<score>{_NUMBER})\s+= Validation score\s+\((?P<sign>-?)(?P<metric>[a-z][a-z0-9_]{{1,40}})\)$",
            _scored,
        ),
        (
            rf"(?P<n>{_NUMBER})s\s+= Training\s+runtime$",
            lambda found: f"{found['of']}: fitted in {_seconds(found['n'])}",
        ),
        (
            r"Ran out of time, early stopping on iteration (?P<n>\d+)",
            lambda found: f"{found['of']}: out of time after {_whole(found['n'])} rounds",
        ),
        (
            r"Ran out of time, stopping training early\. \(Stopping on epoch (?P<n>\d+)\)",
            lambda found: f"{found['of']}: out of time after {_whole(found['n'])} rounds",
        ),
        (
            rf"Time limit exceeded\.\.\. Skipping {_MODEL}\.",
            lambda found: f"{found['model']}: left out, its time was up",
        ),
        (
            rf"Not enough (?:CUDA )?memory (?:available )?to train {_MODEL}\.\.\.",
            lambda found: f"{found['model']}: left out for want of memory",
        ),
        (
            rf"No valid features to train {_MODEL}\.\.\.",
            lambda found: f"{found['model']}: left out, no column is of a kind it can use",
        ),
        (rf"Warning: Exception caused {_MODEL} to fail", lambda found: f"{found['model']}: failed, left out"),
        (r"Refitting models via", lambda found: "Refitting the models on all rows of the training"),
        (
            rf"AutoGluon training complete, total runtime = (?P<n>{_NUMBER})s \.\.\. Best model: {_MODEL}",
            lambda found: f"The fit is complete after {_seconds(found['n'])}",
        ),
    )
)


@dataclass(slots=True)
class Reader:
    """Understands one line after the other; remembers which model is spoken of."""

    of: str = field(default="A model")

    def read(self, line: str) -> str | None:
        """A sentence of at most LONGEST characters; None for a line of no known kind."""
        text = line.strip()
        for pattern, say in _KINDS:
            match = pattern.match(text)
            if match is None:
                continue
            found = match.groupdict()
            self.of = found.get("model") or self.of
            return say({**found, "of": self.of})[:LONGEST]
        return None


@contextmanager
def overheard(tell: Callable[[str], None]) -> Iterator[None]:
    """Meanwhile ``tell`` what AutoGluon says, as it says it; ``tell`` must not raise. Call it within
    ``ml.quiet.quiet_autogluon``: what that lets through still goes into the log, and nothing more."""
    top = logging.getLogger("autogluon")
    heard = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in heard]
    handler = _Handler(tell, level=top.getEffectiveLevel())
    top.addHandler(handler)
    top.propagate = False
    for logger in heard:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(heard, before, strict=True):
            logger.setLevel(level)
        top.propagate = True
        top.removeHandler(handler)


class _Handler(logging.Handler):
    """Stands between AutoGluon's loggers and the root; ``level`` is what passes on to it."""

    def __init__(self, tell: Callable[[str], None], *, level: int) -> None:
        super().__init__(logging.INFO)
        self._tell = tell
        self._passes = level
        self._reader = Reader()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= self._passes:
            logging.getLogger().handle(record)
        for line in record.getMessage().splitlines():
            said = self._reader.read(line)
            if said is not None:
                self._tell(said)
