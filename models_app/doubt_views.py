"""Answers worth a look: the section of the model page, beginning and ending it, and its file."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from datasets import services as datasets
from models_app import doubts as work
from models_app.doubt_presenter import HEADS, csv_rows, view_of
from models_app.figure_files import csv_file
from models_app.followup_views import Section, end, show_or_begin
from models_app.records import Model, ModelVersion
from models_app.views import find_version
from smartml.errors import NotFound
from smartml.htmx import UserRequest


def _begin(model: Model, version: ModelVersion) -> None:
    if work.current(model=model, version=version.version) is None:
        work.start(model=model, version=version)


def _context(model: Model, version: ModelVersion) -> dict[str, object]:
    state = work.state_of(model=model, version=version)
    context: dict[str, object] = {"state": state}
    if state.check is not None:
        context["labels"] = view_of(state.check, version)
        context["has_dataset"] = datasets.has_dataset(user_id=model.user_id, dataset_id=version.dataset_id)
    return context


_SECTION = Section(
    name="doubts",
    begin=_begin,
    cancel=lambda model, version: work.cancel(model=model, version=version.version),
    context=_context,
)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def doubts(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """What was found, how far it is, or the offer to begin; posting begins it."""
    return show_or_begin(request, _SECTION, model_id, version)


@login_required
@require_POST
def doubts_cancel(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """End the work; the section offers to begin again."""
    return end(request, _SECTION, model_id, version)


@login_required
@require_GET
@never_cache
def doubts_data(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """The rows that are worth a look as a CSV file."""
    model, _ = find_version(request, model_id, version)
    found = work.current(model=model, version=version)
    if found is None:
        raise NotFound("Nobody has looked at the answers of this version yet.", hint="Begin on the model's page.")
    return csv_file(HEADS, csv_rows(found), name=f"{model.name}-v{version}-worth-a-look.csv")
