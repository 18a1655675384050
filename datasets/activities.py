"""Background work on datasets and models: started by a request, done by the ``light`` cluster, watched by pages.

Whoever offers a kind of work registers a handler when its app starts. A handler may be run again after a worker has
died, and is told by :class:`Progress` when to stop. What it has begun is undone by ``undo`` whenever it does not
succeed: at once by the worker, or later by the sweep.
"""

import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from datasets import activities_repository as repository
from datasets import stopping, work_progress
from datasets.activity_records import Activity, ActivityError, ActivityKind, ActivityStatus
from datasets.queue import Work
from datasets.work_progress import LeaseLost, Progress, Stopped
from smartml.errors import DiskFull, JobCancelled, NotFound, SmartMLError, means_disk_full
from storage import patience, sweeping
from storage.ids import new_id

__all__ = [
    "Activity",
    "ActivityError",
    "ActivityKind",
    "ActivityStatus",
    "Progress",
    "active_of_user",
    "forget_dataset",
    "forget_model",
    "forget_user",
    "get",
    "latest",
    "latest_of_model",
    "register",
    "request_cancel",
    "run",
    "start",
    "stop_for_dataset",
    "stop_for_model",
    "stop_for_user",
    "sweep",
]

logger = logging.getLogger(__name__)

LONGEST_SECONDS: Final = 4 * 3600
MAX_ATTEMPTS: Final = 2
# Long enough for the request that stored the work to put it into the queue too.
UNCLAIMED_AFTER: Final = timedelta(minutes=1)
KEPT_FOR: Final = timedelta(days=7)
# How long the end of a piece of work is insisted on while MongoDB is away; then the lease runs out.
CONCLUDE_SECONDS: Final = 60.0

STOPPED_TWICE: Final = ActivityError(
    code="worker_stopped",
    message="The worker stopped twice while doing this, so it was not tried again.",
    hint="Try again. If it stops again although nobody restarted the server, tell the operator.",
)
CRASHED: Final = ActivityError(
    code="error",
    message="This stopped with an unexpected fault of the app.",
    hint="Try again; if it happens again, tell the operator.",
)

_WORK: Final = Work(cluster="light", task="datasets.tasks.run_activity", name="activity", timeout=LONGEST_SECONDS)

Handler = Callable[[Activity, Progress], None]
Undo = Callable[[Activity], object]


@dataclass(frozen=True, slots=True)
class _Registered:
    handler: Handler
    undo: Undo | None


_handlers: dict[ActivityKind, _Registered] = {}


def register(kind: ActivityKind, handler: Handler, *, undo: Undo | None = None) -> None:
    """Have ``handler`` do the work of this kind. ``undo`` removes what an attempt that did not succeed has left; it
    may be called in any process, more than once, and also when there is nothing."""
    _handlers[kind] = _Registered(handler, undo)


def start(
    *,
    user_id: str,
    kind: ActivityKind,
    dataset_id: str = "",
    model_id: str = "",
    version: int = 0,
    subject: str = "",
    activity_id: str | None = None,
) -> Activity:
    """Store the work and enqueue it; the same work that is not over yet is returned instead.

    It is about a dataset, or about one version of a model (see ``models_app.followups``).
    """
    now = timezone.now()
    wanted = Activity(
        id=activity_id or new_id(),
        user_id=user_id,
        dataset_id=dataset_id,
        model_id=model_id,
        version=version,
        kind=kind,
        status=ActivityStatus.QUEUED,
        subject=subject,
        created_at=now,
        queued_at=now,
    )
    activity = repository.insert(activity=wanted)
    if activity is wanted:
        _WORK.enqueue(activity.id)
    return activity


def get(*, user_id: str, activity_id: str) -> Activity:
    """A piece of this person's work, else :class:`NotFound`."""
    activity = repository.get(activity_id=activity_id, user_id=user_id)
    if activity is None:
        raise NotFound("There is no such task.")
    return activity


def latest(
    *, user_id: str, dataset_id: str, kind: ActivityKind | None = None, subject: str | None = None
) -> Activity | None:
    """The newest work on a dataset, of one kind and about one subject if these are given."""
    return repository.latest(user_id=user_id, dataset_id=dataset_id, kind=kind, subject=subject)


def latest_of_model(
    *, user_id: str, model_id: str, version: int, kind: ActivityKind, subject: str | None = None
) -> Activity | None:
    """The newest work of one kind on a version of a model, about one subject if that is given."""
    return repository.latest_of_model(
        user_id=user_id, model_id=model_id, version=version, kind=kind, subject=subject
    )


def active_of_user(*, user_id: str, kind: ActivityKind | None = None) -> tuple[Activity, ...]:
    """What is waiting or running for a person, the newest first."""
    return repository.active_of_user(user_id=user_id, kind=kind)


def request_cancel(*, user_id: str, activity_id: str) -> Activity:
    """Cancel what waits at once and tell what runs; what is over stays as it is."""
    activity = repository.request_cancel(activity_id=activity_id, user_id=user_id)
    if activity is None:
        raise NotFound("There is no such task.")
    if activity.status is ActivityStatus.CANCELLED:
        _WORK.forget(activity.id)
    return activity


def stop_for_dataset(*, user_id: str, dataset_id: str) -> None:
    """Its dataset is being deleted: cancel whatever waits or runs on it."""
    for activity in repository.of_dataset(dataset_id=dataset_id):
        if activity.user_id == user_id:
            request_cancel(user_id=user_id, activity_id=activity.id)


def forget_dataset(*, dataset_id: str) -> None:
    """Its dataset is gone; a worker still on it finds its lease lost."""
    repository.forget_dataset(dataset_id=dataset_id)


