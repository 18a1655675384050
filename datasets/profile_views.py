"""The profile of a dataset: a section of its page that fills in, and a page of its own that needs no script."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from datasets import check_presenters, profiles, services
from datasets import profile_presenters as presenters
from datasets.presenters import target_form
from datasets.profile_forms import ColumnsForm, TypeForm
from datasets.profiles import ProfileState
from datasets.records import Dataset
from ml.column_types import ColumnType
from smartml.errors import NotFound
from smartml.htmx import UserRequest, goto, in_place_of, page_url, wants_fragment

Context = dict[str, Any]


@login_required
@require_safe
@never_cache
@vary_on_headers("HX-Request", "HX-Target")
def profile(request: UserRequest, dataset_id: str) -> HttpResponse:
    """The page; or, searched and turned on the dataset's page, its cards."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    if wants_fragment(request):
        context = _columns_context(request, dataset, profiles.state_of(dataset=dataset))
        return render(request, "datasets/profile/_columns.html", context)
    return render(request, "datasets/profile/page.html", _section_context(request, dataset))


@login_required
@require_safe
@never_cache
def section(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fragment: all there is of the profile at this moment."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    return render(request, "datasets/profile/_section.html", _section_context(request, dataset))


@login_required
@require_GET
@never_cache
def status(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fragment: how far the work is; the whole section instead when there is more than the page has ``seen``."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    state = profiles.state_of(dataset=dataset)
    seen = request.GET.get("seen", "")
    if state.is_running and seen == _seen(state):
        return render(request, "datasets/profile/_status.html", _status_context(dataset, state))
    response = render(request, "datasets/profile/_section.html", _section_context(request, dataset, state))
    return in_place_of(response, "#profile")


@login_required
@require_POST
def again(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Make the profile once more, after it has failed or was cancelled."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    profiles.start(dataset=dataset)
    if wants_fragment(request):
        return render(request, "datasets/profile/_section.html", _section_context(request, dataset))
    return goto(request, reverse("datasets:profile", args=[dataset_id]))


@login_required
@require_safe
@never_cache
def relation(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fragment: each column against the target, or how far that is."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    state = profiles.state_of(dataset=dataset)
    return render(request, "datasets/profile/_relation.html", _relation_context(dataset, state))


@login_required
@require_POST
def target(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Store the suggested column as the target, and begin to hold the others against it."""
    chosen = request.POST.get("target_column") or None
    dataset = services.set_target(user_id=request.user.id, dataset_id=dataset_id, target_column=chosen)
    if not wants_fragment(request):
        return goto(request, f"{reverse('datasets:profile', args=[dataset_id])}#profile-relation")
    context = _relation_context(dataset, profiles.state_of(dataset=dataset))
    if page_url(request) == reverse("datasets:detail", args=[dataset_id]):
        # The choice of the target is on that page too, and follows.
        context["target_form"] = target_form(dataset, services.first_rows(dataset=dataset))
    return render(request, "datasets/profile/_target_chosen.html", context)


@login_required
@require_POST
def relation_again(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Hold the columns against the target once more."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    if dataset.target_column is not None:
        profiles.start_relation(dataset=dataset, target=dataset.target_column)
    if not wants_fragment(request):
        return goto(request, reverse("datasets:profile", args=[dataset_id]))
    context = _relation_context(dataset, profiles.state_of(dataset=dataset))
    return render(request, "datasets/profile/_relation.html", context)


@login_required
@require_POST
def column_type(request: UserRequest, dataset_id: str, index: int) -> HttpResponse:
    """Choose the type of the column at this place of the file, or go back to the one that was found."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    names = services.columns_of(dataset=dataset)
    if index >= len(names):
        raise NotFound("This file has no such column.")
    form = TypeForm(request.POST)
    if form.is_valid():
        profiles.choose_type(dataset=dataset, column=names[index], type=form.chosen)
    if not wants_fragment(request) and form.is_valid():
        page = f"{reverse('datasets:profile', args=[dataset_id])}?page={presenters.page_of(index)}"
        return goto(request, f"{page}#column-{index}")
    state = profiles.state_of(dataset=dataset)
    if index >= len(state.columns):
        return goto(request, reverse("datasets:profile", args=[dataset_id]))
    context = {"card": presenters.card(state, dataset, index), "type_form": form, "changed": form.is_valid()}
    context |= {"dataset": dataset, **_status_context(dataset, state)}
    template = "datasets/profile/_type_changed.html" if wants_fragment(request) else "datasets/profile/type.html"
    code = HTTPStatus.OK if form.is_valid() else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, template, context, status=code)


def _section_context(request: UserRequest, dataset: Dataset, state: ProfileState | None = None) -> Context:
    state = state or profiles.state_of(dataset=dataset)
    context = _columns_context(request, dataset, state) | _relation_context(dataset, state)
    if state.profile is not None:
        context["profile"] = state.profile
        context["checks"] = check_presenters.checks_view(state.profile.checks, state.columns)
        context["associations"] = presenters.associations_view(state.profile)
    return context


def _columns_context(request: UserRequest, dataset: Dataset, state: ProfileState) -> Context:
    form = ColumnsForm(request.GET)
    form.is_valid()
    page = presenters.card_page(state, dataset, search=form.search, kind=form.kind_chosen, number=form.number)
    return {
        "columns_form": form,
        "columns": page,
        "search": form.search,
        "kind": form.kind_chosen,
        **_status_context(dataset, state),
    }


def _relation_context(dataset: Dataset, state: ProfileState) -> Context:
    # One after the other: the profile is what a person waits for.
    is_time = state.profile is not None or state.is_stopped
    found = profiles.relation_state(dataset=dataset, types=state.types, begin=is_time)
    return {
        "dataset": dataset,
        "state": state,
        "relation": found,
        "relation_work": presenters.activity_view(None if found is None else found.activity),
        "relation_view": check_presenters.relation_view(found, state.columns),
        "suggestion": None if state.profile is None else state.profile.suggestion,
    }


def _status_context(dataset: Dataset, state: ProfileState) -> Context:
    return {
        "dataset": dataset,
        "state": state,
        "work": presenters.activity_view(state.activity),
        "sentence": presenters.sentence(state, dataset),
        "type_choices": [(str(kind), kind.label) for kind in ColumnType],
        "seen": _seen(state),
        # What is searched for stays, and the page, if there are any columns yet.
        "poll_include": "#profile-filter, #profile-page" if state.columns else "this",
    }


def _seen(state: ProfileState) -> str:
    """What the page shows, in short: it need not be sent again while this stays."""
    return f"{len(state.columns)}-{'whole' if state.profile is not None else len(state.outdated)}"
