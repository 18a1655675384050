"""The last step of a training: its files into the blob store, then its model into the metadata.

By now hours of fitting may be at stake, so services that are away for a moment are waited for.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.utils import timezone

from ml.diagnosis import Diagnosis
from ml.drift import Reference
from ml.evaluation import Evaluation
from ml.overriding import ChosenType
from ml.prediction import Feature
from models_app import jobs_repository as jobs
from models_app import repository
from models_app.followups import HOLDOUT
from models_app.records import Job, ModelVersion
from models_app.signing import Sign
from smartml.errors import Conflict, ServiceUnavailable
from storage import patience
from storage.blobs import Stored, get_blobs

logger = logging.getLogger(__name__)
T = TypeVar("T")

# How long a service may be away: an hour of fitting is worth a minute of patience.
STORE_SECONDS = 60.0
PAUSE_SECONDS = 1.0
# How often another process may be found to have stored this version's files.
MAX_CONFLICTS = 3


class LeaseLost(Conflict):
    """Another attempt has this job by now."""

    def __init__(self) -> None:
        super().__init__("This training belongs to another worker by now.")


def store(
    *,
    job: Job,
    owner: str,
    archive: Path,
    holdout: Path,
    report: Evaluation,
    features: tuple[Feature, ...],
    unused: Collection[str],
    figures: Diagnosis,
    reference: Reference,
    golden: Mapping[str, Any],
    chosen_types: tuple[ChosenType, ...],
    base_model: str,
    fit_seconds: float,
    dataset_sha256: str | None = None,
    write_report: Callable[[ModelVersion], bytes],
    sign: Sign,
) -> None:
    """Blobs first, metadata last: metadata never names a blob that is not there. ``write_report``: a version as the
    HTML file that is kept beside it. ``sign``: the signature of this version for a SHA-256.

    :raises LeaseLost: and whatever is stored now is the other attempt's.
    """
    documents: dict[str, Mapping[str, Any]] = {
        "evaluation": report.as_dict(),
        "schema": {
            "features": [feature.as_dict() for feature in features],
            "unused": list(unused),
            "chosen_types": [chosen.as_dict() for chosen in chosen_types],
        },
        "figures": figures,
        "reference": reference,
        "golden": golden,
    }

    def upload() -> ModelVersion:
        stored, *others = _upload(job, archive, holdout, documents)
        version = _version(job, report, stored, base_model=base_model, fit_seconds=fit_seconds)
        version = replace(version, zip_hmac=sign(stored.sha256), dataset_sha256=dataset_sha256)
        others.append(_upload_file(job, "report", "html", write_report(version)))
        return replace(version, stored_size=stored.size + sum(other.size for other in others))

    version = _insist_on_uploads(job, owner, upload)
    # Asking again after a broken connection is safe: a second time stores nothing.
    insist(lambda: repository.store_version(job=job, owner=owner, name=job.model_name, version=version))


def _version(job: Job, report: Evaluation, stored: Stored, *, base_model: str, fit_seconds: float) -> ModelVersion:
    return ModelVersion(
        version=job.version,
        created_at=timezone.now(),
        job_id=job.id,
        dataset_id=job.dataset_id,
        dataset_name=job.dataset_name,
        target=job.settings.target,
        problem_type=job.problem_type,
        base_model=base_model,
        metric_name=report.metric_name,
        lower_is_better=report.lower_is_better,
        accuracy=report.headline[0],
        baseline=report.headline[1],
        train_rows=report.train_rows,
        holdout_rows=report.holdout_rows,
        preset=job.settings.preset,
        time_limit=job.settings.time_limit,
        fit_seconds=fit_seconds,
        azure_model_url=stored.url,
        zip_size=stored.size,
        zip_sha256=stored.sha256,
        stored_size=stored.size,
        settings=job.settings,
        golden_checked_at=timezone.now(),
        golden_drifted=0,
    )


def insist(call: Callable[[], T]) -> T:
    """Call until the service answers, within ``STORE_SECONDS``."""
    return patience.insist(call, seconds=STORE_SECONDS, pause=PAUSE_SECONDS)


def _upload(job: Job, archive: Path, holdout: Path, documents: Mapping[str, Mapping[str, Any]]) -> list[Stored]:
    blobs = get_blobs()
    stored = [blobs.upload_model(user_id=job.user_id, model_id=job.model_id, version=job.version, path=archive)]
    rows = blobs.model_file(job.user_id, job.model_id, job.version, HOLDOUT, "parquet")
    stored.append(blobs.upload_file(blobs.models_container, rows, holdout))
    for stem, document in documents.items():
        data = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        stored.append(_upload_file(job, stem, "json", data))
    return stored


def _upload_file(job: Job, stem: str, extension: str, data: bytes) -> Stored:
    blobs = get_blobs()
    name = blobs.model_file(job.user_id, job.model_id, job.version, stem, extension)
    return blobs.upload_bytes(blobs.models_container, name, data)


def _insist_on_uploads(job: Job, owner: str, upload: Callable[[], T]) -> T:
    """All files of this version, each of them this attempt's.

    After a failure nobody knows what is there: it is removed, and everything uploaded again. A name that is taken
    was taken by an earlier attempt whose process lives on without a lease (a version's number is never given
    twice).
    """
    give_up: float | None = None
    conflicts = 0
    while True:
        try:
            if give_up is not None or conflicts:
                _make_room(job, owner)
            return upload()
        except LeaseLost:
            raise
        except Conflict as error:
            conflicts += 1
            if conflicts > MAX_CONFLICTS:
                raise
            logger.warning("Job %s: another process has stored files of it: %s", job.id, error.message)
        except ServiceUnavailable as error:
            # Counted from the first failure: the upload of a large model alone may take longer.
            give_up = give_up or time.monotonic() + STORE_SECONDS
            if time.monotonic() > give_up:
                raise
            logger.warning("Job %s: its files could not be stored: %s", job.id, error.message)
            time.sleep(PAUSE_SECONDS)


def _make_room(job: Job, owner: str) -> None:
    """Remove this version's files, as long as they cannot be those of a later attempt."""
    renewed = jobs.heartbeat(job_id=job.id, owner=owner, lease_seconds=settings.JOB_LEASE_SECONDS)
    if renewed is None:
        raise LeaseLost
    get_blobs().delete_model_version(user_id=job.user_id, model_id=job.model_id, version=job.version)
