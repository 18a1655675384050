"""A file that is to be predicted, on its way in: scanned and stored in one pass, as a dataset is; all of it or
nothing stays.

Order: a row ``uploading``, then the blob (visible only on commit), then ``waiting`` and the activity.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.conf import settings
from django.utils import timezone

from datasets import packed
from datasets.file_names import names_for
from datasets.heartbeat import HEARTBEAT_SECONDS
from datasets.ingest import refuse_size
from ml.containers import ContainerKind, GzipReader, kind_of
from ml.tables import RecordScanner
from models_app import batches, batches_repository
from models_app.batch_records import Batch, BatchStatus
from models_app.records import Model
from smartml.errors import Conflict, InvalidInput, InvalidTable, NotFound, SmartMLError
from storage.blobs import BlobWriter, get_blobs

logger = logging.getLogger(__name__)

# Enough to tell an archive from a workbook.
_HEAD_BYTES: Final = 16 * 2**10


def begin(*, model: Model, version: int, batch_id: str, file_name: str) -> "BatchIntake":
    """Insert the row and open the blob; nothing is left when either fails.

    :raises InvalidInput: the file is of a kind that is not read.
    """
    names = names_for(file_name)
    now = timezone.now()
    batch = Batch(
        id=batch_id,
        user_id=model.user_id,
        model_id=model.id,
        version=version,
        file_name=f"{names.shown}.csv",
        status=BatchStatus.UPLOADING,
        created_at=now,
        touched_at=now,
        has_input=True,
    )
    batches_repository.insert(batch=batch)
    try:
        blobs = get_blobs()
        writer = blobs.open_writer(blobs.models_container, batches.input_name(batch))
    except BaseException:
        batches.remove_quietly(batch)
        raise
    return BatchIntake(batch, writer, file_name)


@contextmanager
def _at_the_file() -> Iterator[None]:
    """What is no table is said at the field of the file."""
    try:
        yield
    except InvalidTable as error:
        raise InvalidInput(error.message, fields={"file": f"{error.message} {error.hint}".strip()}) from error


class BatchIntake:
    """Call ``write`` for every piece, then ``finish``; or ``abort``, which is harmless afterwards."""

    def __init__(self, batch: Batch, writer: BlobWriter, arrived_as: str) -> None:
        self.batch = batch
        self._writer = writer
        self._arrived_as = arrived_as
        self._scanner = RecordScanner(max_columns=settings.MAX_COLUMNS)
        self._head = b""
        self._gzip: GzipReader | None = None
        self._begun = False
        self._received = 0
        self._beat = time.monotonic()
        self._over = False

    def write(self, data: bytes) -> None:
        """Scan and store the next bytes; raises as soon as the file is known to be too large or no table."""
        self._received += len(data)
        if self._received > settings.MAX_UPLOAD_BYTES:
            raise refuse_size(self._received)
        with _at_the_file():
            if not self._begun:
                self._head += data
                if len(self._head) < _HEAD_BYTES:
                    return
                data = self._begin()
            self._take(data)
        self._touch()

    def finish(self, *, is_strict: bool = False) -> Batch:
        """Store what has come and have it predicted; on any failure nothing is left."""
        try:
            with _at_the_file():
                if not self._begun:
                    self._take(self._begin())
                if self._gzip is not None:
                    self._gzip.finish()
                found = self._scanner.finish()
            stored = self._writer.commit()
            waiting = batches_repository.mark_waiting(
                batch_id=self.batch.id,
                user_id=self.batch.user_id,
                rows=found.row_count,
                bad_rows=found.bad_row_count,
                first_bad_lines=found.first_bad_lines,
                columns=len(found.columns),
                input_size=stored.size,
                dialect=found.dialect.as_dict(),
                is_strict=is_strict,
            )
            if waiting is None or not batches.is_wanted(self.batch):
                raise NotFound("The model was deleted meanwhile.")
            batches.start_work(waiting)
        except BaseException:
            self.abort()
            raise
        self._over = True
        return waiting

    def abort(self) -> None:
        """Leave no blob and no row; what a service that is away does not let happen is left to the sweep."""
        if self._over:
            return
        self._over = True
        self._writer.abort()
        batches.remove_quietly(self.batch)

    def _begin(self) -> bytes:
        data, self._head, self._begun = self._head, b"", True
        kind = kind_of(data, self._arrived_as)
        if kind is ContainerKind.GZIP:
            self._gzip = GzipReader(packed.limits())
        elif kind in packed.SOURCE_KINDS:
            raise InvalidTable(
                "A packed file or a workbook may hold several tables, so it is not predicted directly.",
                hint="Upload it as a dataset, choose the table there, and predict the dataset.",
            )
        return data

    def _take(self, data: bytes) -> None:
        for piece in [data] if self._gzip is None else self._gzip.pieces(data):
            self._scanner.feed(piece)
            self._writer.write(piece)

    def _touch(self) -> None:
        if time.monotonic() - self._beat < HEARTBEAT_SECONDS:
            return
        self._beat = time.monotonic()
        try:
            alive = batches_repository.touch(batch_id=self.batch.id, user_id=self.batch.user_id)
        except SmartMLError as error:
            logger.warning("Batch %s could not be marked as alive: %s", self.batch.id, error.message)
            return
        if not alive:
            raise Conflict("The model was deleted while the file was on its way.", hint="")
