"""The JSON API: its routers, and every failure in the one shape that pages have too."""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser

from accounts.api_access import TokenRequired, UnsupportedMediaType
from datasets.api import router as datasets_router
from models_app import api as models_api
from models_app import batch_api, version_api
from smartml.api_faults import field_name, read_json, sentence
from smartml.errorpages import BadRequest, no_such_address, render_error
from smartml.errors import InvalidInput, SmartMLError, TooLarge
from smartml.middleware import as_smartml_error

logger = logging.getLogger(__name__)

_DESCRIPTION = """Upload tables, train models and ask them for predictions.

Every request carries a personal token: `Authorization: Bearer YOUR-TOKEN`. Tokens are made on the account page,
with the rights `read`, `write` and `predict`. What fails is answered with
`{"error": {"code", "message", "hint", "fields"}}`; what belongs to somebody else does not exist (404)."""


class JsonParser(Parser):
    """JSON as its standard has it, and only when it is said to be JSON."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        if request.content_type != "application/json":
            raise UnsupportedMediaType(
                "The body must be JSON.", hint="Send it with the header `Content-Type: application/json`."
            )
        body: dict[str, Any] = read_json(request.body)
        return body


api = NinjaAPI(
    title="Smart ML Assistant",
    version="v1",
    description=_DESCRIPTION,
    urls_namespace="api-v1",
    docs_url=None,
    parser=JsonParser(),
)
api.add_router("/datasets", datasets_router)
api.add_router("/trainings", models_api.trainings)
api.add_router("/models", models_api.models)
api.add_router("/models", version_api.router)
api.add_router("/models", batch_api.router)


def answer_failure(request: HttpRequest, failure: Exception | type[Exception]) -> HttpResponse:
    """A failure as JSON; one that nobody foresaw goes on to the handler of the whole site."""
    assert isinstance(failure, Exception)
    error = _error_of(failure)
    if error is None:
        raise failure
    if error.status >= 500:
        logger.warning("%s %s: %s", request.method, request.path, error.message, exc_info=failure)
    return render_error(request, error)


# The library has handlers of its own for the last three, in a shape of its own.
for _kind in (Exception, Http404, HttpError, ValidationError):
    api.add_exception_handler(_kind, answer_failure)


def _error_of(failure: Exception) -> SmartMLError | None:
    if isinstance(failure, ValidationError):
        return _invalid(failure)
    if isinstance(failure, RequestDataTooBig):
        return _too_much_json()
    if isinstance(failure, HttpError):
        return _of_library(failure)
    if isinstance(failure, Http404):
        return no_such_address()
    return as_smartml_error(failure)


def _of_library(failure: HttpError) -> SmartMLError:
    """What the library says while it reads a request; what our parser has said is inside."""
    if isinstance(failure.__cause__, SmartMLError):
        return failure.__cause__
    if isinstance(failure.__cause__, RequestDataTooBig):
        return _too_much_json()
    if failure.status_code == TokenRequired.status:
        return TokenRequired("This address needs a token.")
    return BadRequest("The request could not be read.", hint="/api/docs describes every address.")


def _too_much_json() -> TooLarge:
    most = filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return TooLarge(f"One request holds at most {most} of JSON.", hint="Send it in several requests.")


def _invalid(failure: ValidationError) -> InvalidInput:
    """The faults by the name of their field; of the values that were sent nothing is repeated."""
    fields: dict[str, str] = {}
    for fault in failure.errors:
        fields.setdefault(field_name(fault["loc"]), sentence(fault))
    named = ", ".join(name for name in fields if name)[:200]
    return InvalidInput(
        f"The request is not as this address needs it: {named}." if named else "The request has no body.",
        hint="Correct what `fields` says; /api/docs describes every address.",
        fields=fields,
    )
