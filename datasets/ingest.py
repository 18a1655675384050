"""The one way into storage: bytes are scanned and stored in a single pass, and all of it or nothing stays.

Order: a metadata row ``uploading``, then the blob (visible only on commit), then one transaction to ``ready``.
"""

import logging
import time
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Self

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from datasets import previews, repository
from datasets.file_names import clean_name, names_for
from datasets.records import Dataset, DatasetStatus, Source
from ml.tables import RecordScanner, ScanResult
from smartml.errors import (
    AccountClosing,
    Conflict,
    MetadataUnavailable,
    NotFound,
    ServiceUnavailable,
    SmartMLError,
    TooLarge,
)
from storage.blobs import AzureBlobStorage, BlobWriter, Stored, get_blobs
from storage.emptying import delete_all

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 20
# The sweep takes an upload for abandoned after many missed beats.
ABANDONED_AFTER = timedelta(minutes=15)
# How long `commit` asks for the outcome. A transaction whose connection broke keeps its documents locked until
# MongoDB gives it up, after a minute.
READY_SECONDS = 75.0
READY_PAUSE_SECONDS = 1.0


def begin_ingest(
    *, user_id: str, dataset_id: str, file_name: str, name: str | None = None, source: Source = Source.UPLOAD
) -> "Ingest":
    """Insert the metadata row and open the blob; nothing is left when either fails.

    The same ``dataset_id`` again is a :class:`Conflict`, somebody else's a :class:`NotFound`.
    """
    names = names_for(file_name)
    now = timezone.now()
    dataset = Dataset(
        id=dataset_id,
        user_id=user_id,
        name=clean_name(name or "") or names.shown,
        file_name=names.blob,
        status=DatasetStatus.UPLOADING,
        source=source,
        uploaded_at=now,
        touched_at=now,
    )
    blobs = get_blobs()
    try:
        repository.insert_uploading(dataset=dataset)
    except AccountClosing:
        raise
    except Conflict as error:
        raise _already_there(dataset_id=dataset_id, user_id=user_id) from error
    try:
        writer = blobs.upload_dataset(user_id=user_id, dataset_id=dataset_id, file_name=names.blob)
    except BaseException:
        _remove_row(dataset)
        raise
    return Ingest(dataset=dataset, blobs=blobs, writer=writer)


def refuse_size(size: int) -> TooLarge:
    """The error for a file of ``size`` bytes (or of at least so many)."""
    limit = filesizeformat(settings.MAX_UPLOAD_BYTES)
    message = f"This file is larger than the limit of {limit}."
    if size > settings.MAX_UPLOAD_BYTES * 1.05:
        message = f"This file is {filesizeformat(size)}; the limit is {limit}."
    return TooLarge(message, fields={"file": message})


