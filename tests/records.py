"""Records as repositories take them, with believable values; nothing is stored here."""

from datetime import UTC, datetime
from typing import Any

from datasets import activities_repository as activities
from datasets import repository as datasets
from datasets.activity_records import Activity, ActivityKind, ActivityStatus
from datasets.records import Dataset, DatasetStatus, Source, TableFacts
from ml.problem import Preset, ProblemType
from models_app import batches_repository as batches
from models_app import jobs_repository as jobs
from models_app import repository as models
from models_app.batch_records import Batch, BatchStatus
from models_app.records import Job, JobSettings, JobStatus, Model, ModelVersion
from storage.ids import new_id

DIALECT = {"encoding": "utf-8", "delimiter": ",", "quotechar": '"', "has_header": True}
SHA256 = "ab" * 32


def now() -> datetime:
    """The time as MongoDB keeps it: to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def make_dataset(**changes: Any) -> Dataset:
    """An upload that has just begun."""
    values: dict[str, Any] = {
        "id": new_id(),
        "user_id": new_id(),
        "name": "Houses",
        "file_name": "houses.csv",
        "status": DatasetStatus.UPLOADING,
        "source": Source.UPLOAD,
        "uploaded_at": now(),
        "touched_at": now(),
    }
    return Dataset(**(values | changes))


def mark_ready(dataset: Dataset, *, azure_dataset_url: str | None = None, **changes: Any) -> Dataset:
    url = f"http://127.0.0.1/datasets/{dataset.user_id}/{dataset.id}/{dataset.file_name}"
    return datasets.mark_ready(
        dataset_id=dataset.id,
        user_id=dataset.user_id,
        azure_dataset_url=azure_dataset_url or url,
        facts=make_facts(**changes),
    )


def make_facts(**changes: Any) -> TableFacts:
    values: dict[str, Any] = {
        "etag": '"0x1"',
        "sha256": SHA256,
        "file_size": 100,
        "row_count": 10,
        "bad_row_count": 1,
        "column_count": 3,
        "dialect": DIALECT,
    }
    return TableFacts(**(values | changes))


def ready_dataset(*, file_size: int = 100, row_count: int = 10, **changes: Any) -> Dataset:
    """A dataset stored as ready."""
    dataset = make_dataset(**changes)
    datasets.insert_uploading(dataset=dataset)
    return mark_ready(dataset, file_size=file_size, row_count=row_count)


def stored_activity(dataset: Dataset) -> Activity:
    """Work on a dataset that waits for a worker."""
    activity = Activity(
        id=new_id(),
        user_id=dataset.user_id,
        dataset_id=dataset.id,
        kind=ActivityKind.PROFILE,
        status=ActivityStatus.QUEUED,
        created_at=now(),
        queued_at=now(),
    )
    return activities.insert(activity=activity)


def stored_batch(model: Model, **changes: Any) -> Batch:
    """A file on its way to be predicted."""
    values: dict[str, Any] = {
        "id": new_id(),
        "user_id": model.user_id,
        "model_id": model.id,
        "version": model.version,
        "file_name": "new.csv",
        "status": BatchStatus.UPLOADING,
        "created_at": now(),
        "touched_at": now(),
        "has_input": True,
    }
    batch = Batch(**(values | changes))
    batches.insert(batch=batch)
    return batch


def make_job(**changes: Any) -> Job:
    """A job that nobody has taken yet."""
    values: dict[str, Any] = {
        "id": new_id(),
        "user_id": new_id(),
        "dataset_id": new_id(),
        "dataset_name": "Houses",
        "model_id": new_id(),
        "model_name": "House prices",
        "version": 1,
        "settings": JobSettings(target="price", preset=Preset.BALANCED, time_limit=30, seed=7),
        "status": JobStatus.QUEUED,
        "created_at": now(),
        "problem_type": ProblemType.REGRESSION,
        "problem_reason": "`price` has many different numbers.",
    }
    return Job(**(values | changes))


def queued_job(**changes: Any) -> Job:
    job = make_job(**changes)
    jobs.insert(job=job)
    return job


def held_job(*, owner: str = "worker", until: JobStatus = JobStatus.RUNNING, **changes: Any) -> Job:
    """A job held by ``owner`` in the active state ``until``."""
    job = queued_job(**changes)
    held = jobs.claim(job_id=job.id, owner=owner, lease_seconds=60)
    for status in (JobStatus.EVALUATING, JobStatus.STORING):
        if held is None or held.status is until:
            break
        held = jobs.advance(job_id=job.id, owner=owner, to=status, stage=status.value, progress=0.5)
    assert held is not None
    assert held.status is until
    return held


def make_version(job: Job, **changes: Any) -> ModelVersion:
    """What a finished training stores."""
    values: dict[str, Any] = {
        "version": job.version,
        "created_at": now(),
        "job_id": job.id,
        "dataset_id": job.dataset_id,
        "dataset_name": job.dataset_name,
        "target": job.settings.target,
        "problem_type": job.problem_type,
        "base_model": "LightGBM",
        "metric_name": "root_mean_squared_error",
        "lower_is_better": True,
        "accuracy": 43_000.5,
        "baseline": 110_000.0,
        "train_rows": 80,
        "holdout_rows": 20,
        "zip_hmac": "cd" * 32,
        "golden_checked_at": now(),
        "golden_drifted": 0,
        "preset": job.settings.preset,
        "time_limit": job.settings.time_limit,
        "fit_seconds": 12.25,
        "azure_model_url": f"http://127.0.0.1/models/{job.user_id}/{job.model_id}/model-v{job.version}.zip",
        "zip_size": 900,
        "zip_sha256": SHA256,
        "stored_size": 1000,
    }
    return ModelVersion(**(values | changes))


def stored_model(*, name: str | None = None, stored_size: int = 1000, **changes: Any) -> Model:
    """A model with one more version, through a job that went all the way."""
    job = held_job(until=JobStatus.STORING, **changes)
    version = make_version(job, stored_size=stored_size)
    return models.store_version(job=job, owner="worker", name=name or job.model_name, version=version)
