"""What is shown of a dataset, made from its blob on demand and kept in the cache under the blob's etag.

The cache is the server's own; nothing of it reaches MongoDB.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.core.cache import cache

from datasets.records import Dataset
from ml.profiling import ColumnSchema, TargetSummary, full_schema, target_summary
from ml.records import MAX_RECORD_BYTES
from ml.tables import SNIFF_BYTES, Dialect, Preview, RecordScanner, normalise, preview
from smartml.errors import BlobMissing
from storage.blobs import get_blobs
from storage.workspace import workspace

SHOWN_ROWS: Final = 20
# The later ones only for a header or a first row longer than the one before; no record may be longer than the last.
_HEAD_BYTES: Final = (SNIFF_BYTES, 4 * 2**20, MAX_RECORD_BYTES + 1)
_KEEP_SECONDS: Final = 3600
# How long a reader that died stands in the way of the next one, where the cache outlives it.
_READING_SECONDS: Final = 900
_KINDS: Final = ("rows", "schema", "bad_lines", "targets")
# Summaries of so many target columns are kept; who tries more waits for the table to be read again.
_MAX_TARGETS: Final = 20


def _key(dataset: Dataset, kind: str) -> str:
    etag = (dataset.etag or "").strip('"')
    return f"dataset:{dataset.id}:{etag}:{kind}"


def _dialect(dataset: Dataset) -> Dialect:
    if dataset.dialect is None:
        raise BlobMissing("This dataset has no stored file.")
    return Dialect.from_dict(dataset.dialect)


def read_chunks(*, dataset: Dataset) -> Iterator[bytes]:
    """The stored file, piece by piece; :class:`BlobMissing` when it is not the file that was uploaded."""
    blobs = get_blobs()
    name = blobs.dataset_blob(dataset.user_id, dataset.id, dataset.file_name)
    return blobs.iter_chunks(blobs.datasets_container, name, etag=dataset.etag)


def first_rows(*, dataset: Dataset) -> Preview:
    """The first 20 rows and their types from the first 256 KiB, whatever the size of the file."""
    key = _key(dataset, "rows")
    known: Preview | None = cache.get(key)
    if known is not None:
        return known
    blobs = get_blobs()
    name = blobs.dataset_blob(dataset.user_id, dataset.id, dataset.file_name)
    for length in _HEAD_BYTES:
        head = blobs.read_range(blobs.datasets_container, name, length=length)
        made = preview(head, _dialect(dataset), rows=SHOWN_ROWS, complete=len(head) >= dataset.file_size)
        if (made.columns and made.rows) or len(head) >= dataset.file_size:
            break
    _keep(dataset, "rows", made)
    return made


def known_schema(*, dataset: Dataset) -> tuple[ColumnSchema, ...] | None:
    """The full schema when it has been made already."""
    known: tuple[ColumnSchema, ...] | None = cache.get(_key(dataset, "schema"))
    return known


@contextmanager
def sole_reader(*, dataset: Dataset) -> Iterator[bool]:
    """Whether no other request is reading the whole file just now: reloading a page must not read it once more."""
    key = _key(dataset, "reading")
    sole = cache.add(key, 1, _READING_SECONDS)
    try:
        yield sole
    finally:
        if sole:
            cache.delete(key)


def schema_of(*, dataset: Dataset) -> tuple[ColumnSchema, ...]:
    """The full schema: one pass over the whole file."""
    known = known_schema(dataset=dataset)
    if known is not None:
        return known
    with normalised(dataset=dataset) as path:
        made = full_schema(path)
    _keep(dataset, "schema", made)
    return made


def target_summary_of(*, dataset: Dataset, target: str) -> TargetSummary:
    """What the whole column ``target`` holds: one pass over the whole file."""
    key = _key(dataset, "targets")
    known: dict[str, TargetSummary] = cache.get(key, {})
    if target in known:
        return known[target]
    with normalised(dataset=dataset) as path:
        made = target_summary(path, target)
    # Read again: it took a while. One entry for all columns, so that all are forgotten together.
    known = cache.get(key, {}) | {target: made}
    _keep(dataset, "targets", dict(list(known.items())[-_MAX_TARGETS:]))
    return made


@contextmanager
def normalised(*, dataset: Dataset) -> Iterator[Path]:
    """A clean UTF-8 CSV of the records that fit, in a workspace that is removed at the end."""
    with workspace("dataset") as directory:
        path = directory / "table.csv"
        normalise(read_chunks(dataset=dataset), _dialect(dataset), path)
        yield path


def remember_bad_lines(*, dataset: Dataset, lines: tuple[int, ...]) -> None:
    """Keep the line numbers that the scan at upload has found."""
    _keep(dataset, "bad_lines", lines)


def bad_lines(*, dataset: Dataset) -> tuple[int, ...]:
    """The first line numbers of records that do not fit the header; scans the file when they are not cached."""
    if not dataset.bad_row_count:
        return ()
    known: tuple[int, ...] | None = cache.get(_key(dataset, "bad_lines"))
    if known is not None:
        return known
    scanner = RecordScanner(max_columns=max(dataset.column_count, 1))
    for chunk in read_chunks(dataset=dataset):
        scanner.feed(chunk)
    lines = scanner.finish().first_bad_lines
    remember_bad_lines(dataset=dataset, lines=lines)
    return lines


def forget(*, dataset: Dataset) -> None:
    """Drop everything cached about a dataset, also what a request in flight is about to add."""
    cache.set(_key(dataset, "gone"), 1, _READING_SECONDS)
    cache.delete_many([_key(dataset, kind) for kind in _KINDS])


def _keep(dataset: Dataset, kind: str, value: object) -> None:
    key = _key(dataset, kind)
    cache.set(key, value, _KEEP_SECONDS)
    if cache.get(_key(dataset, "gone")):
        cache.delete(key)
