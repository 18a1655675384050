"""A training from the queued job to the stored model, with real data services and a real fit."""

import csv
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from django.urls import reverse

from datasets import services as datasets
from ml import bundle
from ml.options import ClassWeights, HoldoutKind
from models_app import followups, golden, jobs_repository, services, signing
from models_app.records import JobSettings, JobStatus
from models_app.tasks import run_training
from storage.blobs import get_blobs
from storage.ids import new_id
from storage.mongo import get_database
from tests.factories import ANIMALS, queued_job, stored_dataset
from tests.training import assert_nothing_left, assert_one_model, use_one_family, workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

HOUSES = "rooms,district,price\n" + "".join(
    f"{2 + i % 5},{'north' if i % 3 else 'south'},{100_000 + 25_000 * (i % 5) + 137.5 * (i % 7)}\n"
    for i in range(120)
)


@pytest.fixture(autouse=True)
def quick(settings, monkeypatch):
    use_one_family(settings, monkeypatch)


def train(user, dataset, **changes):
    values = {"target": "species", "time_limit": 20} | changes
    model_id = values.pop("model_id", None)
    job = services.request_training(
        user_id=user.id,
        dataset=dataset,
        job_id=new_id(),
        settings=JobSettings(**values),
        model_name="Zoo",
        model_id=model_id,
    )
    assert run_training(job.id) == JobStatus.SUCCEEDED
    return jobs_repository.get(job_id=job.id)


def test_a_training_makes_one_model_and_a_second_delivery_does_nothing(stack, user):
    dataset = stored_dataset(user.id)
    job = train(user, dataset)
    assert (job.status, job.progress, job.stage, job.metric) == (JobStatus.SUCCEEDED, 1.0, "Done", "accuracy")
    assert job.finished_at > job.fit_started_at > job.started_at
    assert any(row.name == "LightGBM" and row.val_score is not None for row in job.leaderboard)
    assert_one_model(stack, job)

    before = list(get_database()["models"].find())
    assert run_training(job.id) == JobStatus.SUCCEEDED
    assert list(get_database()["models"].find()) == before
    assert_one_model(stack, job)

    model = services.get_model(user_id=user.id, model_id=job.model_id)
    version = model.current
    zipped = b"".join(services.stream_model(model=model, version=1))
    assert (len(zipped), hashlib.sha256(zipped).hexdigest()) == (version.zip_size, version.zip_sha256)
    # Signed with the worker's key: the training's process had none.
    assert version.zip_hmac is not None
    signing.verify(model=model, version=version)
    again = golden.replay(model=model, version=version)
    assert (again.rows, again.drifted) == (8, 0)
    stored = list(get_blobs().list_prefix(stack.models_container, f"{user.id}/{model.id}/"))
    assert version.stored_size == sum(blob.size for blob in stored)
    assert {Path(blob.name).name.partition("-v")[0] for blob in stored} == followups.TRAINED
    assert datasets.totals_of(user_id=user.id).models_bytes == version.stored_size

    evaluation = services.model_evaluation(model=model, version=1)
    assert evaluation.score == version.accuracy
    assert (evaluation.baseline, version.baseline) == (0.5, 0.5)
    assert (version.train_rows, version.holdout_rows) == (32, 8)
    assert set(evaluation.classes) == {"dog", "duck"}
    assert {row.name for row in evaluation.leaderboard} >= {"LightGBM"}
    # Both pages name the same times, those of an ensemble with what it is made of.
    times = {row.name: row.fit_seconds for row in evaluation.leaderboard}
    assert {row.name: row.fit_seconds for row in job.leaderboard} == {
        row.name: times[row.name] for row in job.leaderboard
    }
    names = [feature.name for feature in services.model_features(model=model, version=1)]
    assert "species" not in names
    assert set(names) <= {"legs", "wings", "weight"}
    # The file of the training has no column too many, whatever of it the model does not look at.
    unused = services.model_unused_columns(model=model, version=1)
    assert unused == {"legs", "wings", "weight", "species"} - set(names)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert bundle.unused_columns(bundle.parse_metadata(archive.read(bundle.METADATA))) == unused
    rows = list(csv.DictReader(io.StringIO(ANIMALS)))
    assert services.predict_rows(model=model, version=1, rows=rows).table_findings == ()

    # What a person's rows hold is in blobs only.
    everything = json.dumps(
        [list(get_database()[name].find()) for name in ("jobs", "models", "users")], default=str
    )
    assert "duck" not in everything


