"""The figures of a model's page, and the numbers behind each."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from ml.diagnosis import Diagnosis
from ml.problem import ProblemType
from models_app import services
from models_app.figure_files import csv_of
from models_app.figures import FigureView, coverage_sentence, figures_of, find
from models_app.records import Model, ModelVersion
from models_app.views import version_of
from smartml.errors import NotFound
from smartml.htmx import UserRequest, wants_fragment


@login_required
@require_GET
@never_cache
@vary_on_headers("HX-Request")
def figures(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """Where one version is right and where it is not."""
    model, found, diagnosis = _load(request, model_id, version)
    context: dict[str, object] = {"model": model, "version": found}
    if diagnosis is not None:
        context["figures"] = _views(found, diagnosis)
        coverage = diagnosis.get("coverage")
        if coverage is not None:
            is_number = found.problem_type is ProblemType.REGRESSION
            context["coverage"] = coverage_sentence(coverage, diagnosis["rows"], is_number=is_number)
    template = "models_app/_figures.html" if wants_fragment(request) else "models_app/figures.html"
    return render(request, template, context)


@login_required
@require_GET
@never_cache
def figure_data(request: UserRequest, model_id: str, version: int, key: str) -> HttpResponse:
    """The numbers of one figure as a CSV file."""
    model, found, diagnosis = _load(request, model_id, version)
    view = None if diagnosis is None else find(_views(found, diagnosis), key)
    response = csv_of(view, name=f"{model.name}-v{version}-{key}.csv")
    if response is None:
        raise NotFound("This model has no such figure.")
    return response


def _load(request: UserRequest, model_id: str, version: int) -> tuple[Model, ModelVersion, Diagnosis | None]:
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    found = version_of(model, version)
    return model, found, services.model_diagnosis(model=model, version=version)


def _views(version: ModelVersion, diagnosis: Diagnosis) -> tuple[FigureView, ...]:
    is_number = version.problem_type is ProblemType.REGRESSION
    return figures_of(diagnosis, error_name="mean absolute error" if is_number else "share of wrong answers")
