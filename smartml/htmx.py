"""What kind of answer a request wants. The only module that knows the HTMX headers."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event
from django_htmx.middleware import HtmxDetails

from accounts.models import User

ALERTS = "#alerts"


class HtmxRequest(HttpRequest):
    """A request that has passed ``HtmxMiddleware``."""

    htmx: HtmxDetails


class UserRequest(HtmxRequest):
    """A request behind ``login_required``."""

    user: User


def wants_fragment(request: HttpRequest) -> bool:
    """Whether the answer replaces a part of a page.

    A boosted link and a history restore send HTMX headers too but need the whole page.
    """
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return htmx is not None and bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def is_api(request: HttpRequest) -> bool:
    """Whether this is an address of the API, which answers programs."""
    return request.path_info.startswith("/api/v")


def wants_json(request: HttpRequest) -> bool:
    """Whether the client is a program, or prefers JSON: by its Accept header."""
    return is_api(request) or request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def goto(request: HttpRequest, url: str) -> HttpResponse:
    """Send the browser to ``url``: a redirect, or ``HX-Redirect`` when HTMX made the request."""
    if wants_fragment(request):
        return HttpResponseClientRedirect(url)
    return redirect(url)


def page_url(request: HttpRequest) -> str | None:
    """Path and query of the page that sent a fragment request; None unless it is a page of this site."""
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    current = htmx.current_url if htmx else None
    if not current or not url_has_allowed_host_and_scheme(
        current, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return None
    parts = urlsplit(current)
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def in_place_of(response: HttpResponse, selector: str) -> HttpResponse:
    """Replace another element than the one that has asked."""
    return reswap(retarget(response, selector), "outerHTML")


def announce(response: HttpResponse, event: str) -> HttpResponse:
    """Let the page know that something has changed; its parts may listen for ``event`` on the body."""
    return trigger_client_event(response, event, after="settle")


def as_alert(response: HttpResponse) -> HttpResponse:
    """Show the answer in the page's alert region instead of the part that was asked for."""
    return reswap(retarget(response, ALERTS), "innerHTML")
