"""What a model looks at: the section of its page, the numbers behind it, and starting it again."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from models_app import explanations as work
from models_app import row_explanations, services
from models_app.explanation_figures import view_of
from models_app.figure_files import csv_of
from models_app.figures import find
from models_app.followup_views import Section, end, show_or_begin
from models_app.prediction_form import PredictionForm
from models_app.records import Model, ModelVersion
from models_app.views import find_version
from smartml.errors import InvalidInput, NotFound
from smartml.htmx import UserRequest, wants_fragment


def _begin(model: Model, version: ModelVersion) -> None:
    if work.current(model=model, version=version.version) is None:
        work.start(model=model, version=version.version)


def _context(model: Model, version: ModelVersion) -> dict[str, object]:
    state = work.state_of(model=model, version=version.version)
    context: dict[str, object] = {"state": state}
    if state.explanation is not None:
        context["explanation"] = view_of(state.explanation, target=version.target)
    return context


_SECTION = Section(
    name="explanations",
    begin=_begin,
    cancel=lambda model, version: work.cancel(model=model, version=version.version),
    context=_context,
)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def explanations(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """The explanation, or how far the work on it is; posting begins it again after it has stopped."""
    return show_or_begin(request, _SECTION, model_id, version)


@login_required
@require_POST
def explanations_cancel(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """End the work on it; the section offers to begin again."""
    return end(request, _SECTION, model_id, version)


@login_required
@require_GET
@never_cache
def explanation_data(request: UserRequest, model_id: str, version: int, key: str) -> HttpResponse:
    """The numbers of one figure as a CSV file."""
    model, found = find_version(request, model_id, version)
    explanation = work.current(model=model, version=version)
    figures = () if explanation is None else view_of(explanation, target=found.target, whole=True).figures
    view = find(figures, key)
    response = csv_of(view, name=f"{model.name}-v{version}-{key}.csv")
    if response is None:
        raise NotFound("This model has no such figure.")
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def explain_row(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """What moves one prediction: posted, of the values in the prediction form; ``?row=``: of a row held out."""
    model, found = find_version(request, model_id, version)
    context: dict[str, object] = {"model": model, "version": found}
    status = 200
    try:
        if request.method == "POST":
            context["row"] = _of_form(request, model, found)
        elif "row" in request.GET:
            context["number"] = text = request.GET["row"].strip()
            context["row"] = row_explanations.explain_place(model=model, version=found, number=_number(text))
    except InvalidInput as error:
        context["failure"], status = error, 422
    template = "models_app/_explain_row.html" if wants_fragment(request) else "models_app/explain_row.html"
    return render(request, template, context, status=status)


def _of_form(request: UserRequest, model: Model, version: ModelVersion) -> row_explanations.RowView:
    features = services.model_features(model=model, version=version.version)
    form = PredictionForm(request.POST, features=features, whole=bool(request.POST.get("all")))
    if not form.is_valid():
        raise InvalidInput("Some values cannot be used.", hint="Predict first: the form says which.")
    return row_explanations.explain_values(model=model, version=version, values=form.values())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) > 0):
        raise InvalidInput("A row's number is a whole number from 1.")
    return int(text)
