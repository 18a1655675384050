"""The id of a thing that a form will make, signed for one person and one purpose.

A form carries the id of what it makes, so that sending it twice makes one thing. Ids follow one another, so an id
that anybody may choose could be one that somebody else's open form holds; only the server gives them out.
"""

from datetime import timedelta
from typing import Literal

from django.core import signing

from smartml.errors import InvalidInput
from storage.ids import is_id, new_id

Purpose = Literal["upload", "training", "kaggle", "batch"]
VALID_FOR = timedelta(days=7)


class StaleTicket(InvalidInput):
    """Too old, somebody else's, for another purpose, or never given out: not told apart."""

    code = "stale_form"


def issue(*, user_id: str, purpose: Purpose) -> str:
    """A ticket with a fresh id; safe in an address."""
    return _signer(user_id, purpose).sign(new_id())


def redeem(ticket: str, *, user_id: str, purpose: Purpose) -> str:
    """The id in the ticket; the same one each time.

    :raises StaleTicket: this person was given no such ticket within the last week.
    """
    try:
        value: str = _signer(user_id, purpose).unsign(ticket, max_age=VALID_FOR)
    except signing.BadSignature as error:
        raise StaleTicket("This form was out of date; send it again.", hint="") from error
    if not is_id(value):
        raise StaleTicket("This form was out of date; send it again.", hint="")
    return value


def _signer(user_id: str, purpose: Purpose) -> signing.TimestampSigner:
    return signing.TimestampSigner(sep=".", salt=f"smartml.ticket.{purpose}.{user_id}")
