"""The only module that knows the broker: it carries job ids to the ``training`` cluster, nothing else."""

from collections.abc import Iterator

from django.db.models import Q
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

CLUSTER = "training"
TASK = "models_app.tasks.run_training"


def enqueue(job_id: str) -> None:
    """Put a job's id into the queue."""
    async_task(TASK, job_id, q_options={"cluster": CLUSTER, "task_name": f"train {job_id}"})


def enqueue_missing(job_id: str) -> bool:
    """Enqueue unless a message that can be delivered is waiting already, so that repeated sweeps pile up nothing.

    A message that a cluster has taken is locked for hours; whether that cluster is alive nobody can tell from it.
    A second delivery is harmless, so it does not count as waiting.
    """
    if any(_messages(job_id, Q(lock__lte=timezone.now()))):
        return False
    enqueue(job_id)
    return True


def forget(job_id: str) -> int:
    """Drop every message of a job whose worker is known to be dead, or which is over."""
    rows = [row.pk for row in _messages(job_id, Q())]
    OrmQ.objects.filter(pk__in=rows).delete()
    return len(rows)


def _messages(job_id: str, condition: Q) -> Iterator[OrmQ]:
    for row in OrmQ.objects.filter(condition, key=CLUSTER):
        task = row.task
        if isinstance(task, dict) and task.get("func") == TASK and tuple(task.get("args", ())) == (job_id,):
            yield row
