"""Any two versions side by side, and both asked the same rows."""

import re
from typing import Final
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from models_app import comparisons, services
from models_app.compare_figures import overlaid
from models_app.compare_presenter import (
    best_of,
    data_lines,
    effort_lines,
    feature_changes,
    paired_lines,
    paired_sentence,
    score_lines,
    setting_lines,
)
from models_app.figures import FigureView
from models_app.likeness import Side, cautions, same_question
from models_app.records import Model, ModelStatus, ModelVersion
from models_app.templatetags.scores import metric_label, milliseconds, score
from smartml.errors import NotFound
from smartml.htmx import UserRequest, goto, wants_fragment

_WHICH: Final = re.compile(r"([0-9a-f]{24}):([1-9][0-9]{0,8})")
_OFFERED_MODELS: Final = 50
_CHOOSE: Final = "Choose two different versions to compare."


@login_required
@require_GET
@never_cache
def compare(request: UserRequest) -> HttpResponse:
    """``?left=ID:V&right=ID:V``; of boxes that were ticked (``pick``) there must be two. Else there is a choice."""
    picked = request.GET.getlist("pick")
    if len(picked) == 2 and len(set(picked)) == 2:
        # Of one model the older version stands left; both are checked where they are read.
        left_id, right_id = sorted(picked, key=_age) if _model_of(picked[0]) == _model_of(picked[1]) else picked
        query = urlencode({"left": left_id, "right": right_id})
        return goto(request, f"{reverse('models:compare')}?{query}")
    if picked or not {"left", "right"} <= request.GET.keys():
        return _choice(request, fault=_CHOOSE if picked else "")
    left, right = _sides(request)
    if (left.model.id, left.version.version) == (right.model.id, right.version.version):
        return _choice(request, fault=_CHOOSE)
    return render(request, "models_app/compare.html", _context(left, right))


def _model_of(which: str) -> str:
    return which.partition(":")[0]


def _age(which: str) -> tuple[int, str]:
    number = which.partition(":")[2]
    return len(number), number


def _choice(request: UserRequest, *, fault: str) -> HttpResponse:
    page = services.list_models(user_id=request.user.id, limit=_OFFERED_MODELS)
    offered = [
        (model.name, [(f"{model.id}:{each.version}", _offer(model, each)) for each in reversed(model.versions)])
        for model in page.items
        if model.status is ModelStatus.READY
    ]
    options = [which for _, versions in offered for which, _ in versions]
    left = request.GET.get("left") or next(iter(options), "")
    right = request.GET.get("right") or next((which for which in options if which != left), "")
    context = {
        "offered": offered,
        "fault": fault,
        "fields": (("left", "Left", left), ("right", "Right", right)),
    }
    return render(request, "models_app/compare_choice.html", context, status=422 if fault else 200)


def _offer(model: Model, version: ModelVersion) -> str:
    scored = f"{score(version.accuracy)} {metric_label(version.metric_name)}"
    return f"{model.name} v{version.version}: {version.target[:60]}, {scored}"


def _sides(request: UserRequest) -> tuple[Side, Side]:
    return _side(request, "left"), _side(request, "right")


def _side(request: UserRequest, name: str) -> Side:
    found = _WHICH.fullmatch(request.GET.get(name, ""))
    if found is None:
        raise NotFound("There is no such version to compare.", hint="Choose two in the list of models.")
    model = services.get_model(user_id=request.user.id, model_id=found[1])
    return comparisons.side_of(model, int(found[2]))


def _context(left: Side, right: Side) -> dict[str, object]:
    features = comparisons.features_of(left), comparisons.features_of(right)
    diagnoses = [services.model_diagnosis(model=side.model, version=side.version.version) for side in (left, right)]
    figures: tuple[FigureView, ...] = ()
    if same_question(left.version, right.version) and diagnoses[0] is not None and diagnoses[1] is not None:
        figures = overlaid(diagnoses[0], diagnoses[1], ("left", "right"))
    return {
        "left": left,
        "right": right,
        "sides": (left, right),
        "bests": (best_of(left.evaluation), best_of(right.evaluation)),
        "query": _query(left, right),
        "cautions": cautions(left, right),
        "same_question": same_question(left.version, right.version),
        "scores": score_lines(left, right),
        "parts": (
            ("Settings", setting_lines(left, right)),
            ("Data", data_lines(left, right, features)),
            ("Effort", effort_lines(left, right, milliseconds=milliseconds, size=filesizeformat)),
        ),
        "feature_changes": feature_changes(*features),
        "figures": figures,
    }


def _query(left: Side, right: Side) -> str:
    which = {name: f"{side.model.id}:{side.version.version}" for name, side in (("left", left), ("right", right))}
    return urlencode(which)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def paired(request: UserRequest) -> HttpResponse:
    """Both asked the same rows, or how far that is; posting begins it again after it has stopped."""
    left, right = _sides(request)
    if request.method == "POST":
        comparisons.start(left, right)
        if not wants_fragment(request):
            return goto(request, f"{reverse('models:compare_paired')}?{_query(left, right)}")
    return _section(request, left, right)


@login_required
@require_POST
def paired_cancel(request: UserRequest) -> HttpResponse:
    """End the work on it; the section offers to begin again."""
    left, right = _sides(request)
    comparisons.cancel(left, right)
    if not wants_fragment(request):
        return goto(request, f"{reverse('models:compare_paired')}?{_query(left, right)}")
    return _section(request, left, right)


def _section(request: UserRequest, left: Side, right: Side) -> HttpResponse:
    state = comparisons.state_of(left, right)
    context: dict[str, object] = {"left": left, "right": right, "state": state, "query": _query(left, right)}
    if state.pairing is not None and not state.pairing["why_not"]:
        context["lines"] = paired_lines(state.pairing)
        context["sentence"] = paired_sentence(state.pairing, left.version.metric_name, left, right)
    template = "models_app/_paired.html" if wants_fragment(request) else "models_app/paired.html"
    return render(request, template, context)
