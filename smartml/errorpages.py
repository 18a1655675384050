"""A failure as a page, a fragment or JSON: the one place that turns errors into answers.

JSON: ``{"error": {"code", "message", "hint", "fields"}}``. A page for a status of 500 or more reads no database:
it must render when MongoDB, SQL or both are down.
"""

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from smartml.errors import NotFound, SmartMLError, StorageNotConfigured, TooManyRequests
from smartml.htmx import as_alert, is_api, wants_fragment, wants_json
from smartml.requestid import current_request_id

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10
_TITLES = {
    400: "That request could not be read",
    401: "Please sign in",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not possible this way",
    409: "Not possible right now",
    410: "No longer there",
    413: "Too large",
    415: "Not in this format",
    422: "That cannot be used",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Not available right now",
}


class BadRequest(SmartMLError):
    status = 400
    code = "bad_request"
    default_hint = "Go back, reload the page and try again."


class SignInRequired(SmartMLError):
    status = 401
    code = "sign_in_required"
    default_hint = "Sign in and try again."


class MethodNotAllowed(SmartMLError):
    status = 405
    code = "method_not_allowed"
    default_hint = "Use the buttons and links of the page."


def no_such_address() -> NotFound:
    """What a program is told at an address that the API has not: one with a slash too many, or a malformed id."""
    return NotFound(
        "There is no such address.",
        hint="Addresses end without a slash and ids have 24 characters; /api/docs lists every address.",
    )


def render_error(request: HttpRequest, error: SmartMLError) -> HttpResponse:
    """The answer to a request that failed with ``error``, in the form its client asked for."""
    context = {
        "error": error,
        "status": error.status,
        "error_title": _TITLES.get(error.status, _TITLES[500]),
        "request_id": current_request_id(),
    }
    response: HttpResponse
    if wants_json(request):
        response = JsonResponse({"error": error.as_dict()}, status=error.status)
    elif wants_fragment(request):
        body = render_to_string("errors/_alert.html", context)
        response = as_alert(HttpResponse(body, status=error.status))
    else:
        response = HttpResponse(_page(request, error, context), status=error.status)
    response["Cache-Control"] = "no-store"
    if error.status == 401 and is_api(request):
        response["WWW-Authenticate"] = "Bearer"
    if error.status == 503:
        response["Retry-After"] = str(RETRY_SECONDS)
    elif isinstance(error, TooManyRequests) and error.retry_seconds is not None:
        response["Retry-After"] = str(error.retry_seconds)
    return response


def _page(request: HttpRequest, error: SmartMLError, context: dict[str, object]) -> str:
    if error.status < 500:
        return render_to_string("errors/page.html", context, request)
    # Without the request no context processor runs, so nobody asks a database who is signed in.
    comes_back = error.status == 503 and request.method == "GET" and not isinstance(error, StorageNotConfigured)
    context |= {
        "signed_in_hint": settings.SESSION_COOKIE_NAME in request.COOKIES,
        "reload_seconds": RETRY_SECONDS if comes_back else None,
    }
    return render_to_string("errors/page.html", context)
