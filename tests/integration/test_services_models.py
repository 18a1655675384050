"""What can be done with models and jobs, without a training."""

import pytest
from django.core.cache import cache
from django_q.models import OrmQ

from datasets import services as datasets
from ml.options import HoldoutKind
from ml.problem import ProblemType
from models_app import jobs_repository, queue, services
from models_app.records import JobSettings, JobStatus, ModelStatus
from smartml.errors import AccountClosing, BlobMissing, InvalidInput, InvalidTarget, NotFound, ServiceUnavailable
from storage import emptying, mongo_users
from storage.blobs import AzureBlobStorage, Removed, get_blobs
from storage.ids import new_id
from storage.mongo import get_database
from tests.factories import EVALUATION, queued_job, running_job, stored_dataset, stored_model
from tests.training import model_blobs

pytestmark = pytest.mark.django_db


def request(user, dataset, **changes):
    values = {
        "user_id": user.id,
        "dataset": dataset,
        "job_id": new_id(),
        "settings": JobSettings(target="species"),
        "model_name": "",
        "model_id": None,
    }
    return services.request_training(**(values | changes))


# --- Asking for a training -----------------------------------------------------------------------------------
def test_a_training_is_stored_and_its_id_queued(user, dataset):
    job = request(user, dataset)
    assert services.get_job(user_id=user.id, job_id=job.id).status is JobStatus.QUEUED
    assert (job.model_name, job.version, job.problem_type) == (f"{dataset.name} · species", 1, "binary")
    assert "species" in job.problem_reason
    (message,) = OrmQ.objects.all()
    assert message.key == "training"
    assert (message.task["func"], message.task["args"]) == (queue.TASK, (job.id,))
    assert services.queue_position(job=job) == 0
    assert datasets.get_dataset(user_id=user.id, dataset_id=dataset.id).target_column == "species"


def test_the_same_request_twice_is_one_training(user, dataset):
    job_id = new_id()
    first = request(user, dataset, job_id=job_id)
    second = request(user, dataset, job_id=job_id)
    assert second.id == first.id
    assert second.model_id == first.model_id
    assert OrmQ.objects.count() == 1
    assert get_database()["jobs"].count_documents({}) == 1


@pytest.mark.parametrize("name", ["\u200b", "\u3164\u200d", "x" * 121])
def test_a_name_that_cannot_be_seen_or_is_too_long_is_refused_before_anything_changes(user, dataset, name):
    with pytest.raises(InvalidInput) as caught:
        request(user, dataset, model_name=name)
    assert list(caught.value.fields) == ["name"]
    assert OrmQ.objects.count() == 0
    assert datasets.get_dataset(user_id=user.id, dataset_id=dataset.id).target_column is None


def test_the_same_id_with_other_settings_is_a_conflict_that_names_the_job(user, dataset):
    job = request(user, dataset)
    with pytest.raises(services.FormAlreadyUsed) as caught:
        request(user, dataset, job_id=job.id, model_name="Other")
    assert caught.value.job.id == job.id


def test_renaming_the_dataset_in_between_makes_no_other_request(user, dataset):
    job = request(user, dataset)
    renamed = datasets.rename(user_id=user.id, dataset_id=dataset.id, name="Zoo")
    assert request(user, renamed, job_id=job.id).model_id == job.model_id


def test_somebody_elses_job_id_is_not_found(user, other_user, dataset):
    job = request(user, dataset)
    theirs = stored_dataset(other_user.id)
    with pytest.raises(NotFound):
        request(other_user, theirs, job_id=job.id)


@pytest.mark.parametrize("target", ["no such column", "constant", "empty", "name"])
def test_a_target_that_cannot_be_learned_is_refused_before_anything_is_queued(user, stack, target):
    rows = "".join(f"{i},1,,person number {i} of the list\n" for i in range(60))
    table = stored_dataset(user.id, content=f"n,constant,empty,name\n{rows}")
    with pytest.raises(InvalidTarget) as caught:
        request(user, table, settings=JobSettings(target=target))
    assert caught.value.fields["target"]
    assert OrmQ.objects.count() == 0
    assert get_database()["jobs"].count_documents({}) == 0


