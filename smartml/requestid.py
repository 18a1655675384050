"""The id that ties a page, an error message and the log lines of one request together."""

import logging
import re
import secrets
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="-")
# What a balancer in front may send; anything else could forge log lines.
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def current_request_id() -> str:
    """The id of the request being answered; ``-`` outside of one."""
    return _current.get()


def begin(offered: str | None) -> str:
    """Start a request: keep a well-formed id from the balancer, else make one.

    Random: the ids of things follow one another, and this one is shown to everybody.
    """
    request_id = offered if offered and _ACCEPTED.fullmatch(offered) else secrets.token_hex(12)
    _current.set(request_id)
    return request_id


def end() -> None:
    """Forget the id: a thread answers one request after another."""
    _current.set("-")


class RequestIdFilter(logging.Filter):
    """Gives every log record a ``request_id``."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True
