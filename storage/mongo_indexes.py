"""The indexes behind every query, by collection (``tests/integration/test_query_plans.py`` holds them to that)."""

from typing import Any, Final

from pymongo import ASCENDING, IndexModel

from storage.mongo_schema import NAME_ORDER, Name


def _index(name: str, *keys: str, **options: Any) -> IndexModel:
    return IndexModel([(key, ASCENDING) for key in keys], name=name, **options)


# An index is read in both directions, so one serves "newest first" and "oldest first". The partial ones hold
# only the few documents that a sweep or the queue asks for.
INDEXES: Final[dict[str, tuple[IndexModel, ...]]] = {
    Name.DATASETS: (
        _index("by_uploaded_at", "user_id", "uploaded_at", "_id"),
        _index("by_name", "user_id", "name", "_id", collation=NAME_ORDER),
        _index("by_file_size", "user_id", "file_size", "_id"),
        _index("by_row_count", "user_id", "row_count", "_id"),
        _index("by_sha256", "user_id", "sha256", "uploaded_at", "_id"),
        _index("staged_of_user", "user_id", "uploaded_at", "_id", partialFilterExpression={"status": "staged"}),
        _index(
            "unfinished",
            "status",
            "touched_at",
            partialFilterExpression={"status": {"$in": ["uploading", "deleting"]}},
        ),
        _index("staged", "touched_at", partialFilterExpression={"status": "staged"}),
    ),
    Name.MODELS: (
        _index("by_created_at", "user_id", "created_at", "_id"),
        _index("unfinished", "status", "touched_at", partialFilterExpression={"status": "deleting"}),
        _index(
            "unfinished_versions",
            "versions.deleting_at",
            partialFilterExpression={"versions.deleting_at": {"$exists": True}},
        ),
    ),
    Name.JOBS: (
        _index("by_created_at", "user_id", "created_at", "_id"),
        _index("by_status", "user_id", "status", "created_at", "_id"),
        _index("of_dataset", "dataset_id", "status"),
        _index("of_model", "model_id", "status"),
        _index("queue", "status", "queued_at", "_id", partialFilterExpression={"status": "queued"}),
        _index("leftovers", "has_leftovers", "status", partialFilterExpression={"has_leftovers": True}),
        _index("unseen", "user_id", "unseen", partialFilterExpression={"unseen": True}),
        # Trainings that a plan was made for, the last to end first: no user is asked for.
        _index(
            "plans", "status", "finished_at", "settings.preset", partialFilterExpression={"status": "succeeded"}
        ),
        _index("mails", "mail_due", partialFilterExpression={"mail_due": True}),
        _index("followups", "followups_due", partialFilterExpression={"followups_due": True}),
        _index(
            "leases",
            "status",
            "lease_until",
            partialFilterExpression={"status": {"$in": ["running", "evaluating", "storing"]}},
        ),
    ),
    Name.ACTIVITIES: (
        _index("of_dataset", "dataset_id", "kind", "created_at"),
        _index(
            "of_model",
            "model_id",
            "version",
            "kind",
            "created_at",
            "_id",
            partialFilterExpression={"model_id": {"$exists": True}},
        ),
        _index("of_user", "user_id", "status", "created_at"),
        # One at a time: the second request for the same work finds the first.
        _index(
            "sole",
            "dataset_id",
            "model_id",
            "version",
            "kind",
            "subject",
            unique=True,
            partialFilterExpression={"status": {"$in": ["queued", "running"]}},
        ),
        _index("queue", "status", "queued_at", partialFilterExpression={"status": "queued"}),
        _index("leases", "status", "lease_until", partialFilterExpression={"status": "running"}),
        _index("leftovers", "has_leftovers", "status", partialFilterExpression={"has_leftovers": True}),
        _index("by_finished_at", "finished_at"),
    ),
    Name.BATCHES: (
        _index("of_version", "model_id", "version", "created_at", "_id"),
        _index(
            "unfinished",
            "status",
            "touched_at",
            partialFilterExpression={"status": {"$in": ["uploading", "waiting", "deleting"]}},
        ),
        _index("inputs", "has_input", "status", partialFilterExpression={"has_input": True}),
    ),
    Name.USERS: (_index("tombstones", "closing_at", partialFilterExpression={"closing_at": {"$exists": True}}),),
}