@pytest.mark.parametrize(("field", "value"), [("time_limit", 0), ("time_limit", 10**6), ("holdout_share", 0.9)])
def test_settings_outside_their_limits_are_refused_at_their_field(user, dataset, field, value):
    with pytest.raises(InvalidInput) as caught:
        request(user, dataset, settings=JobSettings(target="species", **{field: value}))
    assert set(caught.value.fields) == {field}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"holdout_share": 0.04}, "holdout_share"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"families": ("oracle",)}, "families"),
        ({"metric": "r2"}, "metric"),
        ({"metric": "invented"}, "metric"),
        ({"leave_out": ("species",)}, "leave_out"),
        ({"leave_out": ("colour",)}, "leave_out"),
        ({"leave_out": ("legs", "wings", "weight")}, "leave_out"),
        ({"holdout_kind": HoldoutKind.TIME}, "holdout_column"),
        ({"holdout_kind": HoldoutKind.TIME, "holdout_column": "colour"}, "holdout_column"),
        ({"holdout_kind": HoldoutKind.TIME, "holdout_column": "wings"}, "holdout_column"),
        ({"holdout_kind": HoldoutKind.GROUP, "holdout_column": "species"}, "holdout_column"),
        ({"holdout_kind": HoldoutKind.GROUP, "holdout_column": "legs"}, "holdout_column"),
        ({"problem_type": ProblemType.REGRESSION}, "problem_type"),
    ],
)
def test_settings_that_do_not_fit_the_table_are_refused_at_their_field(user, dataset, changes, field):
    with pytest.raises(InvalidInput) as caught:
        request(user, dataset, settings=JobSettings(target="species", **changes))
    assert list(caught.value.fields) == [field]
    assert OrmQ.objects.count() == 0
    assert datasets.get_dataset(user_id=user.id, dataset_id=dataset.id).target_column is None


def test_names_of_columns_left_out_stay_small_and_plain(user, stack):
    wide = [f"{'c' * 60}{n}" for n in range(400)]
    rows = "".join(f"{','.join(['1'] * 400)},1,{'x' if i % 2 else 'y'}\n" for i in range(60))
    table = stored_dataset(user.id, content=f'{",".join(wide)},"be\x01ll",target\n{rows}')
    for names, said in ((tuple(wide), "20,000 characters"), (("be\x01ll",), "control character")):
        with pytest.raises(InvalidInput, match=said):
            request(user, table, settings=JobSettings(target="target", leave_out=names))


def test_an_overridden_problem_type_is_the_jobs_and_its_reason_says_so(user, stack):
    rows = "".join(f"{i},{1 + i % 4}\n" for i in range(80))
    table = stored_dataset(user.id, content=f"n,grade\n{rows}")
    wanted = JobSettings(target="grade", problem_type=ProblemType.REGRESSION, metric="r2")
    job = request(user, table, settings=wanted)
    assert (job.problem_type, job.settings) == (ProblemType.REGRESSION, wanted)
    assert "you chose to predict it as a number" in job.problem_reason


def test_the_longest_fit_ends_before_the_deadline_even_when_it_takes_twice_as_long(settings):
    from models_app.jobs_services import deadline_seconds, longest_fit_seconds

    longest = longest_fit_seconds()
    assert 2 * longest < deadline_seconds(longest) <= settings.MAX_TRAINING_SECONDS


def test_a_retraining_is_the_next_version_of_the_same_model(user, dataset):
    model = stored_model(user.id, dataset)
    job = request(user, dataset, model_id=model.id, model_name="ignored")
    assert (job.model_id, job.model_name, job.version) == (model.id, model.name, 2)
    assert request(user, dataset, model_id=model.id).version == 3


def test_a_retraining_of_somebody_elses_model_is_not_found(user, other_user, dataset):
    theirs = stored_model(other_user.id, stored_dataset(other_user.id))
    with pytest.raises(NotFound):
        request(user, dataset, model_id=theirs.id)


# --- Jobs ----------------------------------------------------------------------------------------------------
def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_told(user, dataset):
    waiting, running = queued_job(user.id, dataset), running_job(user.id, dataset)
    assert services.cancel_job(user_id=user.id, job_id=waiting.id).status is JobStatus.CANCELLED
    told = services.cancel_job(user_id=user.id, job_id=running.id)
    assert (told.status, told.cancel_requested) == (JobStatus.RUNNING, True)


def test_somebody_elses_job_cannot_be_seen_or_cancelled(user, other_user, dataset):
    job = queued_job(user.id, dataset)
    with pytest.raises(NotFound):
        services.get_job(user_id=other_user.id, job_id=job.id)
    with pytest.raises(NotFound):
        services.cancel_job(user_id=other_user.id, job_id=job.id)
    assert services.list_jobs(user_id=other_user.id).items == ()


# --- Models --------------------------------------------------------------------------------------------------
def test_evaluation_and_features_come_from_the_blobs_and_then_from_the_cache(user, dataset):
    model = stored_model(user.id, dataset)
    assert services.model_evaluation(model=model, version=1) == EVALUATION
    (feature,) = services.model_features(model=model, version=1)
    assert feature.name == "legs"
    get_blobs().delete_model(user_id=user.id, model_id=model.id)
    assert services.model_evaluation(model=model, version=1) == EVALUATION
    assert services.model_features(model=model, version=1) == (feature,)


def test_a_version_that_does_not_exist_is_not_found(user, dataset):
    model = stored_model(user.id, dataset)
    for ask in (services.model_evaluation, services.model_features, services.stream_model):
        with pytest.raises(NotFound):
            ask(model=model, version=2)


def test_the_zip_is_streamed_and_a_missing_one_is_said_before_the_first_byte(user, dataset):
    model = stored_model(user.id, dataset)
    assert b"".join(services.stream_model(model=model, version=1)) == b"PK not a predictor"
    get_blobs().delete_model(user_id=user.id, model_id=model.id)
    with pytest.raises(BlobMissing):
        services.stream_model(model=model, version=1)


