"""What a dataset is outside its repository.

States: ``uploading`` -> ``ready`` -> ``deleting`` -> gone. ``uploading`` is never listed; a failed upload is
deleted, not kept. The sweep finishes what a dead process left in ``uploading`` or ``deleting``.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DatasetStatus(StrEnum):
    UPLOADING = "uploading"
    READY = "ready"
    DELETING = "deleting"


class Source(StrEnum):
    UPLOAD = "upload"
    KAGGLE = "kaggle"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One uploaded table: facts about it, never its rows.

    ``dialect`` is ``ml.tables.Dialect.as_dict()``. ``file_size`` is in bytes. ``row_count`` counts the records
    that fit the header; ``bad_row_count`` those that do not and are left out of everything. ``touched_at`` moves
    while an upload is alive, so that the sweep can tell it from an abandoned one.
    """

    id: str
    user_id: str
    name: str
    file_name: str
    status: DatasetStatus
    source: Source
    uploaded_at: datetime
    touched_at: datetime
    row_count: int = 0
    bad_row_count: int = 0
    column_count: int = 0
    file_size: int = 0
    azure_dataset_url: str | None = None
    target_column: str | None = None
    etag: str | None = None
    sha256: str | None = None
    dialect: dict[str, object] | None = None


class DatasetSort(StrEnum):
    """Orders of the list; a leading ``-`` is descending."""

    NEWEST = "-uploaded_at"
    OLDEST = "uploaded_at"
    NAME = "name"
    LARGEST = "-file_size"
    MOST_ROWS = "-row_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The counters in a person's ``users`` document."""

    datasets_count: int = 0
    models_count: int = 0
    datasets_bytes: int = 0
    models_bytes: int = 0
