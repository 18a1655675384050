"""The contract of ``ml.prediction`` over a part of a file, column by column: quick where values are plainly fine.

A column of a part is taken apart into its different values. What matches the plainest spelling of the feature's
type and is within what the training saw is used as it is; every other value goes through ``check_rows`` itself,
once for all rows that have it. So values and findings are those of a form or the API (a test compares).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.column_types import BLANKS, MISSING_SPELLINGS
from ml.drift import Tally
from ml.features import Feature, to_frame
from ml.file_values import plain_value
from ml.prediction import Finding, check_rows
from ml.value_formats import PLAIN, ValueFormat

if TYPE_CHECKING:
    from pandas import DataFrame

# Of a value that comes again, in a later part too, the verdict is known.
_REMEMBERED: Final = 50_000
_WHOLE: Final = "^-?[0-9]{1,15}$"
_DECIMAL: Final = r"^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class CheckedPart:
    """``frame`` is what the predictor is given, ``findings`` a text for each row (None: nothing odd)."""

    frame: DataFrame
    findings: list[str | None]
    odd_rows: int
    # The first row with a finding, and the first finding about it.
    first: tuple[int, Finding] | None


@dataclass(slots=True)
class _Verdicts:
    """What is known of the values of one feature that are not plainly fine."""

    feature: Feature
    known: dict[str, tuple[Any, tuple[Finding, ...]]] = field(default_factory=dict)

    def of(self, texts: Sequence[str], formats: ValueFormat) -> list[tuple[Any, tuple[Finding, ...]]]:
        name = self.feature.name
        unknown = [text for text in texts if text not in self.known]
        if unknown:
            rows = [{name: plain_value(text, self.feature, formats)} for text in unknown]
            checked = check_rows([self.feature], rows)
            new = {
                text: (row[name], findings)
                for text, row, findings in zip(unknown, checked.rows, checked.findings, strict=True)
            }
            if len(self.known) + len(new) <= _REMEMBERED:
                self.known |= new
                return [self.known[text] for text in texts]
            return [new[text] if text in new else self.known[text] for text in texts]
        return [self.known[text] for text in texts]


class Columns:
    """Checks a file's parts against a schema and counts what it finds; ``names``: the file's columns in order."""

    def __init__(
        self,
        schema: Sequence[Feature],
        names: Sequence[str],
        *,
        formats: ValueFormat = PLAIN,
        rows: int,
        unused: Collection[str] = (),
        tally: Tally | None = None,
    ) -> None:
        self.schema = tuple(schema)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.odd_rows = 0
        self._places = {name: place for place, name in enumerate(names)}
        self._formats = formats
        self._tally = tally
        self._verdicts = {feature.name: _Verdicts(feature) for feature in schema}
        # What is said once, of all rows.
        checked = check_rows(self.schema, [dict.fromkeys(names, "")] * min(rows, 2), unused=unused)
        self.table_findings = checked.table_findings
        absent = [feature for feature in self.schema if feature.name not in self._places]
        self._absent = {feature.name: checked.rows[0][feature.name] for feature in absent} if rows else {}

    def check(self, texts: Sequence[Any]) -> CheckedPart:
        """``texts``: the columns of one part in the order of the file, pyarrow arrays of text without nulls."""
        import pandas as pd

        rows = len(texts[0])
        said: NDArray[np.object_] = np.full(rows, None, dtype=object)
        first: tuple[int, Finding] | None = None
        made: dict[str, Any] = {}
        for feature in self.schema:
            if feature.name not in self._places:
                made[feature.name] = _series(feature, [self._absent[feature.name]], np.zeros(rows, dtype="int64"))
                continue
            encoded = texts[self._places[feature.name]].dictionary_encode()
            places = encoded.indices.to_numpy()
            values, findings = self._judge(feature, encoded.dictionary)
            made[feature.name] = _series(feature, values, places)
            often = np.bincount(places, minlength=len(values))
            self._count(feature, values, findings, often)
            if findings:
                first = _say(said, places, findings, first)
        odd = int(np.count_nonzero(said != None))  # noqa: E711 - elementwise
        self.odd_rows += odd
        if self._tally is not None:
            self._tally.add_rows(rows)
        return CheckedPart(pd.DataFrame(made, index=range(rows)), said.tolist(), odd, first)

    def _judge(self, feature: Feature, dictionary: Any) -> tuple[list[Any], dict[int, tuple[Finding, ...]]]:
        """The different values of a column as the model is given them, and what there is to say about some."""
        fine, values = _plainly_fine(feature, dictionary, self._formats)
        odd = np.flatnonzero(~fine).tolist()
        findings: dict[int, tuple[Finding, ...]] = {}
        if odd:
            texts = dictionary.take(odd).to_pylist()
            verdicts = self._verdicts[feature.name].of(texts, self._formats)
            for place, (value, about) in zip(odd, verdicts, strict=True):
                values[place] = value
                if about:
                    findings[place] = about
        return values, findings

    def _count(
        self,
        feature: Feature,
        values: Sequence[Any],
        findings: dict[int, tuple[Finding, ...]],
        often: NDArray[np.int64],
    ) -> None:
        for place, about in findings.items():
            for finding in about:
                self.counts[finding.field, finding.kind] += int(often[place])
        if self._tally is None:
            return
        gaps = {
            place
            for place, about in findings.items()
            if any(each.kind in ("missing", "wrong_type") for each in about)
        }
        as_counted = values
        if gaps or feature.kind != "number":  # tens of thousands of different numbers need no second look
            as_counted = [
                None if place in gaps else _for_tally(feature, value) for place, value in enumerate(values)
            ]
        self._tally.add(feature.name, as_counted, often)


def _say(
    said: NDArray[np.object_],
    places: NDArray[np.int64],
    findings: dict[int, tuple[Finding, ...]],
    first: tuple[int, Finding] | None,
) -> tuple[int, Finding] | None:
    """Add the sentences about a column's values to the rows that have them."""
    sentences = {place: " ".join(finding.message for finding in about) for place, about in findings.items()}
    odd = np.flatnonzero(np.isin(places, np.fromiter(sentences, dtype=places.dtype, count=len(sentences))))
    for row, place in zip(odd.tolist(), places[odd].tolist(), strict=True):
        said[row] = sentences[place] if said[row] is None else f"{said[row]} {sentences[place]}"
    earliest = int(odd[0])
    return (earliest, findings[int(places[earliest])][0]) if first is None or earliest < first[0] else first


