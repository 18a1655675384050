"""What MongoDB itself accepts in each collection.

The storage contract in one place: names, numbers, dates and short texts about data, never data. Every level is
closed (``additionalProperties: false``), every text is bounded, and no field takes an object or array of
unlimited shape, so rows, a schema, a sample or a model cannot be stored even by mistake.
"""

from enum import StrEnum
from typing import Any, Final

from pymongo.collation import Collation

Schema = dict[str, Any]

MAX_NAME: Final = 200
MAX_FILE_NAME: Final = 255
MAX_COLUMN_NAME: Final = 1000
MAX_STAGE: Final = 200
MAX_SOURCE_REF: Final = 1000
MAX_SENTENCE: Final = 2000
MAX_LEADERBOARD: Final = 200
MAX_LATER_FILES: Final = 1000
MAX_LOG_LINES: Final = 30
MAX_LOG_LINE: Final = 200
MAX_TAG: Final = 24
MAX_TAGS: Final = 10
MAX_NOTE: Final = 2000

# How names are sorted: "apple", "Banana", "cherry". An index serves only queries of its own collation.
NAME_ORDER: Final = Collation(locale="en", strength=2)


class Name(StrEnum):
    """Collections."""

    DATASETS = "datasets"
    MODELS = "models"
    JOBS = "jobs"
    USERS = "users"
    ACTIVITIES = "activities"
    BATCHES = "batches"


def _text(limit: int, *, minimum: int = 0) -> Schema:
    return {"bsonType": "string", "minLength": minimum, "maxLength": limit}


def _optional(schema: Schema) -> Schema:
    return {**schema, "bsonType": _or_null(schema["bsonType"])}


def _or_null(types: str | list[str]) -> list[str]:
    return [*([types] if isinstance(types, str) else types), "null"]


def _one_of(*values: str) -> Schema:
    return {"bsonType": "string", "enum": list(values)}


def _closed(properties: dict[str, Schema], *, optional: dict[str, Schema] | None = None) -> Schema:
    """An object of exactly these fields, and perhaps of the optional ones."""
    return {
        "bsonType": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties | (optional or {}),
    }


_ID: Final[Schema] = {"bsonType": "objectId"}
_DATE: Final[Schema] = {"bsonType": "date"}
_FLAG: Final[Schema] = {"bsonType": "bool"}
_COUNT: Final[Schema] = {"bsonType": ["int", "long"], "minimum": 0}
_POSITIVE: Final[Schema] = {"bsonType": ["int", "long"], "minimum": 1}
_INTEGER: Final[Schema] = {"bsonType": ["int", "long"]}
_NUMBER: Final[Schema] = {"bsonType": ["double", "int", "long"]}
_SHARE: Final[Schema] = {**_NUMBER, "minimum": 0, "maximum": 1}
_NAME: Final = _text(MAX_NAME, minimum=1)
_COLUMN: Final = _text(MAX_COLUMN_NAME)
_WORD: Final = _text(100)
_URL: Final = _text(2048)
_SHA256: Final[Schema] = {"bsonType": "string", "pattern": "^[0-9a-f]{64}$"}
_PROBLEM: Final = _one_of("binary", "multiclass", "regression")
_PRESET: Final = _one_of("quick", "balanced", "best")

# What a training was asked for: names and numbers about the data. The optional fields came later.
MAX_LEFT_OUT: Final = 500
_SETTINGS: Final = _closed(
    {
        "target": _COLUMN,
        "preset": _PRESET,
        "time_limit": _COUNT,
        "holdout_share": _SHARE,
        "seed": _INTEGER,
    },
    optional={
        "problem_type": {"bsonType": ["string", "null"], "enum": ["binary", "multiclass", "regression", None]},
        "metric": _optional(_WORD),
        "holdout_kind": _one_of("random", "time", "group"),
        "holdout_column": _optional(_COLUMN),
        "group_is_feature": _FLAG,
        "leave_out": {"bsonType": "array", "maxItems": MAX_LEFT_OUT, "items": _COLUMN},
        "families": {"bsonType": "array", "maxItems": 20, "items": _WORD},
        "class_weights": _one_of("none", "balanced"),
        "answer_ms": _optional(_NUMBER),
    },
)

