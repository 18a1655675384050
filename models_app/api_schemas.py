"""Trainings, models and predictions as the API says them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from accounts.api_schemas import OID, SAMPLE_ID
from ml.features import Feature
from ml.options import ClassWeights, HoldoutKind
from ml.prediction import Finding, Mode
from ml.problem import Preset, ProblemType
from models_app import services
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
from models_app.records import Job, JobStatus, Model, ModelVersion
from smartml.errors import InvalidInput
from storage.mongo_schema import MAX_COLUMN_NAME
from storage.paging import MAX_PAGE

_OTHER_ID: Final = "6567c1d2a9b8f00123456790"
_LONGEST_LIST: Final = 5_000
LARGEST_VERSION: Final = 1_000_000


class PageQuery(Schema):
    """From where on to list."""

    cursor: str | None = Field(None, max_length=2000, description="The `next_cursor` of the page before.")
    limit: int = Field(20, ge=1, le=MAX_PAGE)


# --- Trainings -----------------------------------------------------------------------------------------------
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
                    "dataset_id": _OTHER_ID,
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


# --- Models --------------------------------------------------------------------------------------------------
class VersionFacts(Schema):
    """One version. `accuracy` is its score on rows it has never seen, by `metric_name`; `baseline` that of a guess
    (the most frequent class, or the mean)."""

    version: int
    created_at: datetime
    job_id: str = Field(description="The id of the training that made it.")
    dataset_id: str
    dataset_name: str
    target: str
    problem_type: ProblemType
    base_model: str
    metric_name: str
    lower_is_better: bool
    accuracy: float
    baseline: float
    train_rows: int
    holdout_rows: int
    preset: Preset
    time_limit: int
    fit_seconds: float
    azure_model_url: str
    zip_size: int
    zip_sha256: str
    note: str = Field(description="What its owner has written on it.")


class ModelFacts(Schema):
    """A model and its versions, oldest first. `version` is the current one: it answers unless another is named."""

    id: str
    user_id: str
    name: str
    created_at: datetime
    tags: list[str]
    note: str
    version: int
    versions: list[VersionFacts]


class FeatureOut(Schema):
    """A column that predictions are made from, as it was in training."""

    name: str
    type: str
    kind: str
    categories: list[str]
    categories_complete: bool
    minimum: float | int | str | None
    maximum: float | int | str | None
    default: float | int | str | bool | None
    missing_share: float


class ModelDetail(ModelFacts):
    """A model with the columns that its current version asks for."""

    features: list[FeatureOut]
    unused_columns: list[str] = Field(
        description="The other columns of the training table: the target, what was left out, what says nothing. A "
        "row may have them; they are not looked at."
    )


class ModelPage(Schema):
    """Some models, newest first."""

    items: list[ModelFacts]
    next_cursor: str | None


class ModelQuery(PageQuery):
    """What to list, and from where on."""

    search: str = Field("", max_length=120, description="A part of the name, or of a tag.")
    tag: str = Field("", max_length=120, description="A tag that they carry.")


class VersionQuery(Schema):
    """Which version of a model."""

    version: int | None = Field(None, ge=1, le=LARGEST_VERSION, description="The current one unless it is said.")


def facts_of(model: Model) -> dict[str, Any]:
    """The fields of :class:`ModelFacts`."""
    facts = {name: getattr(model, name) for name in ModelFacts.model_fields if name != "versions"}
    return facts | {"versions": [version_facts(version) for version in model.versions]}


def version_facts(version: ModelVersion) -> VersionFacts:
    """A version for programs."""
    return VersionFacts(**{name: getattr(version, name) for name in VersionFacts.model_fields})


def feature_of(feature: Feature) -> FeatureOut:
    """A feature for programs."""
    facts = {name: getattr(feature, name) for name in FeatureOut.model_fields if name != "categories"}
    return FeatureOut(**facts, categories=list(feature.categories))


# --- Predictions ---------------------------------------------------------------------------------------------
def _checked_cell(value: Any) -> Any:
    """What can stand in a cell of a table; a type with alternatives would name each of them in its complaint."""
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError("A value is text, a number, true, false or null")
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair is no text
    return value


Cell = Annotated[
    Any, PlainValidator(_checked_cell), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})
]


class PredictionRequest(Schema):
    """Rows by column name, as they would stand in a file; null is a missing value."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"rows": [{"area": 61.5, "district": "north"}], "mode": "lenient"}]},
    )
    rows: list[dict[str, Cell]] = Field(min_length=1)
    mode: Mode = Field(
        Mode.LENIENT,
        description="lenient: what does not fit counts as missing, and is said. strict: any finding "
        "refuses all (422), and `fields` say where.",
    )
    version: int | None = Field(None, ge=1, le=LARGEST_VERSION, description="The current one unless it is said.")


class FindingOut(Schema):
    """Something odd about a value, or about a column of all rows."""

    field: str
    kind: Literal["missing", "unknown", "unseen_category", "out_of_range", "rounded", "wrong_type"]
    message: str


class IntervalOut(Schema):
    """The true number lies between in `level` of all rows like those of the training."""

    low: float
    high: float
    level: float


class SetOut(Schema):
    """One of these classes is true in `level` of all rows like those of the training."""

    classes: list[str]
    level: float


class PredictionOut(Schema):
    """The answer for one row: a class, or a number."""

    prediction: str | float
    probabilities: dict[str, float] | None
    interval: IntervalOut | None
    prediction_set: SetOut | None
    findings: list[FindingOut]


class PredictionAnswer(Schema):
    """An answer for each row, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model_id": SAMPLE_ID,
                    "version": 1,
                    "predictions": [
                        {
                            "prediction": 214000.0,
                            "probabilities": None,
                            "interval": {"low": 180500.0, "high": 247500.0, "level": 0.9},
                            "prediction_set": None,
                            "findings": [],
                        }
                    ],
                    "table_findings": [],
                }
            ]
        }
    )
    model_id: str
    version: int
    predictions: list[PredictionOut]
    table_findings: list[FindingOut] = Field(description="About columns of all rows, said once.")


def predictions_of(model: Model, version: int, made: services.Predictions) -> dict[str, Any]:
    """Predictions for programs, in the shape of :class:`PredictionAnswer`.

    Plain values: to check each of thousands of rows against its own description takes as long as predicting them.
    """
    return {
        "model_id": model.id,
        "version": version,
        "predictions": [
            {
                "prediction": each.prediction,
                "probabilities": each.probabilities,
                "interval": each.interval and asdict(each.interval),
                "prediction_set": each.likely
                and {"classes": list(each.likely.classes), "level": each.likely.level},
                "findings": _findings_of(each.findings),
            }
            for each in made.answers
        ],
        "table_findings": _findings_of(made.table_findings),
    }


def _findings_of(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    return [{"field": each.field, "kind": each.kind, "message": each.message} for each in findings]
