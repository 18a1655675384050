"""One prediction: its form, an example in it, and what another value would change."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from datasets import services as datasets
from ml.problem import ProblemType
from ml.readable import plain_number
from models_app import example_rows, opening, services
from models_app.prediction_form import PredictionForm
from models_app.prediction_presenter import present_prediction
from models_app.records import Model, ModelVersion
from models_app.views import find_version
from models_app.what_if import FirstAnswer
from smartml.errors import InvalidInput
from smartml.htmx import UserRequest, wants_fragment, wants_json

Context = dict[str, object]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def model_predict(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """The form of one prediction; posting it answers. ``?example=1`` is as if a row held out had been posted."""
    model, found = find_version(request, model_id, version)
    sent = request.POST if request.method == "POST" else request.GET
    whole = bool(sent.get("all"))
    features = services.model_features(model=model, version=version)
    form = PredictionForm(request.POST if request.method == "POST" else None, features=features, whole=whole)
    context: Context = {}
    if request.method == "GET" and "example" in request.GET:
        context["example_asked"] = True
        context["example"] = example = example_rows.draw(model=model, version=found)
        if example is not None:
            context["truth"] = _truth(example.truth, found)
            form = PredictionForm.filled(example.values, features=features, whole=whole)
    try:
        context |= _answered(model, found, form)
    except opening.REFUSALS as error:
        if request.method != "POST" or wants_json(request):
            raise
        context["refused"] = error
        context["has_dataset"] = datasets.has_dataset(user_id=model.user_id, dataset_id=found.dataset_id)
    return _page(request, model, found, form, context, whole=whole)


@login_required
@require_POST
@never_cache
@vary_on_headers("HX-Request")
def what_if(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """The answer to the form as it stands now, beside the first one; the form itself stays as it is."""
    model, found = find_version(request, model_id, version)
    whole = bool(request.POST.get("all"))
    features = services.model_features(model=model, version=version)
    form = PredictionForm(request.POST, features=features, whole=whole)
    first = FirstAnswer.opened(request.POST.get("first", ""), model=model, version=version)
    context = _answered(model, found, form, first)
    if not wants_fragment(request):
        return _page(request, model, found, form, context, whole=whole)
    context |= {"model": model, "version": found, "form": form, "is_what_if": True}
    return render(request, "models_app/_what_if.html", context, status=422 if form.errors else 200)


def _truth(text: str, version: ModelVersion) -> str:
    return plain_number(float(text)) if text and version.problem_type is ProblemType.REGRESSION else text


def _answered(
    model: Model, version: ModelVersion, form: PredictionForm, first: FirstAnswer | None = None
) -> Context:
    """The answer to a form that was sent, if it can be answered; the form gets the findings and the faults."""
    if not form.is_bound or not form.is_valid():
        return {}
    try:
        prediction = services.predict(model=model, version=version.version, values=form.values())
    except InvalidInput as error:
        form.add_column_errors(error.fields or {"": error.message})
        return {"sealed": first.sealed(model=model, version=version.version)} if first else {}
    view = present_prediction(prediction, version, folded=form.folded, first=first)
    return {
        "prediction": view,
        "others": form.add_findings(view.findings),
        "noted": form.noted(),
        "sealed": (first or FirstAnswer.of(prediction)).sealed(model=model, version=version.version),
    }


def _page(
    request: UserRequest,
    model: Model,
    version: ModelVersion,
    form: PredictionForm,
    context: Context,
    *,
    whole: bool,
) -> HttpResponse:
    address = request.build_absolute_uri(reverse("api-v1:model_predict", args=[model.id]))
    context |= {"model": model, "version": version, "form": form, "whole": whole, "api_address": address}
    template = "models_app/_predict.html" if wants_fragment(request) else "models_app/predict.html"
    status = 409 if "refused" in context else 422 if form.is_bound and form.errors else 200
    return render(request, template, context, status=status)
