"""A part of the model page about follow-up work on a version: shown, begun and ended alike for each kind."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from models_app.records import Model, ModelVersion
from models_app.views import find_version
from smartml.htmx import UserRequest, goto, wants_fragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """``name`` is that of its view and of its templates (``_name.html``, ``name.html``). ``begin`` is called for
    what has been done already too; ``context`` is what the templates show, with ``state`` in it."""

    name: str
    begin: Callable[[Model, ModelVersion], object]
    cancel: Callable[[Model, ModelVersion], object]
    context: Callable[[Model, ModelVersion], dict[str, object]]


def show_or_begin(request: UserRequest, section: Section, model_id: str, version: int) -> HttpResponse:
    """What came of the work, how far it is, or the offer to begin; posting begins it."""
    model, found = find_version(request, model_id, version)
    if request.method == "POST":
        section.begin(model, found)
    return _answered(request, section, model, found)


def end(request: UserRequest, section: Section, model_id: str, version: int) -> HttpResponse:
    """End the work; the section offers to begin again."""
    model, found = find_version(request, model_id, version)
    section.cancel(model, found)
    return _answered(request, section, model, found)


def _answered(request: UserRequest, section: Section, model: Model, version: ModelVersion) -> HttpResponse:
    is_fragment = wants_fragment(request)
    if request.method == "POST" and not is_fragment:
        return goto(request, reverse(f"models:{section.name}", args=[model.id, version.version]))
    context = {"model": model, "version": version, **section.context(model, version)}
    template = f"models_app/_{section.name}.html" if is_fragment else f"models_app/{section.name}.html"
    return render(request, template, context)
