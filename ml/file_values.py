"""Numbers and dates as a file writes them, in the form that the contract of ``ml.prediction`` reads."""

import re
from datetime import datetime
from typing import Final

from ml.column_types import BLANKS
from ml.features import Feature
from ml.value_formats import PLAIN, ValueFormat, day_of, is_date, is_numeric, plain_number

_DAY: Final = re.compile(r"[0-9]+[-/.][0-9]+[-/.][0-9]+")
_CLOCKS: Final = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M:%S.%f %p")


def plain_value(text: str, feature: Feature, formats: ValueFormat) -> str:
    """``text`` itself, unless the file has decimal or thousands signs, or an order of dates, of its own."""
    if formats == PLAIN:
        return text
    value = text.strip(BLANKS)
    if feature.kind == "number" and is_numeric(value, formats):
        return plain_number(value, formats)
    if feature.kind == "date" and formats.date_order and is_date(value, formats):
        return _plain_date(value, formats)
    return text


def _plain_date(value: str, formats: ValueFormat) -> str:
    if value[:5].endswith("-") and value[:4].isdecimal() and len(value) >= 10 and value[7:8] == "-":
        return value  # ISO 8601
    year, month, day = day_of(value, formats.date_order)
    found = _DAY.match(value)
    assert found is not None  # is_date has said so
    rest = value[found.end() :].strip(" ,T").upper().replace(".M", "M")
    rest = re.sub(r" ?([AP])\.?M\.?$", r" \1M", rest)
    date = f"{year:04}-{month:02}-{day:02}"
    for clock in _CLOCKS if rest else ():
        try:
            return f"{date}T{datetime.strptime(rest, clock).time().isoformat()}"
        except ValueError:
            continue
    return date
