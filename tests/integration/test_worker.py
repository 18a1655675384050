"""The supervision of a training's process, without a fit."""

import re
import subprocess
import sys
import time

import psutil
import pytest

from datasets import processes
from models_app import jobs_repository, jobs_services, worker
from models_app.records import JobStatus
from models_app.training_limits import DISK_FULL
from storage.ids import new_id
from tests.factories import queued_job, stored_dataset
from tests.training import assert_nothing_left, change_child, start_worker, use_one_family, wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def job(stack, user, settings, monkeypatch):
    use_one_family(settings, monkeypatch)
    return queued_job(user.id, stored_dataset(user.id))


def test_a_job_that_is_gone_running_or_over_is_left_alone(stack, user, job):
    assert worker.run_job(new_id()) is None
    jobs_repository.claim(job_id=job.id, owner="another", lease_seconds=60)
    before = jobs_repository.get(job_id=job.id)
    assert worker.run_job(job.id) is JobStatus.RUNNING
    assert jobs_repository.get(job_id=job.id) == before
    cancelled = queued_job(user.id, stored_dataset(user.id))
    jobs_repository.request_cancel(job_id=cancelled.id, user_id=user.id)
    assert worker.run_job(cancelled.id) is JobStatus.CANCELLED


def test_a_training_past_its_deadline_fails_with_the_reason(stack, job, monkeypatch):
    monkeypatch.setattr(worker, "deadline_seconds", lambda time_limit: 2)
    assert worker.run_job(job.id) is JobStatus.FAILED
    assert jobs_repository.get(job_id=job.id).error == worker.TIMED_OUT
    assert_nothing_left(stack, job)


def test_a_training_that_holds_too_much_memory_is_ended_and_says_what_it_was_doing(stack, job, settings, tmp_path):
    settings.TRAINING_MEMORY_MB = 256
    lines = [
        "from models_app import jobs_repository as jobs",
        "jobs.report(job_id=sys.argv[2], owner=sys.argv[3], stage='Fitting Elephant')",
        "import time; time.sleep(1.5)",
        "held = [b'x' * (64 << 20) for _ in range(8)]; time.sleep(600)",
    ]
    change_child(settings, tmp_path, "\n".join(lines))
    assert worker.run_job(job.id) is JobStatus.FAILED
    over = jobs_repository.get(job_id=job.id)
    assert over.error.code == "out_of_memory"
    assert re.search(r"at 0\.\d GB of the 0\.3 GB allowed .* “Fitting Elephant”", over.error.message)
    assert "leave out columns" in over.error.hint
    assert over.readings.memory_peak > 64 << 20
    assert_nothing_left(stack, job)


def test_a_disk_that_is_nearly_full_is_said_before_anything_begins(stack, job, settings):
    settings.MIN_FREE_DISK_MB = 2**40
    assert worker.run_job(job.id) is JobStatus.FAILED
    assert jobs_repository.get(job_id=job.id).error == DISK_FULL
    assert_nothing_left(stack, job)


def test_the_deadline_never_exceeds_the_operators_limit(settings):
    settings.MAX_TRAINING_SECONDS = 100
    assert jobs_services.deadline_seconds(10_000) == 100


def test_a_process_that_cannot_start_is_a_crash_not_a_hang(stack, job, settings, tmp_path):
    settings.BASE_DIR = tmp_path  # no manage.py there
    assert worker.run_job(job.id) is JobStatus.FAILED
    assert jobs_repository.get(job_id=job.id).error == worker.CRASHED
    assert_nothing_left(stack, job)


def test_a_lease_taken_by_another_worker_ends_the_child_and_changes_nothing(stack, job, monkeypatch):
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
    process = start_worker(job.id)
    held = wait_for(job.id, lambda job: job.status is JobStatus.RUNNING)
    jobs_repository.requeue(job_id=job.id, owner=held.lease_owner)
    other = jobs_repository.claim(job_id=job.id, owner="another", lease_seconds=60)
    assert process.wait(30) == 0
    assert jobs_repository.get(job_id=job.id) == other
    assert_nothing_left(stack, job)


def test_everybody_in_the_tree_is_ended_whatever_group_it_is_in_and_however_deaf_it_is():
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-c', {deaf!r}], start_new_session=True)\n"
        f"subprocess.Popen([sys.executable, '-c', {deaf!r}])\n"
        "print('ready', flush=True)\n"
        "time.sleep(100)\n"
    )
    mark = new_id()
    processes.become_subreaper()
    leader = subprocess.Popen(
        [sys.executable, "-c", script],
        env={processes.MARK: mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert leader.stdout.readline() == b"ready\n"
    leader.stdout.close()
    family = list(processes.carriers(mark))
    assert len(family) == 3
    started = time.monotonic()
    processes.end_tree(leader, mark=mark, grace_seconds=0.5)
    assert time.monotonic() - started < 3
    assert not any(psutil.pid_exists(process.pid) for process in family)
