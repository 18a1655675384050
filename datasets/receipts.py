"""What became of every record of a file, kept beside it: the receipt, and the quarantine with the records left out.

Both are blobs in the dataset's folder, never fields in MongoDB. A receipt is stored under a name made from the
dialect that the file was read with, and the dataset's own dialect says which one is its own: two readings of one
staged file cannot mix up their receipts, whichever of them is imported.
"""

import csv
import hashlib
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from datasets.records import Dataset
from ml.tables import BadReason, BadRow, ScanResult
from smartml.errors import NotFound, SmartMLError
from storage.blobs import BlobWriter, get_blobs
from storage.ids import new_id

log = logging.getLogger(__name__)

FIRST_KEPT: Final = 20
_FLUSH_CHARACTERS: Final = 1 << 16
_HEADER: Final = ("line", "reason", "record")
# What a reading of a staged file leaves beside it, and nothing else does.
_OURS: Final = ("quarantine-", "receipt-", "source.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One record that was left out: the physical line it begins on, counted from 1, and why."""

    line: int
    reason: str
    expected: int
    found: int

    @property
    def sentence(self) -> str:
        """What is wrong with it, for people."""
        reason = BadReason(self.reason)
        return BadRow(line=self.line, reason=reason, expected=self.expected, found=self.found, text="").sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """``records`` = ``rows`` + ``quarantined``: every physical record but the header is one or the other.

    Blank lines, comments and what stands above the header are no records. ``reasons`` counts the quarantined ones;
    ``first`` are the first of them; ``quarantine`` is the name of the derived blob that holds them all.
    ``ambiguities`` are what the whole file leaves open: a field of the dialect, and the question.
    """

    dialect: dict[str, object]
    records: int
    rows: int
    quarantined: int
    blank_lines: int
    comment_lines: int
    reasons: dict[str, int]
    first: tuple[Rejected, ...]
    quarantine: str | None
    ambiguities: dict[str, str]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(**{**values, "first": tuple(Rejected(**each) for each in values["first"])})


class Quarantine:
    """Takes records that do not fit, one by one, and streams them into a blob; without one it stores nothing."""

    def __init__(self, *, user_id: str, dataset_id: str) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: list[Rejected] = []
        self._place = {"user_id": user_id, "dataset_id": dataset_id}
        # A name of its own: the dialect may still be settling when the first bad record comes.
        self._name = f"quarantine-{new_id()}.csv"
        self._writer: BlobWriter | None = None
        self._text = io.StringIO(newline="")
        # Everything but numbers in quotes, whatever signs the record holds.
        self._csv = csv.writer(self._text, quoting=csv.QUOTE_NONNUMERIC)

    @property
    def may_be_visible(self) -> bool:
        return self._writer is not None and self._writer.may_be_visible

    @property
    def may_appear(self) -> bool:
        return self._writer is not None and self._writer.may_appear

    def add(self, row: BadRow) -> None:
        if self._writer is None:
            self._writer = get_blobs().open_derived_writer(**self._place, name=self._name)
            self._csv.writerow(_HEADER)
        self.reasons[row.reason.value] += 1
        if len(self.first) < FIRST_KEPT:
            self.first.append(
                Rejected(line=row.line, reason=row.reason.value, expected=row.expected, found=row.found)
            )
        self._csv.writerow((row.line, row.sentence, row.text))
        if self._text.tell() >= _FLUSH_CHARACTERS:
            self._flush(self._writer)

    def commit(self) -> str | None:
        """The name of the blob; None when every record fits."""
        if self._writer is None:
            return None
        self._flush(self._writer)
        self._writer.commit()
        return self._name

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()

    def remove(self) -> None:
        """Delete the blob; harmless when there is none."""
        get_blobs().delete_derived(**self._place, name=self._name)

    def _flush(self, writer: BlobWriter) -> None:
        writer.write(self._text.getvalue().encode(errors="backslashreplace"))
        self._text.seek(0)
        self._text.truncate()


def receipt_for(scan: ScanResult, quarantine: Quarantine, name: str | None) -> Receipt:
    """The receipt of a finished scan whose bad records are in the blob ``name``."""
    return Receipt(
        dialect=scan.dialect.as_dict(),
        records=scan.records,
        rows=scan.row_count,
        quarantined=scan.bad_row_count,
        blank_lines=scan.blank_lines,
        comment_lines=scan.comment_lines,
        reasons=dict(quarantine.reasons.most_common()),
        first=tuple(quarantine.first),
        quarantine=name,
        ambiguities={each.field: each.sentence for each in scan.ambiguities},
    )


def store(*, user_id: str, dataset_id: str, receipt: Receipt) -> None:
    """Keep a receipt with the dataset, in the place of an equal one."""
    data = json.dumps(asdict(receipt)).encode()
    get_blobs().put_derived(user_id=user_id, dataset_id=dataset_id, name=_name(receipt.dialect), data=data)


def receipt_of(*, dataset: Dataset) -> Receipt | None:
    """The receipt of this very dataset; None for one that was stored before receipts were kept."""
    if dataset.dialect is None:
        return None
    name = _name(dataset.dialect)
    data = get_blobs().get_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=name)
    return None if data is None else Receipt.from_dict(json.loads(data))


def readdressed(receipt: Receipt, dialect: dict[str, object]) -> Receipt:
    """The same receipt for a dialect that cuts the same records and only reads their values differently."""
    return replace(receipt, dialect=dialect)


def open_quarantine(*, dataset: Dataset) -> Iterator[bytes]:
    """The records that were left out, as CSV; :class:`NotFound` when there are none."""
    receipt = receipt_of(dataset=dataset)
    if receipt is None or receipt.quarantine is None:
        raise NotFound("No rows of this dataset are in quarantine.")
    return get_blobs().iter_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=receipt.quarantine)


def tidy(*, dataset: Dataset) -> None:
    """Remove what other readings of an imported file have left beside it. What cannot be removed just now goes with
    the dataset."""
    blobs = get_blobs()
    try:
        receipt = receipt_of(dataset=dataset)
        kept = {_name(dataset.dialect or {}), receipt.quarantine if receipt else None}
        folder = blobs.dataset_prefix(dataset.user_id, dataset.id) + "derived/"
        for blob in blobs.list_prefix(blobs.datasets_container, folder):
            name = blob.name.removeprefix(folder)
            if name.startswith(_OURS) and name not in kept:
                blobs.delete_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=name)
    except SmartMLError as error:
        log.warning("Left-overs of dataset %s stay with it for now: %s", dataset.id, error.message)


def remove(*, user_id: str, dataset_id: str, receipt: Receipt) -> None:
    """Take back a receipt; harmless when it is not there."""
    get_blobs().delete_derived(user_id=user_id, dataset_id=dataset_id, name=_name(receipt.dialect))


def _name(dialect: Mapping[str, object]) -> str:
    spelled = json.dumps(dialect, sort_keys=True).encode()
    return f"receipt-{hashlib.sha256(spelled).hexdigest()[:16]}.json"
