"""What can be done with models; jobs are in ``jobs_services``, offered here too so that callers know one module.

Blobs hold everything that comes from a person's rows (class names, categories): the zip, the evaluation and the
feature schema of each version. MongoDB holds the facts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from django.core.cache import cache

from ml.conformal import Interval, PredictionSet, Reach, interval_of, reach_of, set_of
from ml.diagnosis import Diagnosis
from ml.evaluation import Evaluation
from ml.overriding import ChosenType
from ml.prediction import Feature, Finding, Mode, check_row, check_rows
from models_app import comparison_files, followups, jobs_repository, jobs_services, predictor, repository
from models_app.jobs_services import (
    FormAlreadyUsed,
    cancel_job,
    check_target,
    get_job,
    list_jobs,
    longest_fit_seconds,
    queue_position,
    recent_jobs,
    request_training,
    stop_job,
)
from models_app.records import Model, ModelStatus, ModelVersion
from smartml.errors import BlobMissing, InvalidInput, NotFound
from storage import sweeping
from storage.blobs import Removed, get_blobs
from storage.emptying import delete_all
from storage.paging import Page

__all__ = [
    "FormAlreadyUsed",
    "Prediction",
    "Predictions",
    "cancel_job",
    "check_target",
    "delete_all_of_user",
    "delete_model",
    "find_for_deletion",
    "finish_deletion",
    "forget_cached",
    "forget_jobs_of_user",
    "get_job",
    "get_model",
    "get_version",
    "has_model",
    "list_jobs",
    "list_models",
    "longest_fit_seconds",
    "model_chosen_types",
    "model_diagnosis",
    "model_evaluation",
    "model_features",
    "model_reach",
    "model_unused_columns",
    "predict",
    "predict_rows",
    "queue_position",
    "recent_jobs",
    "rename_model",
    "request_training",
    "stop_job",
    "stream_model",
    "stream_report",
]

EVALUATION, SCHEMA, FIGURES, REPORT = "evaluation", "schema", "figures", "report"
# The part of the figures that predictions need.
REACH = "reach"
MAX_NAME = 120
# Bounds what another process keeps of a deleted model, where each has a cache of its own.
_CACHE_SECONDS = 3600
_GONE_SECONDS = 900
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answer: a class name or a number. ``probabilities`` by class, None for a regression.

    ``interval`` of a number and ``likely`` classes hold the truth as often as their ``level`` says; None for a
    version with too few validation rows to say.
    """

    prediction: str | float
    probabilities: dict[str, float] | None
    findings: tuple[Finding, ...] = ()
    interval: Interval | None = None
    likely: PredictionSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """An answer for each row in turn; ``table_findings`` are about columns of all of them."""

    answers: tuple[Prediction, ...]
    table_findings: tuple[Finding, ...]


def get_model(*, user_id: str, model_id: str) -> Model:
    """This person's model; NotFound when it is absent, being deleted, or somebody else's."""
    model = repository.get(model_id=model_id, user_id=user_id)
    if model is None or model.status is not ModelStatus.READY:
        raise NotFound("There is no such model.")
    return model


def has_model(*, user_id: str, model_id: str, version: int) -> bool:
    """Whether this person still has this version of this model, ready for use."""
    model = repository.get(model_id=model_id, user_id=user_id)
    return model is not None and model.status is ModelStatus.READY and model.get_version(version) is not None


def find_for_deletion(*, user_id: str, model_id: str) -> Model:
    """A model that can be deleted, or whose deletion can be finished."""
    model = repository.get(model_id=model_id, user_id=user_id)
    if model is None:
        raise NotFound("There is no such model.")
    return model


def list_models(
    *, user_id: str, search: str = "", tag: str = "", cursor: str | None = None, limit: int = 20
) -> Page[Model]:
    """This person's models, newest first: searched by name and tag, and with one tag if it is given."""
    return repository.list_page(user_id=user_id, search=search, tag=tag, cursor=cursor, limit=limit)


def rename_model(*, user_id: str, model_id: str, name: str) -> Model:
    """Give the model another name, which is a label only: blobs are named by id."""
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > MAX_NAME:
        message = f"A model's name has 1 to {MAX_NAME} characters."
        raise InvalidInput(message, fields={"name": message})
    model = repository.rename(model_id=model_id, user_id=user_id, name=cleaned)
    if model is None:
        raise NotFound("There is no such model.")
    return model


