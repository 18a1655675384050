"""The app's addresses and some that fail, for ``test_errors``."""

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, TooManyFilesSent
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_POST

from smartml import errors, urls

FAILURES: dict[str, Exception] = {
    "input": errors.InvalidInput("The name is empty.", fields={"name": "Give it a name."}),
    "large": errors.TooLarge("The file is larger than 2 GB."),
    "missing": errors.NotFound("There is no such dataset."),
    "conflict": errors.Conflict("The model is being deleted."),
    "many": errors.TooManyRequests("Too many.", retry_seconds=120),
    "mongo": errors.MetadataUnavailable("The metadata service does not answer."),
    "storage": errors.StorageNotConfigured("Blob storage is not configured."),
    "markup": errors.InvalidInput("<script>alert(1)</script>"),
    "unforeseen": ZeroDivisionError("secret detail"),
    "sql": OperationalError("could not connect to server: secret host"),
    "disk": OSError(28, "No space left on device"),
    "http404": Http404("secret detail"),
    "denied": PermissionDenied("secret detail"),
    "toobig": RequestDataTooBig("secret detail"),
    "files": TooManyFilesSent("secret detail"),
    "suspicious": SuspiciousOperation("secret detail"),
}


def fail(request: HttpRequest, name: str) -> HttpResponse:
    raise FAILURES[name]


@require_POST
def only_post(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


urlpatterns = [*urls.urlpatterns, path("fail/<name>", fail), path("only-post", only_post)]
handler400 = urls.handler400
handler403 = urls.handler403
handler404 = urls.handler404
handler500 = urls.handler500