def test_a_regression_is_retrained_on_another_dataset_as_a_second_version(stack, user):
    first = train(user, stored_dataset(user.id, content=HOUSES, file_name="houses.csv"), target="price")
    model = services.get_model(user_id=user.id, model_id=first.model_id)
    one = b"".join(services.stream_model(model=model, version=1))
    other = stored_dataset(user.id, content=HOUSES + HOUSES.partition("\n")[2], file_name="more.csv")
    second = train(user, other, target="price", model_id=first.model_id)

    model = services.get_model(user_id=user.id, model_id=first.model_id)
    assert [version.version for version in model.versions] == [1, 2]
    assert (model.version, second.version) == (2, 2)
    assert b"".join(services.stream_model(model=model, version=1)) == one
    totals = datasets.totals_of(user_id=user.id)
    assert (totals.models_count, totals.models_bytes) == (1, model.stored_size)
    assert model.current.lower_is_better
    assert model.current.accuracy < model.current.baseline
    evaluation = services.model_evaluation(model=model, version=2)
    assert evaluation.metric_name == "root_mean_squared_error"
    assert evaluation.classes == ()
    report = b"".join(services.stream_report(model=model, version=2)).decode()
    assert report.count("data:image/svg+xml") >= 2
    assert not [
        word
        for word in ("more.csv", "Predicted against actual", model.current.zip_sha256, "district")
        if word not in report
    ]
    assert not [outside for outside in ("<script", "http:", "https:", "url(") if outside in report]
    assert workspaces() == []


def test_a_small_table_is_judged_by_cross_validation_and_says_so(stack, user, settings, monkeypatch, client_for):
    settings.CROSS_VALIDATE_BELOW = 100
    monkeypatch.setenv("CROSS_VALIDATE_BELOW", "100")
    job = train(user, stored_dataset(user.id, content=HOUSES, file_name="houses.csv"), target="price")
    assert_one_model(stack, job)
    model = services.get_model(user_id=user.id, model_id=job.model_id)
    evaluation = services.model_evaluation(model=model, version=1)
    checked = evaluation.cross_validated
    assert (checked.rows, checked.folds) == (120, 5)
    assert (model.current.accuracy, model.current.baseline) == (checked.score, checked.baseline)
    assert checked.score != evaluation.score
    # The models of the folds are none of the training's.
    assert len({row.name for row in job.leaderboard}) == len(job.leaderboard)
    page = client_for(user).get(reverse("models:detail", args=[model.id])).content.decode()
    report = b"".join(services.stream_report(model=model, version=1)).decode()
    for text in (page, report):
        assert "5-fold cross-validation over all 120 rows" in text
        assert "Only 24 rows could be held out" in text


VISITS = "patient,card,age,pulse,outcome\n" + "".join(
    f"p{i % 20},{i % 20},{20 + 3 * (i % 20) + i % 2},{60 + i % 7},{'ill' if i % 20 % 2 else 'well'}\n"
    for i in range(240)
)


def test_everything_chosen_is_done_and_reported(stack, user, settings, monkeypatch):
    """The card number gives the patient away, so it is left out; whole patients are held out."""
    settings.TRAINING_FAMILIES = []
    monkeypatch.delenv("TRAINING_FAMILIES")
    dataset = stored_dataset(user.id, content=VISITS, file_name="visits.csv")
    wanted = {
        "target": "outcome",
        "time_limit": 300,
        "metric": "balanced_accuracy",
        "holdout_share": 0.25,
        "holdout_kind": HoldoutKind.GROUP,
        "holdout_column": "patient",
        "leave_out": ("card",),
        "families": ("linear",),
        "class_weights": ClassWeights.BALANCED,
        "seed": 5,
    }
    first, second = (train(user, dataset, **wanted) for _ in range(2))
    model = services.get_model(user_id=user.id, model_id=first.model_id)
    version, report = model.current, services.model_evaluation(model=model, version=1)
    assert (version.settings, version.asked) == (first.settings, first.settings)
    assert version.metric_name == report.metric_name == "balanced_accuracy"
    assert {row.name for row in report.leaderboard} <= {"LinearModel", "WeightedEnsemble_L2"}
    assert {feature.name for feature in services.model_features(model=model, version=1)} == {"age", "pulse"}
    assert report.setup.holdout.kind is HoldoutKind.GROUP
    assert (report.setup.holdout.groups, report.setup.holdout.all_groups) == (5, 20)
    assert (version.train_rows, version.holdout_rows, report.dropped_rows) == (180, 60, 0)
    assert report.setup.leave_out == ("card",)
    assert report.setup.families == ("linear",)
    assert report.setup.class_weights is ClassWeights.BALANCED
    # Copies in both parts are counted by what the model sees, whatever patient they are of.
    assert report.seen_rows == 0

    again = services.get_model(user_id=user.id, model_id=second.model_id)
    repeated = services.model_evaluation(model=again, version=1)
    assert not repeated.setup.ran_out_of_time
    assert (again.current.accuracy, repeated.metrics, repeated.setup) == (
        version.accuracy, report.metrics, report.setup,
    )  # fmt: skip


