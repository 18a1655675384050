"""The API's addresses below ``datasets``: the services of the pages, for programs."""

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from ninja import Query, Router, Status

from accounts import idempotency
from accounts.api_access import MAY_READ, MAY_WRITE, ApiRequest
from accounts.api_schemas import DatasetId, Key, Receipt, failures
from datasets import api_uploads, receipts, services
from datasets.api_schemas import (
    DatasetDetail,
    DatasetFacts,
    DatasetPage,
    IngestReceipt,
    ListQuery,
    UploadQuery,
    detail_of,
    facts_of,
    receipt_facts,
)
from datasets.ingest import conflict_with
from datasets.records import Dataset, DatasetStatus
from smartml.errors import Conflict, NotFound, SmartMLError

router = Router(tags=["Datasets"])

_FILE = {"schema": {"type": "string", "format": "binary"}}
_CSV = {"content": {"text/csv": _FILE}}
_FILE_BODY = {"requestBody": {"required": True, "content": dict.fromkeys(api_uploads.MEDIA_TYPES[:2], _FILE)}}


@router.post(
    "",
    auth=MAY_WRITE,
    response={201: DatasetFacts, **failures(404, 409, 411, 413, 415, 422)},
    summary="Upload a table",
    url_name="datasets",
    openapi_extra=_FILE_BODY,
)
def upload_dataset(
    request: ApiRequest, response: HttpResponse, query: Query[UploadQuery], idempotency_key: Key = None
) -> Status[DatasetFacts]:
    """The body is the file itself: CSV or TSV, also gzipped, or a zip, XLSX or Parquet file. Of several tables in
    it `table` names the one that is meant.

    It is read as it was detected and is ready at once. A file that is no table leaves nothing behind. Needs the
    right `write`.
    """
    length = api_uploads.check_headers(request)
    asked = (request.path, request.META.get("QUERY_STRING", ""), str(length))
    claim = idempotency.claim(
        user_id=request.auth.user_id,
        key=idempotency_key,
        request_digest=idempotency.digest(*(part.encode() for part in asked)),
    )
    dataset = _made_before(request, claim, length)
    if dataset is not None:
        response["Idempotency-Replayed"] = "true"
    else:
        dataset = _store(request, claim, query, length)
    response["Location"] = reverse("api-v1:dataset", args=[dataset.id])
    return Status(201, DatasetFacts(**facts_of(dataset)))


def _store(request: ApiRequest, claim: idempotency.Claim, query: UploadQuery, length: int) -> Dataset:
    try:
        dataset, digest = api_uploads.receive(
            request,
            user_id=request.auth.user_id,
            dataset_id=claim.resource_id,
            file_name=query.file_name,
            name=query.name,
            table=query.table,
            length=length,
        )
    except SmartMLError as error:
        idempotency.give_back(claim, error)
        raise
    idempotency.complete(claim, body_digest=digest)
    return dataset


def _made_before(request: ApiRequest, claim: idempotency.Claim, length: int) -> Dataset | None:
    """What an earlier request with this key has stored; None when it has stored nothing.

    :raises KeyReused: that was another file.
    :raises Conflict: it is still being stored, or has been deleted since.
    """
    if not claim.is_repeated:
        return None
    found = services.find_upload(user_id=request.auth.user_id, dataset_id=claim.resource_id)
    if found is None and claim.body_digest:
        raise Conflict("The dataset that was made with this key is deleted.", hint="Send another key.")
    if found is None:
        return None
    if found.status is not DatasetStatus.READY:
        raise conflict_with(found)
    # Without a digest the process ended right after the dataset was ready: then its length has to do.
    if claim.body_digest and api_uploads.digest_of(request, length=length) != claim.body_digest:
        raise idempotency.KeyReused
    return found


@router.get(
    "", auth=MAY_READ, response={200: DatasetPage, **failures(422)}, summary="List datasets", url_name="datasets"
)
def list_datasets(request: ApiRequest, query: Query[ListQuery]) -> DatasetPage:
    """Page by page, newest first unless asked otherwise. Needs the right `read`."""
    page = services.list_datasets(
        user_id=request.auth.user_id,
        search=query.search,
        sort=query.sort,
        cursor=query.cursor or None,
        limit=query.limit,
    )
    items = [DatasetFacts(**facts_of(dataset)) for dataset in page.items]
    return DatasetPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/{oid:dataset_id}",
    auth=MAY_READ,
    response={200: DatasetDetail, **failures(404, 410, 422)},
    summary="Look at a dataset",
    url_name="dataset",
    by_alias=True,
)
def get_dataset(request: ApiRequest, dataset_id: DatasetId) -> DatasetDetail:
    """What is stored about it, its columns (`schema`), its first 20 rows (`sampleData`). Needs the right `read`."""
    return detail_of(services.get_dataset(user_id=request.auth.user_id, dataset_id=dataset_id))


@router.get(
    "/{oid:dataset_id}/receipt",
    auth=MAY_READ,
    response={200: IngestReceipt, **failures(404)},
    summary="Look at the receipt of a dataset",
    url_name="dataset_receipt",
)
def get_receipt(request: ApiRequest, dataset_id: DatasetId) -> IngestReceipt:
    """What became of every record of the file: `rows` and `quarantined` together are `records`. A dataset from
    before receipts were kept has none (404). Needs the right `read`.
    """
    dataset = services.get_dataset(user_id=request.auth.user_id, dataset_id=dataset_id)
    found = receipts.receipt_of(dataset=dataset)
    if found is None:
        raise NotFound("This dataset was stored before receipts were kept.", hint="Upload the file again.")
    return receipt_facts(found)


@router.get(
    "/{oid:dataset_id}/quarantine",
    auth=MAY_READ,
    response={200: None, **failures(404, 410)},
    summary="Download the quarantine of a dataset",
    url_name="dataset_quarantine",
    openapi_extra={"responses": {200: _CSV}},
)
def download_quarantine(request: ApiRequest, dataset_id: DatasetId) -> StreamingHttpResponse:
    """Every record that was left out, as CSV: its line in the file, the reason, and the record as it stands there.
    404 where none was. Needs the right `read`.
    """
    dataset = services.get_dataset(user_id=request.auth.user_id, dataset_id=dataset_id)
    chunks = receipts.open_quarantine(dataset=dataset)
    response = StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8")
    name = f"{dataset.name} quarantine.csv"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    return response


@router.delete(
    "/{oid:dataset_id}",
    auth=MAY_WRITE,
    response={200: Receipt, **failures(404, 409)},
    summary="Delete a dataset",
    url_name="dataset",
)
def delete_dataset(request: ApiRequest, dataset_id: DatasetId) -> Receipt:
    """The file and what was made of it, then its metadata. Models trained on it stay. Needs the right `write`."""
    services.find_for_deletion(user_id=request.auth.user_id, dataset_id=dataset_id)
    removed = services.delete_dataset(user_id=request.auth.user_id, dataset_id=dataset_id)
    return Receipt(id=dataset_id, blobs=removed.count, remaining=removed.remaining)
