"""The API's addresses of files that a model predicts: the services of the pages, for programs."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from ninja import Path, Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from accounts import idempotency
from accounts.api_access import MAY_PREDICT, ApiRequest
from accounts.api_schemas import OID, SAMPLE_ID, Key, ModelId, Receipt, failures
from datasets import api_uploads
from ml.prediction import FindingKind, Mode
from models_app import batch_intake, batches, services
from models_app.api_schemas import FindingOut, VersionQuery
from models_app.batch_records import Batch, BatchStatus
from models_app.records import Model
from smartml.errors import NotFound, SmartMLError

router = Router(tags=["Batches"])

BatchId = Annotated[str, Path(pattern=OID, description="The id of a batch.")]
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}
_BODY: Final = {"requestBody": {"required": True, "content": dict.fromkeys(api_uploads.MEDIA_TYPES[:2], _FILE)}}
_CSV: Final = {"content": {"text/csv": _FILE}}


class BatchQuery(Schema):
    """How the file is called, and what is done with it."""

    file_name: str = Field(min_length=1, max_length=255, description="With its ending: new.csv, new.csv.gz …")
    version: int | None = Field(None, ge=1, le=10**6, description="The current one unless it is said.")
    mode: Mode = Field(Mode.LENIENT, description="`strict`: anything odd about a row refuses the file.")


class ResultQuery(Schema):
    """For whom the file is."""

    for_spreadsheet: bool = Field(
        False, description="An apostrophe in front of texts that a spreadsheet would run as a formula."
    )


class BatchFailure(Schema):
    """Why there is no result."""

    code: str
    message: str
    hint: str


class BatchFacts(Schema):
    """A file that a version predicts. Its `id` is also that of the work."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": SAMPLE_ID,
                    "model_id": "6567c1d2a9b8f00123456790",
                    "version": 1,
                    "file_name": "new.csv",
                    "status": "done",
                    "stage": "Done",
                    "progress": 1.0,
                    "created_at": "2026-11-27T12:00:00Z",
                    "finished_at": "2026-11-27T12:00:09Z",
                    "mode": "lenient",
                    "rows": 1000,
                    "bad_rows": 2,
                    "odd_rows": 31,
                    "drift": "none",
                    "metric": "accuracy",
                    "score": 0.91,
                    "result_size": 48211,
                    "error": None,
                }
            ]
        }
    )
    id: str
    model_id: str
    version: int
    file_name: str
    status: BatchStatus = Field(description="`waiting`: it waits for a worker or is being predicted.")
    stage: str
    progress: float = Field(ge=0, le=1)
    created_at: datetime
    finished_at: datetime | None
    mode: Mode
    rows: int
    bad_rows: int = Field(description="Rows that do not fit the header; they are not in the result.")
    odd_rows: int = Field(description="Rows with findings, once it is done.")
    drift: str = Field(description="`none`, `some`, `strong`, `unknown` (too few rows), or empty.")
    metric: str | None
    score: float | None = Field(description="Where the file has the true answers in it.")
    result_size: int
    error: BatchFailure | None


class BatchList(Schema):
    """The newest first."""

    items: list[BatchFacts]


class OddColumn(Schema):
    """In how many rows something was odd about a column."""

    field: str
    kind: FindingKind
    rows: int


class ColumnDriftFacts(Schema):
    """How far a column has moved from the rows of the training. `psi`: the population stability index, null where
    the rows are too few to say."""

    field: str
    level: Literal["none", "some", "strong", "unknown"]
    psi: float | None
    missing_then: float
    missing_now: float


class ScoredFacts(Schema):
    """The score on the true answers in the file. Of the `known_rows` that have one, `rows` were looked at;
    `other_rows` have what the model does not know as an answer."""

    metric: str
    score: float | None
    interval: tuple[float, float] | None
    rows: int
    known_rows: int
    other_rows: int


