"""What became of every record of a dataset's file."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_safe

from datasets import presenters, receipts, services
from smartml.htmx import UserRequest


@login_required
@require_safe
def receipt(request: UserRequest, dataset_id: str) -> HttpResponse:
    """The receipt on a page of its own."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    context = {"dataset": dataset, "ingest": presenters.receipt_context(dataset)}
    return render(request, "datasets/receipt.html", context)


@login_required
@require_GET
def quarantine(request: UserRequest, dataset_id: str) -> StreamingHttpResponse:
    """The records that were left out: line, reason, record as it stands in the file."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    # The first piece has been asked for by now: a failure is still a page of its own.
    chunks = receipts.open_quarantine(dataset=dataset)
    response = StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8")
    name = f"{dataset.name} quarantine.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response
