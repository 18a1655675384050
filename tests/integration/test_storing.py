"""The last step of a training when services fail, and beside a process that should not be there any more."""

import threading
import time

import pytest

from models_app import jobs_repository, pipeline, repository, signing, storing
from models_app.records import JobStatus
from smartml.errors import Conflict, StorageUnavailable
from storage.blobs import get_blobs
from tests.factories import EVALUATION, running_job, stored_dataset
from tests.services import blob_service
from tests.training import assert_one_model, model_blobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(stack, user, monkeypatch):
    monkeypatch.setattr(storing, "PAUSE_SECONDS", 0.1)
    job = running_job(user.id, stored_dataset(user.id))
    for status in (JobStatus.EVALUATING, JobStatus.STORING):
        job = jobs_repository.advance(job_id=job.id, owner="owner", to=status, stage=status, progress=0.9)
    return job


@pytest.fixture
def store(job, tmp_path):
    archive = tmp_path / "model.zip"
    archive.write_bytes(b"PK the zip of this attempt")
    holdout = tmp_path / "holdout.parquet"
    holdout.write_bytes(b"PAR1 its rows")

    def store():
        storing.store(
            job=job,
            owner="owner",
            archive=archive,
            holdout=holdout,
            report=EVALUATION,
            features=(),
            unused=(),
            figures={"rows": 8},
            reference={"rows": 32, "columns": []},
            golden={"rows": []},
            chosen_types=(),
            base_model="LightGBM",
            fit_seconds=1.0,
            write_report=lambda version: b"<html>" + version.zip_sha256.encode(),
            sign=lambda sha256: signing.sign(model_id=job.model_id, version=job.version, sha256=sha256),
        )
        assert jobs_repository.get(job_id=job.id).status is JobStatus.SUCCEEDED

    return store


def rival_stores(job, stem: str, extension: str) -> None:
    blobs = get_blobs()
    name = blobs.model_file(job.user_id, job.model_id, job.version, stem, extension)
    blobs.upload_bytes(blobs.models_container, name, b"of a process without a lease")


@pytest.mark.parametrize(("stem", "extension"), [("model", "zip"), ("schema", "json"), ("report", "html")])
def test_files_of_an_attempt_that_lives_on_without_a_lease_are_replaced(stack, job, store, stem, extension):
    rival_stores(job, stem, extension)
    store()
    assert_one_model(stack, job)
    model = repository.get(model_id=job.model_id, user_id=job.user_id)
    stored = list(get_blobs().list_prefix(stack.models_container, f"{job.user_id}/{job.model_id}/"))
    assert model.stored_size == sum(blob.size for blob in stored)
    assert model.current.zip_size == len(b"PK the zip of this attempt")


def test_a_name_that_is_taken_again_and_again_is_given_up(job, store, monkeypatch):
    make_room = storing._make_room

    def and_the_rival_is_quicker(job, owner):
        make_room(job, owner)
        rival_stores(job, "model", "zip")

    monkeypatch.setattr(storing, "_make_room", and_the_rival_is_quicker)
    rival_stores(job, "model", "zip")
    with pytest.raises(Conflict, match="already a file"):
        store()
    assert jobs_repository.get(job_id=job.id).status is JobStatus.STORING


def test_an_attempt_without_its_lease_leaves_the_files_of_the_next_alone(stack, job, store):
    jobs_repository.requeue(job_id=job.id, owner="owner")
    jobs_repository.claim(job_id=job.id, owner="another", lease_seconds=60)
    rival_stores(job, "model", "zip")
    before = model_blobs(stack)
    with pytest.raises(storing.LeaseLost):
        store()
    assert model_blobs(stack) == before


def test_blob_storage_that_is_away_for_a_moment_is_waited_for(stack, job, store):
    with blob_service() as service:
        service.delete_container(stack.models_container)

        def back() -> None:
            time.sleep(1)
            service.create_container(stack.models_container)

        thread = threading.Thread(target=back)
        thread.start()
        store()
        thread.join()
    assert_one_model(stack, job)


def test_blob_storage_that_stays_away_is_the_reason_in_the_end(stack, job, store, monkeypatch):
    monkeypatch.setattr(storing, "STORE_SECONDS", 0.5)
    with blob_service() as service:
        service.delete_container(stack.models_container)
        with pytest.raises(StorageUnavailable):
            store()
        service.create_container(stack.models_container)


def test_a_stage_that_cannot_be_written_ends_nothing_but_a_lost_lease_does(stack, job, tmp_path, settings):
    run = pipeline._Run(job, "owner", tmp_path, lambda: False, str)
    address = settings.MONGODB_URI
    settings.MONGODB_URI, settings.MONGODB_TIMEOUT_SECONDS = "mongodb://127.0.0.1:1/", 0.2
    run._stage("Storing", 0.95)
    settings.MONGODB_URI, settings.MONGODB_TIMEOUT_SECONDS = address, 2.5
    assert jobs_repository.get(job_id=job.id).stage != "Storing"
    run._stage("Storing", 0.95)
    assert jobs_repository.get(job_id=job.id).stage == "Storing"
    jobs_repository.requeue(job_id=job.id, owner="owner")
    with pytest.raises(storing.LeaseLost):
        run._stage("Storing", 0.95)


def test_a_move_whose_answer_was_lost_is_not_taken_for_a_lost_lease(job, tmp_path):
    run = pipeline._Run(job, "owner", tmp_path, lambda: False, str)
    run._advance(JobStatus.STORING, "Packing", 0.9)  # made already by the first try
    with pytest.raises(storing.LeaseLost):
        pipeline._Run(job, "another", tmp_path, lambda: False, str)._advance(JobStatus.STORING, "Packing", 0.9)
