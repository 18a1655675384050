"""A file that a version predicts: sent, watched, looked at, downloaded, deleted."""

from contextlib import suppress

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse, UnreadablePostError
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from accounts import tickets
from accounts.api_snippets import Call, snippet_of
from datasets import services as datasets
from datasets.ingest import refuse_size
from datasets.records import Dataset
from datasets.uploads import FIELD, StreamedUpload
from models_app import batch_intake, services
from models_app import batches as work
from models_app.batch_forms import BatchDatasetForm, BatchFileForm
from models_app.batch_intake import BatchIntake
from models_app.batch_presenter import drift_of, present
from models_app.batch_records import Batch, BatchStatus
from models_app.records import Model, ModelVersion
from models_app.views import find_version, version_of
from smartml.errors import InvalidInput, NotFound, TooLarge
from smartml.htmx import UserRequest, goto, wants_fragment

_MULTIPART_ALLOWANCE = 64 * 2**10
_DATASETS_OFFERED = 100


@login_required
@require_safe
@never_cache
@vary_on_headers("HX-Request")
def batches(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """The files that this version has predicted; as a page also the ways to send another."""
    model, found = find_version(request, model_id, version)
    if wants_fragment(request):
        context = _list_context(model, found) | {"is_page": "page" in request.GET}
        return render(request, "models_app/_batches.html", context)
    return _page(request, model, found)


def _list_context(model: Model, version: ModelVersion) -> dict[str, object]:
    states = [work.state_of(batch) for batch in work.of_version(model=model, version=version.version)]
    found = [(state, drift_of(state.batch)) for state in states if state is not None]
    running = any(state.is_running for state, _ in found)
    return {"model": model, "version": version, "states": found, "is_running": running}


def _page(
    request: UserRequest,
    model: Model,
    version: ModelVersion,
    *,
    form: BatchDatasetForm | None = None,
    status: int = 200,
) -> HttpResponse:
    offered = _datasets(request)
    context = _list_context(model, version) | _upload_context(request, model, version, BatchFileForm())
    context |= {"is_page": True, "datasets": offered, "dataset_form": form or BatchDatasetForm(datasets=offered)}
    return render(request, "models_app/batches.html", context, status=status)


def _datasets(request: UserRequest) -> tuple[Dataset, ...]:
    return tuple(datasets.list_datasets(user_id=request.user.id, limit=_DATASETS_OFFERED).items)


def _upload_context(
    request: UserRequest, model: Model, version: ModelVersion, form: BatchFileForm
) -> dict[str, object]:
    return {
        "model": model,
        "version": version,
        "form": form,
        "ticket": tickets.issue(user_id=request.user.id, purpose="batch"),
        "max_bytes": settings.MAX_UPLOAD_BYTES,
    }


# As in ``datasets.views``: the upload handler must be set before anything reads the body.
@csrf_exempt
@login_required
@require_POST
def batch_upload(request: UserRequest, model_id: str, version: int, ticket: str) -> HttpResponseBase:
    """Receive a file and have it predicted. Whatever goes wrong, nothing of it is left."""
    model, found = find_version(request, model_id, version)
    try:
        batch_id = tickets.redeem(ticket, user_id=request.user.id, purpose="batch")
        with suppress(NotFound):
            return goto(request, _page_of(work.find(user_id=model.user_id, model_id=model.id, batch_id=batch_id)))
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if length > settings.MAX_UPLOAD_BYTES + _MULTIPART_ALLOWANCE:
            raise refuse_size(length)
        return _receive(request, model, version, batch_id)
    except (InvalidInput, TooLarge) as error:
        form = BatchFileForm()
        form.refuse(error.fields.get(FIELD, error.message))
        context = _upload_context(request, model, found, form)
        template = "models_app/_batch_form.html"
        if not wants_fragment(request):
            offered = _datasets(request)
            context |= _list_context(model, found) | {"is_page": True, "datasets": offered}
            context["dataset_form"] = BatchDatasetForm(datasets=offered)
            template = "models_app/batches.html"
        return render(request, template, context, status=error.status)


def _receive(request: UserRequest, model: Model, version: int, batch_id: str) -> HttpResponse:
    def begin(name: str) -> BatchIntake:
        return batch_intake.begin(model=model, version=version, batch_id=batch_id, file_name=name)

    handler = StreamedUpload(request, begin)
    request.upload_handlers = [handler]
    try:
        return _read(request, handler)
    finally:
        handler.abort()


@csrf_protect
def _read(request: UserRequest, handler: StreamedUpload[BatchIntake]) -> HttpResponse:
    with suppress(UnreadablePostError):  # the browser is gone; `received` says what that means for the file
        request.POST.get(FIELD)  # reads the body
    intake = handler.received()
    return goto(request, _page_of(intake.finish(is_strict=bool(request.POST.get("is_strict")))))


def _page_of(batch: Batch) -> str:
    return reverse("models:batch", args=[batch.model_id, batch.id])


@login_required
@require_POST
def batch_dataset(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """Have a dataset predicted."""
    model, found = find_version(request, model_id, version)
    form = BatchDatasetForm(request.POST, datasets=_datasets(request))
    if not form.is_valid():
        return _page(request, model, found, form=form, status=422)
    batch_id = tickets.redeem(request.POST.get("ticket", ""), user_id=request.user.id, purpose="batch")
    with suppress(NotFound):
        return goto(request, _page_of(work.find(user_id=model.user_id, model_id=model.id, batch_id=batch_id)))
    batch = work.predict_dataset(
        model=model,
        version=version,
        dataset=datasets.get_dataset(user_id=request.user.id, dataset_id=form.cleaned_data["dataset"]),
        batch_id=batch_id,
        is_strict=form.cleaned_data["is_strict"],
    )
    return goto(request, _page_of(batch))


@login_required
@require_safe
@never_cache
@vary_on_headers("HX-Request")
def batch(request: UserRequest, model_id: str, batch_id: str) -> HttpResponse:
    """How far it is, or what came of it."""
    model, found = _find_batch(request, model_id, batch_id)
    state = work.state_of(found)
    if state is None:
        messages.info(request, "The prediction of this file was cancelled; nothing of it is left.")
        return goto(request, reverse("models:batches", args=[model.id, found.version]))
    version = version_of(model, found.version)
    context: dict[str, object] = {"model": model, "version": version, "state": state, "batch": state.batch}
    if state.activity is not None:
        context["percent"] = round(100 * state.activity.progress)
    if state.batch.status is BatchStatus.DONE:
        context["result"] = present(state.batch, work.summary_of(state.batch), work.first_rows(state.batch))
        context["snippets"] = [snippet_of(_fetching(request, state.batch))]
    template = "models_app/_batch.html" if wants_fragment(request) else "models_app/batch.html"
    return render(request, template, context)


def _fetching(request: UserRequest, batch: Batch) -> Call:
    url = request.build_absolute_uri(reverse("api-v1:batch_result", args=[batch.model_id, batch.id]))
    return Call(title="Fetch this result", method="GET", url=url, saves=work.result_file_name(batch))


def _find_batch(request: UserRequest, model_id: str, batch_id: str) -> tuple[Model, Batch]:
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    return model, work.find(user_id=request.user.id, model_id=model.id, batch_id=batch_id)


@login_required
@require_GET
@never_cache
def batch_result(request: UserRequest, model_id: str, batch_id: str) -> StreamingHttpResponse:
    """The result as a CSV file: for spreadsheets, or with ``?exact=1`` to the character."""
    _, found = _find_batch(request, model_id, batch_id)
    is_exact = bool(request.GET.get("exact"))
    chunks = work.stream_result(found, for_spreadsheet=not is_exact)
    response = StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8")
    name = work.result_file_name(found)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    if is_exact:
        response["Content-Length"] = str(found.result_size)
    return response


@login_required
@require_POST
def batch_cancel(request: UserRequest, model_id: str, batch_id: str) -> HttpResponse:
    """End the work; nothing of it is left."""
    model, found = _find_batch(request, model_id, batch_id)
    if not work.cancel(found):
        messages.info(request, "It was over already.")
        return goto(request, _page_of(found))
    return goto(request, reverse("models:batches", args=[model.id, found.version]))


@login_required
@require_POST
def batch_delete(request: UserRequest, model_id: str, batch_id: str) -> HttpResponse:
    """Delete result and record."""
    model, found = _find_batch(request, model_id, batch_id)
    work.delete(found)
    messages.success(request, f"“{found.file_name}” and what was predicted of it are deleted.")
    return goto(request, reverse("models:batches", args=[model.id, found.version]))
