"""Choosing the threshold of a yes/no question by what mistakes cost."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from models_app import services
from models_app.threshold_costs import CostForm, cheapest, costs_of, nearest
from models_app.views import version_of
from smartml.errors import NotFound
from smartml.htmx import UserRequest, wants_fragment


@login_required
@require_GET
@never_cache
@vary_on_headers("HX-Request")
def thresholds(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """What every threshold costs, the cheapest by the validation rows, and the one that was asked for."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    found = version_of(model, version)
    diagnosis = services.model_diagnosis(model=model, version=version)
    if diagnosis is None or not diagnosis.get("thresholds"):
        raise NotFound("This model does not answer yes or no, so it has no threshold.")
    form = CostForm({"false_alarm": "1", "miss": "1"} | request.GET.dict())
    context: dict[str, object] = {"model": model, "version": found, "form": form}
    if form.is_valid():
        asked = form.cleaned_data
        costs = costs_of(diagnosis["thresholds"], false_alarm=asked["false_alarm"], miss=asked["miss"])
        evaluation = services.model_evaluation(model=model, version=version)
        setup = evaluation.setup
        own = 0.5 if setup is None or setup.threshold is None else setup.threshold
        usual = nearest(costs, own)
        best = cheapest(costs, usual=usual)
        shown = best if asked["threshold"] is None else nearest(costs, asked["threshold"])
        context |= {"costs": costs, "best": best, "shown": shown, "own": own, "usual": usual}
        context |= {"yes": evaluation.positive_class}
    template = "models_app/_thresholds.html" if wants_fragment(request) else "models_app/thresholds.html"
    return render(request, template, context, status=200 if form.is_valid() else 422)