def delete_model(*, user_id: str, model_id: str) -> tuple[Model, Removed]:
    """Remove every version, then the metadata and its share of the totals; again after a crash is fine.

    Trainings of further versions are cancelled first. One that is past its last check finds the model gone when
    it stores its version, fails, and removes its own blobs.

    :raises ServiceUnavailable: not all blobs are gone; the model stays ``deleting`` and the sweep goes on.
    """
    model = repository.mark_deleting(model_id=model_id, user_id=user_id)
    if model is None:
        raise NotFound("There is no such model.")
    for job in jobs_repository.active_for_model(model_id=model_id):
        jobs_repository.request_cancel(job_id=job.id, user_id=user_id)
    followups.stop_model(user_id=user_id, model_id=model_id)
    _forget_blobs(model)
    removed = delete_all(partial(get_blobs().delete_model, user_id=user_id, model_id=model_id))
    comparison_files.forget(user_id=user_id, model_id=model_id)
    # Before the model, which is what a sweep finds after a crash.
    followups.forget_model(model_id=model_id)
    repository.remove(model_id=model_id, user_id=user_id)
    return model, removed


def model_evaluation(*, model: Model, version: int) -> Evaluation:
    """The holdout report of one version, from its blob."""
    return _from_blob(model, version, EVALUATION, Evaluation.from_dict)


def model_diagnosis(*, model: Model, version: int) -> Diagnosis | None:
    """The numbers behind the figures of one version; None for one from before there were any."""
    try:
        return _from_blob(model, version, FIGURES, lambda document: cast("Diagnosis", document))
    except BlobMissing:
        return None


def model_features(*, model: Model, version: int) -> tuple[Feature, ...]:
    """The columns one version was trained on, from its blob."""
    return _contract(model, version)[0]


def model_unused_columns(*, model: Model, version: int) -> frozenset[str]:
    """The other columns of the table that one version was trained on, its target among them."""
    return _contract(model, version)[1]


def _contract(model: Model, version: int) -> tuple[tuple[Feature, ...], frozenset[str]]:
    found = get_version(model, version)

    def build(document: dict[str, Any]) -> tuple[tuple[Feature, ...], frozenset[str]]:
        # Versions from before the others were named know at least what they were told to leave out.
        others = document.get("unused", found.asked.leave_out)
        return tuple(map(Feature.from_dict, document["features"])), frozenset((found.target, *others))

    return _from_blob(model, version, SCHEMA, build)


def model_reach(*, model: Model, version: int) -> Reach | None:
    """How far off the answers of one version may be; None where that was not measured."""

    def build(document: dict[str, Any]) -> Reach | None:
        return Reach(**document) if document else None

    def small(figures: dict[str, Any]) -> dict[str, float]:
        reach = reach_of(figures)
        return {} if reach is None else reach.as_dict()

    try:
        # Asked with every prediction, while the figures are hundreds of kilobytes: only this is kept at hand.
        return _from_blob(model, version, FIGURES, build, part=REACH, cut=small)
    except BlobMissing:
        # A version from before there were figures never gets any: not asked for with every prediction.
        cache.set(_key(model, get_version(model, version), REACH), {}, _CACHE_SECONDS)
        return None


def model_chosen_types(*, model: Model, version: int) -> tuple[ChosenType, ...]:
    """The columns that one version was trained on as another type than the one found, from its blob."""

    def build(document: dict[str, Any]) -> tuple[ChosenType, ...]:
        # Versions stored before types could be chosen say nothing of them.
        return tuple(map(ChosenType.from_dict, document.get("chosen_types", ())))

    return _from_blob(model, version, SCHEMA, build)


