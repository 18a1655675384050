"""The work behind ``models_app.batches``, on the ``light`` queue: the file is normalised into a workspace, a child
process without secrets predicts it there, and what it writes is stored beside the version."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from datasets import previews
from datasets import services as datasets
from datasets.activities import Activity, ActivityKind
from ml.prediction import Mode
from ml.tables import Dialect, normalise
from models_app import batches, batches_repository, followups, services
from models_app.batch_records import Batch, BatchError, BatchFacts, BatchStatus
from models_app.followups import Followup, Place
from models_app.storing import insist
from models_app.training_limits import lacks_disk
from smartml.errors import BlobMissing, JobCancelled, NotFound, ServiceUnavailable, SmartMLError
from storage.blobs import Stored, get_blobs

MODULE: Final = "ml.batch"
REFERENCE: Final = "reference"
_PIECE_BYTES: Final = 4 * 2**20


def register() -> None:
    """Offer the work. Called once, when the app starts."""
    followups.register(ActivityKind.BATCH, predict, undo=undo)


def predict(work: Followup) -> None:
    """Predict the file of a batch; one that is done or gone already is left alone."""
    batch = _waiting(work.activity)
    if batch is None:
        return
    try:
        with work.opened() as place:
            summary, result = _predicted(work, batch, place)
            _keep(work, batch, summary, result)
    except JobCancelled:
        batches.remove_quietly(batch)
        raise
    except SmartMLError as error:
        batches.fail(batch, BatchError(code=error.code, message=error.message, hint=error.hint))
        raise


def undo(activity: Activity) -> None:
    """Remove what an attempt has stored; the file stays for the next one."""
    batch = batches_repository.get(batch_id=activity.subject, user_id=activity.user_id)
    if batch is not None and batch.status is not BatchStatus.DONE:
        batches.remove_result(batch)


def _waiting(activity: Activity) -> Batch | None:
    batch = batches_repository.get(batch_id=activity.subject, user_id=activity.user_id)
    return batch if batch is not None and batch.status is BatchStatus.WAITING else None


def _predicted(work: Followup, batch: Batch, place: Place) -> tuple[dict[str, Any], Path]:
    if lacks_disk(place.scratch, file_size=batch.input_size):
        raise ServiceUnavailable(
            "The server's disk has too little room to predict this file.",
            hint="Send it in parts, or tell the operator.",
        )
    dialect = Dialect.from_dict(batch.dialect or {})
    table, result = place.scratch / "table.csv", place.scratch / "result.csv"
    digest = hashlib.sha256()
    rows = normalise(_reading(work, batch, digest.update), dialect, table)
    # The model has seen most rows of its own dataset: a score on them would say nothing.
    is_seen = batch.dataset_id == work.version.dataset_id or digest.hexdigest() == work.version.dataset_sha256
    reach = services.model_reach(model=work.model, version=work.version.version)
    output = work.run_child(
        MODULE,
        {
            "table": str(table),
            "rows": rows,
            "result": str(result),
            "formats": asdict(dialect.formats),
            "reach": None if reach is None else reach.as_dict(),
            "target": work.version.target,
            "is_scored": not is_seen,
            "reference": _reference(work, place.scratch / "reference.json"),
            "mode": (Mode.STRICT if batch.is_strict else Mode.LENIENT).value,
        },
        place=place,
        what="predicted the file",
    )
    return {**json.loads(output.read_bytes()), "is_seen": is_seen}, result


def _reading(work: Followup, batch: Batch, also: Callable[[bytes], object]) -> Iterator[bytes]:
    """The file piece by piece, saying how far it is; ``also`` is given the pieces too."""
    total, read = max(batch.input_size, 1), 0
    for chunk in _chunks(batch):
        read += len(chunk)
        also(chunk)
        work.progress.report(
            stage="Reading the file", progress=0.02 + 0.03 * read / total, done_bytes=read, total_bytes=total
        )
        yield chunk


def _chunks(batch: Batch) -> Iterator[bytes]:
    if batch.dataset_id is None:
        blobs = get_blobs()
        return blobs.iter_chunks(blobs.models_container, batches.input_name(batch))
    try:
        dataset = datasets.get_dataset(user_id=batch.user_id, dataset_id=batch.dataset_id)
    except NotFound as error:
        raise NotFound("The dataset was deleted before it was predicted.", hint="Upload the file again.") from error
    return previews.read_chunks(dataset=dataset)


def _reference(work: Followup, path: Path) -> str | None:
    """The counts of the training rows; None for a version from before they were kept."""
    blobs = get_blobs()
    name = blobs.model_file(work.model.user_id, work.model.id, work.version.version, REFERENCE, "json")
    try:
        blobs.download_to(blobs.models_container, name, path)
    except BlobMissing:
        return None
    return str(path)


def _keep(work: Followup, batch: Batch, summary: dict[str, Any], result: Path) -> None:
    """Result and summary first, then the record that they are there; none of a batch that is going."""
    work.progress.report(stage="Storing the result", progress=0.97)
    batches.remove_result(batch)  # of an attempt whose end nobody saw
    stored = _upload(work, batches.result_name(batch), result)
    blobs = get_blobs()
    data = json.dumps(summary, ensure_ascii=False, allow_nan=False).encode()
    about = blobs.upload_bytes(blobs.models_container, batches.summary_name(batch), data)
    work.progress.check()
    score, drift = summary["score"], summary["drift"]
    facts = BatchFacts(
        rows=summary["rows"],
        odd_rows=summary["odd_rows"],
        result_size=stored.size,
        stored_size=stored.size + about.size,
        drift="" if drift is None else drift["level"],
        score=None if score is None else score["score"],
        metric=None if score is None else score["metric"],
    )
    done = insist(lambda: batches_repository.mark_done(batch_id=batch.id, user_id=batch.user_id, facts=facts))
    if done is None:
        batches.remove_blobs(batch)
        raise NotFound("The prediction of this file was deleted meanwhile.")
    batches.remove_input(done)


def _upload(work: Followup, name: str, path: Path) -> Stored:
    blobs = get_blobs()
    with path.open("rb") as source, blobs.open_writer(blobs.models_container, name) as writer:
        while piece := source.read(_PIECE_BYTES):
            work.progress.check()
            writer.write(piece)
        return writer.commit()
