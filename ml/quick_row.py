"""One row as the models of a predictor take it, without AutoGluon's feature generators.

What ``TabularPredictor.transform_features`` makes of a row costs ten thousand calls of pandas, several times what
the model itself takes. Most of it is the same for every row: a number stays itself, a date becomes whole numbers,
a word becomes the code that AutoGluon has given it. So this is learnt from the answers of ``transform_features``:
how each column is made when the predictor is loaded, and the code of a word with the first row that has it. What
is made here goes to ``predict_proba(..., transform_features=False)``, which is AutoGluon's own way for rows that
have been transformed already.

Nothing is guessed. Where a predictor makes anything else of its columns (words of a text, say), or where the rows
tried while it is learnt come out differently in any bit, ``learn`` gives None; where a row has anything that has
not been learnt, ``made`` gives None. AutoGluon is asked then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from ml.features import Feature, to_frame

if TYPE_CHECKING:
    from pandas import DataFrame

_EPOCH: Final = datetime(1970, 1, 1)
_PARTS: Final[dict[str, Callable[[datetime], int]]] = {
    "year": lambda moment: moment.year,
    "month": lambda moment: moment.month,
    "day": lambda moment: moment.day,
    "dayofweek": lambda moment: moment.weekday(),
}
_PER_MICROSECOND: Final = {"ns": 1000, "us": 1}
_INT64: Final = 2**63
_EARLIEST, _LATEST = 1678, 2261  # what nanoseconds hold
# Of each column; what is longer or comes later is asked for each time.
_MOST_WORDS: Final = 1000
_LONGEST_WORD: Final = 200
# Of all columns together, when the predictor is loaded: a wide table would take seconds.
_MOST_TRIED: Final = 50_000


class NotLearnt(Exception):
    """This is for AutoGluon."""


class _Maker(Protocol):
    """Makes one column: an array of one value out of the row."""

    def __call__(self, row: Mapping[str, Any]) -> Any: ...


class QuickRow:
    """Makes the frame of one row; see the module."""

    def __init__(self, features: Sequence[Feature], like: DataFrame) -> None:
        """:raises NotLearnt: ``like``, made by AutoGluon, has a column that cannot be made here."""
        if not like.columns.is_unique:
            raise NotLearnt
        by_name = {feature.name: feature for feature in features}
        self._makers = {str(name): _maker(str(name), by_name, like) for name in like.columns}
        self._words = [maker for maker in self._makers.values() if isinstance(maker, _Word)]
        self._index = like.index

    def made(self, row: Mapping[str, Any]) -> DataFrame | None:
        """The row as ``transform_features`` would have made it; None where that has to be asked."""
        import pandas as pd

        try:
            columns = {name: maker(row) for name, maker in self._makers.items()}
        except NotLearnt:
            return None
        return pd.DataFrame(columns, index=self._index)

    def remember(self, rows: Sequence[Mapping[str, Any]], transformed: DataFrame) -> None:
        """Learn the words of rows from what AutoGluon has made of them."""
        for word in self._words:
            word.remember(rows, transformed)

    def agrees(self, row: Mapping[str, Any], transformed: DataFrame) -> bool:
        """Whether what can be made of this row is what AutoGluon has made of it."""
        if list(transformed.columns) != list(self._makers):
            return False
        for name, maker in self._makers.items():
            try:
                made = maker(row)
            except NotLearnt:
                continue
            column = transformed[name]
            if not column.equals(type(column)(made, index=column.index)):
                return False
        made = self.made(row)
        return made is None or bool(made.equals(transformed))


def learn(predictor: Any, features: Sequence[Feature]) -> QuickRow | None:
    """How this predictor makes its columns; None where that cannot be said column by column."""
    usual = {feature.name: feature.default for feature in features}
    try:
        quick = QuickRow(features, predictor.transform_features(to_frame(features, [usual])))
    except NotLearnt:
        return None
    for row in (
        usual,
        usual | {each.name: each.minimum for each in features if each.minimum is not None},
        usual | {each.name: each.maximum for each in features if each.maximum is not None},
        usual | {each.name: None for each in features if each.missing_share > 0},
    ):
        transformed = predictor.transform_features(to_frame(features, [row]))
        quick.remember([row], transformed)
        if not quick.agrees(row, transformed):
            return None
    rows = _rows_of_words(usual, _words(predictor, features))
    if rows:
        quick.remember(rows, predictor.transform_features(to_frame(features, rows)))
    return quick


def _words(predictor: Any, features: Sequence[Feature]) -> dict[str, list[str]]:
    """By feature, words worth asking for: those that the predictor has codes for, as far as it says so."""
    words = {feature.name: list(feature.categories) for feature in features if feature.kind in ("category", "text")}
    for pipeline in predictor._learner.feature_generators:
        for generator in (each for group in getattr(pipeline, "generators", ()) for each in group):
            for name, fitted in (getattr(generator, "category_map", None) or {}).items():
                if name in words:
                    words[name] += [word for word in fitted if isinstance(word, str)]
    most = min(_MOST_WORDS, _MOST_TRIED // max(len(words), 1))
    return {name: list(dict.fromkeys(found))[:most] for name, found in words.items()}


def _rows_of_words(usual: Mapping[str, Any], words: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """As few rows as hold each word once."""
    return [
        {**usual, **{name: found[place] for name, found in words.items() if place < len(found)}}
        for place in range(max(map(len, words.values()), default=0))
    ]


def _maker(name: str, features: Mapping[str, Feature], like: DataFrame) -> _Maker:
    """How the column ``name`` of AutoGluon's frame is made."""
    dtype = like[name].dtype
    date, _, part = name.rpartition(".")
    of_date = features.get(date)
    feature = features.get(name)
    if feature is None:
        if of_date is not None and of_date.kind == "date" and part in _PARTS and str(dtype) == "int64":
            return _Moment(date, _PARTS[part])
        raise NotLearnt
    if feature.kind == "date":
        unit = feature.dtype.removeprefix("datetime64[").removesuffix("]")
        if str(dtype) != "int64" or unit not in _PER_MICROSECOND:
            raise NotLearnt
        return _Moment(name, _since_epoch(_PER_MICROSECOND[unit]))
    if feature.kind == "number" and str(dtype) == feature.dtype and feature.dtype in ("int64", "float64"):
        return _Whole(name) if feature.dtype == "int64" else _Number(feature)
    if str(dtype) in ("category", "int8"):
        return _Word(name, dtype)
    raise NotLearnt


