"""What was expected of trainings, and what they came to: numbers alone, of all people."""

import statistics

from ml.problem import Preset
from models_app import job_documents
from models_app.records import Job, JobStatus
from storage.mongo import Document, get_collection, translated
from storage.mongo_schema import Name

# An estimate is corrected by no more than that, either way.
_MOST = 3.0


@translated()
def correction(*, preset: Preset, last: int, at_least: int) -> tuple[float, int]:
    """The median of actual by expected seconds among the ``last`` trainings of a preset, and how many there were;
    1 and 0 when they are fewer than ``at_least``."""
    ratios = [
        (job.finished_at - job.started_at).total_seconds() / job.plan.seconds
        for job in _planned({"settings.preset": preset.value}, last)
        if job.plan is not None and job.plan.seconds > 0 and job.finished_at and job.started_at
    ]
    if len(ratios) < at_least:
        return 1.0, 0
    return min(max(statistics.median(ratios), 1 / _MOST), _MOST), len(ratios)


@translated()
def last_planned(*, limit: int = 100) -> tuple[Job, ...]:
    """The trainings with a plan that have succeeded, the last to end first."""
    return _planned({}, limit)


def _planned(where: Document, limit: int) -> tuple[Job, ...]:
    # The last ones of all: not many are without a plan, and none of those is wanted.
    found = get_collection(Name.JOBS).find(
        {"status": JobStatus.SUCCEEDED.value} | where, sort=[("finished_at", -1)], limit=limit
    )
    jobs = (job_documents.to_record(document) for document in found)
    return tuple(job for job in jobs if job.plan is not None)
