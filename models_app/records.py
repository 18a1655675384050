"""What jobs and models are outside their repositories.

A job: ``queued`` -> ``running`` -> ``evaluating`` -> ``storing`` -> ``succeeded``; from any of the first four
to ``failed`` or ``cancelled``, and back to ``queued`` once when its lease ran out. ``may_become`` is the only
place that knows the legal moves.

A model: ``ready`` -> ``deleting`` -> gone. It appears when its first version is stored (one transaction with
the job's ``succeeded`` and the person's totals); every later version is appended, never replaced. One of them is
current. Any other one can go by itself: it is marked (``deleting_at``), and from then on no version any more.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ml.left_out import LeftOut
from ml.problem import Preset, ProblemType
from models_app.job_settings import JobSettings

__all__ = [
    "ACTIVE",
    "FINAL",
    "FittedModel",
    "Job",
    "JobError",
    "JobSettings",
    "JobStatus",
    "LogLine",
    "Model",
    "ModelStatus",
    "ModelVersion",
    "Plan",
    "Readings",
    "may_become",
]


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    EVALUATING = "evaluating"
    STORING = "storing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in FINAL

    @property
    def is_active(self) -> bool:
        """A worker holds it."""
        return self in ACTIVE


ACTIVE = frozenset({JobStatus.RUNNING, JobStatus.EVALUATING, JobStatus.STORING})
FINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
_MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset({JobStatus.EVALUATING, JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.EVALUATING: frozenset({JobStatus.STORING, JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.STORING: frozenset({JobStatus.SUCCEEDED, JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}),
}


def may_become(old: JobStatus, new: JobStatus) -> bool:
    """Whether the state machine allows ``old`` -> ``new``; a final state allows nothing."""
    return new in _MOVES.get(old, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedModel:
    """A row of the live leaderboard. ``val_score``: higher is better, in the metric's AutoGluon sign.

    ``fit_seconds`` is wall time, ``at_seconds`` the time since the fitting began when it was finished.
    """

    name: str
    val_score: float | None
    fit_seconds: float
    at_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What a training said ``at_seconds`` after its attempt began: a sentence of the app's own (``ml.fit_log``)."""

    at_seconds: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the processes of a training take of the machine: memory now and at most so far (bytes), and of how many
    cores they made use since the last look."""

    memory: int
    memory_peak: int
    cores: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was expected of a training when it was asked for: seconds from its start to its end, bytes of memory at
    its peak, and models tried."""

    seconds: float
    memory: int
    models: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed, for people."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training run; the document is the truth, the queue only carries its id.

    ``stage`` is a short phrase for people ("Fitting LightGBM"); ``progress`` is in [0, 1].
    ``lease_owner`` names the attempt that may write; every write of a worker is filtered by it. It stays on a
    job that is over, as the one that ended it. ``queued_at`` is when the job last began to wait: its place in
    the queue; None before it is stored (``created_at`` then). ``stop_requested``: its owner wants the best of what
    has been fitted; ``cancel_requested``: nothing of it. ``unseen``: it has ended, its owner has not looked.
    """

    id: str
    user_id: str
    dataset_id: str
    dataset_name: str
    model_id: str
    model_name: str
    version: int
    settings: JobSettings
    status: JobStatus
    created_at: datetime
    problem_type: ProblemType
    problem_reason: str
    stage: str = "Waiting for a worker"
    progress: float = 0.0
    attempt: int = 0
    queued_at: datetime | None = None
    started_at: datetime | None = None
    fit_started_at: datetime | None = None
    finished_at: datetime | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    cancel_requested: bool = False
    stop_requested: bool = False
    unseen: bool = False
    leaderboard: tuple[FittedModel, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    log: tuple[LogLine, ...] = ()
    readings: Readings | None = None
    plan: Plan | None = None
    metric: str | None = None
    error: JobError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """Facts of one stored version.

    ``accuracy`` is the holdout score of ``metric_name`` (the product's word for "the headline score"; for
    regression it is an error and lower is better, see ``lower_is_better``). ``baseline`` is the same metric of
    the majority class or the training mean on the same holdout rows. Sizes in bytes. ``settings`` is what was
    asked for; a version stored before that was kept knows its target, preset and time limit alone (``asked``).
    ``zip_hmac``: see ``models_app.signing``; ``golden_checked_at``, ``golden_drifted``: when its golden rows were
    last asked (``ml.golden``) and of how many the answer had changed. ``dataset_sha256`` is of the file it was
    trained on. None for a version from before these were kept.
    """

    version: int
    created_at: datetime
    job_id: str
    dataset_id: str
    dataset_name: str
    target: str
    problem_type: ProblemType
    base_model: str
    metric_name: str
    lower_is_better: bool
    accuracy: float
    baseline: float
    train_rows: int
    holdout_rows: int
    preset: Preset
    time_limit: int
    fit_seconds: float
    azure_model_url: str
    zip_size: int
    zip_sha256: str
    stored_size: int
    settings: JobSettings | None = None
    zip_hmac: str | None = None
    note: str = ""
    deleting_at: datetime | None = None
    dataset_sha256: str | None = None
    golden_checked_at: datetime | None = None
    golden_drifted: int | None = None

    @property
    def asked(self) -> JobSettings:
        """What to ask for to train the same again."""
        return self.settings or JobSettings(target=self.target, preset=self.preset, time_limit=self.time_limit)


class ModelStatus(StrEnum):
    READY = "ready"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named model with its versions, oldest first. ``version`` is the current one, ``previous_version`` the one
    before it. ``pinned``: it was made current by hand. ``leaving`` are versions that are being deleted."""

    id: str
    user_id: str
    name: str
    status: ModelStatus
    created_at: datetime
    version: int
    versions: tuple[ModelVersion, ...] = field(default=())
    leaving: tuple[ModelVersion, ...] = ()
    pinned: bool = False
    previous_version: int | None = None
    current_since: datetime | None = None
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def current(self) -> ModelVersion:
        return next(v for v in self.versions if v.version == self.version)

    def get_version(self, number: int) -> ModelVersion | None:
        return next((v for v in self.versions if v.version == number), None)

    @property
    def previous(self) -> ModelVersion | None:
        """The version that was current before, to roll back to."""
        found = None if self.previous_version is None else self.get_version(self.previous_version)
        return None if found is self.current else found

    @property
    def newest(self) -> ModelVersion:
        return self.versions[-1]

    @property
    def stored_size(self) -> int:
        return sum(v.stored_size for v in (*self.versions, *self.leaving))
