"""Staged files that are still packed: the raw bytes lie beside the dataset until a table is taken out of them.

Taking it out is one pass: the table's bytes are scanned and stored as the dataset's own blob, then the packed file
goes. A process that dies on the way leaves a packed file as it was, and perhaps a blob that the next attempt
removes.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from typing import BinaryIO, Final

from django.conf import settings
from django.utils import timezone

from datasets import activities, repository
from datasets.activity_records import Activity, ActivityKind
from datasets.heartbeat import Heartbeat
from datasets.records import Dataset
from datasets.scans import TableScan
from ml import containers
from ml.containers import ContainerKind, Limits, Member
from ml.tables import SNIFF_BYTES, Dialect, sniff
from smartml.errors import BlobMissing, Conflict, InvalidInput, InvalidTable, ServiceUnavailable, SmartMLError
from storage.blob_file import open_blob_file
from storage.blobs import BlobWriter, Stored, get_blobs

log = logging.getLogger(__name__)

MIB: Final = 2**20
# What may be taken out while a page waits. A sheet is read much more slowly than text is unpacked.
_INLINE_BYTES: Final = {ContainerKind.ZIP: 32 * MIB, ContainerKind.PARQUET: 16 * MIB, ContainerKind.XLSX: 2 * MIB}
# A living attempt says so more often than that (see `datasets.heartbeat`).
_ALIVE: Final = timedelta(seconds=90)
_MADE_HERE: Final = Dialect(encoding="utf-8", delimiter=",", quotechar='"', has_header=True)
SOURCE_KINDS: Final = (ContainerKind.ZIP, ContainerKind.XLSX, ContainerKind.PARQUET)


def limits() -> Limits:
    """How far a packed file may unfold."""
    return Limits(max_output_bytes=settings.MAX_UPLOAD_BYTES)


def source_name(kind: ContainerKind) -> str:
    """The derived blob that holds a packed file as it came."""
    return f"source.{kind.value}"


def members_of(*, dataset: Dataset) -> tuple[Member, ...]:
    """The tables in a packed file.

    :raises InvalidTable: there is none, or it cannot be opened.
    """
    with _opened(dataset) as (file, kind):
        return containers.members(file, kind, limits())


def unpack(*, dataset: Dataset, member: str) -> Dataset | Activity:
    """Take the table called ``member`` out of a packed file: at once when it is small, else in the background."""
    with _opened(dataset) as (file, kind):
        chosen = next((each for each in containers.members(file, kind, limits()) if each.name == member), None)
    if chosen is None:
        message = "This file holds no such table."
        raise InvalidInput(message, fields={"member": message})
    if max(dataset.file_size, chosen.size or 0) <= _INLINE_BYTES[kind]:
        return take_out(dataset=dataset, member=member)
    if activities_running(dataset) is not None:
        raise Conflict("A table is being taken out of this file just now.", hint="Wait until that is over.")
    return activities.start(
        user_id=dataset.user_id, dataset_id=dataset.id, kind=ActivityKind.CONVERT, subject=member
    )


def activities_running(dataset: Dataset) -> Activity | None:
    """The conversion of this file that is not over."""
    latest = activities.latest(user_id=dataset.user_id, dataset_id=dataset.id, kind=ActivityKind.CONVERT)
    return None if latest is None or latest.status.is_over else latest


def take_out(*, dataset: Dataset, member: str, progress: activities.Progress | None = None) -> Dataset:
    """Scan and store one table of a packed file, and let the packed file go; on failure it stays as it was.

    :raises InvalidTable: what is inside is no table.
    :raises Conflict: another request is doing it, or the file was deleted.
    """
    repository.touch(dataset_id=dataset.id)
    with _opened(dataset) as (file, kind), _open_table(dataset) as writer:
        pieces = containers.open_member(file, kind, member, limits())
        dialect, pieces = _known_dialect(kind, pieces)
        scan = TableScan(user_id=dataset.user_id, dataset_id=dataset.id, dialect=dialect)
        stored: Stored | None = None
        try:
            _copy(pieces, scan, writer, _Reporter(dataset, file, progress))
            scan.finish(check=False)
            stored = writer.commit()
            facts = scan.store().facts(stored)
            staged = repository.mark_staged(dataset_id=dataset.id, user_id=dataset.user_id, facts=facts)
        except BaseException as error:
            # Once everything is stored, a silent MongoDB may have recorded it. If it has not, the next attempt
            # begins by removing the blob.
            if stored is None or not isinstance(error, ServiceUnavailable):
                scan.undo()
                _remove_table(dataset, writer, is_there=stored is not None or writer.may_appear)
            raise
    _remove_source(staged, kind)
    return staged


def _known_dialect(kind: ContainerKind, pieces: Iterator[bytes]) -> tuple[Dialect | None, Iterator[bytes]]:
    """How a table is written that was no text and was made one here; None for a text, which is still to be sniffed.

    Only whether a sheet begins with the names of its columns has to be found out. Also returns all the pieces.
    """
    if kind not in containers.CONVERTED:
        return None, pieces
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= SNIFF_BYTES:
            break
    dialect = _MADE_HERE
    with suppress(InvalidTable):  # what looks like prose in a text is a column of it in a sheet
        dialect = containers.converted_dialect(kind, sniff(head[:SNIFF_BYTES], complete=len(head) < SNIFF_BYTES))
    return dialect, chain([head], pieces)


def _copy(pieces: Iterator[bytes], scan: TableScan, writer: BlobWriter, reporter: "_Reporter") -> None:
    for piece in pieces:
        scan.feed(piece)
        writer.write(piece)
        reporter.report(writer.bytes_written)


def run_convert(activity: Activity, progress: activities.Progress) -> None:
    """The background work of :func:`unpack`."""
    dataset = repository.get(dataset_id=activity.dataset_id, user_id=activity.user_id)
    if dataset is not None and dataset.is_packed:
        take_out(dataset=dataset, member=activity.subject, progress=progress)


def undo_convert(activity: Activity) -> None:
    """Remove the table that an attempt has stored without getting as far as recording it."""
    dataset = repository.get(dataset_id=activity.dataset_id, user_id=activity.user_id)
    if dataset is not None and dataset.is_packed:
        get_blobs().delete_blobs(get_blobs().datasets_container, [_table_name(dataset)])


class _Reporter:
    """Says that the work is alive, and how far it has come in the packed file."""

    def __init__(self, dataset: Dataset, file: BinaryIO, progress: activities.Progress | None) -> None:
        self._size = max(dataset.file_size, 1)
        self._file = file
        self._progress = progress
        self._heartbeat = Heartbeat(dataset.id)
        self._share = 0.0

    def report(self, written: int) -> None:
        self._heartbeat.touch()
        if self._progress is not None:
            # Readers of workbooks go to and fro.
            self._share = max(self._share, self._file.tell() / self._size)
            self._progress.report(stage="Taking the table out", progress=self._share, done_bytes=written)


@contextmanager
def _opened(dataset: Dataset) -> Iterator[tuple[BinaryIO, ContainerKind]]:
    blobs = get_blobs()
    for kind in SOURCE_KINDS:
        name = blobs.derived_blob(dataset.user_id, dataset.id, source_name(kind))
        try:
            file = open_blob_file(blobs.datasets_container, name)
        except BlobMissing:
            continue
        with file:
            yield file, kind
        return
    raise BlobMissing("The uploaded file is no longer in blob storage.")


def _open_table(dataset: Dataset) -> BlobWriter:
    """A writer for the dataset's own blob, in the place of what a dead attempt may have left there."""
    blobs = get_blobs()
    name = _table_name(dataset)
    try:
        return blobs.open_writer(blobs.datasets_container, name)
    except Conflict:
        now = repository.get(dataset_id=dataset.id, user_id=dataset.user_id)
        if now is None or not now.is_packed or timezone.now() - dataset.touched_at < _ALIVE:
            raise Conflict(
                "A table is being taken out of this file just now, or was a moment ago.",
                hint="Reload the page in a minute.",
            ) from None
    blobs.delete_blobs(blobs.datasets_container, [name])
    return blobs.open_writer(blobs.datasets_container, name)


def _table_name(dataset: Dataset) -> str:
    return get_blobs().dataset_blob(dataset.user_id, dataset.id, dataset.file_name)


def _remove_table(dataset: Dataset, writer: BlobWriter, *, is_there: bool) -> None:
    """Take back what this attempt has stored, and only that."""
    writer.abort()
    if not is_there:
        return
    try:
        get_blobs().delete_blobs(get_blobs().datasets_container, [_table_name(dataset)])
    except SmartMLError as error:
        log.warning("The table of %s could not be removed; the next attempt will: %s", dataset.id, error.message)


def _remove_source(dataset: Dataset, kind: ContainerKind) -> None:
    try:
        get_blobs().delete_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=source_name(kind))
    except SmartMLError as error:
        log.warning("The packed file of %s stays until the import: %s", dataset.id, error.message)