# The optional ones are those that tables stored earlier do without.
_DIALECT: Final = _closed(
    {"encoding": _text(40), "delimiter": _text(4), "quotechar": _text(4), "has_header": _FLAG},
    optional={
        "escapechar": _text(4),
        "skip_lines": _COUNT,
        "comment": _text(4),
        "decimal": _text(1),
        "thousands": _text(1),
        "date_order": _one_of("", "dmy", "mdy", "ymd"),
        "skip_blanks": _FLAG,
    },
)
_DATASET: Final = _closed(
    {
        "_id": _ID,
        "user_id": _ID,
        "name": _NAME,
        "file_name": _text(MAX_FILE_NAME, minimum=1),
        "row_count": _COUNT,
        "bad_row_count": _COUNT,
        "column_count": _COUNT,
        "file_size": _COUNT,
        "status": _one_of("uploading", "staged", "ready", "deleting"),
        "azure_dataset_url": _optional(_URL),
        "source": _one_of("upload", "kaggle", "sample"),
        "target_column": _optional(_COLUMN),
        "uploaded_at": _DATE,
        "touched_at": _DATE,
        "etag": _optional(_WORD),
        "sha256": {"oneOf": [{"bsonType": "null"}, _SHA256]},
        "dialect": {"oneOf": [{"bsonType": "null"}, _DIALECT]},
    },
    # Where an import came from: `owner/slug@3:table.csv`.
    optional={"source_ref": _text(MAX_SOURCE_REF, minimum=1)},
)

# Facts of one stored version; the top level of a model mirrors those of its current version.
_MIRRORED: Final[dict[str, Schema]] = {
    "base_model": _text(MAX_NAME),
    "accuracy": _NUMBER,
    "azure_model_url": _URL,
    "dataset_id": _ID,
    "version": _POSITIVE,
    "problem_type": _PROBLEM,
    "metric_name": _WORD,
    "zip_size": _COUNT,
    "zip_sha256": _SHA256,
}
_VERSION: Final = _closed(
    {
        **_MIRRORED,
        "created_at": _DATE,
        "job_id": _ID,
        "dataset_name": _NAME,
        "target": _COLUMN,
        "lower_is_better": _FLAG,
        "baseline": _NUMBER,
        "train_rows": _COUNT,
        "holdout_rows": _COUNT,
        "preset": _PRESET,
        "time_limit": _COUNT,
        "fit_seconds": _NUMBER,
        "stored_size": _COUNT,
    },
    # `later_files`: what was computed of it after its training, and counts in `stored_size`.
    # `deleting_at`: the version is being deleted, and is none any more for anybody but the sweep.
    optional={
        "settings": _SETTINGS,
        "zip_hmac": _SHA256,
        "golden_checked_at": _DATE,
        "golden_drifted": _COUNT,
        "dataset_sha256": _SHA256,
        "note": _text(MAX_NOTE),
        "deleting_at": _DATE,
        "later_files": {
            "bsonType": "array",
            "maxItems": MAX_LATER_FILES,
            "items": _closed({"name": _text(MAX_NAME), "size": _COUNT}),
        },
    },
)
_MODEL: Final = _closed(
    {
        "_id": _ID,
        "user_id": _ID,
        "name": _NAME,
        "status": _one_of("ready", "deleting"),
        "created_at": _DATE,
        "touched_at": _DATE,
        "last_version": _POSITIVE,
        **_MIRRORED,
        "versions": {"bsonType": "array", "minItems": 1, "items": _VERSION},
    },
    optional={
        # The current version was chosen by hand, so a further training does not replace it.
        "pinned": _FLAG,
        "previous_version": _POSITIVE,
        "current_since": _DATE,
        "tags": {"bsonType": "array", "maxItems": MAX_TAGS, "items": _text(MAX_TAG, minimum=1)},
        "note": _text(MAX_NOTE),
    },
)