def _since_epoch(per_microsecond: int) -> Callable[[datetime], int]:
    def since(moment: datetime) -> int:
        passed = moment - _EPOCH
        return ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * per_microsecond

    return since


class _Whole:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, row: Mapping[str, Any]) -> Any:
        import numpy as np

        value = row.get(self._name)
        if type(value) is not int or not -_INT64 <= value < _INT64:
            raise NotLearnt
        return np.array([value], dtype="int64")


class _Number:
    def __init__(self, feature: Feature) -> None:
        self._name, self._has_gaps = feature.name, feature.missing_share > 0

    def __call__(self, row: Mapping[str, Any]) -> Any:
        import numpy as np

        value = row.get(self._name)
        if value is None and self._has_gaps:
            value = math.nan
        elif type(value) is not float or not math.isfinite(value):
            raise NotLearnt
        return np.array([value], dtype="float64")


class _Moment:
    """A whole number of a date, also of one whose column AutoGluon has left out but for this number."""

    def __init__(self, name: str, number: Callable[[datetime], int]) -> None:
        self._name, self._number = name, number

    def __call__(self, row: Mapping[str, Any]) -> Any:
        import numpy as np

        value = row.get(self._name)
        if type(value) is not str:  # a gap is filled as AutoGluon has chosen
            raise NotLearnt
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None or not _EARLIEST <= moment.year <= _LATEST:
            raise NotLearnt
        return np.array([self._number(moment)], dtype="int64")


class _Word:
    """One of some values, by what AutoGluon has made of it before."""

    def __init__(self, name: str, dtype: Any) -> None:
        self._name, self._dtype = name, dtype
        self._code_of: dict[Any, int] = {}
        self._array_of: dict[int, Any] = {}

    def __call__(self, row: Mapping[str, Any]) -> Any:
        code = self._code_of.get(row.get(self._name))
        if code is None:
            raise NotLearnt
        return self._array_of[code]

    def remember(self, rows: Sequence[Mapping[str, Any]], transformed: DataFrame) -> None:
        column = transformed[self._name]
        if column.dtype != self._dtype:
            return
        codes = (column.cat.codes if str(self._dtype) == "category" else column).tolist()
        for place, (row, code) in enumerate(zip(rows, codes, strict=True)):
            value = row.get(self._name)
            if len(self._code_of) < _MOST_WORDS and not (isinstance(value, str) and len(value) > _LONGEST_WORD):
                if code not in self._array_of:
                    self._array_of[code] = column.array[[place]]
                self._code_of[value] = code
