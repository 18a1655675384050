"""Pages and fragments of datasets. Somebody else's dataset is a 404 like one that never was."""

from contextlib import suppress
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse, UnreadablePostError
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from accounts import tickets
from datasets import presenters, services, staging
from datasets.forms import ListForm, RenameForm, TargetForm, UploadForm
from datasets.ingest import conflict_with, refuse_size
from datasets.records import Dataset, DatasetStatus
from datasets.uploads import FIELD, IngestUploadHandler
from smartml.errors import InvalidInput, SmartMLError, TooLarge
from smartml.htmx import UserRequest, announce, goto, wants_fragment
from storage.paging import Page

# A multipart body is a little longer than the file in it: boundaries, headers, the other fields.
_MULTIPART_ALLOWANCE = 64 * 2**10


@login_required
@require_safe
@vary_on_headers("HX-Request", "HX-Target")
def dataset_list(request: UserRequest) -> HttpResponse:
    """All datasets of a person: searched, sorted, page by page."""
    form = ListForm(request.GET)
    form.is_valid()
    page: Page[Dataset] = Page(items=(), next_cursor=None)
    if form.can_match:
        page = services.list_datasets(
            user_id=request.user.id, search=form.search, sort=form.order, cursor=request.GET.get("cursor") or None
        )
    context = {"form": form, "page": page, "search": form.search, "sort": form.order.value}
    if wants_fragment(request):
        part = "_rows" if request.htmx.target == "dataset-more" else "_results"
        return render(request, f"datasets/{part}.html", context)
    context["totals"] = services.totals_of(user_id=request.user.id)
    context["staged"] = staging.staged_of(user_id=request.user.id)
    return render(request, "datasets/list.html", context)


@login_required
@require_safe
def new(request: UserRequest) -> HttpResponse:
    """The upload form. Its address carries the id the dataset will have, so sending it twice is harmless."""
    return _upload_form(request, UploadForm())


def _upload_form(request: UserRequest, form: UploadForm, *, status: int = 200) -> HttpResponse:
    template = "datasets/_upload_form.html" if wants_fragment(request) else "datasets/new.html"
    ticket = tickets.issue(user_id=request.user.id, purpose="upload")
    context = {"form": form, "ticket": ticket, "max_bytes": settings.MAX_UPLOAD_BYTES}
    return render(request, template, context, status=status)


# The upload handler must be set before anything reads the body, and the CSRF check reads it. So: an exempt outer
# view decides from the headers alone, and a protected inner view reads.
@csrf_exempt
@login_required
@require_POST
def upload(request: UserRequest, ticket: str) -> HttpResponseBase:
    """Receive a file for its owner to look at. Whatever goes wrong, neither blob nor metadata is left."""
    try:
        dataset_id = tickets.redeem(ticket, user_id=request.user.id, purpose="upload")
        existing = services.find_upload(user_id=request.user.id, dataset_id=dataset_id)
        if existing is not None:
            return _answer_again(request, existing)
        _refuse_early(request)
        return _receive(request, dataset_id)
    except (InvalidInput, TooLarge) as error:
        form = UploadForm()
        form.refuse(error.fields.get(FIELD) or f"{error.message} {error.hint}".rstrip())
        return _upload_form(request, form, status=error.status)


def _receive(request: UserRequest, dataset_id: str) -> HttpResponse:
    handler = IngestUploadHandler(request, user_id=request.user.id, dataset_id=dataset_id)
    request.upload_handlers = [handler]
    try:
        return _read(request, handler)
    finally:
        handler.abort()


@csrf_protect
def _read(request: UserRequest, handler: IngestUploadHandler) -> HttpResponse:
    with suppress(UnreadablePostError):  # the browser is gone; `finish` says what that means for the file
        request.POST.get(FIELD)  # reads the body
    return goto(request, _page_of(handler.finish()))


def _page_of(dataset: Dataset) -> str:
    """Where an upload is looked at until it is imported, and where it is afterwards."""
    page = "datasets:preview" if dataset.status is DatasetStatus.STAGED else "datasets:detail"
    return reverse(page, args=[dataset.id])


