"""Whether a queue cluster still works: a tiny task is sent round and must come back.

A worker that is killed while idle takes the lock of the cluster's inner queue with it; the cluster lives on and
delivers nothing. It does not notice, so this does.
"""

import time
from dataclasses import dataclass, field

import psutil
from django.conf import settings
from django.db import close_old_connections
from django_q.models import OrmQ, Success
from django_q.tasks import async_task

_NAME = "sign of life"
_ROUND_SECONDS = 30.0
# An answer that is later than this, after one of the cluster's processes has vanished, will never come.
_PATIENCE_AFTER_LOSS = 20.0


def answer() -> bool:
    """The task that goes round."""
    return True


@dataclass(slots=True)
class QueueWatch:
    """Watches one cluster; ``main_pid`` is its first process."""

    cluster: str
    main_pid: int = 0
    _ping: str | None = None
    _sent_at: float = 0.0
    _lost: bool = False
    _seen: set[int] = field(default_factory=set)

    def restart(self, main_pid: int) -> None:
        """The cluster has been started anew; 0 while it is on its way."""
        for message in OrmQ.objects.filter(key=self.cluster):
            # What the old cluster had taken would be delivered hours later, for nobody.
            if message.name() == _NAME:
                message.delete()
        self.main_pid, self._ping, self._sent_at, self._lost = main_pid, None, 0.0, False
        self._seen = {pid for pid, _ in _descendants(main_pid)} if main_pid else set()

    def answered(self) -> bool:
        """Send a task when none is on its way; whether one has come back since the start."""
        if self._ping is None:
            self._send()
            return False
        return self._came_back()

    def hangs(self) -> bool:
        """Called every second or so: look at the processes, send and collect tasks, and judge."""
        children = _descendants(self.main_pid)
        pids = {pid for pid, _ in children}
        self._lost = self._lost or bool(self._seen - pids)
        self._seen = pids
        if self._ping is None:
            if time.monotonic() - self._sent_at > _ROUND_SECONDS:
                self._send()
            return False
        if self._came_back():
            self._ping, self._lost = None, False
            return False
        waited = time.monotonic() - self._sent_at
        return waited > self._patience() and not _works_outside(children)

    def is_training(self) -> bool:
        """Whether a worker of the cluster runs a training right now."""
        return _works_outside(_descendants(self.main_pid))

    def _patience(self) -> float:
        # Workers may all be busy; the queue itself ends a task at its time limit.
        limit = float(settings.Q_CLUSTER["timeout"]) + _PATIENCE_AFTER_LOSS
        return _PATIENCE_AFTER_LOSS if self._lost else limit

    def _send(self) -> None:
        close_old_connections()
        self._ping = str(
            async_task("smartml.local.queue_watch.answer", q_options={"cluster": self.cluster, "task_name": _NAME})
        )
        self._sent_at = time.monotonic()

    def _came_back(self) -> bool:
        close_old_connections()
        return bool(Success.objects.filter(id=self._ping).delete()[0])


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
