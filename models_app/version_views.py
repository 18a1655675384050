"""The versions of a model: one is made current, another goes."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from models_app import services, versions
from models_app.comparisons import side_of
from models_app.likeness import cautions
from models_app.views import version_of
from smartml.errors import InvalidInput
from smartml.htmx import UserRequest, goto


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def promote(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """Show what changes, then make this version the one that answers."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    chosen = version_of(model, version)
    if request.method == "POST":
        seen = _number(request, "instead_of")
        versions.promote(user_id=model.user_id, model_id=model.id, version=version, instead_of=seen)
        messages.success(request, f"Version {version} is current now. Further trainings do not replace it.")
        return goto(request, reverse("models:detail", args=[model.id]))
    if chosen.version == model.version:
        return goto(request, reverse("models:detail", args=[model.id]))
    sides = side_of(model, model.version), side_of(model, version)
    context = {"model": model, "version": chosen, "sides": sides, "cautions": cautions(*sides)}
    return render(request, "models_app/promote.html", context)


@login_required
@require_POST
def follow(request: UserRequest, model_id: str) -> HttpResponse:
    """Whether the next version that is trained becomes current by itself."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    wanted = bool(_number(request, "follow"))
    model = versions.follow_trainings(user_id=model.user_id, model_id=model.id, follow=wanted)
    said = "becomes current by itself" if wanted else f"waits: version {model.version} stays current"
    messages.success(request, f"The next version that is trained {said}.")
    return goto(request, reverse("models:detail", args=[model.id]))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def version_delete(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """Ask, then delete one version; the receipt names what was removed. The only version goes with its model."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    if [each.version for each in model.versions] == [version]:
        return goto(request, reverse("models:delete", args=[model.id]))
    if request.method != "POST":
        model, found = versions.find_for_deletion(user_id=request.user.id, model_id=model_id, version=version)
        return render(request, "models_app/version_delete.html", {"model": model, "version": found})
    model, removed = versions.delete_version(user_id=request.user.id, model_id=model_id, version=version)
    return render(
        request, "models_app/version_deleted.html", {"model": model, "number": version, "removed": removed}
    )


def _number(request: UserRequest, name: str) -> int:
    text = request.POST.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInput("A part of the form is missing.", hint="Reload the page and press the button again.")
    return int(text)
