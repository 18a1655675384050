"""Answers worth a look: the section of the model page, beginning and ending it, and its file."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from datasets import services as datasets
from models_app import doubts as work
from models_app import services
from models_app.doubt_presenter import HEADS, csv_rows, view_of
from models_app.figure_files import csv_file
from models_app.records import Model, ModelVersion
from models_app.views import version_of
from smartml.errors import NotFound
from smartml.htmx import UserRequest, goto, wants_fragment


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def doubts(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """What was found, how far it is, or the offer to begin; posting begins it."""
    model, found = _find(request, model_id, version)
    if request.method == "POST":
        if work.current(model=model, version=version) is None:
            work.start(model=model, version=found)
        if not wants_fragment(request):
            return goto(request, reverse("models:doubts", args=[model.id, version]))
    return _section(request, model, found)


@login_required
@require_POST
def doubts_cancel(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """End the work; the section offers to begin again."""
    model, found = _find(request, model_id, version)
    work.cancel(model=model, version=version)
    if not wants_fragment(request):
        return goto(request, reverse("models:doubts", args=[model.id, version]))
    return _section(request, model, found)


@login_required
@require_GET
@never_cache
def doubts_data(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """The rows that are worth a look as a CSV file."""
    model, _ = _find(request, model_id, version)
    found = work.current(model=model, version=version)
    if found is None:
        raise NotFound("Nobody has looked at the answers of this version yet.", hint="Begin on the model's page.")
    return csv_file(HEADS, csv_rows(found), name=f"{model.name}-v{version}-worth-a-look.csv")


def _find(request: UserRequest, model_id: str, version: int) -> tuple[Model, ModelVersion]:
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    return model, version_of(model, version)


def _section(request: UserRequest, model: Model, version: ModelVersion) -> HttpResponse:
    state = work.state_of(model=model, version=version)
    context: dict[str, object] = {
        "model": model,
        "version": version,
        "state": state,
        "percent": 0 if state.activity is None else round(100 * state.activity.progress),
    }
    if state.check is not None:
        context["labels"] = view_of(state.check, version)
        context["has_dataset"] = datasets.has_dataset(user_id=model.user_id, dataset_id=version.dataset_id)
    template = "models_app/_doubts.html" if wants_fragment(request) else "models_app/doubts.html"
    return render(request, template, context)
