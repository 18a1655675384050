"""The leak autopsy of a version: its section of the model page, beginning it and ending it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from datasets import services as datasets
from models_app import autopsies as work
from models_app.autopsy_presenter import view_of
from models_app.followup_views import Section, end, show_or_begin
from models_app.records import Model, ModelVersion
from smartml.htmx import UserRequest


def _begin(model: Model, version: ModelVersion) -> None:
    if work.current(model=model, version=version.version) is None:
        work.start(model=model, version=version)


def _context(model: Model, version: ModelVersion) -> dict[str, object]:
    state = work.state_of(model=model, version=version)
    context: dict[str, object] = {"state": state}
    if state.autopsy is not None:
        context["autopsy"] = view_of(state.autopsy, model=model, version=version)
        context["has_dataset"] = datasets.has_dataset(user_id=model.user_id, dataset_id=version.dataset_id)
    return context


_SECTION = Section(
    name="autopsy",
    begin=_begin,
    cancel=lambda model, version: work.cancel(model=model, version=version.version),
    context=_context,
)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def autopsy(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """What came of it, how far it is, or the offer to begin; posting begins it."""
    return show_or_begin(request, _SECTION, model_id, version)


@login_required
@require_POST
def autopsy_cancel(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """End the work; the section offers to begin again."""
    return end(request, _SECTION, model_id, version)
