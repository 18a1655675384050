"""The dashboard, health, and the pages of failures that no view raised."""

import sys
from collections.abc import Mapping

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import (
    DisallowedHost,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.template.defaultfilters import date
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from accounts.access import staff_required
from accounts.services import locked_until
from datasets import repository as datasets_repository
from models_app import jobs_repository
from models_app import repository as models_repository
from smartml import health
from smartml.errorpages import BadRequest, no_such_address, render_error
from smartml.errors import Forbidden, NotFound, SmartMLError, TooLarge, TooManyRequests
from smartml.htmx import UserRequest, is_api
from smartml.middleware import as_smartml_error

RECENT = 5


@require_safe
@never_cache
def dashboard(request: HttpRequest) -> HttpResponse:
    """The person's overview; a visitor gets the landing page at the same address."""
    if not request.user.is_authenticated:
        return render(request, "dashboard/landing.html")
    return render(request, "dashboard/page.html", _overview(request.user.id))


@login_required
@require_GET
@never_cache
def dashboard_summary(request: UserRequest) -> HttpResponse:
    """All of the dashboard again, while something is running."""
    return render(request, "dashboard/_summary.html", _overview(request.user.id))


def _overview(user_id: str) -> dict[str, object]:
    totals = datasets_repository.totals(user_id=user_id)
    return {
        "totals": totals,
        "stored_bytes": totals.datasets_bytes + totals.models_bytes + totals.batches_bytes,
        "active_jobs": jobs_repository.recent(user_id=user_id, limit=100, active_only=True),
        "jobs": jobs_repository.recent(user_id=user_id, limit=RECENT),
        "staged": datasets_repository.staged_of_user(user_id=user_id),
        "datasets": datasets_repository.list_page(user_id=user_id, limit=RECENT).items,
        "models": models_repository.list_page(user_id=user_id, limit=RECENT).items,
    }


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether everything a page needs answers: 200, or 503 naming what does not; staff are told why."""
    checks = health.check_recently()
    ready = all(check.ok for check in checks)
    states = {check.name: {"status": "ok" if check.ok else "failed"} for check in checks}
    if _is_staff(request):
        for check in checks:
            states[check.name]["message"] = check.message
    return JsonResponse({"status": "ok" if ready else "failed", "checks": states}, status=200 if ready else 503)


def _is_staff(request: HttpRequest) -> bool:
    try:
        return bool(request.user.is_authenticated and request.user.is_staff)
    except DatabaseError:  # who it is stands in the very service that does not answer
        return False


@staff_required
@require_GET
@never_cache
def storage_banner(request: UserRequest) -> HttpResponse:
    """For staff, loaded after the page: a line when blob storage does not answer, nothing when it does."""
    return render(request, "shared/_storage_banner.html", {"problem": health.storage_problem()})


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: Mapping[str, object] | None = None
) -> HttpResponse:
    """Too many wrong passwords from one place: for one address, with an account or without, or for several."""
    until = locked_until(request)
    return render_error(
        request,
        TooManyRequests(
            "There were too many attempts to sign in with this e-mail address, or from this network.",
            hint=f"Try again after {date(until, 'H:i')} UTC, or reset your password.",
            retry_seconds=int((until - timezone.now()).total_seconds()) + 1,
        ),
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return render_error(request, TooLarge("That form holds more data than this page accepts."))
    return render_error(request, _why_unreadable(exception))


def _why_unreadable(exception: Exception) -> BadRequest:
    """What Django has refused to read, in a sentence; its own words stay in the log."""
    if isinstance(exception, TooManyFieldsSent):
        most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        return BadRequest(f"That form has too many fields; this site reads at most {most:,}.", hint="Send fewer.")
    if isinstance(exception, TooManyFilesSent):
        most = settings.DATA_UPLOAD_MAX_NUMBER_FILES
        return BadRequest(f"That form holds too many files; this site reads at most {most:,}.", hint="Send fewer.")
    if isinstance(exception, MultiPartParserError):
        return BadRequest("The form arrived damaged or in part.", hint="Reload the page and send it again.")
    if isinstance(exception, DisallowedHost):
        return BadRequest(
            "This site does not answer under the name in the address.",
            hint="Use the address you were given; its operator can add names to ALLOWED_HOSTS.",
        )
    return BadRequest("The server could not understand what the browser sent.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render_error(request, Forbidden("Your account may not open this page."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render_error(
        request,
        Forbidden(
            "This form was open too long or came from another site, so it was not accepted.",
            hint="Reload the page, make sure cookies are allowed, and send it again.",
        ),
    )


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return render_error(request, no_such_address())
    return render_error(request, NotFound("There is no such page, or it belongs to somebody else."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django has logged the traceback; the page shows the request id to find it by."""
    error = as_smartml_error(sys.exc_info()[1])
    return render_error(request, error or SmartMLError("Something went wrong on our side. Nothing you did."))
