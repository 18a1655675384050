"""The bell of the navigation: trainings that have ended since their owner looked."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from models_app import news as services
from smartml.htmx import UserRequest, wants_fragment


@login_required
@require_GET
@never_cache
def news(request: UserRequest) -> HttpResponse:
    """Fragment: how many; without script the list itself."""
    if not wants_fragment(request):
        return redirect("models:jobs")
    return render(request, "models_app/_news.html", {"count": services.unseen(user_id=request.user.id)})


@login_required
@require_POST
def all_seen(request: UserRequest) -> HttpResponse:
    """Nothing of the list is news any more."""
    services.all_seen(user_id=request.user.id)
    return redirect("models:jobs")
