"""Finishes or undoes what dead processes left behind. Everything here may run at any time, twice, and at once on
several machines."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from accounts.closing import sweep_closing, sweep_tombstones
from datasets import activities
from datasets.services import sweep_datasets
from models_app import afterwards, batches, news, queue, repository, versions_repository
from models_app import jobs_repository as jobs
from models_app.records import Job, JobError, JobStatus
from storage import sweeping
from storage.blobs import get_blobs
from storage.emptying import delete_all
from storage.workspace import sweep_workspaces

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 2
# Long enough for the request that stored the job to put it into the queue too.
UNCLAIMED_AFTER = timedelta(minutes=1)
# A deletion in a living process is over by then.
DELETING_AFTER = timedelta(minutes=5)

STOPPED_TWICE = JobError(
    code="worker_stopped",
    message="The worker stopped twice while this training was running, so it was not tried again.",
    hint="Train again. If it stops again although nobody restarted the server, memory may be running out: try "
    "the Quick preset or fewer rows.",
)


def sweep() -> dict[str, int]:
    """Run every step and return what each has done, by name. A step that fails is logged and does not keep the
    others from running; the first failure is raised at the end."""
    done: dict[str, int] = {}
    failures: list[Exception] = []
    for name, step in STEPS.items():
        try:
            done[name] = step()
        except Exception as error:
            logger.exception("Sweep: the step %s failed.", name)
            failures.append(error)
    if any(done.values()):
        logger.info("Sweep: %s", ", ".join(f"{name} {count}" for name, count in done.items() if count))
    if failures:
        raise failures[0]
    return done


def sweep_expired_leases() -> int:
    """Trainings whose worker has stopped without a word: once more, then failed with the reason."""
    now = timezone.now()
    return sweeping.each(jobs.expired(now=now), lambda job: _end_expired(job, now), what="ending a lost training")


def _end_expired(job: Job, now: datetime) -> bool:
    """Whether the job was still without a worker and has been moved on."""
    if job.lease_owner is None:
        return False
    if job.attempt >= MAX_ATTEMPTS and not job.cancel_requested:
        failed = jobs.fail(job_id=job.id, owner=job.lease_owner, error=STOPPED_TWICE, expired_before=now)
        return failed is not None
    moved = jobs.requeue(job_id=job.id, owner=job.lease_owner, expired_before=now)
    if moved is not None and moved.status is JobStatus.QUEUED:
        logger.warning("Job %s: the worker %s stopped; it is queued again.", job.id, job.lease_owner)
        # What the dead worker's cluster holds would be delivered hours later.
        queue.forget(job.id)
        queue.enqueue(job.id)
    return moved is not None


def sweep_unclaimed_jobs() -> int:
    """Trainings that wait although no message speaks of them: the enqueuer died, or the queue was lost."""
    waiting = jobs.unclaimed(older_than=timezone.now() - UNCLAIMED_AFTER)
    return sweeping.each(waiting, lambda job: queue.enqueue_missing(job.id), what="enqueueing a training")


def sweep_job_blobs() -> int:
    """Blobs of attempts that ended without a model, where the worker could not remove them itself."""
    blobs = get_blobs()

    def clean(job: Job) -> int:
        receipt = delete_all(
            partial(blobs.delete_model_version, user_id=job.user_id, model_id=job.model_id, version=job.version)
        )
        jobs.mark_clean(job_id=job.id)
        return receipt.count

    return sweeping.each(jobs.with_leftovers(), clean, what="removing the blobs of a training")


def sweep_deleted_models() -> int:
    """Deletions that were interrupted."""
    from models_app.services import finish_deletion

    return sweeping.each(
        repository.unfinished(untouched_since=timezone.now() - DELETING_AFTER),
        lambda model: finish_deletion(user_id=model.user_id, model_id=model.id),
        what="deleting a model",
    )


def sweep_deleted_versions() -> int:
    """Deletions of single versions that were interrupted."""
    from models_app.versions import finish_deletion

    return sweeping.each(
        versions_repository.unfinished(untouched_since=timezone.now() - DELETING_AFTER),
        lambda each: finish_deletion(*each),
        what="deleting a version",
    )


def _workspaces() -> int:
    return len(sweep_workspaces())


def _accounts() -> int:
    return len(sweep_closing())


STEPS: dict[str, Callable[[], int]] = {
    "expired_leases": sweep_expired_leases,
    "unclaimed_jobs": sweep_unclaimed_jobs,
    "job_blobs": sweep_job_blobs,
    "activities": activities.sweep,
    "batches": batches.sweep,
    "deleted_models": sweep_deleted_models,
    "deleted_versions": sweep_deleted_versions,
    "mails": news.send_mails,
    "followups": afterwards.begin_owed,
    "datasets": sweep_datasets,
    "accounts": _accounts,
    "tombstones": sweep_tombstones,
    "workspaces": _workspaces,
}
