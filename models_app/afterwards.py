"""What begins by itself when a training has succeeded. It is owed (a flag of the job, set with its success) until
it has begun, so that neither a worker that dies then nor a queue that is away loses it."""

import logging

from django.db import DatabaseError

from datasets.activities import ActivityKind
from models_app import afterwards_repository, followups, repository
from models_app.records import Job, ModelStatus
from smartml.errors import SmartMLError
from storage import sweeping

logger = logging.getLogger(__name__)


def begin_quietly(job: Job) -> None:
    """For the worker that has just ended: what fails is left to the sweep."""
    try:
        _begin(job)
    except (SmartMLError, DatabaseError) as error:
        logger.warning("Job %s: what follows it waits for the sweep: %s", job.id, type(error).__name__)


def begin_owed() -> int:
    """For the sweep: trainings after which nothing has begun yet."""
    return sweeping.each(afterwards_repository.owed(), _begin, what="beginning what follows a training")


def _begin(job: Job) -> bool:
    """Whether there was something to begin: the model may have been deleted meanwhile."""
    model = repository.get(model_id=job.model_id, user_id=job.user_id)
    is_there = (
        model is not None and model.status is ModelStatus.READY and model.get_version(job.version) is not None
    )
    if model is not None and is_there:
        followups.start(model=model, version=job.version, kind=ActivityKind.EXPLAIN)
    afterwards_repository.settle(job_id=job.id)
    return is_there
