"""Trainings in the queue: job ids on the ``training`` cluster."""

from typing import Final

from datasets.queue import Work

CLUSTER: Final = "training"
TASK: Final = "models_app.tasks.run_training"
_TRAINING: Final = Work(cluster=CLUSTER, task=TASK, name="train")

enqueue = _TRAINING.enqueue
enqueue_missing = _TRAINING.enqueue_missing
forget = _TRAINING.forget