def _plainly_fine(feature: Feature, dictionary: Any, formats: ValueFormat) -> tuple[NDArray[np.bool_], list[Any]]:
    """Which values need no second look, and all values as they would be used if they were fine."""
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = np.zeros(len(dictionary), dtype=np.bool_)
    if feature.kind == "number":
        if feature.minimum is None or feature.maximum is None or formats.decimal != ".":
            return nothing, [None] * len(dictionary)
        matches = pc.match_substring_regex(dictionary, _WHOLE if feature.is_whole else _DECIMAL)
        kind = pa.int64() if feature.is_whole else pa.float64()
        numbers = pc.cast(pc.if_else(matches, dictionary, pa.scalar(None, pa.string())), kind)
        inside = pc.and_(pc.greater_equal(numbers, feature.minimum), pc.less_equal(numbers, feature.maximum))
        return _mask(inside), numbers.to_pylist()
    if feature.kind == "category" and feature.type != "boolean" and feature.categories_complete:
        return _mask(
            pc.is_in(dictionary, value_set=pa.array(feature.categories, pa.string()))
        ), dictionary.to_pylist()
    if feature.kind == "text" or (feature.kind == "category" and feature.type != "boolean"):
        texts = dictionary.to_pylist()
        fine = [text not in MISSING_SPELLINGS and text.strip(BLANKS) == text for text in texts]
        return np.array(fine, dtype=np.bool_), texts
    return nothing, [None] * len(dictionary)


def _mask(found: Any) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = found.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def _series(feature: Feature, values: Sequence[Any], places: NDArray[np.int64]) -> Any:
    """A column of the frame, as ``ml.features.to_frame`` makes one."""
    different = to_frame([feature], [{feature.name: value} for value in values])[feature.name]
    # A gap among the different values is one in a row of this part.
    return different.take(places).reset_index(drop=True)


def _for_tally(feature: Feature, value: Any) -> Any:
    if value is None or feature.kind == "number":
        return value
    if feature.kind == "date":
        return (datetime.fromisoformat(value).replace(tzinfo=UTC) - _EPOCH).total_seconds()
    return str(value)
