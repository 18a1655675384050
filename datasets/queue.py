"""The only module that knows the broker: it carries ids to a cluster, nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A task that takes one id.

    ``timeout`` (seconds) is when the cluster kills the worker that runs it; None: the cluster's own.
    """

    cluster: str
    task: str
    name: str
    timeout: int | None = None

    def enqueue(self, record_id: str) -> None:
        """Put an id into the queue."""
        options: dict[str, object] = {"cluster": self.cluster, "task_name": f"{self.name} {record_id}"}
        if self.timeout is not None:
            options["timeout"] = self.timeout
        async_task(self.task, record_id, q_options=options)

    def enqueue_missing(self, record_id: str) -> bool:
        """Enqueue unless a message that can be delivered is waiting, so that repeated sweeps pile up nothing.

        A message that a cluster has taken is locked for hours; whether that cluster is alive nobody can tell from
        it. A second delivery is harmless, so it does not count as waiting.
        """
        if any(self._messages(record_id, Q(lock__lte=timezone.now()))):
            return False
        self.enqueue(record_id)
        return True

    def forget(self, record_id: str) -> int:
        """Drop every message of what is over, or whose worker is known to be dead."""
        rows = [row.pk for row in self._messages(record_id, Q())]
        OrmQ.objects.filter(pk__in=rows).delete()
        return len(rows)

    def _messages(self, record_id: str, condition: Q) -> Iterator[OrmQ]:
        for row in OrmQ.objects.filter(condition, key=self.cluster):
            task = row.task
            if (
                isinstance(task, dict)
                and task.get("func") == self.task
                and tuple(task.get("args", ())) == (record_id,)
            ):
                yield row
