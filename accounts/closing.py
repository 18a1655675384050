"""Closing an account: everything it owns goes first, the account last.

The apps that store things for a person register a cleanup when they start; this module knows none of them.
A cleanup takes the user id, removes everything it is responsible for, and may be run again at any time: a
crash or a storage failure in the middle leaves the account marked ``closing_at``, and the sweep finishes it.
"""

import logging
from collections.abc import Callable

from django.utils import timezone

from accounts.models import User
from smartml.errors import SmartMLError

logger = logging.getLogger(__name__)

Cleanup = Callable[[str], object]
_cleanups: list[Cleanup] = []


def register(cleanup: Cleanup) -> None:
    """Run ``cleanup(user_id)`` when an account is closed; registering it twice changes nothing."""
    if cleanup not in _cleanups:
        _cleanups.append(cleanup)


def begin_closing(user: User) -> None:
    """From here on the account cannot sign in, and the sweep will finish what is left of it."""
    user.is_active = False
    user.closing_at = user.closing_at or timezone.now()
    user.save(update_fields=["is_active", "closing_at"])


def close_account(user: User) -> None:
    """Remove everything the account owns, then the account.

    Apps start in the order of ``INSTALLED_APPS``, each after those it builds on, so the last to register
    cleans first: models and jobs before the datasets they came from.

    :raises SmartMLError: a service does not answer; the account stays closing and can be resumed.
    """
    begin_closing(user)
    for cleanup in reversed(_cleanups):
        cleanup(user.id)
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
        else:
            gone.append(user_id)
    return gone
