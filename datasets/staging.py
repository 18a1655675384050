"""Between an upload and its import: a stored file whose owner still looks at it and may read it another way."""

import json
from dataclasses import dataclass
from typing import Final

from datasets import activities, previews, profiles, receipts, repository
from datasets.activity_records import Activity, ActivityKind
from datasets.heartbeat import Heartbeat
from datasets.receipts import Receipt
from datasets.records import Dataset, DatasetStatus, TableFacts
from datasets.scans import Scanned, TableScan
from ml.asking import ValuesFound
from ml.tables import Ambiguity, BadReason, Dialect, Preview, table_fault
from smartml.errors import BlobMissing, Conflict, InvalidTable, MetadataUnavailable, NotFound
from storage.blobs import get_blobs

MIB: Final = 2**20
# Reading this much again takes about as long as a page may; more is read in the background.
INLINE_BYTES: Final = 32 * MIB
# What these say changes how values are understood, not which records there are.
FORMATS: Final = ("decimal", "thousands", "date_order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is shown of a staged file as one dialect reads it.

    ``receipt`` is of the whole file, and there when this dialect cuts the records that were counted when it
    arrived; then ``fault`` says why they are no usable table. Of any other dialect only the beginning is known
    before the import.
    """

    dialect: Dialect
    preview: Preview
    receipt: Receipt | None
    fault: InvalidTable | None


def get_staged(*, user_id: str, dataset_id: str) -> Dataset:
    """A file of this person that waits for a choice, else :class:`NotFound`."""
    dataset = repository.get(dataset_id=dataset_id, user_id=user_id)
    if dataset is None or dataset.status is not DatasetStatus.STAGED:
        raise NotFound("There is no such upload.")
    return dataset


def staged_of(*, user_id: str) -> tuple[Dataset, ...]:
    """What is waiting for this person's choice, the newest first."""
    return repository.staged_of_user(user_id=user_id)


def same_content(*, dataset: Dataset) -> Dataset | None:
    """The first thing of the same person with exactly these bytes."""
    if dataset.sha256 is None:
        return None
    return repository.first_with_content(
        user_id=dataset.user_id, sha256=dataset.sha256, before=dataset.uploaded_at, other_than=dataset.id
    )


def detected_dialect(dataset: Dataset) -> Dialect:
    """How the file was read when it arrived."""
    if dataset.dialect is None:
        raise Conflict("No table has been taken out of this file yet.", hint="Choose the table first.")
    return Dialect.from_dict(dataset.dialect)


def look(*, dataset: Dataset, dialect: Dialect | None = None) -> Look:
    """The first rows of a staged file as ``dialect``, or the detected one, reads them.

    :raises InvalidTable: nothing at all can be read this way.
    """
    detected = detected_dialect(dataset)
    chosen = dialect or detected
    shown = previews.read_first_rows(dataset=dataset, dialect=chosen)
    if not has_same_records(chosen, detected):
        return Look(dialect=chosen, preview=shown, receipt=None, fault=None)
    receipt = _receipt_of(dataset)
    return Look(dialect=chosen, preview=shown, receipt=receipt, fault=known_fault(dataset, receipt))


def values_found(*, dataset: Dataset, dialect: Dialect) -> ValuesFound:
    """How numbers and dates are written in the records that ``dialect`` makes, and what that leaves open.

    Known of the whole file when these are the records that were detected, else of its beginning.

    :raises InvalidTable: nothing at all can be read this way.
    """
    detected = detected_dialect(dataset)
    if not has_same_records(dialect, detected):
        return previews.values_in(dataset=dataset, dialect=dialect)
    asked = _receipt_of(dataset).ambiguities.items()
    return ValuesFound(
        formats=detected.formats,
        ambiguities=tuple(Ambiguity(field=field, sentence=sentence) for field, sentence in asked),
    )


def _receipt_of(dataset: Dataset) -> Receipt:
    receipt = receipts.receipt_of(dataset=dataset)
    if receipt is None:
        raise BlobMissing("What was found out about this file is no longer in blob storage.")
    return receipt


def known_fault(dataset: Dataset, receipt: Receipt) -> InvalidTable | None:
    """Why the file cannot be imported as it was detected."""
    return table_fault(
        columns=dataset.column_count,
        rows=dataset.row_count,
        reasons={BadReason(reason): count for reason, count in receipt.reasons.items()},
        lines=tuple(row.line for row in receipt.first),
        encoding=str(receipt.dialect["encoding"]),
    )


def has_same_records(one: Dialect, other: Dialect) -> bool:
    """Whether both cut a file into the same records, whatever they make of the values."""
    values, others = one.as_dict(), other.as_dict()
    return all(values[field] == others[field] for field in values if field not in FORMATS)


# --- Import --------------------------------------------------------------------------------------------------
def running(*, dataset: Dataset) -> Activity | None:
    """What is being done with a staged file in the background just now."""
    latest = latest_work(dataset=dataset)
    return None if latest is None or latest.status.is_over else latest


def latest_work(*, dataset: Dataset) -> Activity | None:
    """The newest attempt to take a table out of a staged file, or to read it another way."""
    kind = ActivityKind.CONVERT if dataset.is_packed else ActivityKind.READ
    return activities.latest(user_id=dataset.user_id, dataset_id=dataset.id, kind=kind)


def import_detected(*, dataset: Dataset) -> Dataset:
    """Make a staged file a dataset as it was detected."""
    return _adopt(dataset, detected_dialect(dataset))


def import_staged(*, dataset: Dataset, dialect: Dialect) -> Dataset | Activity:
    """Make a staged file a dataset as ``dialect`` reads it.

    The scan made while it arrived is used when the records are the same; else the file is read again, a large one
    in the background: then that activity is returned.

    :raises InvalidTable: this dialect gives no usable table; the file stays staged.
    :raises Conflict: it is being read already, or was deleted.
    """
    if running(dataset=dataset) is not None:
        raise Conflict("This file is being read just now.", hint="Wait until that is over, or cancel it.")
    if has_same_records(dialect, detected_dialect(dataset)):
        return _adopt(dataset, dialect)
    if dataset.file_size <= INLINE_BYTES:
        return read_again(dataset=dataset, dialect=dialect)
    subject = json.dumps(dialect.as_dict())
    return activities.start(user_id=dataset.user_id, dataset_id=dataset.id, kind=ActivityKind.READ, subject=subject)


def dialect_in(activity: Activity) -> Dialect:
    """How a file is read by a background reading."""
    return Dialect.from_dict(json.loads(activity.subject))


def run_read(activity: Activity, progress: activities.Progress) -> None:
    """The background work of :func:`import_staged`."""
    dataset = repository.get(dataset_id=activity.dataset_id, user_id=activity.user_id)
    if dataset is not None and dataset.status is DatasetStatus.STAGED:
        read_again(dataset=dataset, dialect=dialect_in(activity), progress=progress)


def _adopt(dataset: Dataset, dialect: Dialect) -> Dataset:
    """Import with the scan made when the file arrived."""
    receipt = _receipt_of(dataset)
    fault = known_fault(dataset, receipt)
    if fault is not None:
        raise fault
    facts = TableFacts(
        etag=dataset.etag or "",
        sha256=dataset.sha256 or "",
        file_size=dataset.file_size,
        row_count=dataset.row_count,
        bad_row_count=dataset.bad_row_count,
        column_count=dataset.column_count,
        dialect=dialect.as_dict(),
    )
    if facts.dialect != dataset.dialect:
        again = receipts.readdressed(receipt, facts.dialect)
        receipts.store(user_id=dataset.user_id, dataset_id=dataset.id, receipt=again)
    return _make_ready(dataset, facts)


def read_again(*, dataset: Dataset, dialect: Dialect, progress: activities.Progress | None = None) -> Dataset:
    """Read the whole staged file as ``dialect`` has it, and import it."""
    repository.touch(dataset_id=dataset.id)
    with TableScan(user_id=dataset.user_id, dataset_id=dataset.id, dialect=dialect) as scan:
        try:
            _feed(scan, dataset, progress)
            scan.finish(check=True)
            facts = _facts_again(dataset, scan.store())
            imported = _make_ready(dataset, facts)
        except MetadataUnavailable:
            raise  # perhaps it is imported; if not, the next import tidies up
        except BaseException:
            scan.undo()
            raise
        if imported.dialect != facts.dialect:
            scan.undo()  # somebody has imported it another way meanwhile
    return imported


def _feed(scan: TableScan, dataset: Dataset, progress: activities.Progress | None) -> None:
    heartbeat = Heartbeat(dataset.id)
    done = 0
    for chunk in previews.read_chunks(dataset=dataset):
        scan.feed(chunk)
        heartbeat.touch()
        done += len(chunk)
        if progress is not None:
            progress.report(
                stage="Reading the file",
                progress=done / max(dataset.file_size, 1),
                done_bytes=done,
                total_bytes=dataset.file_size,
            )


def _facts_again(dataset: Dataset, scanned: Scanned) -> TableFacts:
    result = scanned.result
    return TableFacts(
        etag=dataset.etag or "",
        sha256=dataset.sha256 or "",
        file_size=dataset.file_size,
        row_count=result.row_count,
        bad_row_count=result.bad_row_count,
        column_count=len(result.columns),
        dialect=result.dialect.as_dict(),
    )


def _make_ready(dataset: Dataset, facts: TableFacts) -> Dataset:
    blobs = get_blobs()
    blob = blobs.info(blobs.datasets_container, blobs.dataset_blob(dataset.user_id, dataset.id, dataset.file_name))
    if blob is None or blob.etag != facts.etag:
        raise BlobMissing("The uploaded file is no longer in blob storage.")
    imported = repository.mark_ready(
        dataset_id=dataset.id, user_id=dataset.user_id, azure_dataset_url=blob.url, facts=facts
    )
    receipts.tidy(dataset=imported)
    profiles.start_quietly(dataset=imported)
    return imported
