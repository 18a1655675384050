"""Request ids, expired sign-ins in fragments, and errors as answers."""

import logging
from collections.abc import Callable
from typing import cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import resolve_url
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRedirect

from smartml import requestid
from smartml.errorpages import MethodNotAllowed, SignInRequired, render_error
from smartml.errors import DiskFull, ServiceUnavailable, SmartMLError, means_disk_full
from smartml.htmx import is_api, page_url, wants_fragment, wants_json

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Takes a well-formed ``X-Request-ID`` or makes one, and sends it back."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = requestid.begin(request.headers.get("X-Request-ID"))
        try:
            response = self.get_response(request)
        finally:
            requestid.end()
        response["X-Request-ID"] = request_id
        return response


class PrivateAnswersMiddleware:
    """What a signed-in person is answered stays in no cache, not even the browser's own: Back after signing out
    shows nothing. A view that has said otherwise knows why.

    The cookie is asked, not the person: that would be a query for every answer. So with what a program is answered.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        personal = settings.SESSION_COOKIE_NAME in request.COOKIES or is_api(request)
        if personal and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response


class ApiHeadMiddleware:
    """HEAD at an address of the API is GET without the body, which the library does not know by itself."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "HEAD" or not is_api(request):
            return self.get_response(request)
        request.method = "GET"
        response = self.get_response(request)
        request.method = "HEAD"  # the server leaves the body out
        if response.streaming:
            cast(StreamingHttpResponse, response).streaming_content = ()  # nothing of a file is fetched
        return response


class HtmxLoginMiddleware:
    """An expired sign-in: the whole page goes to the sign-in page and comes back to itself afterwards.

    A plain request has had its redirect from ``login_required`` already. In a fragment that redirect would put
    the sign-in page inside the page, and a script would get HTML, so both are translated here.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 302 or urlsplit(response["Location"]).path != resolve_url(settings.LOGIN_URL):
            return response
        if wants_json(request):
            return render_error(request, SignInRequired("You are signed out."))
        if not wants_fragment(request):
            return response
        query = urlencode({"next": page_url(request) or resolve_url(settings.LOGIN_REDIRECT_URL)})
        return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{query}")


class ErrorMiddleware:
    """``SmartMLError`` becomes an answer; everything else goes on to Django's handlers, which are ours too."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 405 and (is_api(request) or not response.content):
            hint = f"It accepts {response['Allow']}." if is_api(request) else None
            message = f"This address does not accept {request.method}."
            page = render_error(request, MethodNotAllowed(message, hint=hint))
            page["Allow"] = response["Allow"]
            return page
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        error = as_smartml_error(exception)
        if error is None:
            return None
        if error.status >= 500:
            logger.warning("%s %s: %s", request.method, request.path, error.message, exc_info=exception)
        return render_error(request, error)


def as_smartml_error(exception: BaseException | None) -> SmartMLError | None:
    """The error to show for ``exception``; None for one that nobody foresaw."""
    if isinstance(exception, SmartMLError):
        return exception
    if isinstance(exception, OperationalError | InterfaceError):
        return ServiceUnavailable("The accounts database does not answer.")
    if exception is not None and means_disk_full(exception):
        return DiskFull()
    return None
