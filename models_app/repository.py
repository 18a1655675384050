"""Models in MongoDB: what was trained, on what, how well, and where the bundle lies.

The top level of a document mirrors the facts of its current version. A model is counted in its owner's totals
from its first version until ``remove``.
"""

from dataclasses import asdict
from datetime import UTC, datetime

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from ml.problem import Preset, ProblemType
from models_app import job_settings, jobs_repository
from models_app.records import Job, JobStatus, Model, ModelStatus, ModelVersion
from smartml.errors import Conflict, JobCancelled
from storage import mongo_users
from storage.mongo import (
    Document,
    checked_name,
    get_collection,
    known_fields,
    object_id,
    run_in_transaction,
    translated,
)
from storage.mongo_pages import find_page, name_contains
from storage.mongo_schema import Name
from storage.paging import Page

_READY = ModelStatus.READY.value
_DELETING = ModelStatus.DELETING.value
_SWEEP_LIMIT = 1000
# Facts of the current version that stand at the top level as well.
MIRRORED = (
    "base_model",
    "accuracy",
    "azure_model_url",
    "dataset_id",
    "version",
    "problem_type",
    "metric_name",
    "zip_size",
    "zip_sha256",
)


@translated()
def next_version(*, model_id: str, user_id: str) -> int | None:
    """A version number that nobody else gets; None when there is no such ready model."""
    found = get_collection(Name.MODELS).find_one_and_update(
        key_of(model_id, user_id) | {"status": _READY},
        {"$inc": {"last_version": 1}},
        projection={"last_version": 1},
        return_document=ReturnDocument.AFTER,
    )
    return None if found is None else int(found["last_version"])


@translated()
def store_version(*, job: Job, owner: str, name: str, version: ModelVersion) -> Model:
    """End a job with its model, in one transaction: job succeeded, version stored (and current, unless another was
    chosen by hand or it predicts something else), totals raised.

    Once more by the same owner for the same job returns the model and stores nothing: after a lost connection
    (``MetadataUnavailable``) the outcome is unknown, and asking again is how to learn it.

    :raises Conflict: the lease is lost, or the model was deleted meanwhile.
    :raises JobCancelled: the person asked to cancel before this.
    :raises AccountClosing: the person's account is being deleted.
    """
    new_name = checked_name(name)
    facts = _version_document(version)

    def commit(session: ClientSession) -> Document:
        if not _succeed(job, owner, session):
            return _stored_before(job, owner, session)
        stored = _append(job, facts, session) or _insert_first(job, new_name, facts, session)
        mongo_users.count_in(
            session,
            user_id=job.user_id,
            models_count=1 if len(stored["versions"]) == 1 else 0,
            models_bytes=version.stored_size,
        )
        return stored

    return to_record(run_in_transaction(commit))


@translated()
def get(*, model_id: str, user_id: str) -> Model | None:
    """A person's model in any state."""
    return _maybe(get_collection(Name.MODELS).find_one(key_of(model_id, user_id)))


@translated()
def list_page(
    *, user_id: str, search: str = "", tag: str = "", cursor: str | None = None, limit: int = 20
) -> Page[Model]:
    """A page of a person's models, newest first: with ``tag``, and ``search`` in the name or a tag."""
    found = name_contains(search)
    if "name" in found:
        found = {"$or": [found, {"tags": found["name"]}]}
    return find_page(
        get_collection(Name.MODELS),
        where={"user_id": object_id(user_id), **found, **({"tags": tag} if tag else {})},
        order="-created_at",
        cursor=cursor,
        limit=limit,
        to_record=to_record,
    )


@translated()
def rename(*, model_id: str, user_id: str, name: str) -> Model | None:
    """Give a ready model another name."""
    return _maybe(
        get_collection(Name.MODELS).find_one_and_update(
            key_of(model_id, user_id) | {"status": _READY},
            {"$set": {"name": checked_name(name)}},
            return_document=ReturnDocument.AFTER,
        )
    )


