"""Files that a version of a model predicts: begun, watched, cancelled, downloaded, deleted.

The work itself is in ``batch_work``, the way in of an uploaded file in ``batch_intake``. Blobs of a batch lie
beside its version: ``batch-{id}-input``, ``-result`` and ``-summary``.
"""

import csv
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from datasets import activities
from datasets.activities import Activity, ActivityKind, ActivityStatus
from datasets.heartbeat import ABANDONED_AFTER
from datasets.records import Dataset
from ml.spreadsheet_safe import for_spreadsheets
from models_app import batches_repository, repository
from models_app.batch_records import Batch, BatchError, BatchStatus
from models_app.records import Model, ModelStatus
from smartml.errors import Conflict, NotFound, SmartMLError
from storage import sweeping
from storage.blobs import get_blobs

logger = logging.getLogger(__name__)

SHOWN_ROWS: Final = 20
_HEAD_BYTES: Final = 256 * 2**10
# Long enough for the request that stored it to begin its work too.
_UNSETTLED_AFTER: Final = timedelta(minutes=1)
_DELETING_AFTER: Final = timedelta(minutes=5)
_CRASHED: Final = BatchError(
    code="error",
    message="This stopped with an unexpected fault of the app.",
    hint="Try again; if it happens again, tell the operator.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """A batch, and its work as long as that is not over."""

    batch: Batch
    activity: Activity | None = None

    @property
    def is_running(self) -> bool:
        return not self.batch.status.is_over


def input_name(batch: Batch) -> str:
    return _name(batch, "input", "csv")


def result_name(batch: Batch) -> str:
    return _name(batch, "result", "csv")


def summary_name(batch: Batch) -> str:
    return _name(batch, "summary", "json")


def _name(batch: Batch, what: str, ext: str) -> str:
    return get_blobs().batch_file(batch.user_id, batch.model_id, batch.version, batch.id, what, ext)


def find(*, user_id: str, model_id: str, batch_id: str) -> Batch:
    """This person's batch of this model; NotFound when it is absent, being deleted, or somebody else's."""
    batch = batches_repository.get(batch_id=batch_id, user_id=user_id)
    if batch is None or batch.model_id != model_id or batch.status is BatchStatus.DELETING:
        raise NotFound("There is no such prediction of a file.")
    return batch


def of_version(*, model: Model, version: int) -> tuple[Batch, ...]:
    """The newest, without those that are on their way in or out."""
    found = batches_repository.of_version(user_id=model.user_id, model_id=model.id, version=version)
    return tuple(each for each in found if each.status not in (BatchStatus.UPLOADING, BatchStatus.DELETING))


def predict_dataset(
    *, model: Model, version: int, dataset: Dataset, batch_id: str, is_strict: bool = False
) -> Batch:
    """Have a dataset of the same person predicted: nothing is uploaded again."""
    now = timezone.now()
    batch = Batch(
        id=batch_id,
        user_id=model.user_id,
        model_id=model.id,
        version=version,
        file_name=f"{dataset.name}.csv",
        status=BatchStatus.WAITING,
        created_at=now,
        touched_at=now,
        dataset_id=dataset.id,
        is_strict=is_strict,
        rows=dataset.row_count,
        bad_rows=dataset.bad_row_count,
        columns=dataset.column_count,
        input_size=dataset.file_size,
        dialect=dataset.dialect,
    )
    batches_repository.insert(batch=batch)
    if not is_wanted(batch):
        remove_quietly(batch)
        raise NotFound("The model was deleted meanwhile.")
    start_work(batch)
    return batch


def is_wanted(batch: Batch) -> bool:
    """Whether its version is still there."""
    model = repository.get(model_id=batch.model_id, user_id=batch.user_id)
    return model is not None and model.status is ModelStatus.READY and model.get_version(batch.version) is not None


def start_work(batch: Batch) -> Activity:
    """Put it into the queue; again is harmless."""
    return activities.start(
        user_id=batch.user_id,
        model_id=batch.model_id,
        version=batch.version,
        kind=ActivityKind.BATCH,
        subject=batch.id,
        activity_id=batch.id,
    )


def state_of(batch: Batch) -> BatchState | None:
    """How far it is; None when it is gone, because it was cancelled."""
    if batch.status is not BatchStatus.WAITING:
        return BatchState(batch=batch)
    activity = _activity(batch)
    if activity is None or not activity.status.is_over:
        return BatchState(batch=batch, activity=activity)
    _settle(batch)
    now = batches_repository.get(batch_id=batch.id, user_id=batch.user_id)
    return None if now is None or now.status is BatchStatus.DELETING else BatchState(batch=now)


def _activity(batch: Batch) -> Activity | None:
    try:
        return activities.get(user_id=batch.user_id, activity_id=batch.id)
    except NotFound:
        return None


def cancel(batch: Batch) -> bool:
    """End the work and leave nothing of it; False when it is over already, and stays as it is."""
    if batch.status.is_over:
        return False
    try:
        activity = activities.request_cancel(user_id=batch.user_id, activity_id=batch.id)
    except NotFound:
        delete(batch)
        return True
    if activity.status is ActivityStatus.CANCELLED:
        delete(batch)
    return not activity.status.is_over or activity.status is ActivityStatus.CANCELLED


def delete(batch: Batch) -> int:
    """Remove its blobs, then what is known of it; again is fine. Work that is under way finds it gone.

    :returns: how many blobs there were.
    """
    going = batches_repository.mark_deleting(batch_id=batch.id, user_id=batch.user_id)
    if going is None:
        return 0
    activity = _activity(going)
    if activity is not None and not activity.status.is_over:
        activities.request_cancel(user_id=batch.user_id, activity_id=batch.id)
    removed = remove_blobs(going)
    batches_repository.remove(batch_id=batch.id, user_id=batch.user_id)
    return removed


def remove_quietly(batch: Batch) -> None:
    """The same for what came to nothing: a service that is away leaves it to the sweep."""
    try:
        delete(batch)
    except SmartMLError as error:
        logger.warning("Batch %s is left to the sweep: %s", batch.id, error.message)


def remove_blobs(batch: Batch) -> int:
    blobs = get_blobs()
    names = [input_name(batch), result_name(batch), summary_name(batch)]
    return len(blobs.delete_blobs(blobs.models_container, names))


def remove_result(batch: Batch) -> None:
    blobs = get_blobs()
    blobs.delete_blobs(blobs.models_container, [result_name(batch), summary_name(batch)])


def remove_input(batch: Batch) -> None:
    """Of a batch that is over."""
    if batch.has_input:
        blobs = get_blobs()
        blobs.delete_blobs(blobs.models_container, [input_name(batch)])
        batches_repository.forget_input(batch_id=batch.id, user_id=batch.user_id)


def fail(batch: Batch, error: BatchError) -> None:
    """It ended without a result: keep the reason, and no blob. One that is done stays so."""
    failed = batches_repository.mark_failed(batch_id=batch.id, user_id=batch.user_id, error=error)
    if failed is not None:
        _without_input(failed)


def summary_of(batch: Batch) -> dict[str, Any]:
    """What was found in a file that is done (``ml.batch``)."""
    _check_done(batch)
    blobs = get_blobs()
    document: dict[str, Any] = json.loads(b"".join(blobs.iter_chunks(blobs.models_container, summary_name(batch))))
    return document


def first_rows(batch: Batch) -> list[list[str]]:
    """The header and the first rows of the result."""
    _check_done(batch)
    blobs = get_blobs()
    head = blobs.read_range(blobs.models_container, result_name(batch), length=_HEAD_BYTES)
    is_cut = len(head) < batch.result_size
    rows = list(csv.reader(io.StringIO(head.decode("utf-8", "ignore"), newline="")))
    return (rows[:-1] if is_cut else rows)[: SHOWN_ROWS + 1]


def stream_result(batch: Batch, *, for_spreadsheet: bool) -> Iterator[bytes]:
    """The result in pieces, exactly or with what a spreadsheet would run made harmless."""
    _check_done(batch)
    blobs = get_blobs()
    chunks = blobs.iter_chunks(blobs.models_container, result_name(batch))
    return for_spreadsheets(chunks) if for_spreadsheet else chunks


def result_file_name(batch: Batch) -> str:
    """What a download is called."""
    return f"{batch.file_name.removesuffix('.csv')}-predicted.csv"


def _check_done(batch: Batch) -> None:
    if batch.status is not BatchStatus.DONE:
        raise Conflict("There is no result of this file.", hint="Wait until it is predicted, or send it again.")


def sweep() -> int:
    """Finish what dead processes have left."""
    now = timezone.now()
    found = [
        *_old(BatchStatus.UPLOADING, now - ABANDONED_AFTER),
        *_old(BatchStatus.DELETING, now - _DELETING_AFTER),
    ]
    done = sweeping.each(found, _finish_deletion, what="removing a predicted file")
    done += sweeping.each(
        _old(BatchStatus.WAITING, now - _UNSETTLED_AFTER), _settle, what="ending the prediction of a file"
    )
    return done + sweeping.each(batches_repository.with_input(), _without_input, what="removing a predicted file")


def _old(status: BatchStatus, since: datetime) -> tuple[Batch, ...]:
    return batches_repository.unfinished(status=status, untouched_since=since)


def _finish_deletion(batch: Batch) -> bool:
    delete(batch)
    return True


def _without_input(batch: Batch) -> bool:
    if batch.status is BatchStatus.FAILED:
        remove_result(batch)
    remove_input(batch)
    return True


def _settle(batch: Batch) -> bool:
    """Bring a batch to the end that its work has come to; whether there was something to do."""
    activity = _activity(batch)
    if activity is None:
        if is_wanted(batch):
            start_work(batch)
        else:
            delete(batch)
        return True
    if not activity.status.is_over:
        return False
    if activity.status is ActivityStatus.CANCELLED:
        delete(batch)
        return True
    error = activity.error
    fail(batch, _CRASHED if error is None else BatchError(code=error.code, message=error.message, hint=error.hint))
    return True
