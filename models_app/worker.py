"""Runs one training: claims it, starts a child process, watches over it, and ends the job.

Only two parties may write a job that is running: the child, and the worker that started it, both under the same
lease owner. The child writes stages and, in the transaction that stores the model, ``succeeded``. Every other end
is written here, after the child is gone: nobody else is writing then, so what it left can be removed safely.
"""

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from datasets import stopping
from datasets.processes import DISK_FULL_EXIT, MARK, TRACE, become_subreaper, end_tree
from datasets.tree_usage import tree_usage
from models_app import afterwards, queue, training_limits
from models_app import jobs_repository as jobs
from models_app import turns_repository as turns
from models_app.jobs_services import deadline_seconds
from models_app.records import Job, JobError, JobStatus, Readings
from models_app.signing import Signer, without_keys
from models_app.training_limits import DISK_FULL
from smartml.errors import ServiceUnavailable, SmartMLError, means_disk_full
from storage import patience
from storage.blobs import get_blobs
from storage.workspace import workspace

logger = logging.getLogger(__name__)
T = TypeVar("T")

POLL_SECONDS = 1.0
GRACE_SECONDS = 3.0
# Beside the outcome: there as soon as the person wants the best so far.
STOP = "stop"
# Without an answer from MongoDB the child is ended this long before the lease runs out: to end it takes the grace,
# and one more unanswered renewal may come before it.
LEASE_MARGIN_SECONDS = 10.0
# A child may be ended while a request of it is on its way to the blob store: how long it may take to arrive.
SETTLE = timedelta(minutes=2)
# The child commits the model and then exits: how long the exit may take.
EXIT_SECONDS = 30.0
# A transaction that the child had open when it was killed keeps its documents locked until MongoDB gives it up,
# after a minute.
CONCLUDE_SECONDS = 90.0
TRACE_BYTES = 8_000

CRASHED = JobError(
    code="crashed",
    message="The training process stopped unexpectedly.",
    hint="Train again; if it happens again, tell the operator the number of this training.",
)
OUT_OF_MEMORY = JobError(
    code="out_of_memory",
    message="The training process was killed by the system, most likely because memory ran out.",
    hint="Train on fewer rows or columns, with a smaller preset, or on a machine with more memory.",
)
TIMED_OUT = JobError(
    code="timed_out",
    message="The training took longer than its deadline and was stopped.",
    hint="Choose a shorter time limit or the Quick preset.",
)


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the supervision ended. ``error``: why, unless the owner cancelled it, the lease was lost, or the worker
    was told to stop (``stopped``: the training is not to blame and begins anew elsewhere)."""

    error: JobError | None = None
    cancelled: bool = False
    stopped: bool = False


def run_job(job_id: str) -> JobStatus | None:
    """Run a queued training to its end and return its final state.

    A job that is running elsewhere or over is left alone (a second delivery does nothing) and its state returned;
    None when there is no such job. A worker that is told to stop puts the job back.
    """
    with stopping.heeding():
        return _run(job_id, partial(jobs.claim, job_id=job_id))


def run_in_turn(job_id: str) -> JobStatus | None:
    """Run the training whose turn it is (``models_app.fair_order``): a message only says that one is waiting.

    Returns its final state; that of ``job_id`` when none may begin.
    """
    per_person: int = settings.TRAININGS_RUNNING_PER_USER
    with stopping.heeding():
        status = _run(job_id, partial(turns.claim_next, per_person=per_person))
        if not stopping.asked():
            _call_next(per_person)
        return status


def _call_next(per_person: int) -> None:
    """A training that had to wait for another one of its owner has no message any more: it gets a new one."""
    try:
        waiting = turns.next_that_may_begin(per_person=per_person)
        if waiting is not None:
            queue.enqueue_missing(waiting)
    except (ServiceUnavailable, DatabaseError):
        logger.warning("It is left to the sweep to call the next training.", exc_info=True)


def _run(job_id: str, claim: "Callable[..., Job | None]") -> JobStatus | None:
    if stopping.asked():
        # The sweep sees that the job waits without a message.
        current = jobs.get(job_id=job_id)
        return current.status if current else None
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    job = claim(owner=owner, lease_seconds=settings.JOB_LEASE_SECONDS)
    if job is None:
        current = jobs.get(job_id=job_id)
        logger.info("Job %s does not begin now: %s.", job_id, current.status if current else "gone")
        return current.status if current else None
    logger.info("Job %s: attempt %s begins.", job.id, job.attempt)
    status = _Attempt(job, owner).run()
    logger.info("Job %s: attempt %s ends as %s.", job.id, job.attempt, status)
    if status is JobStatus.SUCCEEDED:
        afterwards.begin_quietly(job)
    return status


class _Attempt:
    """One claimed attempt at a job."""

    def __init__(self, job: Job, owner: str) -> None:
        self.job = job
        self.owner = owner

    def run(self) -> JobStatus | None:
        # TMPDIR of the whole tree is inside: whatever a killed child leaves goes with it.
        try:
            with workspace("model") as scratch:
                self._remove_leftovers()
                ended = self._supervise(scratch)
        except SmartMLError as error:
            ended = _Ended(JobError(code=error.code, message=error.message, hint=error.hint))
        except Exception as error:
            if means_disk_full(error):
                ended = _Ended(DISK_FULL)
            else:
                logger.exception("Job %s: the worker failed.", self.job.id)
                ended = _Ended(CRASHED)
        return self._conclude(ended)

    def _remove_leftovers(self) -> None:
        """Blobs that an earlier attempt stored before it died; create-only uploads would refuse to replace them.

        Always: an attempt that was interrupted does not count. The version's number is this job's alone.
        """
        self._delete_blobs()

    def _supervise(self, scratch: Path) -> _Ended:
        if training_limits.lacks_disk(scratch):
            return _Ended(DISK_FULL)
        become_subreaper()
        mark = f"{self.job.id}:{self.owner}"
        log, outcome = scratch / "training.log", scratch / "outcome.json"
        lifeline, held = os.pipe()
        try:
            with Signer(model_id=self.job.model_id, version=self.job.version) as signer:
                child = self._start(scratch, mark, log, outcome, lifeline, signer.fd)
                try:
                    ended = self._watch(child, outcome)
                finally:
                    end_tree(child, mark=mark, grace_seconds=GRACE_SECONDS)
        finally:
            os.close(lifeline)
            os.close(held)
        if ended.error is not None:
            logger.warning("Job %s: %s\n%s", self.job.id, ended.error.message, _trace(scratch))
        return ended

    def _start(
        self, scratch: Path, mark: str, log: Path, outcome: Path, lifeline: int, signer: int
    ) -> "subprocess.Popen[bytes]":
        """The child reads end-of-file on ``lifeline`` when this process is gone, however it went, and has its model
        signed at ``signer``: it loads pickles, so it does not get the key."""
        command = [sys.executable, "manage.py", "trainjob", self.job.id, self.owner]
        command += ["--lifeline", str(lifeline), "--outcome", str(outcome), "--stop", str(outcome.with_name(STOP))]
        command += ["--signer", str(signer)]
        with log.open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=without_keys(os.environ) | {MARK: mark, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline, signer),
                start_new_session=True,
            )

    def _watch(self, child: "subprocess.Popen[bytes]", outcome: Path) -> _Ended:
        """Wait for the child; meanwhile renew the lease and look for a cancellation and the deadline."""
        deadline = time.monotonic() + deadline_seconds(self.job.settings.time_limit)
        renewed = time.monotonic()
        meter, stage = _Meter(child.pid), "Starting"
        while True:
            try:
                return self._after_exit(child.wait(POLL_SECONDS), outcome)
            except subprocess.TimeoutExpired:
                pass
            if stopping.asked():
                return _Ended(stopped=True)
            asked_at = time.monotonic()
            if asked_at > deadline:
                return _Ended(TIMED_OUT)
            readings = meter.read()
            if readings.memory > meter.limit:
                used = readings.memory
                return _Ended(training_limits.out_of_memory(self.job, stage=stage, used=used, limit=meter.limit))
            if training_limits.lacks_disk(outcome.parent):
                return _Ended(DISK_FULL)
            try:
                current = self._renew(readings)
            except ServiceUnavailable as error:
                if time.monotonic() - renewed > _renew_within():
                    return _Ended(JobError(code=error.code, message=error.message, hint=error.hint))
                logger.warning("Job %s: the lease could not be renewed: %s", self.job.id, error.message)
                continue
            # The lease began when MongoDB was asked, not when its answer came.
            renewed = asked_at
            if current is None:
                return self._after_lost_lease(child, outcome)
            stage = current.stage
            if current.stop_requested:
                outcome.with_name(STOP).touch()
            if current.cancel_requested:
                return _Ended(cancelled=True)

    def _after_exit(self, code: int, outcome: Path) -> _Ended:
        if code == -signal.SIGTERM and stopping.asked_within(POLL_SECONDS):
            # Who ends every process of the service may reach the child first.
            return _Ended(stopped=True)
        return _ended_with(code, outcome)

    def _after_lost_lease(self, child: "subprocess.Popen[bytes]", outcome: Path) -> _Ended:
        """Either the child has just stored the model and is about to exit, or the job is no longer ours."""
        current = jobs.get(job_id=self.job.id)
        if current is not None and current.status is JobStatus.SUCCEEDED:
            try:
                return _ended_with(child.wait(EXIT_SECONDS), outcome)
            except subprocess.TimeoutExpired:
                logger.warning("Job %s: the child did not exit after storing the model.", self.job.id)
        return _Ended(CRASHED)

    def _conclude(self, ended: _Ended) -> JobStatus | None:
        """Write the job's end, unless the child has (succeeded) or the job is somebody else's by now."""
        held = _insist(self._renew)
        if held is None:
            return self._leave()
        cleaned = self._clean()
        over = _insist(lambda: self._end(ended, held))
        if over is None:
            return self._leave()
        if held.status is JobStatus.STORING:
            self._look_again()
        elif cleaned:
            _insist(lambda: jobs.mark_clean(job_id=self.job.id))
        if over.status is JobStatus.QUEUED:
            self._enqueue()
        return over.status

    def _end(self, ended: _Ended, held: Job) -> Job | None:
        if ended.cancelled or held.cancel_requested:
            return jobs.cancel(job_id=self.job.id, owner=self.owner)
        if ended.stopped:
            return jobs.requeue(job_id=self.job.id, owner=self.owner, counted=False)
        return jobs.fail(job_id=self.job.id, owner=self.owner, error=ended.error or CRASHED)

    def _leave(self) -> JobStatus | None:
        """The end of an attempt that does not hold the job any more: only what nobody else will do."""
        current = _insist(lambda: jobs.get(job_id=self.job.id))
        if current is None:
            # The account was closed meanwhile: nobody else will ever look after these blobs.
            self._clean()
            return None
        if current.status in (JobStatus.FAILED, JobStatus.CANCELLED):
            # Ended by others, who may have looked for blobs before this attempt's child stored one. No attempt
            # can follow whose blobs they might be.
            self._look_again()
            self._clean()
        return current.status

    def _look_again(self) -> None:
        _insist(lambda: jobs.look_again(job_id=self.job.id, after=timezone.now() + SETTLE))

    def _enqueue(self) -> None:
        """For another worker; the message that brought the job here stays locked if this process ends."""
        try:
            queue.forget(self.job.id)
            queue.enqueue(self.job.id)
        except DatabaseError:
            logger.warning("Job %s: it is left to the sweep to enqueue it.", self.job.id, exc_info=True)

    def _renew(self, readings: Readings | None = None) -> Job | None:
        lease: int = settings.JOB_LEASE_SECONDS
        return jobs.heartbeat(job_id=self.job.id, owner=self.owner, lease_seconds=lease, readings=readings)

    def _clean(self) -> bool:
        """Remove what this version has in the blob store; False when that must be left to the sweep."""
        try:
            self._delete_blobs()
        except SmartMLError as error:
            logger.warning("Job %s: its blobs are left to the sweep: %s", self.job.id, error.message)
            return False
        return True

    def _delete_blobs(self) -> None:
        job = self.job
        get_blobs().delete_model_version(user_id=job.user_id, model_id=job.model_id, version=job.version)


class _Meter:
    """Looks at what a training's processes take, from one poll to the next."""

    def __init__(self, pid: int) -> None:
        self.limit = training_limits.memory_limit()
        self._pid = pid
        self._peak = 0
        self._looked, self._used = time.monotonic(), 0.0

    def read(self) -> Readings:
        usage, now = tree_usage(self._pid), time.monotonic()
        # A process that has ended takes its seconds along.
        cores = max(0.0, usage.cpu_seconds - self._used) / max(now - self._looked, 1e-3)
        self._looked, self._used = now, usage.cpu_seconds
        self._peak = max(self._peak, usage.memory_bytes)
        return Readings(memory=usage.memory_bytes, memory_peak=self._peak, cores=round(cores, 2))


def _ended_with(code: int, outcome: Path) -> _Ended:
    """What an exit code of the child means; 0 is checked against the job's document afterwards."""
    if code == 0:
        return _Ended()
    if code == -9:
        return _Ended(OUT_OF_MEMORY)
    if code == DISK_FULL_EXIT:
        return _Ended(DISK_FULL)
    try:
        return _Ended(JobError(**json.loads(outcome.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return _Ended(CRASHED)


def _renew_within() -> float:
    """After how many seconds without a renewal the child has to be ended."""
    lease: float = settings.JOB_LEASE_SECONDS
    return max(lease - LEASE_MARGIN_SECONDS, lease / 2)


def _insist(call: Callable[[], T]) -> T:
    """Call until MongoDB answers, within ``CONCLUDE_SECONDS``; then the lease runs out and the sweep decides."""
    return patience.insist(call, seconds=CONCLUDE_SECONDS, pause=POLL_SECONDS)


def _trace(scratch: Path) -> str:
    try:
        return (scratch / TRACE).read_bytes()[-TRACE_BYTES:].decode("utf-8", "replace")
    except OSError:
        return "(it left no trace)"
