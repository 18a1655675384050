"""Replaying a version's golden rows from its page."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from models_app import golden, opening, services
from models_app.views import version_of
from smartml.errors import NotFound
from smartml.htmx import UserRequest, wants_fragment, wants_json


@login_required
@require_POST
def replay(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """Ask the golden rows again and say what came of it, also when the model cannot be opened any more."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    found = version_of(model, version)
    context: dict[str, object] = {"model": model, "version": found}
    status = 200
    try:
        result = golden.replay(model=model, version=found)
    except (NotFound, *opening.REFUSALS) as error:
        if wants_json(request):
            raise
        context["failure"], status = error, 409
    else:
        model = services.get_model(user_id=request.user.id, model_id=model_id)
        context |= {"model": model, "version": version_of(model, version), "outcome": golden.said(result)}
    template = "models_app/_golden.html" if wants_fragment(request) else "models_app/golden.html"
    return render(request, template, context, status=status)
