"""Numbers and dates in a spelling that is not read as such: with a currency sign, a unit, a month's name."""

import re
from collections.abc import Iterable
from typing import Final

# In Python's ``re`` and DuckDB's RE2 alike. Every one of them begins below ":" or beyond ASCII.
_SIGNS: Final = "$€£¥₹₽₩"
_DIGITS: Final = r"[0-9][0-9.,'’]*"
# Without a blank, so that they could pass for codes, of which every row has another one. No plain number is one.
MEASURE: Final = (
    rf"[-+(]?[{_SIGNS}][-+]?{_DIGITS}\)?|[-+(]?{_DIGITS}[%{_SIGNS}]\)?|\({_DIGITS}\)|{_DIGITS}-|−{_DIGITS}"
    r"|[-+]?[0-9]{1,4}(?::[0-5][0-9]){1,2}(?:[.,][0-9]+)?"
)
_SIGNED: Final = re.compile(
    rf"[-+(]?[{_SIGNS}] ?[-+]?{_DIGITS}\)?|[-+(]?{_DIGITS}[ \u00a0]?[%{_SIGNS}]\)?|"
    rf"\({_DIGITS}\)|{_DIGITS}-|−{_DIGITS}"
)
_UNITS: Final = (
    "kg|g|mg|t|lbs?|oz|km|m|cm|mm|mi|ft|in|inch|inches|h|hrs?|hours?|min|mins|minutes?|s|sec|ms|days?|weeks?|months?|"
    "years?|yrs?|B|[kKMGT]B|Hz|[kMG]Hz|[kM]?W|kWh|MWh|V|mV|A|mAh|°C|°F|°|l|L|ml|mL|cc|CC|bhp|hp|PS|kmpl|km/h|mph|km/kg|"
    "kcal|kJ|USD|EUR|GBP|CHF|PLN|INR|k|K|M|mn|bn|Mio|x|pcs"
)
_UNIT: Final = re.compile(rf"[-+]?{_DIGITS}[ \u00a0]?(?:{_UNITS})\.?")
_TIME: Final = re.compile(r"[-+]?[0-9]{1,4}(?::[0-5][0-9]){1,2}(?:[.,][0-9]+)?")
_MONTH: Final = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_CLOCK: Final = "(?:[ T,].{0,30})?"
_MONTH_DATE: Final = re.compile(
    rf"(?i)(?:[a-z]{{3,9}},? )?(?:[0-9]{{1,2}}[-/. ]+{_MONTH}[-/., ]+(?:[0-9]{{4}}|[0-9]{{2}})|"
    rf"{_MONTH} [0-9]{{1,2}},? [0-9]{{4}}|{_MONTH}[-/ ]?[0-9]{{4}}){_CLOCK}"
)

_KINDS: Final = (
    (
        _MONTH_DATE,
        "dates with the name of a month",
        "Write them like 2024-01-31 and upload the file again: then they are read as dates.",
    ),
    (
        _SIGNED,
        "numbers with a sign",
        "Take the sign out of the values and upload the file again: then they are read as numbers.",
    ),
    (_TIME, "times or durations", "Write them as a number, such as minutes, if the model is to compare them."),
    (
        _UNIT,
        "numbers with a unit",
        "Put the unit into the column's name instead and upload the file again: then they are read as numbers.",
    ),
)


def written_otherwise(values: Iterable[str]) -> tuple[str, str] | None:
    """What all of these values are, and what a person can do about it; None when they are words or codes."""
    values = list(values)
    if not values:
        return None
    for pattern, what, action in _KINDS:
        if all(map(pattern.fullmatch, values)):
            return what, action
    return None


_MEASURE: Final = re.compile(MEASURE)


def is_measure(value: str) -> bool:
    return _MEASURE.fullmatch(value) is not None
