"""Files that a version of a model predicts: stored, predicted in the background, gone without a trace."""

import csv
import gzip
import io
import time
from datetime import timedelta

import pytest

from datasets import activities, work_progress
from datasets import services as datasets
from datasets.activities import ActivityStatus
from datasets.tasks import run_activity
from models_app import batch_intake, batches, batches_repository, services, strays, sweep
from models_app.batch_records import BatchStatus
from smartml.errors import Conflict, InvalidInput, NotFound
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.animals import animals_model
from tests.factories import stored_dataset, stored_model
from tests.training import model_blobs, workspaces

pytestmark = pytest.mark.django_db

FILE = """weight;legs;wings;species;=note
20,5;4;no;dog;=1+1
1,5;2;yes;duck;fine
too;few
0,9;2;maybe;;-5
"""


@pytest.fixture
def model(stack, user):
    """Nothing can be predicted with it: for what happens before and after."""
    return stored_model(user.id, stored_dataset(user.id))


def upload(model, content=FILE, *, name="new animals.csv", **changes):
    intake = batch_intake.begin(model=model, version=1, batch_id=new_id(), file_name=name)
    try:
        data = content if isinstance(content, bytes) else content.encode()
        intake.write(data[:20])
        intake.write(data[20:])
        return intake.finish(**changes)
    finally:
        intake.abort()


def now(batch):
    return batches_repository.get(batch_id=batch.id, user_id=batch.user_id)


def batch_blobs(stack):
    return [name.rsplit("-", 2)[1] for name in model_blobs(stack) if "/batch-" in name]


def totals(user):
    found = datasets.totals_of(user_id=user.id)
    return found.batches_count, found.batches_bytes


@pytest.mark.slow
def test_a_file_goes_all_the_way(stack, user):
    model = animals_model(user.id)
    batch = upload(model)
    assert (batch.rows, batch.bad_rows, batch.first_bad_lines, batch.columns) == (3, 1, (4,), 5)
    assert batches.state_of(batch).is_running
    assert batch_blobs(stack) == ["input"]
    assert run_activity(batch.id) is ActivityStatus.SUCCEEDED
    done = now(batch)
    assert (done.status, done.has_input, done.rows, done.odd_rows) == (BatchStatus.DONE, False, 3, 1)
    assert (batch_blobs(stack), workspaces()) == (["result", "summary"], [])
    assert totals(user) == (1, done.stored_size)
    assert (done.metric, done.score, done.drift) == ("accuracy", 1.0, "unknown")

    header, *rows = batches.first_rows(done)
    assert header == [
        *("weight", "legs", "wings", "species", "=note"),
        *("prediction", "probability_dog", "probability_duck", "prediction_set", "findings"),
    ]
    assert [row[:6] for row in rows] == [
        ["20,5", "4", "no", "dog", "=1+1", "dog"],
        ["1,5", "2", "yes", "duck", "fine", "duck"],
        ["0,9", "2", "maybe", "", "-5", "duck"],
    ]
    said = services.predict_rows(
        model=model,
        version=1,
        rows=[{"weight": "20.5", "legs": "4", "wings": "no"}, {"weight": "1.5", "legs": "2", "wings": "yes"}],
    )
    for row, answer in zip(rows[:2], said.answers, strict=True):
        assert [float(cell) for cell in row[6:8]] == list(answer.probabilities.values())
    summary = batches.summary_of(done)
    assert {"column": "wings", "kind": "wrong_type", "rows": 1} in summary["counts"]
    assert [each["column"] for each in summary["table_findings"]] == ["=note"]

    exact = b"".join(batches.stream_result(done, for_spreadsheet=False)).decode()
    safe = b"".join(batches.stream_result(done, for_spreadsheet=True)).decode()
    assert ("=1+1" in exact, "'=1+1" in exact, "'=1+1" in safe, "'=note" in safe) == (True, False, True, True)
    assert [row[4] for row in csv.reader(io.StringIO(safe))] == ["'=note", "'=1+1", "fine", "-5"]

    # A worker that died after its last step has done no harm, and no file is missing.
    again = activities.get(user_id=user.id, activity_id=batch.id)
    activities._handlers[again.kind].undo(again)
    assert batch_blobs(stack) == ["result", "summary"]

    # The dataset of the model, without another upload; strict, and every row is as in the training.
    dataset = datasets.get_dataset(user_id=user.id, dataset_id=model.current.dataset_id)
    other = batches.predict_dataset(model=model, version=1, dataset=dataset, batch_id=new_id(), is_strict=True)
    assert run_activity(other.id) is ActivityStatus.SUCCEEDED
    assert (now(other).rows, now(other).odd_rows, now(other).drift) == (40, 0, "unknown")
    # The model knows these rows: they are no test of it.
    assert (now(other).score, batches.summary_of(now(other))["is_seen"]) == (None, True)

    strict = upload(model, FILE, is_strict=True)
    assert run_activity(strict.id) is ActivityStatus.FAILED
    failed = now(strict)
    assert (failed.status, failed.has_input) == (BatchStatus.FAILED, False)
    assert "=note" in failed.error.message
    with pytest.raises(Conflict):
        batches.summary_of(failed)

    assert len(batches.of_version(model=model, version=1)) == 3
    batches.delete(done)
    batches.delete(failed)
    assert totals(user) == (1, now(other).stored_size)
    services.delete_model(user_id=user.id, model_id=model.id)
    assert (model_blobs(stack), totals(user), now(other)) == ([], (0, 0), None)