class Ingest:
    """One table on its way in. Call ``write`` for every piece, then ``commit``; or ``abort``.

    As a context manager it aborts whatever has not been committed.
    """

    def __init__(self, *, dataset: Dataset, blobs: AzureBlobStorage, writer: BlobWriter) -> None:
        self.dataset = dataset
        self._blobs = blobs
        self._writer = writer
        self._scanner = RecordScanner(max_columns=settings.MAX_COLUMNS)
        self._beat = self._heard = time.monotonic()
        self._over = False

    def write(self, data: bytes) -> None:
        """Scan and store the next bytes; raises as soon as the file is known to be too large or no table."""
        if self._writer.bytes_written + len(data) > settings.MAX_UPLOAD_BYTES:
            raise refuse_size(self._writer.bytes_written + len(data))
        self._scanner.feed(data)
        self._writer.write(data)
        self.touch()

    def touch(self) -> None:
        """Say that the upload is alive, at most once in :data:`HEARTBEAT_SECONDS`.

        That nobody hears it does no harm until the sweep may take the upload for abandoned.
        """
        now = time.monotonic()
        if now - self._beat < HEARTBEAT_SECONDS:
            return
        self._beat = now
        try:
            alive = repository.touch(dataset_id=self.dataset.id)
        except ServiceUnavailable as error:
            if now - self._heard >= ABANDONED_AFTER.total_seconds():
                raise
            log.warning("Upload %s could not be marked as alive: %s", self.dataset.id, error.message)
            return
        if not alive:
            raise Conflict("This upload was deleted while it was running.", hint="Upload the file again.")
        self._heard = now

    def commit(self) -> Dataset:
        """Make blob and metadata visible together; on any failure neither is left.

        :raises MetadataUnavailable: also when MongoDB has been asked to store the facts and never answered. Then
            both are left as they are: the row is either ``ready``, or ``uploading`` and the sweep removes them.
        """
        try:
            scan = self._scanner.finish()
            dataset = self._make_ready(scan, self._writer.commit())
        except BaseException:
            self.abort()
            raise
        self._over = True
        previews.remember_bad_lines(dataset=dataset, lines=scan.first_bad_lines)
        return dataset

    def _make_ready(self, scan: ScanResult, stored: Stored) -> Dataset:
        """Ask until MongoDB answers: the outcome of a broken transaction is unknown, and once more is harmless."""
        give_up = time.monotonic() + READY_SECONDS
        while True:
            try:
                return repository.mark_ready(
                    dataset_id=self.dataset.id,
                    user_id=self.dataset.user_id,
                    azure_dataset_url=stored.url,
                    etag=stored.etag,
                    sha256=stored.sha256,
                    file_size=stored.size,
                    row_count=scan.row_count,
                    bad_row_count=scan.bad_row_count,
                    column_count=len(scan.columns),
                    dialect=scan.dialect.as_dict(),
                )
            except MetadataUnavailable as error:
                if time.monotonic() > give_up:
                    self._over = True
                    raise MetadataUnavailable(
                        "The file has arrived, but the metadata database does not answer.",
                        hint="Look at your datasets in a few minutes; if it is not there, upload it again.",
                    ) from error
                log.warning("Upload %s: whether it is ready is unknown: %s", self.dataset.id, error.message)
            time.sleep(READY_PAUSE_SECONDS)

    def abort(self) -> None:
        """Leave no blob and no metadata; harmless after ``commit`` and when called twice.

        What a service that is away just now does not let happen is left to the sweep, with a row that it finds. The
        row is marked first: one that is ``ready`` never loses its blob.
        """
        if self._over:
            return
        self._over = True
        self._writer.abort()
        try:
            repository.mark_deleting(dataset_id=self.dataset.id, user_id=self.dataset.user_id)
            if self._writer.may_be_visible:
                delete_all(
                    partial(self._blobs.delete_dataset, user_id=self.dataset.user_id, dataset_id=self.dataset.id)
                )
            if self._writer.may_appear:
                log.warning("Upload %s may still appear; the sweep will look again.", self.dataset.id)
                return
        except SmartMLError:
            log.exception("Upload %s could not be undone; the sweep will finish it.", self.dataset.id)
            return
        _remove_row(self.dataset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


def _remove_row(dataset: Dataset) -> None:
    try:
        repository.remove(dataset_id=dataset.id, user_id=dataset.user_id)
    except SmartMLError:
        log.exception("Row %s could not be removed; the sweep will finish it.", dataset.id)


def _already_there(*, dataset_id: str, user_id: str) -> SmartMLError:
    existing = repository.get(dataset_id=dataset_id, user_id=user_id)
    if existing is None:
        return NotFound("There is no such dataset.")
    return conflict_with(existing)


def conflict_with(existing: Dataset) -> Conflict:
    """The error for a second upload under the id of ``existing``."""
    if existing.status == DatasetStatus.UPLOADING:
        return Conflict(
            "This upload is already running.", hint="Wait until it has finished, or start a new upload."
        )
    if existing.status == DatasetStatus.DELETING:
        return Conflict("This dataset is being deleted.", hint="Start a new upload.")
    return Conflict(f"“{existing.name}” has already been uploaded.", hint="Open it from the list of datasets.")
