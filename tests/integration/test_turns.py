"""Whose training a worker takes, with several workers and limits for one person."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django_q.models import OrmQ

from models_app import jobs_repository, jobs_services, turns_repository, worker
from models_app.records import JobError, JobStatus
from storage import mongo_users
from storage.ids import new_id
from tests.records import queued_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stack")]


def claim(owner: str = "worker", per_person: int = 2):
    return turns_repository.claim_next(owner=owner, lease_seconds=60, per_person=per_person)


def test_people_take_turns():
    first, second = new_id(), new_id()
    mine = [queued_job(user_id=first) for _ in range(3)]
    theirs = queued_job(user_id=second)
    assert [jobs_services.queue_position(job=job) for job in (*mine, theirs)] == [0, 2, 3, 1]
    assert [claim(per_person=9).id for _ in range(4)] == [mine[0].id, theirs.id, mine[1].id, mine[2].id]
    assert claim() is None


def test_a_person_has_no_more_running_than_may_be_however_many_workers_ask():
    user_id = new_id()
    for _ in range(6):
        queued_job(user_id=user_id)
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda n: claim(f"worker {n}", per_person=2), range(6)))
    assert sum(job is not None for job in taken) == 2
    assert turns_repository.next_that_may_begin(per_person=2) is None
    other = queued_job()
    assert claim().id == other.id


def test_several_workers_never_take_the_same_training():
    jobs = {queued_job().id for _ in range(5)}
    with ThreadPoolExecutor(5) as pool:
        taken = [job.id for job in pool.map(lambda n: claim(f"worker {n}"), range(5)) if job]
    assert len(taken) == len(set(taken))
    while (job := claim()) is not None:
        taken.append(job.id)
    assert set(taken) == jobs


def test_a_closing_account_does_not_hold_up_the_others():
    closing, other = queued_job(), queued_job()
    mongo_users.begin_closing(user_id=closing.user_id)
    assert claim().id == other.id


def test_a_training_that_waited_for_another_of_its_owner_is_called_when_that_one_ends(settings, monkeypatch):
    settings.TRAININGS_RUNNING_PER_USER = 1
    user_id = new_id()
    first, second = queued_job(user_id=user_id), queued_job(user_id=user_id)

    def attempt(self):
        # Meanwhile another worker gets the message of the second one, and may not begin it.
        assert worker.run_in_turn(second.id) is JobStatus.QUEUED
        error = JobError(code="x", message="Over.")
        return jobs_repository.fail(job_id=self.job.id, owner=self.owner, error=error).status

    monkeypatch.setattr(worker._Attempt, "run", attempt)
    assert worker.run_in_turn(first.id) is JobStatus.FAILED
    assert [message.task["args"] for message in OrmQ.objects.all()] == [(second.id,)]


def test_a_message_for_a_training_that_is_over_begins_the_one_that_waits(monkeypatch):
    over, waiting = queued_job(), queued_job()
    jobs_repository.request_cancel(job_id=over.id, user_id=over.user_id)
    begun = []
    monkeypatch.setattr(worker._Attempt, "run", lambda self: begun.append(self.job.id))
    worker.run_in_turn(over.id)
    assert begun == [waiting.id]
