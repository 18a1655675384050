"""What a dataset is outside its repository.

States and legal moves::

    uploading -> ready        a file from a program: it goes in as it was detected
    uploading -> staged       a file from a person: its bytes are stored and scanned, its owner still has a choice
    staged    -> ready        imported
    any       -> deleting     abandoned, failed, deleted, or swept; then gone

``uploading`` and ``staged`` are not counted, and nothing but their own page shows them; a failed upload is deleted,
not kept. A ``staged`` file is *packed* (no ``dialect``, no ``etag``) while what has arrived is an archive or a
workbook out of which no table has been taken yet. The sweep finishes what a dead process left in ``uploading`` or
``deleting``, and deletes what has been ``staged`` for too long.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DatasetStatus(StrEnum):
    UPLOADING = "uploading"
    STAGED = "staged"
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
    while an upload is alive, so that the sweep can tell it from an abandoned one. ``azure_dataset_url`` is set from
    ``ready`` on: exactly as long as the dataset is counted.
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
    # Where an import came from, as its source names it: ``owner/slug@3:table.csv`` on Kaggle.
    source_ref: str | None = None

    @property
    def is_packed(self) -> bool:
        """Whether a staged file still has to be converted into a table."""
        return self.status is DatasetStatus.STAGED and self.dialect is None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What storing and scanning a table has found out about it."""

    etag: str
    sha256: str
    file_size: int
    row_count: int
    bad_row_count: int
    column_count: int
    dialect: dict[str, object]


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
    batches_count: int = 0
    batches_bytes: int = 0
