"""What is shown of a dataset, made from its blob on demand and kept in the cache under the blob's etag.

The cache is the server's own; nothing of it reaches MongoDB.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.core.cache import cache

from datasets import overrides
from datasets.records import Dataset
from ml.asking import ValuesFound, values_of
from ml.column_types import ColumnType, ValueFormat
from ml.profiling import TargetSummary, target_summary
from ml.records import MAX_RECORD_BYTES
from ml.row_index import RowIndex
from ml.tables import SNIFF_BYTES, Dialect, Preview, normalise, preview
from smartml.errors import BlobMissing
from storage.blobs import get_blobs
from storage.workspace import workspace

SHOWN_ROWS: Final = 20
# The later ones only for a header or a first row longer than the one before; no record may be longer than the last.
_HEAD_BYTES: Final = (SNIFF_BYTES, 4 * 2**20, MAX_RECORD_BYTES + 1)
_KEEP_SECONDS: Final = 3600
# How long a reader that died stands in the way of the next one, where the cache outlives it.
_READING_SECONDS: Final = 900
_KINDS: Final = ("rows", "targets", "row_index")
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
    made = read_first_rows(dataset=dataset, dialect=_dialect(dataset))
    _keep(dataset, "rows", made)
    return made


def read_first_rows(*, dataset: Dataset, dialect: Dialect) -> Preview:
    """The same as another dialect reads them; nothing is cached.

    :raises InvalidTable: nothing at all can be read this way.
    """
    blobs = get_blobs()
    name = blobs.dataset_blob(dataset.user_id, dataset.id, dataset.file_name)
    for length in _HEAD_BYTES:
        head = blobs.read_range(blobs.datasets_container, name, length=length)
        made = preview(head, dialect, rows=SHOWN_ROWS, complete=len(head) >= dataset.file_size)
        if (made.columns and made.rows) or len(head) >= dataset.file_size:
            break
    return made


def values_in(*, dataset: Dataset, dialect: Dialect) -> ValuesFound:
    """How numbers and dates are written in the records that ``dialect`` makes of the first bytes.

    :raises InvalidTable: nothing at all can be read this way.
    """
    blobs = get_blobs()
    name = blobs.dataset_blob(dataset.user_id, dataset.id, dataset.file_name)
    head = blobs.read_range(blobs.datasets_container, name, length=SNIFF_BYTES)
    return values_of(head, dialect, complete=len(head) >= dataset.file_size)


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


def target_summary_of(*, dataset: Dataset, target: str) -> TargetSummary:
    """What the whole column ``target`` holds, read as the type that was chosen for it: one pass over the file."""
    key, kind = _key(dataset, "targets"), overrides.types_of(dataset=dataset).get(target)
    known: dict[tuple[str, ColumnType | None], TargetSummary] = cache.get(key, {})
    if (target, kind) in known:
        return known[target, kind]
    with normalised(dataset=dataset) as path:
        made = target_summary(path, target, formats_of(dataset=dataset), kind=kind)
    # Read again: it took a while. One entry for all columns, so that all are forgotten together.
    known = cache.get(key, {}) | {(target, kind): made}
    _keep(dataset, "targets", dict(list(known.items())[-_MAX_TARGETS:]))
    return made


@contextmanager
def normalised(*, dataset: Dataset, on_bytes: Callable[[int], None] | None = None) -> Iterator[Path]:
    """A clean UTF-8 CSV of the records that fit, in a workspace that is removed at the end.

    :param on_bytes: told now and then how much of the stored file has been read; may raise to end it.
    """
    with workspace("dataset") as directory:
        path = directory / "table.csv"
        normalise(_counted(_read_ahead(read_chunks(dataset=dataset)), on_bytes), _dialect(dataset), path)
        yield path


def _read_ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same; each piece is fetched while the one before is worked on."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk


def _counted(chunks: Iterator[bytes], on_bytes: Callable[[int], None] | None) -> Iterator[bytes]:
    read = 0
    for chunk in chunks:
        read += len(chunk)
        if on_bytes is not None:
            on_bytes(read)
        yield chunk


def dialect_of(*, dataset: Dataset) -> Dialect:
    """How the file is read."""
    return _dialect(dataset)


def known_row_index(*, dataset: Dataset) -> RowIndex | None:
    """Where the rows of the file are, when this process knows."""
    known: RowIndex | None = cache.get(_key(dataset, "row_index"))
    return known


def remember_row_index(*, dataset: Dataset, index: RowIndex) -> None:
    """Keep in this process where the rows are."""
    _keep(dataset, "row_index", index)


def formats_of(*, dataset: Dataset) -> ValueFormat:
    """How numbers and dates are written in the file."""
    return _dialect(dataset).formats


def forget(*, dataset: Dataset) -> None:
    """Drop everything cached about a dataset, also what a request in flight is about to add."""
    cache.set(_key(dataset, "gone"), 1, _READING_SECONDS)
    cache.delete_many([_key(dataset, kind) for kind in _KINDS])


def _keep(dataset: Dataset, kind: str, value: object) -> None:
    key = _key(dataset, kind)
    cache.set(key, value, _KEEP_SECONDS)
    if cache.get(_key(dataset, "gone")):
        cache.delete(key)
