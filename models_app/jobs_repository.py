"""Training jobs in MongoDB. The document is the truth; a queue message is only a reason to look at it.

Every move is one atomic update whose filter holds the states it may start from (``may_become``) and, for a
worker, the lease it believes to have. No match means that somebody else was there first: the answer is None
and nothing has changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from ml.left_out import LeftOut
from models_app.job_documents import leaderboard_rows, left_out_rows, log_rows, share, to_document, to_record
from models_app.records import ACTIVE, FittedModel, Job, JobError, JobStatus, LogLine, Readings, may_become
from smartml.errors import Conflict
from storage import mongo_users
from storage.mongo import Document, clip, get_collection, object_id, run_in_transaction, translated
from storage.mongo_pages import find_page
from storage.mongo_schema import MAX_SENTENCE, MAX_STAGE, Name
from storage.paging import Page, clamp_limit

_QUEUED = JobStatus.QUEUED.value
_WAITING = "Waiting for a worker"
_ACTIVE = [status.value for status in JobStatus if status in ACTIVE]
_NOT_OVER = [status.value for status in JobStatus if not status.is_over]
_WITHOUT_MODEL = [JobStatus.FAILED.value, JobStatus.CANCELLED.value]
_SWEEP_LIMIT = 1000


@translated()
def insert(*, job: Job) -> None:
    """Store a queued job.

    :raises Conflict: its id is taken (the same form sent twice).
    :raises AccountClosing: its owner's account is being deleted.
    """
    document = to_document(job)

    def commit(session: ClientSession) -> None:
        mongo_users.count_in(session, user_id=job.user_id)
        get_collection(Name.JOBS).insert_one(document, session=session)

    try:
        run_in_transaction(commit)
    except DuplicateKeyError as error:
        raise Conflict("This training has been started already.") from error


@translated()
def get(*, job_id: str, user_id: str | None = None) -> Job | None:
    """A job; with ``user_id`` only if it is that person's."""
    where: Document = {"_id": object_id(job_id)}
    if user_id is not None:
        where["user_id"] = object_id(user_id)
    return _maybe(get_collection(Name.JOBS).find_one(where))


@translated()
def recent(*, user_id: str, limit: int = 20, active_only: bool = False) -> tuple[Job, ...]:
    """A person's newest jobs; ``active_only``: those that wait or run."""
    where: Document = {"user_id": object_id(user_id)}
    if active_only:
        where["status"] = {"$in": _NOT_OVER}
    return _find(where, sort=[("created_at", -1), ("_id", -1)], limit=clamp_limit(limit))


@translated()
def list_page(*, user_id: str, cursor: str | None = None, limit: int = 20) -> Page[Job]:
    """A page of a person's jobs, newest first."""
    return find_page(
        get_collection(Name.JOBS),
        where={"user_id": object_id(user_id)},
        order="-created_at",
        cursor=cursor,
        limit=limit,
        to_record=to_record,
    )


@translated()
def claim(*, job_id: str, owner: str, lease_seconds: int) -> Job | None:
    """Take a queued job for ``owner``; None when it is taken, over, cancelled or gone."""
    return claim_in(None, job_id=job_id, owner=owner, lease_seconds=lease_seconds)


def claim_in(session: ClientSession | None, *, job_id: str, owner: str, lease_seconds: int) -> Job | None:
    """``claim``, as part of a transaction."""
    now = datetime.now(UTC)
    return _update(
        {"_id": object_id(job_id), "status": _QUEUED, "cancel_requested": False},
        {
            "$set": {
                "status": JobStatus.RUNNING.value,
                "stage": "Starting",
                "progress": 0.0,
                "started_at": now,
                "lease_owner": owner,
                "lease_until": now + timedelta(seconds=lease_seconds),
                "has_leftovers": True,
            },
            "$inc": {"attempt": 1},
        },
        session=session,
    )


@translated()
def heartbeat(*, job_id: str, owner: str, lease_seconds: int, readings: Readings | None = None) -> Job | None:
    """Renew the lease and read the job (has its owner asked to cancel?); None when the lease is lost.

    ``readings``, when there are new ones, are stored with it.
    """
    changes: Document = {"lease_until": datetime.now(UTC) + timedelta(seconds=lease_seconds)}
    if readings is not None:
        changes["readings"] = asdict(readings)
    return _update(held_while(job_id, owner), {"$set": changes})


@translated()
def advance(*, job_id: str, owner: str, to: JobStatus, stage: str, progress: float) -> Job | None:
    """Move a held job to the next active state; None when the lease is lost or the move is not legal.

    A job succeeds together with its model (``repository.store_version``) and fails by ``fail``.
    """
    if not to.is_active:
        raise ValueError(f"{to} is not a state that a worker advances to")
    return _update(
        held_while(job_id, owner, becoming=to),
        {"$set": {"status": to.value, "stage": clip(stage, MAX_STAGE), "progress": share(progress)}},
    )


