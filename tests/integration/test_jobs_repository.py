"""Jobs in MongoDB: who may move them, and that nobody else does."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from bson import ObjectId
from pymongo.errors import WriteError

from ml.options import ClassWeights, HoldoutKind
from ml.problem import Preset, ProblemType
from models_app import jobs_repository as repository
from models_app import jobs_services
from models_app.records import FittedModel, Job, JobError, JobSettings, JobStatus
from smartml.errors import AccountClosing, Conflict, InvalidInput
from storage import mongo_users
from storage.ids import new_id
from storage.mongo import get_database
from tests.records import held_job, make_job, now, queued_job

pytestmark = pytest.mark.usefixtures("stack")

ERROR = JobError(code="training_failed", message="No model could be fitted.", hint="Take more time.")
ROWS = (
    FittedModel(name="LightGBM", val_score=-1.5, fit_seconds=2.0),
    FittedModel(name="Dummy", val_score=None, fit_seconds=0.25),
)


def read(job: Job) -> Job:
    found = repository.get(job_id=job.id)
    assert found is not None
    return found


def an_active_job(status: JobStatus) -> Job:
    return held_job(until=status)


def a_job_that_is_over(status: JobStatus) -> Job:
    if status is JobStatus.CANCELLED:
        job = queued_job()
        return repository.request_cancel(job_id=job.id, user_id=job.user_id)
    return repository.fail(job_id=held_job().id, owner="worker", error=ERROR)


ACTIVE = [JobStatus.RUNNING, JobStatus.EVALUATING, JobStatus.STORING]
OVER = [JobStatus.FAILED, JobStatus.CANCELLED]


# --- Storing and reading -------------------------------------------------------------------------------------
def test_a_job_comes_back_as_it_was_stored():
    job = make_job(leaderboard=ROWS, error=ERROR, metric="accuracy", stage="Waiting", progress=0.25)
    repository.insert(job=job)
    stored = read(job)
    assert stored.queued_at == job.created_at
    assert stored == make_job(
        **{name: getattr(job, name) for name in Job.__slots__ if name != "queued_at"}, queued_at=job.created_at
    )


def test_every_setting_comes_back_as_it_was_stored():
    settings = JobSettings(
        target="price",
        preset=Preset.BEST,
        problem_type=ProblemType.REGRESSION,
        metric="r2",
        holdout_kind=HoldoutKind.GROUP,
        holdout_column="shop",
        group_is_feature=True,
        leave_out=("id", "note"),
        families=("linear",),
        class_weights=ClassWeights.BALANCED,
        seed=2**31 - 1,
    )
    assert read(queued_job(settings=settings)).settings == settings


def test_a_job_from_before_there_were_choices_is_read_and_moved():
    job = queued_job()
    old = {"target": "price", "preset": "quick", "time_limit": 30, "holdout_share": 0.2, "seed": 7}
    get_database()["jobs"].update_one({"_id": ObjectId(job.id)}, {"$set": {"settings": old}})
    assert read(job).settings == JobSettings(target="price", time_limit=30, seed=7)
    assert repository.claim(job_id=job.id, owner="worker", lease_seconds=60) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"leave_out": ["c"] * 501},
        {"leave_out": [1.5]},
        {"leave_out": ["c" * 1001]},
        {"holdout_kind": "lucky"},
        {"families": [{"GBM": {}}]},
        {"problem_type": "guess"},
        {"rows": []},
    ],
)
def test_settings_are_names_and_numbers_and_nothing_else(change):
    job = queued_job()
    changes = {f"settings.{name}": value for name, value in change.items()}
    with pytest.raises(WriteError):
        get_database()["jobs"].update_one({"_id": ObjectId(job.id)}, {"$set": changes})


def test_the_same_id_twice_is_a_conflict():
    job = queued_job()
    with pytest.raises(Conflict):
        repository.insert(job=make_job(id=job.id))
    assert read(job).user_id == job.user_id


def test_a_bad_model_name_is_refused():
    with pytest.raises(InvalidInput):
        repository.insert(job=make_job(model_name=" "))


def test_somebody_elses_job_is_absent():
    job, other = queued_job(), new_id()
    assert repository.get(job_id=job.id, user_id=other) is None
    assert repository.get(job_id=job.id, user_id=job.user_id) == read(job)
    assert repository.request_cancel(job_id=job.id, user_id=other) is None
    assert repository.recent(user_id=other) == ()
    assert repository.list_page(user_id=other).items == ()


# --- Claiming ------------------------------------------------------------------------------------------------
def test_claiming_starts_the_attempt():
    job = queued_job()
    claimed = repository.claim(job_id=job.id, owner="worker", lease_seconds=45)
    assert claimed == read(job)
    assert (claimed.status, claimed.attempt, claimed.lease_owner) == (JobStatus.RUNNING, 1, "worker")
    assert timedelta(0) <= claimed.lease_until - claimed.started_at - timedelta(seconds=45) < timedelta(seconds=1)


def test_ten_claimers_one_winner():
    job = queued_job()
    with ThreadPoolExecutor(10) as pool:
        claims = list(
            pool.map(lambda n: repository.claim(job_id=job.id, owner=f"worker {n}", lease_seconds=60), range(10))
        )
    winners = [claim for claim in claims if claim is not None]
    assert len(winners) == 1
    assert read(job) == winners[0]
    assert winners[0].attempt == 1


@pytest.mark.parametrize("status", OVER)
def test_a_job_that_is_over_is_never_claimed(status: JobStatus):
    job = a_job_that_is_over(status)
    assert repository.claim(job_id=job.id, owner="late", lease_seconds=60) is None
    assert read(job) == job


def test_a_job_that_is_gone_is_never_claimed():
    assert repository.claim(job_id=new_id(), owner="worker", lease_seconds=60) is None


# --- The lease -----------------------------------------------------------------------------------------------
def test_a_heartbeat_renews_and_brings_the_wish_to_cancel():
    job = held_job()
    assert repository.heartbeat(job_id=job.id, owner="worker", lease_seconds=600).lease_until > job.lease_until
    repository.request_cancel(job_id=job.id, user_id=job.user_id)
    assert repository.heartbeat(job_id=job.id, owner="worker", lease_seconds=60).cancel_requested


@pytest.mark.parametrize("status", ACTIVE)
def test_without_the_lease_nothing_is_written(status: JobStatus):
    job = an_active_job(status)
    repository.requeue(job_id=job.id, owner="worker")
    repository.claim(job_id=job.id, owner="second", lease_seconds=60)
    before = read(job)
    assert not _writes("worker", job)
    assert read(job) == before


@pytest.mark.parametrize("status", OVER)
def test_after_the_end_nothing_is_written(status: JobStatus):
    job = a_job_that_is_over(status)
    assert not _writes("worker", job)
    assert repository.fail(job_id=job.id, owner=None, error=ERROR) is None
    assert read(job) == job


def _writes(owner: str, job: Job) -> list[object]:
    """What any write of this owner answered, when it was not None or False."""
    held = {"job_id": job.id, "owner": owner}
    answers = [
        repository.heartbeat(**held, lease_seconds=60),
        *(repository.advance(**held, to=to, stage="x", progress=1) for to in ACTIVE),
        repository.report(**held, stage="x", progress=0.9, leaderboard=ROWS),
        repository.report(**held),
        repository.fail(**held, error=ERROR),
        repository.cancel(**held),
        repository.requeue(**held),
    ]
    return [answer for answer in answers if answer]


# --- Moving --------------------------------------------------------------------------------------------------
def test_advancing_goes_one_step_at_a_time():
    job = held_job()
    held = {"job_id": job.id, "owner": "worker", "stage": "Next", "progress": 0.5}
    assert repository.advance(**held, to=JobStatus.STORING) is None
    assert repository.advance(**held, to=JobStatus.RUNNING) is None
    moved = repository.advance(**held, to=JobStatus.EVALUATING)
    assert (moved.status, moved.stage, moved.progress) == (JobStatus.EVALUATING, "Next", 0.5)
    assert repository.advance(**held, to=JobStatus.STORING).status is JobStatus.STORING
    assert repository.advance(**held, to=JobStatus.EVALUATING) is None


@pytest.mark.parametrize("to", [JobStatus.QUEUED, JobStatus.SUCCEEDED, *OVER])
def test_advancing_leads_to_active_states_only(to: JobStatus):
    with pytest.raises(ValueError, match="not a state"):
        repository.advance(job_id=held_job().id, owner="worker", to=to, stage="x", progress=1)


def test_reports_change_what_they_name():
    job = held_job()
    held = {"job_id": job.id, "owner": "worker"}
    moment = now()
    assert repository.report(**held, stage="Fitting LightGBM", progress=7, fit_started_at=moment)
    assert repository.report(**held, leaderboard=ROWS, metric="accuracy")
    assert repository.report(**held)
    stored = read(job)
    assert (stored.stage, stored.progress, stored.fit_started_at) == ("Fitting LightGBM", 1.0, moment)
    assert (stored.leaderboard, stored.metric) == (ROWS, "accuracy")


def test_the_leaderboard_is_bounded_and_keeps_the_best():
    job = held_job()
    rows = [FittedModel(name=f"m{i}", val_score=None if i % 2 else float(i), fit_seconds=i) for i in range(1000)]
    rows.append(FittedModel(name="odd", val_score=math.inf, fit_seconds=1))
    repository.report(job_id=job.id, owner="worker", leaderboard=rows)
    kept = read(job).leaderboard
    assert [row.name for row in kept] == [f"m{i}" for i in range(602, 1000, 2)] + ["odd"]


@pytest.mark.parametrize("status", ACTIVE)
def test_a_worker_fails_its_job(status: JobStatus):
    job = an_active_job(status)
    failed = repository.fail(job_id=job.id, owner="worker", error=ERROR)
    assert failed == read(job)
    assert (failed.status, failed.error, failed.lease_until) == (JobStatus.FAILED, ERROR, None)
    assert failed.finished_at is not None


def test_an_endless_reason_is_cut():
    job = held_job()
    failed = repository.fail(
        job_id=job.id, owner="worker", error=JobError(code="c" * 500, message="\udcffm" * 9000, hint="h" * 9000)
    )
    assert failed.status is JobStatus.FAILED
    assert len(failed.error.message) == 2000


def test_a_job_that_the_queue_did_not_take_fails_too():
    assert repository.fail(job_id=queued_job().id, owner=None, error=ERROR).status is JobStatus.FAILED


# --- Cancelling ----------------------------------------------------------------------------------------------
def test_cancelling_a_waiting_job_ends_it():
    job = queued_job()
    cancelled = repository.request_cancel(job_id=job.id, user_id=job.user_id)
    assert (cancelled.status, cancelled.stage, cancelled.cancel_requested) == (
        JobStatus.CANCELLED,
        "Cancelled",
        True,
    )
    assert now() - cancelled.finished_at < timedelta(seconds=30)


@pytest.mark.parametrize("status", ACTIVE)
def test_cancelling_a_running_job_tells_its_worker(status: JobStatus):
    job = an_active_job(status)
    told = repository.request_cancel(job_id=job.id, user_id=job.user_id)
    assert (told.status, told.cancel_requested, told.stage) == (status, True, job.stage)
    assert told.lease_until == job.lease_until
    ended = repository.cancel(job_id=job.id, owner="worker")
    assert (ended.status, ended.lease_until) == (JobStatus.CANCELLED, None)


@pytest.mark.parametrize("status", OVER)
def test_cancelling_what_is_over_changes_nothing(status: JobStatus):
    job = a_job_that_is_over(status)
    assert repository.request_cancel(job_id=job.id, user_id=job.user_id) == job == read(job)


def test_cancelling_and_claiming_at_once_loses_neither():
    jobs = [queued_job() for _ in range(15)]
    with ThreadPoolExecutor(8) as pool:
        for job in jobs:
            pool.submit(repository.claim, job_id=job.id, owner="worker", lease_seconds=60)
            pool.submit(repository.request_cancel, job_id=job.id, user_id=job.user_id)
    for job in map(read, jobs):
        assert job.cancel_requested
        assert job.status in {JobStatus.CANCELLED, JobStatus.RUNNING}


# --- The sweep -----------------------------------------------------------------------------------------------
def test_expired_jobs_are_active_ones_past_their_lease():
    running, storing = held_job(), held_job(until=JobStatus.STORING)
    queued_job()
    a_job_that_is_over(JobStatus.FAILED)
    assert repository.expired(now=now()) == ()
    later = now() + timedelta(minutes=10)
    assert {job.id for job in repository.expired(now=later)} == {running.id, storing.id}


def test_requeueing_starts_over_and_keeps_the_count_of_attempts():
    job = held_job()
    repository.report(
        job_id=job.id, owner="worker", leaderboard=ROWS, metric="m", progress=0.7, fit_started_at=now()
    )
    back = repository.requeue(job_id=job.id, owner="worker")
    assert back == read(job)
    assert (back.status, back.attempt, back.progress, back.leaderboard) == (JobStatus.QUEUED, 1, 0.0, ())
    assert (back.lease_owner, back.lease_until, back.started_at, back.fit_started_at, back.metric) == (None,) * 5
    assert back.queued_at >= job.queued_at
    assert repository.claim(job_id=job.id, owner="second", lease_seconds=60).attempt == 2


def test_an_attempt_that_was_interrupted_on_purpose_is_not_counted():
    job = held_job()
    back = repository.requeue(job_id=job.id, owner="worker", counted=False)
    assert (back.status, back.attempt) == (JobStatus.QUEUED, 0)
    assert repository.claim(job_id=job.id, owner="second", lease_seconds=60).attempt == 1


def test_leftovers_are_looked_for_until_nothing_can_arrive_any_more():
    job, running = held_job(), held_job()
    repository.fail(job_id=job.id, owner="worker", error=ERROR)
    repository.mark_clean(job_id=job.id)
    assert repository.with_leftovers() == ()
    for each in (job, running):
        repository.look_again(job_id=each.id, after=now() + timedelta(minutes=2))
    assert read(running) == running
    assert repository.with_leftovers() == ()
    repository.look_again(job_id=job.id, after=now())
    assert [each.id for each in repository.with_leftovers()] == [job.id]
    assert repository.expired(now=now() + timedelta(days=1)) == (running,)
    repository.mark_clean(job_id=job.id)
    assert repository.with_leftovers() == ()


def test_requeueing_a_job_to_be_cancelled_cancels_it():
    job = held_job()
    repository.request_cancel(job_id=job.id, user_id=job.user_id)
    assert repository.requeue(job_id=job.id, owner="worker").status is JobStatus.CANCELLED


def test_the_sweep_leaves_a_renewed_lease_alone():
    job = held_job()
    repository.heartbeat(job_id=job.id, owner="worker", lease_seconds=60)
    assert repository.requeue(job_id=job.id, owner="worker", expired_before=now()) is None
    assert repository.fail(job_id=job.id, owner="worker", error=ERROR, expired_before=now()) is None
    assert repository.fail(job_id=job.id, owner=None, error=ERROR, expired_before=now()) is None
    assert read(job).status is JobStatus.RUNNING
    later = now() + timedelta(minutes=10)
    assert repository.fail(job_id=job.id, owner=None, error=ERROR, expired_before=later) is not None


def test_unclaimed_jobs_wait_since_before():
    old = queued_job(created_at=now() - timedelta(minutes=5))
    queued_job()
    held_job(created_at=now() - timedelta(minutes=5))
    assert [job.id for job in repository.unclaimed(older_than=now() - timedelta(minutes=1))] == [old.id]


# --- Lists ---------------------------------------------------------------------------------------------------
def test_recent_jobs_newest_first():
    user_id, start = new_id(), now()
    jobs = [queued_job(user_id=user_id, created_at=start + timedelta(seconds=i)) for i in range(4)]
    queued_job()
    repository.claim(job_id=jobs[0].id, owner="worker", lease_seconds=60)
    repository.request_cancel(job_id=jobs[2].id, user_id=user_id)
    newest_first = [job.id for job in reversed(jobs)]
    assert [job.id for job in repository.recent(user_id=user_id)] == newest_first
    assert [job.id for job in repository.recent(user_id=user_id, limit=2)] == newest_first[:2]
    active = [job.id for job in repository.recent(user_id=user_id, active_only=True)]
    assert active == [jobs[3].id, jobs[1].id, jobs[0].id]


def test_pages_have_each_job_once():
    user_id, moment = new_id(), now()
    jobs = {queued_job(user_id=user_id, created_at=moment).id for _ in range(5)}
    first = repository.list_page(user_id=user_id, cursor=None, limit=3)
    queued_job(user_id=user_id, created_at=moment + timedelta(seconds=1))
    second = repository.list_page(user_id=user_id, cursor=first.next_cursor, limit=3)
    assert second.next_cursor is None
    assert sorted(job.id for job in first.items + second.items) == sorted(jobs)


def test_active_jobs_of_a_dataset_and_of_a_model():
    dataset_id, model_id = new_id(), new_id()
    waiting = queued_job(dataset_id=dataset_id, model_id=model_id)
    running = held_job(dataset_id=dataset_id)
    over = queued_job(dataset_id=dataset_id, model_id=model_id)
    repository.request_cancel(job_id=over.id, user_id=over.user_id)
    of_dataset = repository.active_for_dataset(dataset_id=dataset_id)
    assert {job.id for job in of_dataset} == {waiting.id, running.id}
    assert [job.id for job in repository.active_for_model(model_id=model_id)] == [waiting.id]


def test_the_queue_is_in_order_of_waiting():
    moment = now()
    jobs = [queued_job(created_at=moment) for _ in range(3)]
    assert [jobs_services.queue_position(job=job) for job in jobs] == [0, 1, 2]
    repository.claim(job_id=jobs[0].id, owner="worker", lease_seconds=60)
    assert [jobs_services.queue_position(job=job) for job in jobs[1:]] == [0, 1]
    back = repository.requeue(job_id=jobs[0].id, owner="worker")
    assert jobs_services.queue_position(job=back) == 2


def test_forgetting_a_person_forgets_their_jobs_only():
    mine, theirs = queued_job(), queued_job()
    repository.forget_user(user_id=mine.user_id)
    assert repository.get(job_id=mine.id) is None
    assert read(theirs)


# --- A closing account ---------------------------------------------------------------------------------------
def test_no_job_is_stored_for_an_account_that_is_closing():
    user_id = queued_job().user_id
    mongo_users.begin_closing(user_id=user_id)
    with pytest.raises(AccountClosing, match="is being deleted"):
        queued_job(user_id=user_id)
    assert len(repository.recent(user_id=user_id)) == 1


def test_a_person_is_held_by_a_living_lease_and_by_what_may_still_appear():
    job = held_job()
    later = now() + timedelta(minutes=5)
    assert repository.are_held(user_id=job.user_id, now=now())
    assert not repository.are_held(user_id=job.user_id, now=later)
    repository.cancel(job_id=job.id, owner="worker")
    assert not repository.are_held(user_id=job.user_id, now=now())
    repository.look_again(job_id=job.id, after=later)
    assert repository.are_held(user_id=job.user_id, now=now())