_ERROR: Final[Schema] = {
    "oneOf": [
        {"bsonType": "null"},
        _closed({"code": _WORD, "message": _text(MAX_SENTENCE), "hint": _text(MAX_SENTENCE)}),
    ]
}
_JOB: Final = _closed(
    {
        "_id": _ID,
        "user_id": _ID,
        "dataset_id": _ID,
        "dataset_name": _NAME,
        "model_id": _ID,
        "model_name": _NAME,
        "version": _POSITIVE,
        "settings": _SETTINGS,
        "status": _one_of("queued", "running", "evaluating", "storing", "succeeded", "failed", "cancelled"),
        "created_at": _DATE,
        "queued_at": _DATE,
        "problem_type": _PROBLEM,
        "problem_reason": _text(MAX_SENTENCE),
        "stage": _text(MAX_STAGE),
        "progress": _SHARE,
        "attempt": _COUNT,
        "started_at": _optional(_DATE),
        "fit_started_at": _optional(_DATE),
        "finished_at": _optional(_DATE),
        "lease_owner": _optional(_text(MAX_NAME)),
        "lease_until": _optional(_DATE),
        "cancel_requested": _FLAG,
        "has_leftovers": _FLAG,
        "leaderboard": {
            "bsonType": "array",
            "maxItems": MAX_LEADERBOARD,
            "items": _closed(
                {"name": _text(MAX_NAME), "val_score": _optional(_NUMBER), "fit_seconds": _NUMBER},
                optional={"at_seconds": _optional(_NUMBER)},
            ),
        },
        "metric": _optional(_WORD),
        "error": _ERROR,
    },
    optional={
        "stop_requested": _FLAG,
        # It has ended by itself: its owner has not looked since, and no mail has gone out.
        "unseen": _FLAG,
        "mail_due": _FLAG,
        "followups_due": _FLAG,
        "left_out": {
            "bsonType": "array",
            "maxItems": MAX_LEADERBOARD,
            "items": _closed({"name": _text(MAX_NAME), "reason": _text(MAX_SENTENCE)}),
        },
        # Sentences of the app's own about the fit: numbers and names of models.
        "log": {
            "bsonType": "array",
            "maxItems": MAX_LOG_LINES,
            "items": _closed({"at_seconds": _NUMBER, "text": _text(MAX_LOG_LINE)}),
        },
        "plan": {
            **_closed({"seconds": _NUMBER, "memory": _COUNT, "models": _COUNT}),
            "bsonType": ["object", "null"],
        },
        "readings": {
            **_closed({"memory": _COUNT, "memory_peak": _COUNT, "cores": _NUMBER}),
            "bsonType": ["object", "null"],
        },
    },
)

# Work in the background, on a dataset or on a version of a model. ``subject`` is what it is about: a reference, a
# column's name.
_ACTIVITY: Final = _closed(
    {
        "_id": _ID,
        "user_id": _ID,
        "kind": _one_of(
            "kaggle",
            "read",
            "convert",
            "profile",
            "relation",
            "index",
            "explain",
            "compare",
            "autopsy",
            "labels",
            "twin",
            "batch",
        ),
        "subject": _COLUMN,
        "status": _one_of("queued", "running", "succeeded", "failed", "cancelled"),
        "stage": _text(MAX_STAGE),
        "progress": _SHARE,
        "done_bytes": _COUNT,
        "total_bytes": _COUNT,
        "attempt": _COUNT,
        "created_at": _DATE,
        "queued_at": _DATE,
        "started_at": _optional(_DATE),
        "finished_at": _optional(_DATE),
        "lease_owner": _optional(_text(MAX_NAME)),
        "lease_until": _optional(_DATE),
        "cancel_requested": _FLAG,
        "has_leftovers": _FLAG,
        "error": _ERROR,
    },
    optional={"dataset_id": _ID, "model_id": _ID, "version": _POSITIVE},
)

# Files that a version of a model has predicted, or is to. Their rows are blobs beside the version.
_BATCH: Final = _closed(
    {
        "_id": _ID,
        "user_id": _ID,
        "model_id": _ID,
        "version": _POSITIVE,
        "dataset_id": _optional(_ID),
        "file_name": _text(MAX_FILE_NAME, minimum=1),
        "status": _one_of("uploading", "waiting", "done", "failed", "deleting"),
        "created_at": _DATE,
        "touched_at": _DATE,
        "finished_at": _optional(_DATE),
        "is_strict": _FLAG,
        "has_input": _FLAG,
        "rows": _COUNT,
        "bad_rows": _COUNT,
        "first_bad_lines": {"bsonType": "array", "maxItems": 20, "items": _COUNT},
        "columns": _COUNT,
        "input_size": _COUNT,
        "dialect": {"oneOf": [{"bsonType": "null"}, _DIALECT]},
        "stored_size": _COUNT,
        "result_size": _COUNT,
        "odd_rows": _COUNT,
        "drift": _one_of("", "none", "some", "strong", "unknown"),
        "score": _optional(_NUMBER),
        "metric": _optional(_WORD),
        "error": _ERROR,
    }
)

_USER: Final = _closed(
    {
        "_id": _ID,
        "datasets_count": _COUNT,
        "models_count": _COUNT,
        "datasets_bytes": _COUNT,
        "models_bytes": _COUNT,
        # Moves with every write, so that each is one (see `storage.mongo_users`).
        "revision": _COUNT,
    },
    # A tombstone: the account is being deleted, or is gone. Batches came later.
    optional={"closing_at": _DATE, "batches_count": _COUNT, "batches_bytes": _COUNT},
)

VALIDATORS: Final[dict[str, Schema]] = {
    Name.DATASETS: _DATASET,
    Name.MODELS: _MODEL,
    Name.JOBS: _JOB,
    Name.USERS: _USER,
    Name.ACTIVITIES: _ACTIVITY,
    Name.BATCHES: _BATCH,
}
