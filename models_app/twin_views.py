"""The twin of a version: the part of its page, having it made, and its two files."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from models_app import services
from models_app import twins as work
from models_app.policies import nothing_runs
from models_app.records import Model, ModelVersion
from models_app.views import version_of
from smartml.errors import NotFound
from smartml.htmx import UserRequest, goto, wants_fragment

_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8"}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def twin(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """What there is of a twin; posting has one made."""
    model, found = _find(request, model_id, version)
    if request.method == "POST":
        work.start(model=model, version=version)
        if not wants_fragment(request):
            return goto(request, reverse("models:twin", args=[model.id, version]))
    return _section(request, model, found)


@login_required
@require_POST
def twin_cancel(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """End the work on it."""
    model, found = _find(request, model_id, version)
    work.cancel(model=model, version=version)
    if not wants_fragment(request):
        return goto(request, reverse("models:twin", args=[model.id, version]))
    return _section(request, model, found)


@nothing_runs
@login_required
@require_GET
@never_cache
def twin_file(request: UserRequest, model_id: str, version: int, extension: str) -> HttpResponse:
    """The JSON or the page, to be saved: opened here, its script would not run."""
    model, found = _find(request, model_id, version)
    if extension not in _TYPES:
        raise NotFound("A twin has no such file.")
    data = work.read_file(model=model, version=found.version, extension=extension)
    response = HttpResponse(data, content_type=_TYPES[extension])
    name = content_disposition_header(True, f"{model.name}-v{version}-twin.{extension}")
    response["Content-Disposition"] = name or "attachment"
    return response


def _find(request: UserRequest, model_id: str, version: int) -> tuple[Model, ModelVersion]:
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    return model, version_of(model, version)


def _section(request: UserRequest, model: Model, version: ModelVersion) -> HttpResponse:
    state = work.state_of(model=model, version=version.version)
    context: dict[str, object] = {"model": model, "version": version, "state": state, "view": state.view}
    if state.activity is not None:
        context |= {"activity": state.activity, "percent": round(100 * state.activity.progress)}
    template = "models_app/_twin.html" if wants_fragment(request) else "models_app/twin.html"
    return render(request, template, context)
