"""When sign-in is closed: too many failures for one address from one place, or from one place altogether."""

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_failure_limit
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest


class SignInHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Adds the limit of a place, so that nobody tries one password on every address.

    It has no part in ``AXES_LOCKOUT_PARAMETERS``: its number is another one, and what stands there is forgotten
    after a good sign-in, which an attacker may have between the bad ones.
    """

    def get_failures(self, request: HttpRequest, credentials: dict[str, object] | None = None) -> int:
        failures = int(super().get_failures(request, credentials))
        if self._failures_from_here(request) >= settings.SIGN_IN_FAILURE_LIMIT_PER_IP:
            return max(failures, int(get_failure_limit(request, credentials)))
        return failures

    def _failures_from_here(self, request: HttpRequest) -> int:
        place = getattr(request, "axes_ip_address", None)
        if place is None:
            return 0
        attempts = AccessAttempt.objects.filter(ip_address=place, attempt_time__gte=get_cool_off_threshold(request))
        return int(attempts.aggregate(sum=Sum("failures_since_start"))["sum"] or 0)
