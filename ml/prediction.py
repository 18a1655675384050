"""The one contract between a model and a row: by form, API, batch file and bundle alike.

``check_rows`` makes rows ready for ``to_frame`` and says what is odd about them, by the features of the training
rows (``ml.features``). Plain Python; only ``feature_schema`` and ``to_frame`` need pandas.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ml.features import Feature, feature_schema, to_frame, used_features
from ml.value_checks import (
    FALSE_WORDS,
    TRUE_WORDS,
    Finding,
    FindingKind,
    Oddity,
    check_value,
    did_you_mean,
    left_empty,
    nearest,
    quick_number,
    short,
    usual_number,
)
from smartml.errors import InvalidInput

__all__ = [
    "EVERY_ROW",
    "FALSE_WORDS",
    "TRUE_WORDS",
    "CheckedRows",
    "Feature",
    "Finding",
    "FindingKind",
    "Mode",
    "check_row",
    "check_rows",
    "feature_schema",
    "to_frame",
    "used_features",
]

_STRICT_HINT: Final = "Correct what `fields` says, or have odd rows answered all the same, in lenient mode."
_WRONG_TYPE: Final = "Some values are not of the type the model was trained on."
# More columns than these are counted, not listed: a wrong file may have thousands.
_MOST_UNKNOWN: Final = 20
# Of a value that comes again the verdict is known.
_REMEMBERED: Final = 4096
_MOST_FAULTS: Final = 100
# In the place of a row's number: what is said of a column of all rows.
EVERY_ROW: Final = "*"


class Mode(StrEnum):
    """What becomes of a row with findings: it is answered all the same, or everything is refused."""

    LENIENT = "lenient"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRows:
    """``rows`` for ``to_frame``, one tuple of ``findings`` for each, and what is said once of all of them: columns
    that no row has, and columns that neither the model nor its training knows."""

    rows: tuple[dict[str, Any], ...]
    findings: tuple[tuple[Finding, ...], ...]
    table_findings: tuple[Finding, ...]


def check_rows(
    schema: Sequence[Feature],
    rows: Sequence[Mapping[str, Any]],
    *,
    mode: Mode = Mode.LENIENT,
    unused: Collection[str] = (),
) -> CheckedRows:
    """Rows as typed, as sent as JSON or as read from a file; every feature is in each row of the answer.

    An empty value stays None where training rows had gaps too; where they never had, the model knows nothing of
    gaps and the feature's usual value is used, with a finding. A value that is not of the feature's type counts as
    empty, with a finding ("wrong_type").

    ``unused`` are the other columns of the table that the model was trained on: its target, what was left out, what
    the predictor dropped. There is nothing odd about a row that has them; they are not looked at.

    :raises InvalidInput: a row that is none; with ``Mode.STRICT`` anything there is to say about a row, with
        ``fields`` by place: "rows.2.age" in the third row, "rows.*.age" in every one.
    """
    judged = _judge(schema, rows, unused)
    if mode is Mode.STRICT and (faults := judged.faults()):
        raise InvalidInput("These rows are not as the model was trained.", fields=faults, hint=_STRICT_HINT)
    return CheckedRows(
        rows=tuple(judged.rows),
        findings=tuple(tuple(oddity.finding for oddity in row) for row in judged.oddities),
        table_findings=tuple(oddity.finding for oddity in judged.of_table),
    )


def check_row(schema: Sequence[Feature], values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """One row as ``check_rows`` has it, with everything there is to say about it.

    :raises InvalidInput: with a message for each field whose value is of the wrong type.
    """
    judged = _judge(schema, [values])
    if wrong := {odd.field: odd.fault for odd in judged.oddities[0] if odd.kind == "wrong_type"}:
        raise InvalidInput(_WRONG_TYPE, fields=wrong)
    return judged.rows[0], tuple(oddity.finding for oddity in (*judged.oddities[0], *judged.of_table))


@dataclass(slots=True)
class _Judged:
    rows: list[dict[str, Any]]
    oddities: list[list[Oddity]]
    of_table: list[Oddity]

    def faults(self) -> dict[str, str]:
        """What there is to say by place, the first hundred; what is said of all rows first."""
        faults = {f"rows.{EVERY_ROW}.{oddity.field}": oddity.fault for oddity in self.of_table}
        for number, oddities in enumerate(self.oddities):
            for oddity in oddities:
                if len(faults) >= _MOST_FAULTS:
                    return faults
                faults.setdefault(f"rows.{number}.{oddity.field}", oddity.fault)
        return faults


def _judge(schema: Sequence[Feature], rows: Sequence[Mapping[str, Any]], unused: Collection[str] = ()) -> _Judged:
    _refuse_what_is_no_row(rows)
    columns = dict.fromkeys(name for row in rows for name in row)
    judged = _Judged([{} for _ in rows], [[] for _ in rows], [])
    if not rows:
        return judged
    names = {feature.name for feature in schema}
    unknown = [str(name) for name in columns if name not in names and name not in unused]
    for feature in schema:
        if feature.name in columns:
            _judge_column(feature, rows, judged)
        else:
            _without_column(feature, unknown, judged)
    judged.of_table.extend(
        _unknown_columns(unknown, [feature.name for feature in schema if feature.name not in columns])
    )
    return judged


def _refuse_what_is_no_row(rows: Sequence[Any]) -> None:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            fault = "A row is an object: the value of each column by its name."
            raise InvalidInput(f"Row {number + 1} is not a row of a table.", fields={f"rows.{number}": fault})


def _judge_column(feature: Feature, rows: Sequence[Mapping[str, Any]], judged: _Judged) -> None:
    name = feature.name
    known: dict[str, tuple[Any, tuple[Oddity, ...]]] = {}
    quick, is_usual = quick_number(feature), usual_number(feature)
    for row, made, oddities in zip(rows, judged.rows, judged.oddities, strict=True):
        if name not in row:
            verdict = left_empty(feature, f'There is no value for "{short(name)}".')
        elif type(value := row[name]) is not str:  # 1, 1.0 and True would be one key
            if is_usual is not None and is_usual(value):
                made[name] = value
                continue
            verdict = check_value(feature, value)
        elif quick is not None and (number := quick(value)) is not None:
            made[name] = number
            continue
        elif (found := known.get(value)) is not None:
            verdict = found
        else:
            verdict = check_value(feature, value)
            if len(known) < _REMEMBERED:
                known[value] = verdict
        made[name] = verdict[0]
        oddities.extend(verdict[1])


def _without_column(feature: Feature, unknown: Sequence[str], judged: _Judged) -> None:
    """Said once: the column is in no row."""
    fault = f'There is no column "{short(feature.name)}".'
    near = nearest(feature.name, unknown) if len(judged.of_table) < _MOST_UNKNOWN else None
    if near is not None:
        fault += f' If it is called "{short(near)}" here, rename that.'
    value, oddities = left_empty(feature, fault, rows="in every row" if len(judged.rows) > 1 else "")
    for made in judged.rows:
        made[feature.name] = value
    judged.of_table.extend(oddities)


def _unknown_columns(unknown: Sequence[str], absent: Sequence[str]) -> list[Oddity]:
    found = []
    for name in unknown[:_MOST_UNKNOWN]:
        fault = f'The model does not use "{short(name)}".{did_you_mean(name, absent)}'
        found.append(Oddity(name, "unknown", fault, "It is left out."))
    if rest := len(unknown) - len(found):
        fault = f"The model does not use {rest} more column{'' if rest == 1 else 's'}."
        found.append(Oddity(unknown[_MOST_UNKNOWN], "unknown", fault, "They are left out."))
    return found