@translated()
def set_facts(*, model: Model, version: ModelVersion, **facts: object) -> bool:
    """Change facts of a stored version, if its zip is still the one that ``version`` speaks of."""
    found = get_collection(Name.MODELS).update_one(
        key_of(model.id, model.user_id)
        | {
            "status": _READY,
            "versions": {"$elemMatch": {"version": version.version, "zip_sha256": version.zip_sha256}},
        },
        {"$set": {f"versions.$.{name}": value for name, value in facts.items()}},
    )
    return found.matched_count == 1


@translated()
def every_ready() -> tuple[tuple[str, str], ...]:
    """Model and user of everybody's models, for the operator's commands, in the order they were made."""
    found = get_collection(Name.MODELS).find({"status": _READY}, {"user_id": 1}, sort=[("_id", 1)])
    return tuple((str(document["_id"]), str(document["user_id"])) for document in found)


@translated()
def mark_deleting(*, model_id: str, user_id: str) -> Model | None:
    """Begin to delete a model, or go on with it; None when it is gone. No version can be added from here on."""
    return _maybe(
        get_collection(Name.MODELS).find_one_and_update(
            key_of(model_id, user_id),
            {"$set": {"status": _DELETING, "touched_at": datetime.now(UTC)}},
            return_document=ReturnDocument.AFTER,
        )
    )


@translated()
def remove(*, model_id: str, user_id: str) -> bool:
    """Forget a model whose blobs are gone and lower the totals, in one transaction.

    :returns: whether there was something to remove; a second call changes nothing.
    """
    key = key_of(model_id, user_id)

    def commit(session: ClientSession) -> bool:
        gone = get_collection(Name.MODELS).find_one_and_delete(key, session=session)
        if gone is None:
            return False
        size = sum(version["stored_size"] for version in gone["versions"])
        mongo_users.uncount_in(session, user_id=user_id, models_count=1, models_bytes=size)
        return True

    return run_in_transaction(commit)


@translated()
def unfinished(*, untouched_since: datetime) -> tuple[Model, ...]:
    """Deletions that nobody has moved since then, the longest untouched first."""
    found = get_collection(Name.MODELS).find(
        {"status": _DELETING, "touched_at": {"$lt": untouched_since}},
        sort=[("touched_at", 1)],
        limit=_SWEEP_LIMIT,
    )
    return tuple(to_record(document) for document in found)


@translated()
def ids_of_user(*, user_id: str) -> tuple[str, ...]:
    """The ids of all of a person's models, in any state."""
    found = get_collection(Name.MODELS).find({"user_id": object_id(user_id)}, {"_id": 1})
    return tuple(str(document["_id"]) for document in found)


@translated()
def stored_versions(*, model_ids: set[str]) -> set[tuple[str, str, int]]:
    """User, model and number of every stored version of these models, in any state."""
    found = get_collection(Name.MODELS).find(
        {"_id": {"$in": [object_id(model_id) for model_id in model_ids]}}, {"user_id": 1, "versions.version": 1}
    )
    return {
        (str(model["user_id"]), str(model["_id"]), int(version["version"]))
        for model in found
        for version in model["versions"]
    }


def _succeed(job: Job, owner: str, session: ClientSession) -> bool:
    held = jobs_repository.held_while(job.id, owner, becoming=JobStatus.SUCCEEDED)
    changes = jobs_repository.ended(JobStatus.SUCCEEDED, "Done") | {"progress": 1.0, "followups_due": True}
    updated = get_collection(Name.JOBS).update_one(
        held | {"cancel_requested": False}, {"$set": changes}, session=session
    )
    return updated.matched_count == 1


def _stored_before(job: Job, owner: str, session: ClientSession) -> Document:
    """Why the job could not succeed now: it already has, or a reason to raise."""
    found = get_collection(Name.JOBS).find_one({"_id": object_id(job.id)}, session=session) or {}
    if found.get("lease_owner") == owner:
        if found["status"] == JobStatus.SUCCEEDED:
            model = get_collection(Name.MODELS).find_one(
                {"_id": object_id(job.model_id), "versions.job_id": object_id(job.id)}, session=session
            )
            if model is not None:
                return model
        elif found["cancel_requested"]:
            raise JobCancelled("This training was cancelled before its model was stored.")
    raise Conflict("Another worker has taken over this training, or it is over.")


