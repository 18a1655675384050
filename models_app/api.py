"""The API's addresses of trainings and models: the services of the pages, for programs."""

from django.conf import settings
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from ninja import Query, Router, Status

from accounts import idempotency
from accounts.api_access import MAY_PREDICT, MAY_READ, MAY_WRITE, ApiRequest
from accounts.api_schemas import Key, ModelId, Receipt, TrainingId, failures
from datasets import services as datasets
from models_app import services
from models_app.api_schemas import (
    ModelDetail,
    ModelFacts,
    ModelPage,
    ModelQuery,
    PageQuery,
    PredictionAnswer,
    PredictionRequest,
    VersionQuery,
    facts_of,
    feature_of,
    predictions_of,
)
from models_app.records import Job
from models_app.training_schemas import Training, TrainingPage, TrainingRequest, training_of
from smartml.errors import NotFound, SmartMLError, TooLarge

trainings = Router(tags=["Trainings"])
models = Router(tags=["Models"])

_ZIP = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}


# --- Trainings -----------------------------------------------------------------------------------------------
@trainings.post(
    "",
    auth=MAY_WRITE,
    response={202: Training, **failures(404, 409, 410, 413, 415, 422)},
    summary="Start a training",
    url_name="trainings",
)
def start_training(
    request: ApiRequest, response: HttpResponse, payload: TrainingRequest, idempotency_key: Key = None
) -> Status[Training]:
    """The target and the settings are checked on the data; then the training waits for its turn. Ask for its state
    every few seconds. Needs the right `write`.
    """
    claim = idempotency.claim(
        user_id=request.auth.user_id,
        key=idempotency_key,
        request_digest=idempotency.digest(request.path.encode(), request.body),
    )
    job = _asked_before(request, claim)
    if job is not None:
        response["Idempotency-Replayed"] = "true"
    else:
        job = _ask(request, claim, payload)
    response["Location"] = reverse("api-v1:training", args=[job.id])
    return Status(202, training_of(job))


def _asked_before(request: ApiRequest, claim: idempotency.Claim) -> Job | None:
    if not claim.is_repeated:
        return None
    try:
        return services.get_job(user_id=request.auth.user_id, job_id=claim.resource_id)
    except NotFound:
        return None


def _ask(request: ApiRequest, claim: idempotency.Claim, payload: TrainingRequest) -> Job:
    user_id = request.auth.user_id
    try:
        return services.request_training(
            user_id=user_id,
            dataset=datasets.get_dataset(user_id=user_id, dataset_id=payload.dataset_id),
            job_id=claim.resource_id,
            settings=payload.settings(),
            model_name=payload.name,
            model_id=payload.model_id,
        )
    except SmartMLError as error:
        idempotency.give_back(claim, error)
        raise


@trainings.get(
    "",
    auth=MAY_READ,
    response={200: TrainingPage, **failures(422)},
    summary="List trainings",
    url_name="trainings",
)
def list_trainings(request: ApiRequest, query: Query[PageQuery]) -> TrainingPage:
    """Newest first, page by page. Needs the right `read`."""
    page = services.list_jobs(user_id=request.auth.user_id, cursor=query.cursor or None, limit=query.limit)
    return TrainingPage(items=[training_of(job) for job in page.items], next_cursor=page.next_cursor)


@trainings.get(
    "/{oid:training_id}",
    auth=MAY_READ,
    response={200: Training, **failures(404)},
    summary="Look at a training",
    url_name="training",
)
def get_training(request: ApiRequest, training_id: TrainingId) -> Training:
    """How far it is, and what came of it. Needs the right `read`."""
    return training_of(services.get_job(user_id=request.auth.user_id, job_id=training_id))