def test_renaming(user, other_user, dataset):
    model = stored_model(user.id, dataset)
    assert services.rename_model(user_id=user.id, model_id=model.id, name="  Zoo \n 2 ").name == "Zoo 2"
    for name in ("", "   ", "x" * 121):
        with pytest.raises(InvalidInput):
            services.rename_model(user_id=user.id, model_id=model.id, name=name)
    with pytest.raises(NotFound):
        services.rename_model(user_id=other_user.id, model_id=model.id, name="Mine")


def test_deleting_removes_blobs_metadata_and_count_and_cancels_retrainings(user, dataset, stack):
    model, other = stored_model(user.id, dataset), stored_model(user.id, dataset)
    retraining = request(user, dataset, model_id=model.id)
    gone, removed = services.delete_model(user_id=user.id, model_id=model.id)
    assert gone.id == model.id
    assert (removed.count, removed.remaining) == (3, 0)
    assert [name.split("/")[1] for name in model_blobs(stack)] == [other.id] * 3
    assert services.get_job(user_id=user.id, job_id=retraining.id).status is JobStatus.CANCELLED
    assert datasets.totals_of(user_id=user.id).models_count == 1
    with pytest.raises(NotFound):
        services.get_model(user_id=user.id, model_id=model.id)
    with pytest.raises(NotFound):
        services.delete_model(user_id=user.id, model_id=model.id)


def test_a_deletion_that_was_interrupted_can_be_finished(user, dataset, stack):
    from models_app import repository

    model = stored_model(user.id, dataset)
    repository.mark_deleting(model_id=model.id, user_id=user.id)
    with pytest.raises(NotFound):
        services.get_model(user_id=user.id, model_id=model.id)
    assert services.delete_model(user_id=user.id, model_id=model.id)[1].count == 3
    assert datasets.totals_of(user_id=user.id).models_count == 0


def test_somebody_elses_model_cannot_be_seen_or_deleted(user, other_user, dataset, stack):
    model = stored_model(user.id, dataset)
    with pytest.raises(NotFound):
        services.get_model(user_id=other_user.id, model_id=model.id)
    with pytest.raises(NotFound):
        services.delete_model(user_id=other_user.id, model_id=model.id)
    assert services.list_models(user_id=other_user.id).items == ()
    assert len(model_blobs(stack)) == 3


def test_a_blob_that_does_not_go_keeps_the_model_for_the_sweep(user, dataset, stack, monkeypatch):
    from models_app import repository

    model = stored_model(user.id, dataset)
    with monkeypatch.context() as patch:
        patch.setattr(emptying, "PAUSE_SECONDS", 0.0)
        patch.setattr(
            AzureBlobStorage, "delete_model", lambda *_, **__: Removed(count=0, names=(), prefix="", remaining=2)
        )
        with pytest.raises(ServiceUnavailable, match="still holds files"):
            services.delete_model(user_id=user.id, model_id=model.id)
    assert repository.get(model_id=model.id, user_id=user.id).status is ModelStatus.DELETING
    assert datasets.totals_of(user_id=user.id).models_count == 1
    assert services.delete_model(user_id=user.id, model_id=model.id)[1].count == 3


def test_the_cache_holds_nothing_of_a_deleted_model(user, dataset):
    model = stored_model(user.id, dataset)
    before = set(cache._cache)
    services.model_evaluation(model=model, version=1)
    services.model_features(model=model, version=1)
    assert len(set(cache._cache) - before) == 2
    services.delete_model(user_id=user.id, model_id=model.id)
    (left,) = set(cache._cache) - before
    assert "gone" in left


def test_what_a_reader_in_flight_caches_of_a_deleted_model_is_dropped(user, dataset, monkeypatch):
    model = stored_model(user.id, dataset)
    services._forget_blobs(model)
    assert services.model_evaluation(model=model, version=1) == EVALUATION
    get_blobs().delete_model(user_id=user.id, model_id=model.id)
    with pytest.raises(BlobMissing):
        services.model_evaluation(model=model, version=1)


def test_a_training_in_a_closing_account_is_refused_with_a_sentence(user, dataset):
    mongo_users.begin_closing(user_id=user.id)
    with pytest.raises(AccountClosing, match="is being deleted"):
        request(user, dataset)
    assert OrmQ.objects.count() == 0
    assert get_database()["jobs"].count_documents({}) == 0


def test_closing_an_account_takes_its_models_and_jobs_along(user, other_user, dataset, stack):
    from accounts.closing import close_account

    stored_model(user.id, dataset)
    queued_job(user.id, dataset)
    kept = stored_model(other_user.id, stored_dataset(other_user.id))
    close_account(user)
    assert {name.split("/")[1] for name in model_blobs(stack)} == {kept.id}
    assert jobs_repository.recent(user_id=str(kept.user_id))
    assert get_database()["jobs"].count_documents({}) == 1
