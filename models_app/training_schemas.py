"""Trainings as the API says them."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from ninja import Schema
from pydantic import ConfigDict, Field

from accounts.api_schemas import OID, SAMPLE_ID
from ml.options import ClassWeights, HoldoutKind
from ml.problem import Preset, ProblemType
from models_app import services
from models_app.api_schemas import OTHER_ID
from models_app.forms import PRESETS
from models_app.job_settings import (
    MAX_ANSWER_MS,
    MAX_HOLDOUT,
    MAX_SEED,
    MIN_ANSWER_MS,
    MIN_HOLDOUT,
    JobSettings,
)
from models_app.jobs_services import MAX_MODEL_NAME, longest_fit_seconds
from models_app.records import Job, JobStatus
from smartml.errors import InvalidInput
from storage.mongo_schema import MAX_COLUMN_NAME

_LONGEST_LIST: Final = 5_000


class TrainingRequest(Schema):
    """What to learn. Only the dataset and the target must be said; the rest is as on the training form, but no
    column is left out unasked."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"dataset_id": SAMPLE_ID, "target": "price", "preset": "quick", "time_limit": 60}]
        },
    )
    dataset_id: str = Field(pattern=OID)
    target: str = Field(min_length=1, max_length=MAX_COLUMN_NAME, description="The column to predict.")
    name: str = Field("", max_length=MAX_MODEL_NAME, description="Of the new model; made from the data else.")
    model_id: str | None = Field(None, pattern=OID, description="Makes the next version of this model instead.")
    preset: Preset = Preset.QUICK
    time_limit: int | None = Field(None, ge=1, le=10**6, description="Seconds of fitting; the preset's own else.")
    problem_type: ProblemType | None = Field(None, description="Inferred from the target unless it is said.")
    metric: str | None = Field(None, max_length=100, description="Decides between models, and is the score.")
    holdout_share: float = Field(0.2, ge=MIN_HOLDOUT, le=MAX_HOLDOUT)
    holdout_kind: HoldoutKind = HoldoutKind.RANDOM
    holdout_column: str | None = Field(None, max_length=MAX_COLUMN_NAME, description="Of the time or the group.")
    group_is_feature: bool = False
    leave_out: list[str] = Field(
        [],
        max_length=_LONGEST_LIST,
        description="Columns not to learn from, one that gives the target away for example.",
    )
    families: list[str] = Field([], max_length=20, description="Of models to fit; those of the preset else.")
    class_weights: ClassWeights = ClassWeights.NONE
    seed: int = Field(0, ge=0, le=MAX_SEED)
    answer_ms: float | None = Field(
        None,
        ge=MIN_ANSWER_MS,
        le=MAX_ANSWER_MS,
        description="Keep the best model that answers one row within this.",
    )

    def settings(self) -> JobSettings:
        """As a job has them.

        :raises InvalidInput: a column for a kind of holdout that goes by none.
        """
        if self.holdout_kind is HoldoutKind.RANDOM and self.holdout_column is not None:
            message = "Random rows go by no column; say `holdout_kind`: `time` or `group`."
            raise InvalidInput(message, fields={"holdout_column": message})
        choice = next(choice for choice in PRESETS if choice.preset is self.preset)
        names = set(JobSettings.__dataclass_fields__) - {"time_limit", "leave_out", "families", "group_is_feature"}
        return JobSettings(
            **{name: getattr(self, name) for name in names},
            time_limit=self.time_limit or min(choice.seconds, longest_fit_seconds()),
            leave_out=tuple(self.leave_out),
            families=tuple(self.families),
            group_is_feature=self.group_is_feature and self.holdout_kind is HoldoutKind.GROUP,
        )


class Failure(Schema):
    """Why a training has made no model."""

    code: str
    message: str
    hint: str


class FittedOut(Schema):
    """A model that has been fitted so far; of `val_score` higher is better."""

    name: str
    val_score: float | None
    fit_seconds: float


class Training(Schema):
    """A training, and how far it is. Over with `succeeded`, `failed` or `cancelled`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": SAMPLE_ID,
                    "status": "running",
                    "stage": "Fitting LightGBM",
                    "progress": 0.35,
                    "queue_position": None,
                    "dataset_id": OTHER_ID,
                    "dataset_name": "Houses",
                    "model_id": None,
                    "model_name": "Houses · price",
                    "version": 1,
                    "target": "price",
                    "problem_type": "regression",
                    "preset": "quick",
                    "time_limit": 60,
                    "created_at": "2026-11-27T12:00:00Z",
                    "started_at": "2026-11-27T12:00:02Z",
                    "finished_at": None,
                    "leaderboard": [{"name": "LightGBM", "val_score": -41000.5, "fit_seconds": 3.2}],
                    "error": None,
                }
            ]
        }
    )
    id: str
    status: JobStatus
    stage: str
    progress: float = Field(description="From 0 to 1.")
    queue_position: int | None = Field(description="How many begin before this one; null once it has begun.")
    dataset_id: str
    dataset_name: str
    model_id: str | None = Field(description="Of the model it has made; null until it has succeeded.")
    model_name: str
    version: int
    target: str
    problem_type: ProblemType
    preset: Preset
    time_limit: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    leaderboard: list[FittedOut]
    error: Failure | None


class TrainingPage(Schema):
    """Some trainings, newest first."""

    items: list[Training]
    next_cursor: str | None


def training_of(job: Job) -> Training:
    """A job for programs."""
    same = ("id", "status", "stage", "progress", "dataset_id", "dataset_name", "model_name", "version")
    more = ("problem_type", "created_at", "started_at", "finished_at")
    return Training(
        **{name: getattr(job, name) for name in same + more},
        queue_position=services.queue_position(job=job),
        model_id=job.model_id if job.status is JobStatus.SUCCEEDED else None,
        target=job.settings.target,
        preset=job.settings.preset,
        time_limit=job.settings.time_limit,
        leaderboard=[
            FittedOut(name=each.name, val_score=each.val_score, fit_seconds=each.fit_seconds)
            for each in job.leaderboard
        ],
        error=Failure(**asdict(job.error)) if job.error else None,
    )
