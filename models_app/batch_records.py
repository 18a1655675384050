"""What a batch is outside its repository: a file that one version of a model predicts.

States and legal moves::

    uploading -> waiting     its file is stored (or it is a dataset of the person): its activity waits or runs
    waiting   -> done        the result is stored and counted
    waiting   -> failed      no result; the reason is kept
    any       -> deleting    cancelled, deleted, or swept; then gone

Its activity (``datasets.activities``) has the same id. The file is removed once the batch is done or failed
(``has_input``); the result stays until the person deletes it or the version goes.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BatchStatus(StrEnum):
    UPLOADING = "uploading"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    DELETING = "deleting"

    @property
    def is_over(self) -> bool:
        return self in (BatchStatus.DONE, BatchStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchError:
    """Why it failed, for people."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Names, counts and flags; rows are in blobs. ``dataset_id``: its rows are those of that dataset, and there is
    no file of its own. ``bad_rows`` did not fit the header and were left out, ``first_bad_lines`` say where.
    ``is_strict``: anything odd refuses the file. ``stored_size`` is of result and summary, in bytes, and counted in
    the person's totals; 0 until it is done. ``drift`` is a ``ml.drift.Level``, "" where nothing is known;
    ``score`` is of the truth in the file, if it is there.
    """

    id: str
    user_id: str
    model_id: str
    version: int
    file_name: str
    status: BatchStatus
    created_at: datetime
    touched_at: datetime
    dataset_id: str | None = None
    is_strict: bool = False
    has_input: bool = False
    rows: int = 0
    bad_rows: int = 0
    first_bad_lines: tuple[int, ...] = ()
    columns: int = 0
    input_size: int = 0
    dialect: dict[str, object] | None = None
    stored_size: int = 0
    result_size: int = 0
    odd_rows: int = 0
    drift: str = ""
    score: float | None = None
    metric: str | None = None
    finished_at: datetime | None = None
    error: BatchError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFacts:
    """What is known of a batch when it is done."""

    rows: int
    odd_rows: int
    result_size: int
    stored_size: int
    drift: str
    score: float | None
    metric: str | None
