"""Answers as columns of a CSV file, behind the columns that were asked about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ml.answering import Answer
from ml.conformal import Reach, interval_of, set_of
from ml.prediction import Finding

# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV Injection).
_BEGINS_FORMULA: Final = re.compile(r"[=+\-@\t\r\n|%]|\s+[=+\-@|%]")
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def answer_columns(columns: Sequence[str], *, classes: Sequence[str], reach: Reach | None) -> tuple[str, ...]:
    """Names for what ``answer_cells`` gives, none of them among ``columns``. ``classes``: none for a regression."""
    wanted = ["prediction", *(f"probability_{name}" for name in classes)]
    if reach is not None:
        wanted += ["prediction_set"] if classes else ["prediction_low", "prediction_high"]
    taken = set(columns)
    names = []
    for name in (*wanted, "findings"):
        choice, number = name, 2
        while choice in taken:
            choice, number = f"{name}_{number}", number + 1
        taken.add(choice)
        names.append(choice)
    return tuple(names)


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
        return [" | ".join(set_of(shares, reach).classes)]
    if prediction is None:
        return ["", ""]
    interval = interval_of(prediction, reach)
    return [_text(interval.low), _text(interval.high)]


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def harmless(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would take for a formula; a number stays one."""
    return f"'{cell}" if _BEGINS_FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell
