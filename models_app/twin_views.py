"""The twin of a version: the part of its page, having it made, and its two files."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from models_app import twins as work
from models_app.followup_views import Section, end, show_or_begin
from models_app.policies import nothing_runs
from models_app.records import Model, ModelVersion
from models_app.views import find_version
from smartml.errors import NotFound
from smartml.htmx import UserRequest

_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8"}


def _context(model: Model, version: ModelVersion) -> dict[str, object]:
    state = work.state_of(model=model, version=version.version)
    return {"state": state, "view": state.view}


_SECTION = Section(
    name="twin",
    begin=lambda model, version: work.start(model=model, version=version.version),
    cancel=lambda model, version: work.cancel(model=model, version=version.version),
    context=_context,
)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def twin(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """What there is of a twin; posting has one made."""
    return show_or_begin(request, _SECTION, model_id, version)


@login_required
@require_POST
def twin_cancel(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """End the work on it."""
    return end(request, _SECTION, model_id, version)


@nothing_runs
@login_required
@require_GET
@never_cache
def twin_file(request: UserRequest, model_id: str, version: int, extension: str) -> HttpResponse:
    """The JSON or the page, to be saved: opened here, its script would not run."""
    model, found = find_version(request, model_id, version)
    if extension not in _TYPES:
        raise NotFound("A twin has no such file.")
    data = work.read_file(model=model, version=found.version, extension=extension)
    response = HttpResponse(data, content_type=_TYPES[extension])
    name = content_disposition_header(True, f"{model.name}-v{version}-twin.{extension}")
    response["Content-Disposition"] = name or "attachment"
    return response
