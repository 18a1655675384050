"""One pass over a table's bytes, wherever they come from: counted, and what does not fit goes into quarantine."""

import logging
from dataclasses import dataclass
from typing import Self

from django.conf import settings

from datasets import receipts
from datasets.receipts import Quarantine, Receipt
from datasets.records import TableFacts
from ml.dialects import Dialect
from ml.tables import RecordScanner, ScanResult
from smartml.errors import SmartMLError
from storage.blobs import Stored

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a finished pass has found. Its receipt and quarantine are stored."""

    result: ScanResult
    receipt: Receipt

    def facts(self, stored: Stored) -> TableFacts:
        """What is recorded of the table in the blob ``stored``."""
        return TableFacts(
            etag=stored.etag,
            sha256=stored.sha256,
            file_size=stored.size,
            row_count=self.result.row_count,
            bad_row_count=self.result.bad_row_count,
            column_count=len(self.result.columns),
            dialect=self.result.dialect.as_dict(),
        )


class TableScan:
    """Call ``feed`` for every piece, then ``finish`` and, once the table itself is stored, ``store``; memory stays
    flat. ``undo`` takes back what it has stored.

    :param dialect: how to read the file; None finds out.
    """

    def __init__(self, *, user_id: str, dataset_id: str, dialect: Dialect | None = None) -> None:
        self._place = {"user_id": user_id, "dataset_id": dataset_id}
        self._quarantine = Quarantine(user_id=user_id, dataset_id=dataset_id)
        self._scanner = RecordScanner(
            max_columns=settings.MAX_COLUMNS, dialect=dialect, on_bad=self._quarantine.add
        )
        self._result: ScanResult | None = None
        self._receipt: Receipt | None = None

    def feed(self, data: bytes) -> None:
        """Raises InvalidTable as soon as the bytes are known to be no table."""
        self._scanner.feed(data)

    def finish(self, *, check: bool) -> None:
        """The last byte has come. ``check``: raise InvalidTable when most records do not fit."""
        self._result = self._scanner.finish(check=check)

    def store(self) -> Scanned:
        """Store quarantine and receipt of a finished pass."""
        result = self._result
        assert result is not None
        name = self._quarantine.commit()
        self._receipt = receipt = receipts.receipt_for(result, self._quarantine, name)
        receipts.store(**self._place, receipt=receipt)
        return Scanned(result=result, receipt=receipt)

    @property
    def may_be_visible(self) -> bool:
        """Whether anything may have been stored."""
        return self._receipt is not None or self._quarantine.may_be_visible

    @property
    def may_appear(self) -> bool:
        """Whether something may still be stored by a request that was never answered."""
        return self._quarantine.may_appear

    def close(self) -> None:
        """Stop; what was stored stays. Harmless after ``finish``."""
        self._quarantine.abort()

    def undo(self) -> None:
        """Remove receipt and quarantine of a reading that came to nothing.

        What storage does not let happen just now stays beside the file until that is imported or deleted.
        """
        self.close()
        if self._receipt is None and not self._quarantine.may_be_visible:
            return
        try:
            self._quarantine.remove()
            if self._receipt is not None:
                receipts.remove(**self._place, receipt=self._receipt)
        except SmartMLError as error:
            log.warning("A reading of %s left something behind: %s", self._place["dataset_id"], error.message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
