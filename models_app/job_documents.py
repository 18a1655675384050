"""A training job as MongoDB keeps it, and back: every text and list within the bounds of the validator."""

from collections.abc import Sequence
from dataclasses import asdict

from ml.left_out import LeftOut
from ml.problem import ProblemType
from models_app import job_settings
from models_app.records import FittedModel, Job, JobError, JobStatus, LogLine, Plan, Readings
from storage.mongo import Document, checked_name, clip, known_fields, object_id
from storage.mongo_schema import (
    MAX_LEADERBOARD,
    MAX_LOG_LINE,
    MAX_LOG_LINES,
    MAX_NAME,
    MAX_SENTENCE,
    MAX_STAGE,
)


def to_document(job: Job) -> Document:
    """A job as a document of the collection."""
    document = asdict(job)
    document["_id"] = object_id(document.pop("id"))
    for field in ("user_id", "dataset_id", "model_id"):
        document[field] = object_id(document[field])
    document["settings"] = job_settings.to_document(job.settings)
    return document | {
        "status": job.status.value,
        "model_name": checked_name(job.model_name),
        "problem_type": job.problem_type.value,
        "problem_reason": clip(job.problem_reason, MAX_SENTENCE),
        "stage": clip(job.stage, MAX_STAGE),
        "progress": share(job.progress),
        "queued_at": job.queued_at or job.created_at,
        "has_leftovers": False,
        "leaderboard": leaderboard_rows(job.leaderboard),
        "left_out": left_out_rows(job.left_out),
        "log": log_rows(job.log),
    }


def to_record(document: Document) -> Job:
    """A document of the collection."""
    error = document["error"]
    return Job(
        **known_fields(Job, document)
        | {
            "id": str(document["_id"]),
            "user_id": str(document["user_id"]),
            "dataset_id": str(document["dataset_id"]),
            "model_id": str(document["model_id"]),
            "status": JobStatus(document["status"]),
            "problem_type": ProblemType(document["problem_type"]),
            "settings": job_settings.from_document(document["settings"]),
            "leaderboard": tuple(FittedModel(**row) for row in document["leaderboard"]),
            "left_out": tuple(LeftOut(**each) for each in document.get("left_out", ())),
            "log": tuple(LogLine(**each) for each in document.get("log", ())),
            "readings": Readings(**document["readings"]) if document.get("readings") else None,
            "plan": Plan(**document["plan"]) if document.get("plan") else None,
            "error": None if error is None else JobError(**error),
        }
    )


def share(progress: float) -> float:
    """Progress within the bounds that the collection accepts."""
    return min(1.0, max(0.0, float(progress)))


def leaderboard_rows(leaderboard: Sequence[FittedModel]) -> list[Document]:
    """At most as many rows as a document may hold: the best, in the order given."""
    if len(leaderboard) > MAX_LEADERBOARD:
        ranked = sorted(leaderboard, key=lambda row: (row.val_score is None, -(row.val_score or 0.0)))
        kept = {id(row) for row in ranked[:MAX_LEADERBOARD]}
        leaderboard = [row for row in leaderboard if id(row) in kept]
    return [
        {
            "name": clip(row.name, MAX_NAME),
            "val_score": None if row.val_score is None else float(row.val_score),
            "fit_seconds": float(row.fit_seconds),
            "at_seconds": None if row.at_seconds is None else float(row.at_seconds),
        }
        for row in leaderboard
    ]


def left_out_rows(models: Sequence[LeftOut]) -> list[Document]:
    """At most as many as a document may hold, with texts of a length that it takes."""
    return [
        {"name": clip(each.name, MAX_NAME), "reason": clip(each.reason, MAX_SENTENCE)}
        for each in models[:MAX_LEADERBOARD]
    ]


def log_rows(lines: Sequence[LogLine]) -> list[Document]:
    """The last lines, in the order in which they were said."""
    return [
        {"at_seconds": float(line.at_seconds), "text": clip(line.text, MAX_LOG_LINE)}
        for line in lines[-MAX_LOG_LINES:]
    ]
