"""The JSON API: its routers, and every failure in the one shape that pages have too."""

import json
import logging
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser

from accounts.api_access import TokenRequired, UnsupportedMediaType
from datasets.api import router as datasets_router
from models_app import api as models_api
from models_app import batch_api
from smartml.errorpages import BadRequest, render_error
from smartml.errors import InvalidInput, NotFound, SmartMLError, TooLarge
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
        body: dict[str, Any] = json.loads(request.body, parse_constant=_refuse_constant)
        return body


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


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
        return TooLarge("That is more JSON than one request may hold.", hint="Send it in several requests.")
    if isinstance(failure, HttpError):
        return _of_library(failure)
    if isinstance(failure, Http404):
        return NotFound("There is no such address.", hint="The addresses of the API are listed at /api/docs.")
    return as_smartml_error(failure)


def _of_library(failure: HttpError) -> SmartMLError:
    """What the library says while it reads a request; what our parser has said is inside."""
    if isinstance(failure.__cause__, SmartMLError):
        return failure.__cause__
    if isinstance(failure.__cause__, RequestDataTooBig):
        return TooLarge("That is more JSON than one request may hold.", hint="Send it in several requests.")
    if failure.status_code == TokenRequired.status:
        return TokenRequired("This address needs a token.")
    return BadRequest(
        "The body is not JSON.", hint="Check it with a JSON validator; NaN and Infinity are not JSON."
    )


def _invalid(failure: ValidationError) -> InvalidInput:
    """The faults by the name of their field; of the values that were sent nothing is repeated."""
    fields: dict[str, str] = {}
    for fault in failure.errors:
        fields.setdefault(_field_name(fault["loc"]), f"{fault['msg'].removeprefix('Value error, ')}.")
    named = ", ".join(name for name in fields if name)[:200]
    return InvalidInput(
        f"The request is not as this address needs it: {named}." if named else "The request has no body.",
        hint="Correct what `fields` says; /api/docs describes every address.",
        fields=fields,
    )


def _field_name(place: tuple[str | int, ...]) -> str:
    """``("body", "payload", "rows", 3, "age", "int")`` is ``rows.3.age``: without where it was sent and how."""
    source, *path = map(str, place)
    return ".".join(path[1:] if source in ("body", "query") and len(path) > 1 else path)