def stop_for_model(*, user_id: str, model_id: str, version: int | None = None) -> None:
    """The model, or one version of it, is being deleted: cancel whatever waits or runs on it."""
    for activity in repository.of_model(model_id=model_id, version=version):
        if activity.user_id == user_id:
            request_cancel(user_id=user_id, activity_id=activity.id)


def forget_model(*, model_id: str, version: int | None = None) -> None:
    """The model, or one version of it, is gone; a worker still on it finds its lease lost."""
    repository.forget_model(model_id=model_id, version=version)


def stop_for_user(user_id: str) -> None:
    """Their account is being closed: cancel whatever waits or runs for them."""
    for activity in repository.active_of_user(user_id=user_id):
        request_cancel(user_id=user_id, activity_id=activity.id)


def forget_user(user_id: str) -> None:
    """Nothing of a closed account is kept; a worker still on it finds its lease lost."""
    repository.forget_user(user_id=user_id)


def run(activity_id: str) -> ActivityStatus | None:
    """Do queued work to its end and return its final state. What is done elsewhere or over is left alone."""
    with stopping.heeding():
        if stopping.asked():
            return None  # the sweep sees that it waits without a message
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        activity = repository.claim(activity_id=activity_id, owner=owner, lease_seconds=settings.JOB_LEASE_SECONDS)
        return None if activity is None else _attempt(activity, owner)


def _attempt(activity: Activity, owner: str) -> ActivityStatus | None:
    """One claimed attempt."""
    error: ActivityError | None = None
    status = ActivityStatus.FAILED
    try:
        with Progress(activity, owner) as progress:
            if activity.attempt > 1:
                _undo(activity)
            _handlers[activity.kind].handler(activity, progress)
        status = ActivityStatus.SUCCEEDED
    except JobCancelled:
        status = ActivityStatus.CANCELLED
    except Stopped:
        _undo(activity)
        _insist(lambda: repository.requeue(activity_id=activity.id, owner=owner, counted=False))
        _enqueue_again(activity)
        return ActivityStatus.QUEUED
    except LeaseLost:
        logger.warning("Activity %s is not this worker's any more.", activity.id)
        return None
    except Exception as failure:  # noqa: BLE001 -- logged, and told to the person
        error = _reason(activity, failure)
    clean = status is ActivityStatus.SUCCEEDED or _undo(activity)
    ended = _insist(
        lambda: repository.finish(
            activity_id=activity.id, owner=owner, status=status, error=error, has_leftovers=not clean
        )
    )
    return None if ended is None else ended.status


def _reason(activity: Activity, failure: Exception) -> ActivityError:
    """For people; what nobody foresaw is logged."""
    if isinstance(failure, SmartMLError):
        known = failure
    elif means_disk_full(failure):
        logger.warning("Activity %s: the disk is full.", activity.id)
        known = DiskFull()
    else:
        logger.error("Activity %s failed.", activity.id, exc_info=failure)
        return CRASHED
    return ActivityError(code=known.code, message=known.message, hint=known.hint)


def _insist(call: Callable[[], Activity | None]) -> Activity | None:
    """Call until MongoDB answers; after a minute the lease runs out and the sweep decides."""
    return patience.insist(call, seconds=CONCLUDE_SECONDS, pause=work_progress.BEAT_SECONDS)


def _undo(activity: Activity) -> bool:
    """Whether nothing is left of what an attempt has begun."""
    undo = _handlers[activity.kind].undo
    if undo is None:
        return True
    try:
        undo(activity)
    except SmartMLError as error:
        logger.warning("Activity %s: undoing is left to the sweep: %s", activity.id, error.message)
        return False
    except Exception:
        logger.exception("Activity %s: undoing failed and is left to the sweep.", activity.id)
        return False
    return True


def _enqueue_again(activity: Activity) -> None:
    # What the former worker's cluster holds would be delivered hours later.
    _WORK.forget(activity.id)
    _WORK.enqueue(activity.id)


def sweep() -> int:
    """Finish or undo what dead workers have left, enqueue what nobody knows of, forget what is old."""
    now = timezone.now()
    done = sweeping.each(
        repository.expired(now=now), lambda activity: _end_expired(activity, now), what="ending lost work"
    )
    done += sweeping.each(
        repository.unclaimed(older_than=now - UNCLAIMED_AFTER),
        lambda activity: _WORK.enqueue_missing(activity.id),
        what="enqueueing work",
    )
    done += sweeping.each(repository.with_leftovers(), _clean, what="undoing work")
    repository.forget_old(finished_before=now - KEPT_FOR)
    return done


def _end_expired(activity: Activity, now: Any) -> bool:
    owner = activity.lease_owner
    if owner is None:
        return False
    if activity.cancel_requested or activity.attempt >= MAX_ATTEMPTS:
        cancelled = activity.cancel_requested
        ended = repository.finish(
            activity_id=activity.id,
            owner=owner,
            status=ActivityStatus.CANCELLED if cancelled else ActivityStatus.FAILED,
            error=None if cancelled else STOPPED_TWICE,
            has_leftovers=True,
            expired_before=now,
        )
        return ended is not None
    moved = repository.requeue(activity_id=activity.id, owner=owner, expired_before=now)
    if moved is not None:
        logger.warning("Activity %s: the worker %s stopped; it is queued again.", activity.id, owner)
        _enqueue_again(activity)
    return moved is not None


def _clean(activity: Activity) -> bool:
    clean = activity.status is ActivityStatus.SUCCEEDED or _undo(activity)
    if clean:
        repository.mark_clean(activity_id=activity.id)
    return clean
