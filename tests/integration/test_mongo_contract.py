"""MongoDB itself keeps the storage contract."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import Binary, ObjectId
from pymongo.errors import WriteError

from models_app import batches_repository as batches
from models_app.batch_records import BatchError
from storage import mongo
from storage.mongo_schema import VALIDATORS
from tests.records import (
    DIALECT,
    ready_dataset,
    stored_activity,
    stored_batch,
    stored_model,
)

pytestmark = pytest.mark.usefixtures("stack")

USER_FIELDS = ("datasets_count", "models_count", "datasets_bytes", "models_bytes", "revision")


@pytest.fixture
def documents() -> dict[str, dict[str, Any]]:
    """One valid document of each collection, made by the repositories; not stored any more."""
    dataset = ready_dataset()
    model = stored_model()
    stored_activity(dataset)
    batch = stored_batch(model)
    about = {"batch_id": batch.id, "user_id": model.user_id}
    counts = {"rows": 1, "bad_rows": 1, "columns": 1, "input_size": 1}
    batches.mark_waiting(**about, **counts, first_bad_lines=(3,), dialect=DIALECT)
    batches.mark_failed(**about, error=BatchError(code="error", message="It failed."))
    found = {name: mongo.get_collection(name).find_one() for name in VALIDATORS}
    for name in VALIDATORS:
        mongo.get_collection(name).delete_many({})
    return found


def assert_refused(name: str, document: dict[str, Any]) -> None:
    with pytest.raises(WriteError, match="Document failed validation"):
        mongo.get_collection(name).insert_one(document)
    assert mongo.get_collection(name).count_documents({}) == 0


def test_documents_have_the_fields_of_the_contract(documents):
    assert {
        "_id", "user_id", "name", "file_name", "row_count", "column_count", "file_size", "status",
        "azure_dataset_url", "source", "target_column", "uploaded_at",
    } <= set(documents["datasets"])  # fmt: skip
    assert {
        "_id", "user_id", "name", "base_model", "accuracy", "azure_model_url", "dataset_id", "created_at",
    } <= set(documents["models"])  # fmt: skip
    for name, fields in {
        "datasets": ("_id", "user_id"),
        "models": ("_id", "user_id", "dataset_id"),
        "jobs": ("_id", "user_id", "dataset_id", "model_id"),
        "users": ("_id",),
    }.items():
        assert all(isinstance(documents[name][field], ObjectId) for field in fields), name
    assert set(documents["users"]) == {"_id", *USER_FIELDS}


@pytest.mark.parametrize("name", VALIDATORS)
def test_what_the_repositories_write_is_accepted_again(documents, name: str):
    mongo.get_collection(name).insert_one(documents[name])


@pytest.mark.parametrize("name", VALIDATORS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", [{"name": "price", "type": "numeric"}]),
        ("sample_data", [[1, 2], [3, 4]]),
        ("csv_content", "a,b\n1,2\n"),
        ("data", Binary(b"model bytes")),
        ("notes", None),
    ],
)
def test_fields_outside_the_contract_are_refused(documents, name: str, field: str, value: Any):
    assert_refused(name, documents[name] | {field: value})


@pytest.mark.parametrize("name", VALIDATORS)
@pytest.mark.parametrize("field", ["schema", "sample_data", "csv_content"])
def test_an_update_cannot_add_them_either(documents, name: str, field: str):
    collection = mongo.get_collection(name)
    collection.insert_one(documents[name])
    for update in ({"$set": {field: "x"}}, {"$push": {field: 1}}, [{"$set": {field: {"$literal": [1]}}}]):
        with pytest.raises(WriteError, match="Document failed validation"):
            collection.update_one({}, update)
    with pytest.raises(WriteError, match="Document failed validation"):
        collection.replace_one({}, documents[name] | {field: "x"})
    assert collection.find_one() == documents[name]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every field and element in a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _with(document: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(document)
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = _with(copy[path[0]], path[1:], change)
    return copy


@pytest.mark.parametrize("name", VALIDATORS)
def test_no_field_at_any_depth_takes_bytes_objects_lists_or_long_text(documents, name: str):
    document = documents[name]
    if name == "jobs":
        document |= {
            "leaderboard": [{"name": "LightGBM", "val_score": 0.5, "fit_seconds": 1.0}],
            "error": {"code": "c", "message": "m", "hint": "h"},
        }
    places = list(_places(document))
    assert len(places) >= len(document)
    for path in places:
        for wrong in (Binary(b"\0\1"), {"rows": [1, 2]}, [["a", "b"], [1, 2]], "x" * 3000):
            if path[0] == "_id" and isinstance(wrong, list):
                continue  # never a legal id, refused before the validator is asked
            assert_refused(name, _with(document, path, lambda _, wrong=wrong: wrong))


@pytest.mark.parametrize("name", VALIDATORS)
def test_every_inner_object_is_closed_and_every_field_required(documents, name: str):
    document = documents[name]
    inner = [path for path in _places(document) if isinstance(_at(document, path), dict)]
    for path in [(), *inner]:
        assert_refused(name, _with(document, path, lambda value: value | {"extra": 1}))
        for field in set(_at(document, path)) - {"_id"}:
            if came_later(name, path, field):
                continue
            assert_refused(name, _with(document, path, lambda v, f=field: {k: v[k] for k in v if k != f}))


def came_later(name: str, path: tuple[Any, ...], field: str) -> bool:
    """Whether documents of an earlier version do without this field."""
    if path[-1:] == ("settings",):
        return field not in {"target", "preset", "time_limit", "holdout_share", "seed"}
    return (name, path, field) in {
        ("jobs", (), "stop_requested"),
        ("jobs", (), "plan"),
        ("jobs", (), "unseen"),
        ("jobs", (), "mail_due"),
        ("jobs", (), "followups_due"),
        ("jobs", (), "left_out"),
        ("jobs", (), "readings"),
        ("jobs", (), "log"),
        ("jobs", ("leaderboard", 0), "at_seconds"),
        ("models", ("versions", 0), "settings"),
        ("models", ("versions", 0), "zip_hmac"),
        *(("models", ("versions", 0), each) for each in ("note", "deleting_at", "later_files")),
        *(("models", (), each) for each in ("pinned", "previous_version", "current_since", "tags", "note")),
        ("models", ("versions", 0), "dataset_sha256"),
        ("models", ("versions", 0), "golden_checked_at"),
        ("models", ("versions", 0), "golden_drifted"),
        *(("activities", (), each) for each in ("dataset_id", "model_id", "version")),
    }


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("datasets", {"_id": "65f000000000000000000000"}),
        ("datasets", {"user_id": "65f000000000000000000000"}),
        ("datasets", {"row_count": -1}),
        ("datasets", {"row_count": 1.5}),
        ("datasets", {"row_count": "10"}),
        ("datasets", {"status": "gone"}),
        ("datasets", {"source": "ftp"}),
        ("datasets", {"uploaded_at": "2025-01-01"}),
        ("datasets", {"name": ""}),
        ("datasets", {"sha256": "no checksum"}),
        ("models", {"dataset_id": "65f000000000000000000000"}),
        ("models", {"accuracy": "high"}),
        ("models", {"versions": []}),
        ("models", {"version": 0}),
        ("jobs", {"progress": 1.01}),
        ("jobs", {"status": "paused"}),
        ("jobs", {"leaderboard": [{"name": "m", "val_score": 0.5, "fit_seconds": 1.0}] * 201}),
        ("jobs", {"leaderboard": [{"name": "m", "val_score": [0.5], "fit_seconds": 1.0}]}),
        ("users", {"datasets_count": -1}),
        ("users", {"datasets_count": 1.5}),
        ("users", {"closing_at": "yesterday"}),
        ("users", {"closing_at": None}),
    ],
)
def test_wrong_types_and_values_are_refused(documents, name: str, changes: dict[str, Any]):
    assert_refused(name, documents[name] | changes)