def _answer_again(request: UserRequest, existing: Dataset) -> HttpResponse:
    """The same form once more; whether with the same file nobody knows before its body is read, so it is said."""
    if existing.status not in (DatasetStatus.STAGED, DatasetStatus.READY):
        raise conflict_with(existing)
    messages.info(
        request,
        f"This form has already been used: “{existing.name}” was uploaded. "
        "To upload another file, start a new upload.",
    )
    response = goto(request, _page_of(existing))
    if response.status_code == HTTPStatus.FOUND:
        response.status_code = HTTPStatus.SEE_OTHER  # fetch it; do not send the file once more
    return response


def _refuse_early(request: UserRequest) -> None:
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > settings.MAX_UPLOAD_BYTES + _MULTIPART_ALLOWANCE:
        raise refuse_size(length)


@login_required
@require_safe
def detail(request: UserRequest, dataset_id: str) -> HttpResponse:
    """One dataset: facts, first rows, target; the profile follows by itself."""
    found = services.find_upload(user_id=request.user.id, dataset_id=dataset_id)
    if found is not None and found.status is DatasetStatus.STAGED:
        return goto(request, _page_of(found))
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    context = presenters.detail_context(dataset)
    failure = context.get("failure")
    status = failure.status if isinstance(failure, SmartMLError) else 200
    return render(request, "datasets/detail.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def rename(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Change the name in place, or on a page of its own without HTMX."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    form = RenameForm(request.POST if request.method == "POST" else None, initial={"name": dataset.name})
    if form.is_valid():
        dataset = services.rename(user_id=request.user.id, dataset_id=dataset_id, name=form.cleaned_data["name"])
        if not wants_fragment(request):
            return goto(request, reverse("datasets:detail", args=[dataset_id]))
        return render(request, "datasets/_name.html", {"dataset": dataset, "renamed": True})
    if request.GET.get("keep") and wants_fragment(request):
        return render(request, "datasets/_name.html", {"dataset": dataset})
    template = "datasets/_rename_form.html" if wants_fragment(request) else "datasets/rename.html"
    return render(request, template, {"dataset": dataset, "form": form}, status=422 if form.errors else 200)


@login_required
@require_POST
@vary_on_headers("HX-Request")
def target(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Store the column to predict."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    preview = services.first_rows(dataset=dataset)
    form = TargetForm(request.POST, columns=preview.columns)
    if form.is_valid():
        chosen = form.cleaned_data["target_column"] or None
        try:
            dataset = services.set_target(user_id=request.user.id, dataset_id=dataset_id, target_column=chosen)
        except InvalidInput as error:
            form.add_error("target_column", error.fields.get("target_column", error.message))
    if form.is_valid() and not wants_fragment(request):
        return goto(request, reverse("datasets:detail", args=[dataset_id]))
    context = {"dataset": dataset, "target_form": form, "saved": form.is_valid()}
    template = "datasets/_target.html" if wants_fragment(request) else "datasets/target.html"
    response = render(request, template, context, status=422 if form.errors else 200)
    return announce(response, "target-chosen") if form.is_valid() else response


@login_required
@require_GET
def download(request: UserRequest, dataset_id: str) -> StreamingHttpResponse:
    """The file exactly as it was uploaded, streamed."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    response = StreamingHttpResponse(services.open_download(dataset=dataset), content_type="text/csv")
    response["Content-Length"] = str(dataset.file_size)
    response["Content-Disposition"] = content_disposition_header(True, f"{dataset.name}.csv") or "attachment"
    response["Cache-Control"] = "private, no-cache"
    if dataset.etag:
        response["ETag"] = dataset.etag
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def delete(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Ask, then delete and show the receipt."""
    dataset = services.find_for_deletion(user_id=request.user.id, dataset_id=dataset_id)
    if request.method != "POST":
        return render(request, "datasets/delete.html", {"dataset": dataset})
    removed = services.delete_dataset(user_id=request.user.id, dataset_id=dataset_id)
    in_place = wants_fragment(request)
    template = "datasets/_deleted.html" if in_place else "datasets/deleted.html"
    return render(request, template, {"dataset": dataset, "removed": removed, "in_place": in_place})