def _append(job: Job, facts: Document, session: ClientSession) -> Document | None:
    """The model with this version added; None when there is no model with this id."""
    models = get_collection(Name.MODELS)
    where = key_of(job.model_id, job.user_id) | {"status": _READY, "versions.version": {"$ne": facts["version"]}}
    found = models.find_one(where, session=session)
    changes: Document = {
        # In order of number, also when a later one was finished first.
        "$push": {"versions": {"$each": [facts], "$sort": {"version": 1}}},
        "$max": {"last_version": facts["version"]},
    }
    if found is not None and _takes_over(found, facts):
        changes["$set"] = {
            **{field: facts[field] for field in MIRRORED},
            "previous_version": found["version"],
            "current_since": facts["created_at"],
        }
    added = models.find_one_and_update(where, changes, return_document=ReturnDocument.AFTER, session=session)
    if added is None and models.find_one({"_id": object_id(job.model_id)}, {"_id": 1}, session=session):
        raise Conflict("This model is being deleted, or already has this version.")
    return added


def _takes_over(model: Document, facts: Document) -> bool:
    """Whether a new version becomes the current one by itself: nobody has chosen the current one by hand, and it
    answers the same question."""
    current = next(version for version in model["versions"] if version["version"] == model["version"])
    same = all(current[field] == facts[field] for field in ("target", "problem_type"))
    return same and not model.get("pinned", False)


def _insert_first(job: Job, name: str, facts: Document, session: ClientSession) -> Document:
    if facts["version"] != 1:
        raise Conflict("The model that this training was for has been deleted.")
    document: Document = {
        **key_of(job.model_id, job.user_id),
        "name": name,
        "status": _READY,
        "created_at": facts["created_at"],
        "touched_at": facts["created_at"],
        "last_version": 1,
        **{field: facts[field] for field in MIRRORED},
        "versions": [facts],
    }
    get_collection(Name.MODELS).insert_one(document, session=session)
    return document


def key_of(model_id: str, user_id: str) -> Document:
    """The filter for one model of one person."""
    return {"_id": object_id(model_id), "user_id": object_id(user_id)}


def _maybe(document: Document | None) -> Model | None:
    return None if document is None else to_record(document)


def _version_document(version: ModelVersion) -> Document:
    document = asdict(version) | {
        "job_id": object_id(version.job_id),
        "dataset_id": object_id(version.dataset_id),
        "problem_type": version.problem_type.value,
        "preset": version.preset.value,
        "accuracy": float(version.accuracy),
        "baseline": float(version.baseline),
        "fit_seconds": float(version.fit_seconds),
    }
    # Absent, not empty: what is not said, or not yet.
    for field in ("settings", "note", "deleting_at"):
        if not document[field]:
            del document[field]
    if version.settings is not None:
        document["settings"] = job_settings.to_document(version.settings)
    return {field: value for field, value in document.items() if value is not None}


def to_record(document: Document) -> Model:
    """A stored model as a record."""
    versions = tuple(map(_to_version, document["versions"]))
    return Model(
        **known_fields(Model, document)
        | {
            "id": str(document["_id"]),
            "user_id": str(document["user_id"]),
            "status": ModelStatus(document["status"]),
            "versions": tuple(version for version in versions if version.deleting_at is None),
            "leaving": tuple(version for version in versions if version.deleting_at is not None),
            "tags": tuple(document.get("tags", ())),
        }
    )


def _to_version(document: Document) -> ModelVersion:
    return ModelVersion(
        **known_fields(ModelVersion, document)
        | {
            "job_id": str(document["job_id"]),
            "dataset_id": str(document["dataset_id"]),
            "problem_type": ProblemType(document["problem_type"]),
            "preset": Preset(document["preset"]),
            "settings": job_settings.from_document(document["settings"]) if "settings" in document else None,
        }
    )
