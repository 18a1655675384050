"""AutoGluon's and its libraries' chatter goes into logging, never onto a stream or into an exception."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

logger = logging.getLogger(__name__)


@contextmanager
def quiet_autogluon(level: int = logging.WARNING) -> Iterator[None]:
    """Import AutoGluon and route what it says from ``level`` up to the root logger.

    On import AutoGluon gives its logger a stderr handler of its own and stops it from propagating. Warnings of
    the libraries below it are logged at DEBUG: a caller that turns warnings into errors would otherwise see
    models "fail" inside the fit for a deprecation nobody here can mend.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _log_warning
        import autogluon.tabular  # noqa: F401

        autogluon_logger = logging.getLogger("autogluon")
        for handler in list(autogluon_logger.handlers):
            autogluon_logger.removeHandler(handler)
        autogluon_logger.propagate = True
        autogluon_logger.setLevel(level)
        yield


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    logger.debug("%s: %s (%s:%s)", category.__name__, message, filename, lineno)
