"""Closing an account: everything it owns goes first, the account last.

The apps that store things for a person register a cleanup when they start; this module knows none of them. A
cleanup takes the user id, removes everything it is responsible for, and may be run again at any time: a crash or a
storage failure in the middle leaves the account marked ``closing_at``, and the sweep finishes it.

Order: the account cannot sign in; a tombstone in the metadata, from which on nothing is stored for it by requests
and trainings that are still running; the cleanups; the person's folder in both containers, proven empty; what the
cleanups needed until then; the account. The tombstone stays for some days, for what is very late.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from axes.utils import reset
from django.utils import timezone

from accounts.models import User
from smartml.errors import SmartMLError
from storage import mongo_users, sweeping
from storage.blobs import get_blobs
from storage.emptying import delete_all

logger = logging.getLogger(__name__)

# Longer than the grace of blobs without metadata: only of people it knows does that sweep remove any.
TOMBSTONE_LIFE = timedelta(days=3)

Cleanup = Callable[[str], object]
_cleanups: list[Cleanup] = []
_last: list[Cleanup] = []


def register(cleanup: Cleanup, *, last: Cleanup | None = None) -> None:
    """Run ``cleanup(user_id)`` when an account is closed, and ``last(user_id)`` when no blob of it is left;
    registering them twice changes nothing."""
    if cleanup not in _cleanups:
        _cleanups.append(cleanup)
    if last is not None and last not in _last:
        _last.append(last)


def begin_closing(user: User) -> None:
    """From here on the account cannot sign in, and the sweep will finish what is left of it."""
    user.is_active = False
    user.closing_at = user.closing_at or timezone.now()
    # No harm when the sweep has just finished it.
    User.objects.filter(pk=user.pk).update(is_active=False, closing_at=user.closing_at)


def close_account(user: User) -> None:
    """Remove everything the account owns, then the account.

    Apps start in the order of ``INSTALLED_APPS``, each after those it builds on, so the last to register
    cleans first: models and jobs before the datasets they came from.

    :raises SmartMLError: a service does not answer, a training has not stopped yet, or blobs are left; the account
        stays closing and can be resumed.
    """
    user_id = user.id
    begin_closing(user)
    mongo_users.begin_closing(user_id=user_id)
    for cleanup in reversed(_cleanups):
        cleanup(user_id)
    removed = delete_all(partial(get_blobs().delete_everything_of, user_id=user_id))
    if removed.count:
        logger.warning("Closing account %s: %s blobs had no metadata.", user_id, removed.count)
    for cleanup in reversed(_last):
        cleanup(user_id)
    mongo_users.bury(user_id=user_id)
    # Nobody will sign in with this address, and who tried from where is personal too.
    reset(username=user.email.lower())
    user.delete()


def sweep_closing() -> list[str]:
    """Finish the closings that a crash or a failing service interrupted; returns the ids that are gone."""
    gone = []
    for user in User.objects.filter(closing_at__isnull=False):
        user_id = user.id
        try:
            close_account(user)
        except SmartMLError as error:
            logger.warning("Closing account %s is not finished: %s", user_id, error.message)
        except Exception:
            logger.exception("Closing account %s failed.", user_id)
        else:
            gone.append(user_id)
    return gone


def sweep_tombstones() -> int:
    """Forget the people whose account is long gone; returns how many."""

    def forget(user_id: str) -> bool:
        if User.objects.filter(pk=user_id).exists():
            return False  # its closing is not finished
        mongo_users.forget(user_id=user_id)
        return True

    old = mongo_users.tombstones(before=timezone.now() - TOMBSTONE_LIFE)
    return sweeping.each(old, forget, what="forgetting a closed account")
