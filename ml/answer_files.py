"""Answers as cells of a CSV file, behind the columns that were asked about: those of ``ml.batch_lines``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ml.answering import Answer
from ml.batch_lines import SEPARATOR
from ml.conformal import Reach, interval_of, set_of
from ml.prediction import Finding

# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV Injection).
_BEGINS_FORMULA: Final = re.compile(r"[=+\-@\t\r\n|%]|\s+[=+\-@|%]")
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def answer_cells(
    answer: Answer, findings: Iterable[Finding], *, classes: Sequence[str], reach: Reach | None
) -> list[str]:
    """The cells of one row; numbers to the last digit."""
    prediction, shares = answer["prediction"], answer["probabilities"]
    cells = [_text(prediction)]
    if shares is not None:
        cells += [_text(shares[name]) for name in classes]
    if reach is not None:
        cells += _reaching(prediction, shares, reach)
    return [*cells, " ".join(finding.message for finding in findings)]


def _reaching(prediction: Any, shares: Mapping[str, float] | None, reach: Reach) -> list[str]:
    if shares is not None:
        return [SEPARATOR.join(set_of(shares, reach).classes)]
    if prediction is None:
        return ["", ""]
    interval = interval_of(prediction, reach)
    return [_text(interval.low), _text(interval.high)]


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def harmless(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would take for a formula; a number stays one."""
    return f"'{cell}" if _BEGINS_FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell
