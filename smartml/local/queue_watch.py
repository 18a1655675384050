"""Whether a queue cluster still works: a tiny task is sent round and must come back.

A worker that is killed while idle takes the lock of the cluster's inner queue with it; the cluster lives on and
delivers nothing. It does not notice, so this does. A task that waits behind others proves nothing: the clock runs
only while the cluster finishes nothing, takes nothing and trains nothing.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
from django.conf import settings
from django.db import Error as SQLError
from django.db import close_old_connections
from django.utils import timezone
from django_q.models import OrmQ, Success
from django_q.tasks import async_task

_log = logging.getLogger(__name__)
_NAME = "sign of life"
_ROUND_SECONDS = 30.0
# A cluster that has a worker to spare answers within this time even on a busy machine.
_PATIENCE = 20.0


def answer() -> bool:
    """The task that goes round."""
    return True


@dataclass(slots=True)
class QueueWatch:
    """Watches one cluster; ``main_pid`` is its first process."""

    cluster: str
    main_pid: int = 0
    _ping: str | None = None
    # When the cluster last showed that it works, or the task was sent.
    _since: float = 0.0
    # Whether a process of the cluster has ended since the last answer.
    _lost: bool = False
    _seen: set[int] = field(default_factory=set)
    # Messages the cluster has taken and not finished, the ping aside; and those an earlier cluster left like that.
    _taken: frozenset[int] = frozenset()
    _orphans: frozenset[int] = frozenset()
    _is_unknown: bool = False

    def restart(self, main_pid: int) -> None:
        """The cluster has been started anew; 0 while there is none."""
        self.main_pid, self._ping, self._since, self._lost = main_pid, None, 0.0, False
        self._seen = {pid for pid, _ in _descendants(main_pid)} if main_pid else set()
        with self._asking_the_database():
            for message in OrmQ.objects.filter(key=self.cluster):
                # What the old cluster had taken would be delivered hours later, for nobody.
                if message.name() == _NAME:
                    message.delete()
            if not main_pid:
                self._orphans = frozenset()
                self._orphans = self._now_taken()

    def answered(self) -> bool:
        """Send a task when none is on its way; whether one has come back since the start, or the cluster has taken
        another one: behind a training that was waiting for it, the task would be back in hours."""
        works = False
        with self._asking_the_database():
            if self._ping is None:
                self._send()
            else:
                works = self._came_back() or bool(self._now_taken())
        return works

    def hangs(self) -> bool:
        """Called every second or so: look at the processes, send and collect tasks, and judge.

        While the database does not answer nothing is known, so nothing is judged and the clock starts anew.
        """
        children = _descendants(self.main_pid)
        pids = {pid for pid, _ in children}
        self._lost = self._lost or bool(self._seen - pids)
        self._seen = pids
        with self._asking_the_database():
            if self._is_overdue(training=_works_outside(children)):
                return True
        return False

    def is_training(self) -> bool:
        """Whether a worker of the cluster runs a training right now."""
        return _works_outside(_descendants(self.main_pid))

    def _is_overdue(self, *, training: bool) -> bool:
        if self._ping is None:
            if time.monotonic() - self._since > _ROUND_SECONDS:
                self._send()
            return False
        if self._came_back():
            self._ping, self._lost = None, False
            return False
        before, self._taken = self._taken, self._now_taken()
        if training or self._taken != before:
            self._since = time.monotonic()
        return time.monotonic() - self._since > self._patience()

    def _patience(self) -> float:
        configured = settings.Q_CLUSTER | settings.Q_CLUSTER["ALT_CLUSTERS"].get(self.cluster, {})
        if not self._taken:
            return _PATIENCE
        # Where workers end after every task, an ended process is no reason for suspicion.
        if self._lost and configured["recycle"] > 1 and len(self._taken) < configured["workers"]:
            return _PATIENCE
        # All may be busy: with tasks, which the light queue itself ends at their time limits, or with what comes
        # before and after a training.
        return self._longest_of_taken() + _PATIENCE

    def _longest_of_taken(self) -> float:
        usual = settings.Q_CLUSTER["timeout"]
        tasks = [message.task for message in OrmQ.objects.filter(pk__in=self._taken)]
        return float(max([usual, *(task.get("timeout") or usual for task in tasks if isinstance(task, dict))]))

    def _send(self) -> None:
        close_old_connections()
        self._ping = str(
            async_task("smartml.local.queue_watch.answer", q_options={"cluster": self.cluster, "task_name": _NAME})
        )
        self._since, self._taken = time.monotonic(), frozenset()

    def _came_back(self) -> bool:
        close_old_connections()
        return bool(Success.objects.filter(id=self._ping).delete()[0])

    def _now_taken(self) -> frozenset[int]:
        messages = OrmQ.objects.filter(key=self.cluster, lock__gt=timezone.now())
        return frozenset(message.pk for message in messages if message.task_id() != self._ping) - self._orphans

    @contextmanager
    def _asking_the_database(self) -> Iterator[None]:
        try:
            yield
        except SQLError as error:
            # Locked for long, or the disk is full: other parts say so too, and it may pass.
            if not self._is_unknown:
                _log.warning("Whether the %s queue works is unknown at the moment: %s", self.cluster, error)
            self._is_unknown, self._since = True, time.monotonic()
        else:
            self._is_unknown = False


def _descendants(pid: int) -> list[tuple[int, int]]:
    """(pid, depth below the main process) of a cluster: 1 its sentinel, 2 its workers, 3 what a worker started."""
    found: list[tuple[int, int]] = []
    generation = [pid]
    for depth in (1, 2, 3):
        generation = [child for parent in generation for child in _children(parent)]
        found += [(child, depth) for child in generation]
    return found


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def _works_outside(children: list[tuple[int, int]]) -> bool:
    """A worker with a process of its own runs a training, which may take hours."""
    return any(depth == 3 for _, depth in children)