def test_what_is_no_table_leaves_nothing(stack, user, model):
    before = model_blobs(stack)
    for content, name, message in (
        ("just one line", "a.csv", "no rows"),
        (b"PK\x03\x04" + b"x" * 30_000, "a.zip", "Upload it as a dataset|several tables"),
        ("a,b\n1,2\n", "a.pdf", "Only .csv"),
    ):
        with pytest.raises(InvalidInput, match=message) as refused:
            upload(model, content, name=name)
        assert refused.value.fields
    assert model_blobs(stack) == before
    assert batches.of_version(model=model, version=1) == ()
    packed = upload(model, gzip.compress(FILE.encode()), name="animals.csv.gz")
    assert packed.rows == 3


def test_a_file_that_cannot_be_predicted_says_why_and_keeps_no_blob(stack, user, model):
    batch = upload(model)
    assert run_activity(batch.id) is ActivityStatus.FAILED  # the zip holds no predictor
    failed = now(batch)
    assert (failed.status, failed.has_input, batch_blobs(stack)) == (BatchStatus.FAILED, False, [])
    assert failed.error.message
    assert totals(user) == (0, 0)


def test_cancelling_leaves_nothing_whether_it_waits_or_runs(stack, user, model, monkeypatch):
    before = model_blobs(stack)
    waiting = upload(model)
    assert batches.cancel(waiting)
    assert (now(waiting), model_blobs(stack)) == (None, before)

    running = upload(model)
    monkeypatch.setattr(work_progress, "BEAT_SECONDS", 0.05)

    def cancel_then_wait(*_):
        batches.cancel(running)
        while True:
            time.sleep(0.02)
            yield b""

    monkeypatch.setattr("models_app.batch_work._chunks", cancel_then_wait)
    monkeypatch.setattr("models_app.followups.opening.fetch", lambda **_: None)
    assert run_activity(running.id) is ActivityStatus.CANCELLED
    assert (now(running), model_blobs(stack), workspaces()) == (None, before, [])
    assert batches.state_of(running) is None


def test_the_sweep_finishes_what_dead_processes_left(stack, user, model, monkeypatch):
    for name in ("_UNSETTLED_AFTER", "ABANDONED_AFTER", "_DELETING_AFTER"):
        monkeypatch.setattr(batches, name, timedelta(0))
    before = model_blobs(stack)
    broken_off = batch_intake.begin(model=model, version=1, batch_id=new_id(), file_name="a.csv")
    broken_off.write(b"a,b\n1,2\n")
    half_deleted = upload(model)
    batches_repository.mark_deleting(batch_id=half_deleted.id, user_id=user.id)
    never_begun = upload(model)
    activities.forget_model(model_id=model.id)
    unsettled = upload(model)
    activities.request_cancel(user_id=user.id, activity_id=unsettled.id)
    assert batches.sweep() == 4
    assert {each.id for each in batches.of_version(model=model, version=1)} == {never_begun.id}
    assert activities.get(user_id=user.id, activity_id=never_begun.id).status is ActivityStatus.QUEUED
    assert "batches" in sweep.STEPS
    assert batches.cancel(never_begun)
    assert model_blobs(stack) == before


def test_a_blob_of_a_forgotten_batch_is_a_stray(stack, user, model, settings):
    settings.STRAY_BLOB_HOURS = 0
    known = upload(model)
    blobs = get_blobs()
    name = blobs.batch_file(user.id, model.id, 1, new_id(), "result", "csv")
    blobs.upload_bytes(blobs.models_container, name, b"a\n1\n")
    assert strays.sweep_strays() == 1
    assert batches.input_name(known) in model_blobs(stack)
    assert name not in model_blobs(stack)


def test_nobody_else_finds_it_and_it_goes_with_its_model(stack, user, other_user, model):
    batch = upload(model)
    for changes in ({"user_id": other_user.id}, {"model_id": new_id()}, {"batch_id": new_id()}):
        with pytest.raises(NotFound):
            batches.find(**{"user_id": user.id, "model_id": model.id, "batch_id": batch.id, **changes})
    services.delete_model(user_id=user.id, model_id=model.id)
    assert (model_blobs(stack), now(batch)) == ([], None)
    with pytest.raises(Exception, match=r"There is no|deleted"):
        upload(model)
    assert model_blobs(stack) == []
