"""Trainings, models and predictions as the API says them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from accounts.api_schemas import SAMPLE_ID
from ml.features import Feature
from ml.prediction import Finding, Mode
from ml.problem import Preset, ProblemType
from models_app import services
from models_app.records import Model, ModelVersion
from storage.paging import MAX_PAGE

OTHER_ID: Final = "6567c1d2a9b8f00123456790"
LARGEST_VERSION: Final = 1_000_000


class PageQuery(Schema):
    """From where on to list."""

    cursor: str | None = Field(None, max_length=2000, description="The `next_cursor` of the page before.")
    limit: int = Field(20, ge=1, le=MAX_PAGE)


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
