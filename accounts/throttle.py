"""How often one place, and one account, may try something in an hour.

Counters live in the cache ``limits``: with Redis one for all processes, in memory one for each. Every attempt is
counted before it is judged, so that many at once do not slip through.
"""

import hashlib
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from django.template.defaultfilters import date
from django.utils import timezone

from accounts.clients import client_network
from smartml.errors import TooManyRequests

WINDOW_SECONDS: Final = 3600
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``per_place`` is generous: a whole school may come from one address."""

    name: str
    per_place: int
    per_account: int
    message: str


SIGN_UP: Final = Limit(
    name="sign-up", per_place=60, per_account=10, message="There were too many attempts to make an account."
)
PASSWORD_RESET: Final = Limit(
    name="password-reset",
    per_place=60,
    per_account=5,
    message="There were too many requests for a new password. If there is an account, the link is in its mail.",
)
PASSWORD_CHANGE: Final = Limit(
    name="password-change",
    per_place=200,
    per_account=20,
    message="There were too many attempts to change this password.",
)
DELETE_ACCOUNT: Final = Limit(
    name="delete-account",
    per_place=200,
    per_account=20,
    message="There were too many attempts to delete this account.",
)
KAGGLE_TOKEN: Final = Limit(
    name="kaggle-token",
    per_place=200,
    per_account=20,
    message="There were too many attempts to store a Kaggle token.",
)
KAGGLE_LOOK: Final = Limit(
    name="kaggle-look",
    per_place=3000,
    per_account=300,
    message="You have looked through Kaggle very often in this hour.",
)
KAGGLE_IMPORT: Final = Limit(
    name="kaggle-import", per_place=300, per_account=30, message="You have imported very often in this hour."
)
API_TOKEN: Final = Limit(
    name="api-token", per_place=300, per_account=30, message="You have made very many tokens in this hour."
)
# With a random secret nobody gets anywhere; but each wrong one costs a look into the database.
WRONG_TOKEN: Final = Limit(
    name="wrong-token", per_place=1200, per_account=1200, message="There were too many requests with a wrong token."
)


def spend(request: HttpRequest, limit: Limit, *, account: str) -> None:
    """Count one attempt on ``account`` (an id, or an address that may have no account).

    :raises TooManyRequests: this place or this account has used up its attempts of the hour.
    """
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    spent = False
    for kind, who, allowed in (
        ("account", account.strip().lower(), limit.per_account),
        ("place", client_network(request), limit.per_place),
    ):
        # An empty field is nobody's address, and not every server knows where a request comes from.
        if who and _count(limit, kind, who, window) > allowed:
            spent = True
    if spent:
        left = int((window + 1) * WINDOW_SECONDS - now) + 1
        again = date(timezone.now() + timedelta(seconds=left), "H:i")
        raise TooManyRequests(limit.message, hint=f"Try again after {again} UTC.", retry_seconds=left)


def spend_request(*, token_id: int) -> None:
    """Count one request of a program with this token of the API.

    :raises TooManyRequests: it has used up those of this minute.
    """
    now = time.time()
    window = int(now // _MINUTE)
    most: int = settings.API_REQUESTS_PER_MINUTE
    if _increase(f"api:{token_id}:{window}", _MINUTE) > most:
        left = int((window + 1) * _MINUTE - now) + 1
        raise TooManyRequests(
            f"This token may send {most:,} requests a minute.",
            hint=f"Wait {left} seconds, and send many rows in one request rather than many requests.",
            retry_seconds=left,
        )


def _count(limit: Limit, kind: str, who: str, window: int) -> int:
    # Hashed: an address is personal, and may hold what a cache takes for no key.
    hashed = hashlib.sha256(who.encode()).hexdigest()
    return _increase(f"{limit.name}:{kind}:{window}:{hashed}", WINDOW_SECONDS)


def _increase(key: str, seconds: int) -> int:
    cache = caches["limits"]
    cache.add(key, 0, seconds)
    try:
        return int(cache.incr(key))
    except ValueError:  # it has run out between the two
        return 1
