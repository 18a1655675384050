"""Things that tests need to exist, made through the app's own services and repositories."""

import json
from collections.abc import Sequence

from django.utils import timezone

from datasets import services as datasets
from datasets.records import Dataset
from ml.evaluation import Evaluation, ModelRow
from ml.prediction import Feature
from ml.problem import Preset, ProblemType
from models_app import jobs_repository, repository, signing
from models_app.records import Job, JobSettings, JobStatus, Model, ModelVersion
from storage.blobs import get_blobs
from storage.ids import new_id

ANIMALS = "legs,wings,weight,species\n" + "".join(
    f"{legs},{wings},{weight + i / 10:.1f},{species}\n"
    for i in range(20)
    for legs, wings, weight, species in ((4, "no", 20.0, "dog"), (2, "yes", 1.0, "duck"))
)


def stored_dataset(user_id: str, *, content: str = ANIMALS, file_name: str = "animals.csv") -> Dataset:
    """A dataset that went through the ingestion."""
    ingest = datasets.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name=file_name)
    ingest.write(content.encode())
    return ingest.commit()


def queued_job(user_id: str, dataset: Dataset, *, target: str = "species", **changes: object) -> Job:
    """A job waiting for a worker; nothing is put on the queue."""
    values: dict[str, object] = {
        "id": new_id(),
        "user_id": user_id,
        "dataset_id": dataset.id,
        "dataset_name": dataset.name,
        "model_id": new_id(),
        "model_name": "Animals",
        "version": 1,
        "settings": JobSettings(target=target, time_limit=30),
        "status": JobStatus.QUEUED,
        "created_at": timezone.now(),
        "problem_type": ProblemType.BINARY,
        "problem_reason": "`species` has two different values.",
    }
    job = Job(**(values | changes))  # type: ignore[arg-type]
    jobs_repository.insert(job=job)
    return job


def running_job(user_id: str, dataset: Dataset, **changes: object) -> Job:
    """A job held by the worker called ``owner``."""
    job = queued_job(user_id, dataset, **changes)
    claimed = jobs_repository.claim(job_id=job.id, owner="owner", lease_seconds=60)
    assert claimed is not None
    return claimed


EVALUATION = Evaluation(
    metric_name="accuracy",
    lower_is_better=False,
    score=0.875,
    baseline=0.5,
    best_model="LightGBM",
    metrics={"accuracy": 0.875, "roc_auc": None},
    baseline_metrics={"accuracy": 0.5, "roc_auc": None},
    undefined={"roc_auc": "The holdout has one class only."},
    leaderboard=(
        ModelRow(
            name="LightGBM", val_score=0.9, holdout_score=0.875, fit_seconds=1.5, predict_seconds_per_row=0.002
        ),
    ),
    train_rows=32,
    holdout_rows=8,
    classes=("dog", "duck"),
    positive_class="duck",
)


LEGS = Feature(
    name="legs",
    type="integer",
    kind="number",
    dtype="int64",
    categories_complete=False,
    minimum=2.0,
    maximum=4.0,
    default=3,
)


def stored_model(
    user_id: str,
    dataset: Dataset,
    *,
    evaluation: Evaluation = EVALUATION,
    job: Job | None = None,
    features: Sequence[Feature] = (LEGS,),
    settings: JobSettings | None = None,
    archive: bytes = b"PK not a predictor",
) -> Model:
    """A model with one stored version, by default without a predictor: enough for every page but a prediction."""
    job = job or running_job(user_id, dataset)
    blobs = get_blobs()
    paths = [
        blobs.model_blob(user_id, job.model_id, job.version),
        blobs.model_file(user_id, job.model_id, job.version, "evaluation", "json"),
        blobs.model_file(user_id, job.model_id, job.version, "schema", "json"),
    ]
    bodies = [
        archive,
        json.dumps(evaluation.as_dict()).encode(),
        json.dumps({"features": [feature.as_dict() for feature in features]}).encode(),
    ]
    stored = [blobs.upload_bytes(blobs.models_container, p, b) for p, b in zip(paths, bodies, strict=True)]
    for status in (JobStatus.EVALUATING, JobStatus.STORING):
        assert jobs_repository.advance(job_id=job.id, owner="owner", to=status, stage=status, progress=0.9)
    version = ModelVersion(
        version=job.version,
        created_at=timezone.now(),
        job_id=job.id,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        target=job.settings.target,
        problem_type=job.problem_type,
        base_model="LightGBM",
        metric_name=evaluation.metric_name,
        lower_is_better=evaluation.lower_is_better,
        accuracy=evaluation.score,
        baseline=evaluation.baseline,
        train_rows=evaluation.train_rows,
        holdout_rows=evaluation.holdout_rows,
        preset=Preset.QUICK,
        time_limit=30,
        fit_seconds=1.5,
        azure_model_url=stored[0].url,
        zip_size=stored[0].size,
        zip_sha256=stored[0].sha256,
        zip_hmac=signing.sign(model_id=job.model_id, version=job.version, sha256=stored[0].sha256),
        stored_size=sum(s.size for s in stored),
        settings=settings,
    )
    return repository.store_version(job=job, owner="owner", name=job.model_name, version=version)
