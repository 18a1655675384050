"""The rows browser. Somebody else's dataset is a 404 like one that never was."""

from http import HTTPStatus

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from datasets import rows as browser
from datasets import rows_presenters, services
from datasets.records import Dataset
from datasets.rows_forms import RowsForm
from smartml.htmx import UserRequest, goto, in_place_of, wants_fragment


@login_required
@require_safe
@vary_on_headers("HX-Request")
def rows(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fifty rows from any row on."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    return _page(request, dataset, "datasets/_rows_page.html" if wants_fragment(request) else "datasets/rows.html")


def _page(request: UserRequest, dataset: Dataset, template: str) -> HttpResponse:
    context = rows_presenters.page_context(dataset, form := RowsForm(request.GET, dataset=dataset))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, template, context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def index(request: UserRequest, dataset_id: str) -> HttpResponse:
    """How far the index of rows is; the page that waits for it comes with the last answer. POST: make it again."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    if request.method == "POST":
        browser.start_index(dataset=dataset)
    if request.method == "POST" or not wants_fragment(request):
        query = request.GET.copy()
        query.pop("wait", None)
        return goto(request, f"{reverse('datasets:rows', args=[dataset.id])}?{query.urlencode()}")
    work = None if browser.index_of(dataset=dataset) is not None else browser.work_on(dataset=dataset)
    if "wait" in request.GET and (work is None or work.status.is_over):
        return in_place_of(_page(request, dataset, "datasets/_rows_page.html"), "#rows-page")
    context = rows_presenters.work_context(dataset, work) | {"status_url": request.get_full_path()}
    return render(request, "datasets/_rows_index.html", context)