@translated()
def report(
    *,
    job_id: str,
    owner: str,
    stage: str | None = None,
    progress: float | None = None,
    leaderboard: Sequence[FittedModel] | None = None,
    left_out: Sequence[LeftOut] | None = None,
    log: Sequence[LogLine] | None = None,
    metric: str | None = None,
    fit_started_at: datetime | None = None,
) -> bool:
    """Store what has changed in a held job; False when the lease is lost."""
    changes: Document = {}
    if stage is not None:
        changes["stage"] = clip(stage, MAX_STAGE)
    if progress is not None:
        changes["progress"] = share(progress)
    if leaderboard is not None:
        changes["leaderboard"] = leaderboard_rows(leaderboard)
    if left_out is not None:
        changes["left_out"] = left_out_rows(left_out)
    if log is not None:
        changes["log"] = log_rows(log)
    if metric is not None:
        changes["metric"] = clip(metric, 100)
    if fit_started_at is not None:
        changes["fit_started_at"] = fit_started_at
    if not changes:
        return get_collection(Name.JOBS).find_one(held_while(job_id, owner), {"_id": 1}) is not None
    return get_collection(Name.JOBS).update_one(held_while(job_id, owner), {"$set": changes}).matched_count == 1


@translated()
def fail(*, job_id: str, owner: str | None, error: JobError, expired_before: datetime | None = None) -> Job | None:
    """End a job with a reason; None when it is over already or held by another worker.

    ``owner`` None ends it whoever holds it (the queue did not take it; the sweep). The sweep also gives
    ``expired_before``, so that a worker which renewed its lease meanwhile keeps its job.
    """
    where: Document = (
        held_while(job_id, owner, becoming=JobStatus.FAILED)
        if owner is not None
        else {"_id": object_id(job_id), "status": {"$in": _before(JobStatus.FAILED)}}
    )
    reason = {
        "code": clip(error.code, 100),
        "message": clip(error.message, MAX_SENTENCE),
        "hint": clip(error.hint, MAX_SENTENCE),
    }
    changes = _over(JobStatus.FAILED, "Failed") | {"error": reason}
    return _update(where | _expired(expired_before), {"$set": changes})


@translated()
def cancel(*, job_id: str, owner: str) -> Job | None:
    """End a held job that its owner has cancelled; None when the lease is lost."""
    return _update(
        held_while(job_id, owner, becoming=JobStatus.CANCELLED), {"$set": _over(JobStatus.CANCELLED, "Cancelled")}
    )


@translated()
def request_cancel(*, job_id: str, user_id: str) -> Job | None:
    """A person's wish: a waiting job is cancelled at once, a running one is told, one that is over stays as it is.

    One update whose values depend on the state, so that a worker which claims the job at this very moment sees
    either a cancelled job or the wish. None: no such job of this person.
    """
    waiting = {"$eq": ["$status", _QUEUED]}

    def if_waiting(value: Any, field: str) -> Document:
        return {"$cond": [waiting, {"$literal": value}, f"${field}"]}

    over = _over(JobStatus.CANCELLED, "Cancelled")
    return _update(
        {"_id": object_id(job_id), "user_id": object_id(user_id)},
        [
            {
                "$set": {
                    "cancel_requested": {"$or": ["$cancel_requested", {"$in": ["$status", _NOT_OVER]}]},
                    **{field: if_waiting(value, field) for field, value in over.items()},
                }
            }
        ],
    )


@translated()
def request_stop(*, job_id: str, user_id: str) -> Job | None:
    """A person's wish to keep the best so far; only while models are being fitted. None: no such running job."""
    return _update(
        {"_id": object_id(job_id), "user_id": object_id(user_id), "status": JobStatus.RUNNING.value},
        {"$set": {"stop_requested": True}},
    )


@translated()
def expired(*, now: datetime) -> tuple[Job, ...]:
    """Jobs whose worker has stopped renewing its lease, the longest expired first."""
    return _find(
        {"status": {"$in": _ACTIVE}, "lease_until": {"$lt": now}}, sort=[("lease_until", 1)], limit=_SWEEP_LIMIT
    )


@translated()
def requeue(*, job_id: str, owner: str, expired_before: datetime | None = None, counted: bool = True) -> Job | None:
    """Put a held job back into the queue as if it had never started.

    The attempt stays counted, unless ``counted`` is false (the worker was told to stop). One whose owner has asked
    to cancel becomes ``cancelled`` instead: look at the answer's status. None when ``owner`` does not hold it, or
    has renewed its lease after ``expired_before``.
    """
    held = held_while(job_id, owner, becoming=JobStatus.QUEUED) | _expired(expired_before)
    back: Document = {
        "status": _QUEUED,
        "queued_at": datetime.now(UTC),
        "stage": _WAITING,
        "progress": 0.0,
        "started_at": None,
        "fit_started_at": None,
        "lease_owner": None,
        "lease_until": None,
        "leaderboard": [],
        "left_out": [],
        "log": [],
        "readings": None,
        "metric": None,
    }
    update: Document = {"$set": back}
    if not counted:
        update["$inc"] = {"attempt": -1}
    waiting = _update(held | {"cancel_requested": False}, update)
    if waiting is not None:
        return waiting
    return _update(held | {"cancel_requested": True}, {"$set": _over(JobStatus.CANCELLED, "Cancelled")})


