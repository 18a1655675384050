"""The one way into storage: bytes are scanned and stored in a single pass, and all of it or nothing stays.

Order: a metadata row ``uploading``, then the blobs (visible only on commit), then one transaction to ``staged`` or
``ready``.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from datasets import packed, repository, staging
from datasets.file_names import clean_name, names_for
from datasets.heartbeat import Heartbeat
from datasets.intake import Intake
from datasets.records import Dataset, DatasetStatus, Source
from datasets.scans import TableScan
from smartml.errors import (
    AccountClosing,
    Conflict,
    InvalidInput,
    MetadataUnavailable,
    NotFound,
    SmartMLError,
    TooLarge,
)
from storage.blobs import AzureBlobStorage, BlobWriter, get_blobs
from storage.emptying import delete_all

log = logging.getLogger(__name__)

# How long the last step asks for the outcome. A transaction whose connection broke keeps its documents locked until
# MongoDB gives it up, after a minute.
READY_SECONDS = 75.0
READY_PAUSE_SECONDS = 1.0
_TABLES_NAMED = 20


class SeveralTables(InvalidInput):
    """A packed file holds more than one table, and none was chosen. ``names``: what they are called in it."""

    def __init__(self, names: Sequence[str]) -> None:
        message = f"This file holds {len(names):,} tables; take the one you mean out of it first."
        super().__init__(message, fields={"file": message})
        self.names = tuple(names)


def begin_ingest(
    *,
    user_id: str,
    dataset_id: str,
    file_name: str,
    name: str | None = None,
    source: Source = Source.UPLOAD,
    source_ref: str | None = None,
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
        source_ref=source_ref,
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
    return Ingest(dataset=dataset, blobs=blobs, writer=writer, arrived_as=file_name)


def refuse_size(size: int) -> TooLarge:
    """The error for a file of ``size`` bytes (or of at least so many)."""
    limit = filesizeformat(settings.MAX_UPLOAD_BYTES)
    message = f"This file is larger than the limit of {limit}."
    if size > settings.MAX_UPLOAD_BYTES * 1.05:
        message = f"This file is {filesizeformat(size)}; the limit is {limit}."
    return TooLarge(message, fields={"file": message})


class Ingest:
    """One table on its way in. Call ``write`` for every piece, then ``commit`` or ``stage``; or ``abort``.

    As a context manager it aborts whatever has not been committed or staged.
    """

    def __init__(self, *, dataset: Dataset, blobs: AzureBlobStorage, writer: BlobWriter, arrived_as: str) -> None:
        self.dataset = dataset
        self._blobs = blobs
        self._scan = TableScan(user_id=dataset.user_id, dataset_id=dataset.id)
        self._intake = Intake(dataset=dataset, writer=writer, scan=self._scan, arrived_as=arrived_as)
        self._heartbeat = Heartbeat(dataset.id)
        self._received = 0
        self._over = False

    def write(self, data: bytes) -> None:
        """Scan and store the next bytes; raises as soon as the file is known to be too large or no table."""
        self._received += len(data)
        if self._received > settings.MAX_UPLOAD_BYTES:
            raise refuse_size(self._received)
        self._intake.write(data)
        self.touch()

    def touch(self) -> None:
        """Say that the upload is alive; see :class:`datasets.heartbeat.Heartbeat`."""
        self._heartbeat.touch()

    def commit(self, *, member: str | None = None) -> Dataset:
        """Make blob and metadata visible together, read as it was detected; on any failure neither is left.

        The table in a packed file is taken out of it, of several the one called ``member``.

        :raises SeveralTables: and none was chosen.
        :raises InvalidInput: there is no table called ``member``.
        :raises MetadataUnavailable: also when MongoDB has been asked to store the facts and never answered. Then
            both are left as they are: the row is either ``ready``, or ``uploading`` and the sweep removes them.
        """
        return self._end(check=True, member=member)

    def stage(self) -> Dataset:
        """Store the file for its owner to look at (see :mod:`datasets.staging`); on any failure nothing is left.

        What is surely no table is refused. A table of which most rows do not fit is not: another dialect may help.
        A packed file stays packed when it holds several tables, or one that is taken out in the background. Raises
        as :meth:`commit` does.
        """
        return self._end(check=False)

    def _end(self, *, check: bool, member: str | None = None) -> Dataset:
        try:
            self._intake.finish()
            if self._intake.is_packed:
                dataset = self._end_packed(check, member)
            elif member is not None:
                message = "This file is one table, without a name: there is none to choose."
                raise InvalidInput(message, fields={"table": message})
            else:
                dataset = self._end_plain(check)
        except BaseException:
            self.abort()
            raise
        self._over = True
        return dataset

    def _end_plain(self, check: bool) -> Dataset:
        self._scan.finish(check=check)
        stored = self._intake.commit()
        facts = self._scan.store().facts(stored)
        place = {"dataset_id": self.dataset.id, "user_id": self.dataset.user_id}
        if not check:
            return self._until_answered(partial(repository.mark_staged, **place, facts=facts))
        return self._until_answered(
            partial(repository.mark_ready, **place, azure_dataset_url=stored.url, facts=facts)
        )

    def _end_packed(self, is_ready: bool, member: str | None) -> Dataset:
        stored = self._intake.commit()
        place = {"dataset_id": self.dataset.id, "user_id": self.dataset.user_id}
        arrived = self._until_answered(partial(repository.mark_packed, **place, file_size=stored.size))
        tables = packed.members_of(dataset=arrived)
        if is_ready:
            chosen = _chosen([table.name for table in tables], member)
            staged = packed.take_out(dataset=arrived, member=chosen)
            return self._until_answered(partial(staging.import_detected, dataset=staged))
        if len(tables) > 1:
            return arrived
        begun = packed.unpack(dataset=arrived, member=tables[0].name)
        return begun if isinstance(begun, Dataset) else arrived

    def _until_answered(self, call: Callable[[], Dataset]) -> Dataset:
        """Ask until MongoDB answers: the outcome of a broken transaction is unknown, and once more is harmless."""
        give_up = time.monotonic() + READY_SECONDS
        while True:
            try:
                return call()
            except MetadataUnavailable as error:
                if time.monotonic() > give_up:
                    self._over = True
                    raise MetadataUnavailable(
                        "The file has arrived, but the metadata database does not answer.",
                        hint="Look at your datasets in a few minutes; if it is not there, upload it again.",
                    ) from error
                log.warning("Upload %s: whether it is stored is unknown: %s", self.dataset.id, error.message)
            time.sleep(READY_PAUSE_SECONDS)

    def abort(self) -> None:
        """Leave no blob and no metadata; harmless after ``commit`` or ``stage`` and when called twice.

        What a service that is away just now does not let happen is left to the sweep, with a row that it finds. The
        row is marked first: one that is ``ready`` never loses its blob.
        """
        if self._over:
            return
        self._over = True
        self._intake.abort()
        self._scan.close()
        parts = (self._intake, self._scan)
        try:
            repository.mark_deleting(dataset_id=self.dataset.id, user_id=self.dataset.user_id)
            if any(part.may_be_visible for part in parts):
                delete_all(
                    partial(self._blobs.delete_dataset, user_id=self.dataset.user_id, dataset_id=self.dataset.id)
                )
            if any(part.may_appear for part in parts):
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


def _chosen(names: Sequence[str], member: str | None) -> str:
    if member is None:
        if len(names) > 1:
            raise SeveralTables(names)
        return names[0]
    if member not in names:
        message = f"There is no table of this name in the file. It holds {named_tables(names)}."
        raise InvalidInput(message, fields={"table": message})
    return member


def named_tables(names: Sequence[str]) -> str:
    """Tables by their names in a packed file, the first of them where there are many."""
    shown = ", ".join(f"“{name if len(name) <= 80 else name[:79] + '…'}”" for name in names[:_TABLES_NAMED])
    return shown if len(names) <= _TABLES_NAMED else f"{shown} and {len(names) - _TABLES_NAMED:,} more"


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
    if existing.status == DatasetStatus.STAGED:
        return Conflict(
            f"“{existing.name}” has already been uploaded and waits for you to import or abandon it.",
            hint="Open it from the list of datasets.",
        )
    if existing.status == DatasetStatus.DELETING:
        return Conflict("This dataset is being deleted.", hint="Start a new upload.")
    return Conflict(f"“{existing.name}” has already been uploaded.", hint="Open it from the list of datasets.")
