"""Models in MongoDB: a job and its model end together, versions are only added, totals are right."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from datasets import repository as datasets
from datasets.records import Totals
from models_app import jobs_repository as jobs
from models_app import repository
from models_app.records import Job, JobStatus, Model, ModelStatus
from smartml.errors import AccountClosing, Conflict, InvalidInput, JobCancelled
from storage import mongo, mongo_users
from storage.ids import new_id
from tests.records import held_job, make_version, now, ready_dataset, stored_model

pytestmark = pytest.mark.usefixtures("stack")


def key(model: Model) -> dict[str, str]:
    return {"model_id": model.id, "user_id": model.user_id}


def storing_job(**changes: object) -> Job:
    return held_job(until=JobStatus.STORING, **changes)


def store(job: Job, *, owner: str = "worker", **facts: object) -> Model:
    return repository.store_version(job=job, owner=owner, name="Prices", version=make_version(job, **facts))


def totals(user_id: str) -> tuple[int, int]:
    found = datasets.totals(user_id=user_id)
    return found.models_count, found.models_bytes


# --- Storing -------------------------------------------------------------------------------------------------
def test_the_first_version_ends_the_job_and_is_counted():
    job = storing_job()
    version = make_version(job)
    model = repository.store_version(job=job, owner="worker", name=" Prices ", version=version)
    assert model == repository.get(model_id=job.model_id, user_id=job.user_id)
    assert (model.id, model.name, model.version, model.versions) == (job.model_id, "Prices", 1, (version,))
    assert model.current == version
    assert totals(job.user_id) == (1, version.stored_size)
    ended = jobs.get(job_id=job.id)
    assert (ended.status, ended.progress, ended.lease_until) == (JobStatus.SUCCEEDED, 1.0, None)
    assert ended.finished_at is not None


def test_the_top_level_mirrors_the_current_version():
    model = stored_model()
    job = storing_job(model_id=model.id, user_id=model.user_id, version=2)
    store(job, accuracy=1.5, base_model="CatBoost", zip_size=5)
    document = mongo.get_collection("models").find_one()
    current = document["versions"][-1]
    for field in (
        "base_model", "accuracy", "azure_model_url", "dataset_id", "version", "problem_type", "metric_name",
        "zip_size", "zip_sha256",
    ):  # fmt: skip
        assert document[field] == current[field], field
    assert (document["base_model"], document["accuracy"], document["version"]) == ("CatBoost", 1.5, 2)


def test_a_second_version_is_added_beside_the_first():
    model = stored_model(stored_size=1000)
    number = repository.next_version(**key(model))
    assert number == 2
    job = storing_job(model_id=model.id, user_id=model.user_id, version=number)
    again = store(job, stored_size=500)
    assert (again.version, [v.version for v in again.versions], again.name) == (2, [1, 2], model.name)
    assert again.versions[0] == model.versions[0]
    assert totals(model.user_id) == (1, 1500)


def test_delivered_twice_there_is_one_version():
    job = storing_job()
    first = store(job)
    assert store(job) == first
    with pytest.raises(Conflict):
        store(job, owner="somebody else")
    assert totals(job.user_id) == (1, 1000)


def test_delivered_twice_at_once_there_is_one_version():
    job = storing_job()
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(store, job) for _ in range(4)]
    assert len({each.result().versions for each in done}) == 1
    assert totals(job.user_id) == (1, 1000)


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.EVALUATING])
def test_only_a_job_that_is_storing_succeeds(status: JobStatus):
    job = held_job(until=status)
    with pytest.raises(Conflict):
        store(job)
    assert_nothing_stored(job, status)


def test_a_lost_lease_stores_nothing():
    job = storing_job()
    jobs.requeue(job_id=job.id, owner="worker")
    with pytest.raises(Conflict):
        store(job)
    assert_nothing_stored(job, JobStatus.QUEUED)
    jobs.claim(job_id=job.id, owner="second", lease_seconds=60)
    with pytest.raises(Conflict):
        store(job)
    assert_nothing_stored(job, JobStatus.RUNNING)


def test_a_cancelled_job_stores_nothing():
    job = storing_job()
    jobs.request_cancel(job_id=job.id, user_id=job.user_id)
    with pytest.raises(JobCancelled):
        store(job)
    assert_nothing_stored(job, JobStatus.STORING)


def test_a_model_deleted_meanwhile_stays_deleted():
    model = stored_model()
    first = storing_job(model_id=model.id, user_id=model.user_id, version=2)
    repository.mark_deleting(**key(model))
    with pytest.raises(Conflict):
        store(first)
    repository.remove(**key(model))
    with pytest.raises(Conflict):
        store(first)
    assert_nothing_stored(first, JobStatus.STORING)


def test_a_version_is_never_replaced():
    model = stored_model()
    job = storing_job(model_id=model.id, user_id=model.user_id, version=1)
    with pytest.raises(Conflict):
        store(job)
    assert repository.get(**key(model)) == model
    assert jobs.get(job_id=job.id).status is JobStatus.STORING


def test_a_model_of_somebody_else_is_never_extended():
    model = stored_model()
    job = storing_job(model_id=model.id, version=2)
    with pytest.raises(Conflict):
        store(job)
    assert repository.get(**key(model)) == model


def assert_nothing_stored(job: Job, status: JobStatus) -> None:
    assert repository.get(model_id=job.model_id, user_id=job.user_id) is None
    assert totals(job.user_id) == (0, 0)
    assert jobs.get(job_id=job.id).status is status


# --- Version numbers -----------------------------------------------------------------------------------------
def test_version_numbers_are_given_once():
    model = stored_model()
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: repository.next_version(**key(model)), range(8)))
    assert sorted(numbers) == list(range(2, 10))


def test_versions_stored_out_of_order_stand_in_order():
    model = stored_model()
    for number in (3, 2):
        latest = store(storing_job(model_id=model.id, user_id=model.user_id, version=number))
    assert [v.version for v in latest.versions] == [1, 2, 3]
    assert latest.version == 2
    assert repository.next_version(**key(model)) == 4


def test_no_version_for_what_is_not_ready_or_not_mine():
    model = stored_model()
    assert repository.next_version(model_id=model.id, user_id=new_id()) is None
    assert repository.next_version(model_id=new_id(), user_id=model.user_id) is None
    repository.mark_deleting(**key(model))
    assert repository.next_version(**key(model)) is None


# --- Changing and deleting -----------------------------------------------------------------------------------
def test_rename():
    model = stored_model()
    assert repository.rename(**key(model), name=" Better ").name == "Better"
    assert repository.rename(model_id=model.id, user_id=new_id(), name="Mine") is None
    with pytest.raises(InvalidInput):
        repository.rename(**key(model), name="")
    repository.mark_deleting(**key(model))
    assert repository.rename(**key(model), name="Late") is None


def test_somebody_elses_model_is_absent():
    model, other = stored_model(), new_id()
    assert repository.get(model_id=model.id, user_id=other) is None
    assert repository.mark_deleting(model_id=model.id, user_id=other) is None
    assert repository.remove(model_id=model.id, user_id=other) is False
    assert repository.list_page(user_id=other).items == ()
    assert repository.get(**key(model)) == model


def test_deleting_lowers_the_totals_once():
    model = stored_model(stored_size=1000)
    store(storing_job(model_id=model.id, user_id=model.user_id, version=2), stored_size=500)
    other = stored_model(user_id=model.user_id, stored_size=30)
    assert totals(model.user_id) == (2, 1530)
    assert repository.mark_deleting(**key(model)).status is ModelStatus.DELETING
    assert repository.mark_deleting(**key(model)).status is ModelStatus.DELETING
    assert [repository.remove(**key(model)) for _ in range(2)] == [True, False]
    assert totals(model.user_id) == (1, 30)
    assert repository.mark_deleting(**key(model)) is None
    assert repository.ids_of_user(user_id=model.user_id) == (other.id,)


def test_models_and_datasets_are_counted_side_by_side():
    model = stored_model()
    ready_dataset(user_id=model.user_id)
    expected = Totals(datasets_count=1, models_count=1, datasets_bytes=100, models_bytes=1000)
    assert datasets.totals(user_id=model.user_id) == expected


def test_totals_are_right_after_twenty_at_once():
    user_id = new_id()
    storing = [storing_job(user_id=user_id) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        models = list(pool.map(store, storing))
    assert totals(user_id) == (20, 20_000)
    with ThreadPoolExecutor(20) as pool:
        removals = [pool.submit(repository.remove, **key(model)) for model in models[:10] for _ in range(2)]
    assert sum(removal.result() for removal in removals) == 10
    assert totals(user_id) == (10, 10_000)


def test_the_sweep_sees_deletions_that_nobody_moves():
    stored_model()
    model = stored_model()
    repository.mark_deleting(**key(model))
    assert repository.unfinished(untouched_since=now() - timedelta(minutes=1)) == ()
    assert [m.id for m in repository.unfinished(untouched_since=now() + timedelta(minutes=1))] == [model.id]


# --- Lists ---------------------------------------------------------------------------------------------------
def test_lists_are_newest_first_searched_and_paged():
    user_id = new_id()
    made = [stored_model(user_id=user_id, name=name) for name in ("House A", "Boat", "house.b", "HOUSE c")]
    found, cursor = [], None
    while True:
        page = repository.list_page(user_id=user_id, search="house", cursor=cursor, limit=2)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert {model.name for model in found} == {"House A", "house.b", "HOUSE c"}
    assert found == sorted(found, key=lambda model: (model.created_at, model.id), reverse=True)
    assert [m.name for m in repository.list_page(user_id=user_id, search="e.b").items] == ["house.b"]
    assert len(repository.list_page(user_id=user_id).items) == len(made)


# --- A closing account ---------------------------------------------------------------------------------------
def test_no_model_is_stored_for_an_account_that_is_closing():
    job = held_job(until=JobStatus.STORING)
    mongo_users.begin_closing(user_id=job.user_id)
    with pytest.raises(AccountClosing, match="is being deleted"):
        repository.store_version(job=job, owner="worker", name="Late", version=make_version(job))
    assert repository.ids_of_user(user_id=job.user_id) == ()
    assert jobs.get(job_id=job.id).status is JobStatus.STORING
    mongo_users.reopen(user_id=job.user_id)
    repository.store_version(job=job, owner="worker", name="Late", version=make_version(job))