def test_the_latest_rows_are_held_out_and_the_page_says_from_when(stack, user, client_for):
    rows = "".join(
        f"2024-{1 + i // 28:02d}-{1 + i % 28:02d},{i % 9},{100 + 3 * (i % 9) + i % 5}\n" for i in range(280)
    )
    dataset = stored_dataset(user.id, content=f"day,n,sales\n{rows}", file_name="sales.csv")
    job = train(user, dataset, target="sales", holdout_kind=HoldoutKind.TIME, holdout_column="day")
    page = client_for(user).get(reverse("models:detail", args=[job.model_id])).content.decode()
    assert "the latest 20 % by <code>day</code>, from 2024-09-01" in page
    # A value of the data: it is in the blob of the evaluation only.
    everything = json.dumps([list(get_database()[name].find()) for name in ("jobs", "models")], default=str)
    assert "2024-09-01" not in everything


def test_what_only_the_rows_show_is_the_reason_of_a_failure(stack, user):
    rows = "".join(f"{2000 + i // 60},{i},{'new' if i > 200 else 'old'}\n" for i in range(240))
    dataset = stored_dataset(user.id, content=f"year,n,kind\n{rows}", file_name="kinds.csv")
    job = queued_job(
        user.id,
        dataset,
        settings=JobSettings(target="kind", holdout_kind=HoldoutKind.TIME, holdout_column="year", time_limit=20),
    )
    assert run_training(job.id) == JobStatus.FAILED
    failed = jobs_repository.get(job_id=job.id)
    assert "none of the others has" in failed.error.message
    assert_nothing_left(stack, job)


def test_families_that_the_operator_no_longer_allows_are_the_reason_of_a_failure(stack, user):
    settings = JobSettings(target="species", families=("linear",), time_limit=20)
    job = queued_job(user.id, stored_dataset(user.id), settings=settings)
    assert run_training(job.id) == JobStatus.FAILED
    assert "None of the chosen model families" in jobs_repository.get(job_id=job.id).error.message
    assert_nothing_left(stack, job)


def test_a_dataset_deleted_while_the_job_waited_is_the_reason_of_its_failure(stack, user):
    dataset = stored_dataset(user.id)
    job = queued_job(user.id, dataset)
    datasets.delete_dataset(user_id=user.id, dataset_id=dataset.id)
    assert run_training(job.id) == JobStatus.FAILED
    failed = jobs_repository.get(job_id=job.id)
    assert "dataset was deleted" in failed.error.message
    assert failed.error.hint
    assert_nothing_left(stack, job)


def test_a_target_that_vanished_is_the_reason_of_its_failure(stack, user):
    job = queued_job(user.id, stored_dataset(user.id), target="specie")
    assert run_training(job.id) == JobStatus.FAILED
    failed = jobs_repository.get(job_id=job.id)
    assert failed.error.code == "invalid_target"
    assert "specie" in failed.error.message
    assert_nothing_left(stack, job)


def test_a_model_deleted_while_its_retraining_waited_is_the_reason_of_its_failure(stack, user):
    job = queued_job(user.id, stored_dataset(user.id), version=2)
    assert run_training(job.id) == JobStatus.FAILED
    assert "model was deleted" in jobs_repository.get(job_id=job.id).error.message
    assert_nothing_left(stack, job)


def test_what_an_earlier_attempt_stored_does_not_stand_in_the_way(stack, user):
    job = queued_job(user.id, stored_dataset(user.id))
    jobs_repository.claim(job_id=job.id, owner="dead worker", lease_seconds=-1)
    blobs = get_blobs()
    blobs.upload_bytes(blobs.models_container, blobs.model_blob(user.id, job.model_id, 1), b"half a model")
    jobs_repository.requeue(job_id=job.id, owner="dead worker")
    assert run_training(job.id) == JobStatus.SUCCEEDED
    assert_one_model(stack, jobs_repository.get(job_id=job.id))


def test_the_web_process_has_not_imported_what_trains(stack, user):
    import subprocess
    import sys

    names = "autogluon", "torch", "pandas", "sklearn", "lightgbm"
    script = (
        "import django, sys; django.setup(); import models_app.services, models_app.worker, models_app.sweep;"
        f"print([name for name in {names!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
