"""Pages between an upload and its import. Somebody else's upload is a 404 like one that never was."""

from collections.abc import Mapping
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from datasets import activities, packed, services, staging, staging_presenters
from datasets.activity_records import Activity
from datasets.dialect_form import DialectForm
from datasets.records import Dataset, DatasetStatus
from smartml.errors import InvalidInput, NotFound, TooLarge
from smartml.htmx import UserRequest, goto, wants_fragment


@login_required
@require_safe
@never_cache
@vary_on_headers("HX-Request")
def preview(request: UserRequest, dataset_id: str) -> HttpResponse:
    """What was detected and the first rows; with choices in the query, the first rows as these read them."""
    dataset = services.find_upload(user_id=request.user.id, dataset_id=dataset_id)
    if dataset is not None and dataset.status is DatasetStatus.READY:
        return goto(request, reverse("datasets:detail", args=[dataset.id]))
    dataset = staging.get_staged(user_id=request.user.id, dataset_id=dataset_id)
    work = staging.latest_work(dataset=dataset)
    if work is not None and not work.status.is_over:
        return render(request, "datasets/preview_progress.html", {"dataset": dataset, "work": work})
    if dataset.is_packed:
        return _choose_table(request, dataset, work)
    return _table(request, dataset, request.GET, work=work)


def _table(
    request: UserRequest,
    dataset: Dataset,
    data: Mapping[str, str],
    *,
    work: Activity | None = None,
    refusal: InvalidInput | None = None,
    importing: bool = False,
) -> HttpResponse:
    context = staging_presenters.table_context(dataset, data, work=work, refusal=refusal, importing=importing)
    context["more"] = "more" in request.GET
    form = context["form"]
    assert isinstance(form, DialectForm)
    bad = bool(form.errors) or refusal is not None
    template = "datasets/_preview.html" if wants_fragment(request) else "datasets/preview.html"
    return render(request, template, context, status=HTTPStatus.UNPROCESSABLE_ENTITY if bad else HTTPStatus.OK)


def _choose_table(
    request: UserRequest, dataset: Dataset, work: Activity | None, refusal: InvalidInput | TooLarge | None = None
) -> HttpResponse:
    context = {
        "dataset": dataset,
        "members": packed.members_of(dataset=dataset),
        "refusal": refusal or (work.error if work is not None else None),
    }
    template = "datasets/_preview_tables.html" if wants_fragment(request) else "datasets/preview_tables.html"
    return render(request, template, context, status=refusal.status if refusal else HTTPStatus.OK)


@login_required
@require_POST
@vary_on_headers("HX-Request")
def take_table(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Take one table out of an archive or a workbook."""
    dataset = staging.get_staged(user_id=request.user.id, dataset_id=dataset_id)
    if dataset.is_packed:
        try:
            packed.unpack(dataset=dataset, member=request.POST.get("member", ""))
        except (InvalidInput, TooLarge) as error:
            return _choose_table(request, dataset, None, error)
    return goto(request, reverse("datasets:preview", args=[dataset.id]))


@login_required
@require_POST
@vary_on_headers("HX-Request")
def import_upload(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Make the upload a dataset, read as chosen; what cannot be used so stays where it is."""
    found = services.find_upload(user_id=request.user.id, dataset_id=dataset_id)
    if found is not None and found.status is DatasetStatus.READY:
        return goto(request, reverse("datasets:detail", args=[found.id]))  # the same form once more
    dataset = staging.get_staged(user_id=request.user.id, dataset_id=dataset_id)
    try:
        form = staging_presenters.dialect_form(dataset, request.POST)
        form.demand_answers()
        if form.errors:
            return _table(request, dataset, request.POST, importing=True)
        outcome = staging.import_staged(dataset=dataset, dialect=form.dialect)
    except InvalidInput as error:
        return _table(request, dataset, request.POST, refusal=error)
    if isinstance(outcome, Activity):
        return goto(request, reverse("datasets:preview", args=[dataset.id]))
    messages.success(request, staging_presenters.imported_sentence(outcome))
    return goto(request, reverse("datasets:detail", args=[outcome.id]))


@login_required
@require_GET
@never_cache
def progress(request: UserRequest, dataset_id: str) -> HttpResponse:
    """The part of the page that polls while a file is read in the background; at the end it leads on."""
    dataset = services.find_upload(user_id=request.user.id, dataset_id=dataset_id)
    if dataset is None or dataset.status not in (DatasetStatus.STAGED, DatasetStatus.READY):
        raise NotFound("There is no such upload.")
    work = staging.running(dataset=dataset) if dataset.status is DatasetStatus.STAGED else None
    if work is not None:
        return render(request, "datasets/_preview_progress.html", {"dataset": dataset, "work": work})
    return goto(request, reverse("datasets:preview", args=[dataset.id]))


@login_required
@require_POST
@vary_on_headers("HX-Request")
def cancel(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Stop reading in the background; the upload is as it was before."""
    dataset = staging.get_staged(user_id=request.user.id, dataset_id=dataset_id)
    work = staging.running(dataset=dataset)
    if work is not None:
        activities.request_cancel(user_id=request.user.id, activity_id=work.id)
    return goto(request, reverse("datasets:preview", args=[dataset.id]))


@login_required
@require_POST
@vary_on_headers("HX-Request")
def abandon(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Delete an upload that is not wanted."""
    dataset = services.abandon(user_id=request.user.id, dataset_id=dataset_id)
    messages.info(request, f"“{dataset.name}” was abandoned: nothing of it is stored.")
    return goto(request, reverse("datasets:new"))