def _from_blob(
    model: Model,
    version: int,
    stem: str,
    build: Callable[[dict[str, Any]], T],
    *,
    part: str = "",
    cut: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> T:
    """A JSON blob as an object; kept in the cache under the version's checksum, so a stale hit is impossible.

    Only what ``cut`` leaves of it is kept, as ``part``.
    """
    facts = get_version(model, version)
    key = _key(model, facts, part or stem)
    document = cache.get(key)
    if document is None:
        blobs = get_blobs()
        name = blobs.model_file(model.user_id, model.id, version, stem, "json")
        document = json.loads(b"".join(blobs.iter_chunks(blobs.models_container, name)))
        document = document if cut is None else cut(document)
        cache.set(key, document, _CACHE_SECONDS)
        if cache.get_many([_gone_key(model), _gone_key(model, version)]):
            cache.delete(key)
    return build(document)


def _key(model: Model, version: ModelVersion, stem: str) -> str:
    return f"model-{stem}:{model.id}:{version.version}:{version.zip_sha256}"


def _gone_key(model: Model, version: int | None = None) -> str:
    return f"model-gone:{model.id}" if version is None else f"model-gone:{model.id}:{version}"


def _forget_blobs(model: Model) -> None:
    """Drop what the cache has of a model, also what a request in flight is about to add."""
    cache.set(_gone_key(model), 1, _GONE_SECONDS)
    for version in (*model.versions, *model.leaving):
        cache.delete_many(_keys(model, version))
    predictor.forget(model_id=model.id)


def forget_cached(model: Model, version: ModelVersion) -> None:
    """The same for one version that is going."""
    cache.set(_gone_key(model, version.version), 1, _GONE_SECONDS)
    cache.delete_many(_keys(model, version))
    predictor.forget(model_id=model.id, version=version.version)


def _keys(model: Model, version: ModelVersion) -> list[str]:
    return [_key(model, version, stem) for stem in (EVALUATION, SCHEMA, FIGURES, REACH)]


def stream_model(*, model: Model, version: int) -> Iterator[bytes]:
    """The zip of one version in chunks. A missing blob is said before the first chunk, not in the middle."""
    get_version(model, version)
    blobs = get_blobs()
    return blobs.iter_chunks(blobs.models_container, blobs.model_blob(model.user_id, model.id, version))


def stream_report(*, model: Model, version: int) -> Iterator[bytes]:
    """The report of one version in chunks; NotFound for one from before there were reports."""
    get_version(model, version)
    blobs = get_blobs()
    name = blobs.model_file(model.user_id, model.id, version, REPORT, "html")
    try:
        return blobs.iter_chunks(blobs.models_container, name)
    except BlobMissing as error:
        raise NotFound(
            "This version was trained before reports were written.", hint="Train again to have one."
        ) from error


def predict(*, model: Model, version: int, values: Mapping[str, Any]) -> Prediction:
    """Answer for one row by column name, with everything there is to say about it.

    :raises InvalidInput: with ``fields`` by column name, for values of a wrong type.
    """
    row, findings = check_row(model_features(model=model, version=version), values)
    (answer,) = _answers(model, version, [row], [findings])
    return answer


def predict_rows(
    *, model: Model, version: int, rows: Sequence[Mapping[str, Any]], mode: Mode = Mode.LENIENT
) -> Predictions:
    """Answers for rows by column name, as typed or as JSON.

    :raises InvalidInput: see ``ml.prediction.check_rows``.
    """
    features, unused = _contract(model, version)
    checked = check_rows(features, rows, mode=mode, unused=unused)
    answers = _answers(model, version, checked.rows, checked.findings)
    return Predictions(answers=answers, table_findings=checked.table_findings)


def _answers(
    model: Model, version: int, rows: Sequence[Mapping[str, Any]], findings: Sequence[tuple[Finding, ...]]
) -> tuple[Prediction, ...]:
    if not rows:
        return ()
    reach = model_reach(model=model, version=version)
    made = predictor.predict(model=model, version=get_version(model, version), rows=rows)
    return tuple(_answer(each, said, reach) for each, said in zip(made, findings, strict=True))


def _answer(made: predictor.Answer, findings: tuple[Finding, ...], reach: Reach | None) -> Prediction:
    interval = likely = None
    if reach is not None and made.probabilities is not None:
        likely = set_of(made.probabilities, reach)
    elif reach is not None and isinstance(made.prediction, float):
        interval = interval_of(made.prediction, reach)
    return Prediction(
        prediction=made.prediction,
        probabilities=made.probabilities,
        findings=findings,
        interval=interval,
        likely=likely,
    )


def delete_all_of_user(user_id: str) -> None:
    """Part of closing an account: every training ends, every model and its blobs go. Again is fine.

    The jobs stay on record until no blob is left (:func:`forget_jobs_of_user`).
    """
    jobs_services.end_all_of_user(user_id)
    sweeping.each(
        repository.ids_of_user(user_id=user_id),
        lambda model_id: finish_deletion(user_id=user_id, model_id=model_id),
        what="deleting a model",
    )


def finish_deletion(*, user_id: str, model_id: str) -> bool:
    """Delete a model unless somebody else was quicker; whether there was something to delete."""
    try:
        delete_model(user_id=user_id, model_id=model_id)
    except NotFound:
        return False
    return True


def forget_jobs_of_user(user_id: str) -> None:
    """The end of closing an account: its trainings, once nothing of them can be left in the blob store."""
    jobs_repository.forget_user(user_id=user_id)


def get_version(model: Model, number: int) -> ModelVersion:
    """One version of a model; NotFound when it is absent or being deleted."""
    version = model.get_version(number)
    if version is None:
        raise NotFound(
            f"{model.name} has no version {number}.", hint="Choose one of the versions on the model's page."
        )
    return version
