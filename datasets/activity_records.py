"""What background work on a dataset or a model is outside its repository.

States: ``queued`` -> ``running`` -> ``succeeded``; from the first two to ``failed`` or ``cancelled``, and from
``running`` back to ``queued`` once when its lease ran out (or when its worker was told to stop).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ActivityKind(StrEnum):
    KAGGLE = "kaggle"
    READ = "read"
    CONVERT = "convert"
    PROFILE = "profile"
    RELATION = "relation"
    INDEX = "index"
    EXPLAIN = "explain"
    COMPARE = "compare"
    AUTOPSY = "autopsy"
    LABELS = "labels"
    BATCH = "batch"
    TWIN = "twin"


class ActivityStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in (ActivityStatus.QUEUED, ActivityStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityError:
    """Why it failed, for people."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One piece of work; the document is the truth, the queue only carries its id.

    ``subject`` is what it is about: a reference to a source, a column's name; never a value of a row. ``stage`` is
    a short phrase for people, ``progress`` in [0, 1]; ``done_bytes`` of ``total_bytes`` (0: not known).
    ``lease_owner`` names the attempt that may write. ``has_leftovers``: what an attempt has begun is still to be
    undone.

    It is about a dataset (``dataset_id``) or about one version of a model (``model_id``, ``version``), which
    outlives the dataset it was trained on: then ``dataset_id`` is empty.
    """

    id: str
    user_id: str
    kind: ActivityKind
    status: ActivityStatus
    created_at: datetime
    queued_at: datetime
    dataset_id: str = ""
    model_id: str = ""
    version: int = 0
    subject: str = ""
    stage: str = "Waiting for a worker"
    progress: float = 0.0
    done_bytes: int = 0
    total_bytes: int = 0
    attempt: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    cancel_requested: bool = False
    has_leftovers: bool = False
    error: ActivityError | None = None