class BatchSummary(Schema):
    """What was found in a file. `renamed`: new columns, and what they are called where the file had one of that
    name. `is_seen`: it is the file that the model was trained on, so it has no score."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rows": 1000,
                    "odd_rows": 31,
                    "findings": [{"field": "area", "kind": "out_of_range", "rows": 31}],
                    "table_findings": [
                        {
                            "field": "district",
                            "kind": "missing",
                            "message": 'There is no column "district". It counts as missing in every row.',
                        }
                    ],
                    "renamed": {},
                    "drift": [
                        {"field": "area", "level": "some", "psi": 0.13, "missing_then": 0.0, "missing_now": 0.01}
                    ],
                    "score": None,
                    "is_seen": False,
                }
            ]
        }
    )
    rows: int
    odd_rows: int
    findings: list[OddColumn]
    table_findings: list[FindingOut] = Field(description="About columns of all rows, said once.")
    renamed: dict[str, str]
    drift: list[ColumnDriftFacts] | None
    score: ScoredFacts | None
    is_seen: bool


@router.post(
    "/{oid:model_id}/batches",
    auth=MAY_PREDICT,
    response={202: BatchFacts, **failures(404, 409, 411, 413, 415, 422)},
    summary="Predict a file",
    url_name="batches",
    openapi_extra=_BODY,
)
def start_batch(
    request: ApiRequest,
    response: HttpResponse,
    model_id: ModelId,
    query: Query[BatchQuery],
    idempotency_key: Key = None,
) -> Status[BatchFacts]:
    """The body is the file itself: CSV or TSV, also gzipped. It is predicted in the background; ask for its state
    every few seconds, then for the result. Needs the right `predict`.
    """
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    version = services.get_version(model, query.version or model.version).version
    length = api_uploads.check_headers(request)
    asked = (request.path, request.META.get("QUERY_STRING", ""), str(length))
    claim = idempotency.claim(
        user_id=request.auth.user_id,
        key=idempotency_key,
        request_digest=idempotency.digest(*(part.encode() for part in asked)),
    )
    batch = _made_before(request, model, claim, length)
    if batch is not None:
        response["Idempotency-Replayed"] = "true"
    else:
        batch = _store(request, model, version, claim, query, length)
    response["Location"] = reverse("api-v1:batch", args=[model.id, batch.id])
    return Status(202, _facts(batch))


def _made_before(request: ApiRequest, model: Model, claim: idempotency.Claim, length: int) -> Batch | None:
    if not claim.is_repeated:
        return None
    try:
        found = batches.find(user_id=model.user_id, model_id=model.id, batch_id=claim.resource_id)
    except NotFound:
        return None
    if claim.body_digest and api_uploads.digest_of(request, length=length) != claim.body_digest:
        raise idempotency.KeyReused
    return found


def _store(
    request: ApiRequest, model: Model, version: int, claim: idempotency.Claim, query: BatchQuery, length: int
) -> Batch:
    digest = hashlib.sha256()
    try:
        intake = batch_intake.begin(
            model=model, version=version, batch_id=claim.resource_id, file_name=query.file_name
        )
        try:
            for chunk in api_uploads.chunks(request, length):
                digest.update(chunk)
                intake.write(chunk)
            batch = intake.finish(is_strict=query.mode is Mode.STRICT)
        finally:
            intake.abort()
    except SmartMLError as error:
        idempotency.give_back(claim, error)
        raise
    idempotency.complete(claim, body_digest=digest.hexdigest())
    return batch


@router.get(
    "/{oid:model_id}/batches",
    auth=MAY_PREDICT,
    response={200: BatchList, **failures(404, 422)},
    summary="List batches",
    url_name="batches",
)
def list_batches(request: ApiRequest, model_id: ModelId, query: Query[VersionQuery]) -> BatchList:
    """The 50 newest of a version. Needs the right `predict`."""
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    version = services.get_version(model, query.version or model.version).version
    return BatchList(items=[_facts(each) for each in batches.of_version(model=model, version=version)])


@router.get(
    "/{oid:model_id}/batches/{oid:batch_id}",
    auth=MAY_PREDICT,
    response={200: BatchFacts, **failures(404)},
    summary="Look at a batch",
    url_name="batch",
)
def get_batch(request: ApiRequest, model_id: ModelId, batch_id: BatchId) -> BatchFacts:
    """How far it is, and what came of it. Needs the right `predict`."""
    return _facts(_find(request, model_id, batch_id))


@router.get(
    "/{oid:model_id}/batches/{oid:batch_id}/summary",
    auth=MAY_PREDICT,
    response={200: BatchSummary, **failures(404, 409, 410)},
    summary="Look at what was found in a batch",
    url_name="batch_summary",
)
def get_summary(request: ApiRequest, model_id: ModelId, batch_id: BatchId) -> BatchSummary:
    """Columns that are missing or too many, oddities by column, how far the file has moved from the training, and
    the score where it holds the true answers. Once it is done (409 before). Needs the right `predict`.
    """
    found = batches.summary_of(_find(request, model_id, batch_id))
    drift, score = found["drift"], found["score"]
    return BatchSummary(
        **{name: found[name] for name in ("rows", "odd_rows", "renamed")},
        findings=[OddColumn(**_by_field(each)) for each in found["counts"]],
        table_findings=[FindingOut(**_by_field(each)) for each in found["table_findings"]],
        drift=None if drift is None else [ColumnDriftFacts(**_by_field(each)) for each in drift["columns"]],
        score=None if score is None else ScoredFacts(**score),
        is_seen=bool(found.get("is_seen")),
    )


def _by_field(found: dict[str, Any]) -> dict[str, Any]:
    return {"field" if name == "column" else name: value for name, value in found.items()}


@router.get(
    "/{oid:model_id}/batches/{oid:batch_id}/result",
    auth=MAY_PREDICT,
    response={200: None, **failures(404, 409, 410, 422)},
    summary="Download the result of a batch",
    url_name="batch_result",
    openapi_extra={"responses": {200: _CSV}},
)
def download_result(
    request: ApiRequest, model_id: ModelId, batch_id: BatchId, query: Query[ResultQuery]
) -> StreamingHttpResponse:
    """The columns of the file, and beside them the predictions and findings, as CSV. Needs the right `predict`."""
    batch = _find(request, model_id, batch_id)
    chunks = batches.stream_result(batch, for_spreadsheet=query.for_spreadsheet)
    response = StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8")
    name = batches.result_file_name(batch)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    return response


@router.post(
    "/{oid:model_id}/batches/{oid:batch_id}/cancel",
    auth=MAY_PREDICT,
    response={204: None, **failures(404, 409)},
    summary="Cancel a batch",
    url_name="batch_cancel",
)
def cancel_batch(request: ApiRequest, model_id: ModelId, batch_id: BatchId) -> Status[None]:
    """It ends within seconds and nothing of it is left; one that is over stays as it is. Needs the right
    `predict`.
    """
    batches.cancel(_find(request, model_id, batch_id))
    return Status(204, None)


@router.delete(
    "/{oid:model_id}/batches/{oid:batch_id}",
    auth=MAY_PREDICT,
    response={200: Receipt, **failures(404)},
    summary="Delete a batch",
    url_name="batch",
)
def delete_batch(request: ApiRequest, model_id: ModelId, batch_id: BatchId) -> Receipt:
    """The result and all that is known of it, for good. Needs the right `predict`."""
    removed = batches.delete(_find(request, model_id, batch_id))
    return Receipt(id=batch_id, blobs=removed, remaining=0)


def _find(request: ApiRequest, model_id: str, batch_id: str) -> Batch:
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    return batches.find(user_id=model.user_id, model_id=model.id, batch_id=batch_id)


def _facts(batch: Batch) -> BatchFacts:
    state = batches.state_of(batch)
    if state is None:
        raise NotFound("This batch was cancelled, and nothing of it is left.")
    now, activity = state.batch, state.activity
    over = "Done" if now.status is BatchStatus.DONE else "Failed"
    waiting = "Waiting for a worker" if activity is None else activity.stage
    own: dict[str, Any] = {
        "stage": over if now.status.is_over else waiting,
        "progress": 1.0 if now.status is BatchStatus.DONE else 0.0 if activity is None else activity.progress,
        "mode": Mode.STRICT if now.is_strict else Mode.LENIENT,
        "error": None
        if now.error is None
        else BatchFailure(code=now.error.code, message=now.error.message, hint=now.error.hint),
    }
    others = set(BatchFacts.model_fields) - set(own)
    return BatchFacts(**own, **{name: getattr(now, name) for name in others})