@trainings.post(
    "/{oid:training_id}/cancel",
    auth=MAY_WRITE,
    response={200: Training, **failures(404)},
    summary="Cancel a training",
    url_name="training_cancel",
)
def cancel_training(request: ApiRequest, training_id: TrainingId) -> Training:
    """It ends within seconds and keeps nothing; one that is over stays as it is. Needs the right `write`."""
    return training_of(services.cancel_job(user_id=request.auth.user_id, job_id=training_id))


# --- Models --------------------------------------------------------------------------------------------------
@models.get("", auth=MAY_READ, response={200: ModelPage, **failures(422)}, summary="List models", url_name="models")
def list_models(request: ApiRequest, query: Query[ModelQuery]) -> ModelPage:
    """Newest first, page by page. Needs the right `read`."""
    page = services.list_models(
        user_id=request.auth.user_id,
        search=query.search,
        tag=query.tag,
        cursor=query.cursor or None,
        limit=query.limit,
    )
    items = [ModelFacts(**facts_of(model)) for model in page.items]
    return ModelPage(items=items, next_cursor=page.next_cursor)


@models.get(
    "/{oid:model_id}",
    auth=MAY_READ,
    response={200: ModelDetail, **failures(404, 410)},
    summary="Look at a model",
    url_name="model",
)
def get_model(request: ApiRequest, model_id: ModelId) -> ModelDetail:
    """Its versions with their scores, and the columns that the current one asks for. Needs the right `read`."""
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    features = services.model_features(model=model, version=model.version)
    unused = services.model_unused_columns(model=model, version=model.version)
    return ModelDetail(
        **facts_of(model),
        features=[feature_of(feature) for feature in features],
        unused_columns=sorted(unused),
    )


@models.post(
    "/{oid:model_id}/predict",
    auth=MAY_PREDICT,
    response={200: PredictionAnswer, **failures(404, 409, 410, 413, 415, 422)},
    summary="Ask for predictions",
    url_name="model_predict",
)
def predict(request: ApiRequest, model_id: ModelId, payload: PredictionRequest) -> JsonResponse:
    """One row or many, each with what is odd about it. The first request after a while loads the model, which
    takes some seconds. Needs the right `predict`.
    """
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    most: int = settings.API_ROWS_PER_PREDICTION
    if len(payload.rows) > most:
        message = f"One request holds at most {most:,} rows."
        hint = "Send them in several requests, or as a file to `/batches` of this model."
        raise TooLarge(message, hint=hint, fields={"rows": message})
    version = payload.version or model.version
    made = services.predict_rows(model=model, version=version, rows=payload.rows, mode=payload.mode)
    return JsonResponse(predictions_of(model, version, made))


@models.get(
    "/{oid:model_id}/download",
    auth=MAY_READ,
    response={200: None, **failures(404, 410, 422)},
    summary="Download a model",
    url_name="model_download",
    openapi_extra={"responses": {200: _ZIP}},
)
def download_model(request: ApiRequest, model_id: ModelId, query: Query[VersionQuery]) -> StreamingHttpResponse:
    """The stored zip of a version, streamed; its SHA-256 is in the header `X-Checksum-SHA256`. Needs the right
    `read`.
    """
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    version = services.get_version(model, query.version or model.version)
    response = StreamingHttpResponse(
        services.stream_model(model=model, version=version.version), content_type="application/zip"
    )
    response["Content-Length"] = str(version.zip_size)
    name = f"{model.name}-v{version.version}.zip"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    response["X-Checksum-SHA256"] = version.zip_sha256
    return response


@models.delete(
    "/{oid:model_id}",
    auth=MAY_WRITE,
    response={200: Receipt, **failures(404, 409)},
    summary="Delete a model",
    url_name="model",
)
def delete_model(request: ApiRequest, model_id: ModelId) -> Receipt:
    """Every version and all that belongs to it, for good. Needs the right `write`."""
    _, removed = services.delete_model(user_id=request.auth.user_id, model_id=model_id)
    return Receipt(id=model_id, blobs=removed.count, remaining=removed.remaining)