@translated()
def unclaimed(*, older_than: datetime) -> tuple[Job, ...]:
    """Jobs that wait since before then (``queued_at``), the longest waiting first."""
    return _find({"status": _QUEUED, "queued_at": {"$lt": older_than}}, sort=[("queued_at", 1)], limit=_SWEEP_LIMIT)


@translated()
def active_for_dataset(*, dataset_id: str) -> tuple[Job, ...]:
    """Jobs on a dataset that are not over: waiting and running."""
    return _find({"dataset_id": object_id(dataset_id), "status": {"$in": _NOT_OVER}})


@translated()
def active_for_model(*, model_id: str) -> tuple[Job, ...]:
    """Jobs for a model that are not over: waiting and running."""
    return _find({"model_id": object_id(model_id), "status": {"$in": _NOT_OVER}})


@translated()
def count_waiting(*, user_id: str) -> int:
    """How many trainings of a person wait."""
    return get_collection(Name.JOBS).count_documents({"user_id": object_id(user_id), "status": _QUEUED})


@translated()
def with_leftovers() -> tuple[Job, ...]:
    """Jobs that ended without a model and whose blobs nobody has removed for certain (``mark_clean``).

    Not before the time that ``look_again`` has set.
    """
    due = {"lease_until": {"$not": {"$gt": datetime.now(UTC)}}}
    return _find({"has_leftovers": True, "status": {"$in": _WITHOUT_MODEL}} | due, limit=_SWEEP_LIMIT)


@translated()
def look_again(*, job_id: str, after: datetime) -> None:
    """Note that a job which is over may still get blobs until ``after``: its process was ended while a request of
    it was on the way. It stands in ``lease_until``, which means nothing else for a job that is over."""
    where = {"_id": object_id(job_id), "status": {"$in": _WITHOUT_MODEL}}
    changes = {"has_leftovers": True, "lease_until": after}
    get_collection(Name.JOBS).update_one(where, {"$set": changes})


@translated()
def mark_clean(*, job_id: str) -> None:
    """Note that a job which is over has no blob."""
    where = {"_id": object_id(job_id), "status": {"$in": _WITHOUT_MODEL}}
    get_collection(Name.JOBS).update_one(where, {"$set": {"has_leftovers": False}})


@translated()
def versions_with_blobs(*, model_ids: set[str]) -> set[tuple[str, str, int]]:
    """User, model and version of every job for these models that may have blobs which are no model's yet."""
    found = get_collection(Name.JOBS).find(
        {"model_id": {"$in": [object_id(model_id) for model_id in model_ids]}, "has_leftovers": True},
        {"user_id": 1, "model_id": 1, "version": 1},
    )
    return {(str(each["user_id"]), str(each["model_id"]), int(each["version"])) for each in found}


@translated()
def are_held(*, user_id: str, now: datetime) -> bool:
    """Whether a worker may still store something for a person: a lease that has not run out, or ``look_again``."""
    where = {"user_id": object_id(user_id), "lease_until": {"$gt": now}}
    return get_collection(Name.JOBS).find_one(where, {"_id": 1}) is not None


@translated()
def forget_user(*, user_id: str) -> None:
    """Delete a person's jobs."""
    get_collection(Name.JOBS).delete_many({"user_id": object_id(user_id)})


def ended(status: JobStatus, stage: str) -> Document:
    """The fields of a job that is over and whose blobs, if any, belong to a model now."""
    return _over(status, stage) | {"has_leftovers": False}


def held_while(job_id: str, owner: str, *, becoming: JobStatus | None = None) -> Document:
    """The filter for a job that this owner holds, in a state that may become another one."""
    states = _ACTIVE if becoming is None else [status for status in _before(becoming) if status in _ACTIVE]
    return {"_id": object_id(job_id), "lease_owner": owner, "status": {"$in": states}}


def _before(status: JobStatus) -> list[str]:
    return [old.value for old in JobStatus if may_become(old, status)]


def _expired(before: datetime | None) -> Document:
    return {} if before is None else {"lease_until": {"$lt": before}}


def _over(status: JobStatus, stage: str) -> Document:
    over = {"status": status.value, "stage": stage, "finished_at": datetime.now(UTC), "lease_until": None}
    # A cancellation is no news to the person who has asked for it.
    return over if status is JobStatus.CANCELLED else over | {"unseen": True, "mail_due": True}


def _update(
    where: Document, update: Document | list[Document], *, session: ClientSession | None = None
) -> Job | None:
    collection = get_collection(Name.JOBS)
    return _maybe(
        collection.find_one_and_update(where, update, return_document=ReturnDocument.AFTER, session=session)
    )


def _find(where: Document, *, sort: list[tuple[str, int]] | None = None, limit: int = 0) -> tuple[Job, ...]:
    found: Iterable[Document] = get_collection(Name.JOBS).find(where, sort=sort, limit=limit)
    return tuple(to_record(document) for document in found)


def _maybe(document: Document | None) -> Job | None:
    return None if document is None else to_record(document)
