"""What is done with accounts outside a form."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from axes.helpers import get_cool_off
from axes.utils import reset
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from storage import mongo_users


def ensure_demo_account(*, email: str, password: str) -> User:
    """The local stack's account: a member of staff, with this password whatever it was before."""
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        return User.objects.create_superuser(email, password)
    user.is_active = user.is_staff = user.is_superuser = True
    if user.closing_at is not None:
        # Its closing was interrupted; what has been removed stays removed.
        mongo_users.reopen(user_id=user.id)
        user.closing_at = None
    if not user.check_password(password):
        # Only then: a new hash signs every browser out.
        user.set_password(password)
    user.save()
    return user


def sign_in_name(request: HttpRequest, credentials: Mapping[str, object] | None = None) -> str | None:
    """The address that failed attempts are counted under: without regard to case, like the address itself."""
    source = credentials if credentials and "username" in credentials else request.POST
    name = source.get("username")
    return str(name).strip().lower() if name else None


def locked_until(request: HttpRequest) -> datetime:
    """When a locked-out person may try again; each attempt in between starts the wait anew."""
    return timezone.now() + (get_cool_off(request) or timedelta(hours=1))


def forget_failures(user: User) -> None:
    """Take back the lock that wrong passwords have put on this address."""
    reset(username=user.email.lower())


def want_mails(user: User, *, wanted: bool) -> None:
    """Whether this person gets a mail when a training has ended."""
    user.mail_when_done = wanted
    user.save(update_fields=["mail_when_done"])
