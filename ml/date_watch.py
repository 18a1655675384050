"""Looking through a whole file for what its first rows left open: do dates begin with the day or the month?"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ml.column_types import BLANKS, ValueFormat
from ml.dialects import Dialect, parse_records
from ml.reading import Rows
from ml.sniffing_values import Ambiguity
from ml.value_formats import is_date

# Two numbers up to 31 of which one is beyond 12, as they stand at the beginning of a date.
_TELLING = re.compile(
    rb"(?<![0-9])(?:(?:1[3-9]|2[0-9]|3[01])[-/.](?:0?[1-9]|1[0-2])|(?:0?[1-9]|1[0-2])[-/.](?:1[3-9]|2[0-9]|3[01]))[-/.]"
)
# Places of a batch that are looked at; there may be dates in other columns.
_MOST_PLACES = 50
_FIELD = "date_order"


class DateWatch:
    """Told of every batch, it ends as soon as both orders were seen, or one."""

    def __init__(self, columns: Sequence[int]) -> None:
        self._columns = columns
        self._seen: set[str] = set()

    @property
    def is_over(self) -> bool:
        return bool(self._seen)

    def look(self, rows: Rows) -> None:
        split, buffer = rows.batch.split, rows.batch.buffer
        for count, match in enumerate(_TELLING.finditer(buffer)):
            if count == _MOST_PLACES or self._seen:
                return
            index = int(np.searchsorted(split.starts, match.start(), side="right")) - 1
            if index < rows.first or match.start() >= int(split.ends[index]) or not rows.fits[index - rows.first]:
                continue
            [record] = parse_records(buffer, split, [index], rows.layout)
            self._seen |= {order for column in self._columns for order in _orders(record[column])}

    def settled(self, dialect: Dialect) -> Dialect:
        """The dialect, with the order that the file has shown."""
        if len(self._seen) != 1:
            return dialect
        [order] = self._seen
        return replace(dialect, date_order=order)

    def remaining(self, ambiguities: Sequence[Ambiguity]) -> tuple[Ambiguity, ...]:
        """What is still open."""
        return tuple(one for one in ambiguities if one.field != _FIELD or not self._seen)


def _orders(value: str) -> set[str]:
    """The one order in which a value is a date; nothing when it is one in both or in neither."""
    value = value.strip(BLANKS)
    orders = {order for order in ("dmy", "mdy") if is_date(value, ValueFormat(date_order=order))}
    return orders if len(orders) == 1 else set()
