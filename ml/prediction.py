"""What a predictor needs to be told (its features), and whether a row says it.

``feature_schema`` and ``to_frame`` use pandas and belong to the training and serving processes; the rest is
plain Python and runs in the web process.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ml.column_types import BLANKS, is_missing
from smartml.errors import InvalidInput

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MAX_CATEGORIES = 50
TRUE_WORDS = frozenset({"true", "yes", "y", "t", "1", "on"})
FALSE_WORDS = frozenset({"false", "no", "n", "f", "0", "off"})
_INT64 = 2**63

Kind = Literal["number", "date", "boolean", "category", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column a predictor uses, as it was in the training rows.

    ``type`` is the column's type of the data profile (``ml.tables.ColumnType``), ``dtype`` what pandas held it
    as, ``kind`` how a value of it is written (a boolean read as the file's own two words is a category).
    ``categories``: the 50 most frequent, most frequent first;
    ``categories_complete`` says whether there are no others. ``minimum``, ``maximum`` and ``default`` are
    numbers, ISO dates, True/False or text by kind; ``default`` is the median or the most frequent value, None
    for text. ``missing_share`` is in [0, 1].
    """

    name: str
    type: str
    kind: Kind
    dtype: str
    categories: tuple[str, ...] = ()
    categories_complete: bool = True
    minimum: float | int | str | None = None
    maximum: float | int | str | None = None
    default: float | int | str | bool | None = None
    missing_share: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Only whole numbers were seen."""
        return self.dtype.lower().startswith(("int", "uint"))

    def as_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["categories"] = list(self.categories)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Feature:
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        return cls(**{**values, "categories": tuple(data["categories"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a row that does not stop the prediction but may make it worse."""

    field: str
    kind: Literal["missing", "unknown", "unseen_category", "out_of_range", "rounded"]
    message: str


def feature_schema(
    train: DataFrame, *, target: str, columns_types: Mapping[str, str], used: Collection[str] | None = None
) -> tuple[Feature, ...]:
    """The features of the training rows in column order; with ``used``, only those the predictor looks at."""
    return tuple(
        _feature(train[name], str(columns_types.get(name, "text")))
        for name in train.columns
        if name != target and (used is None or name in used)
    )


def used_features(predictor: Any) -> tuple[str, ...]:
    """The columns a fitted ``TabularPredictor`` asks for; constant and empty ones are not among them."""
    return tuple(str(name) for name in predictor.features())


def _feature(values: Series[Any], column_type: str) -> Feature:
    import pandas as pd

    present = values.dropna()
    facts: dict[str, Any] = {
        "name": str(values.name),
        "type": column_type,
        "dtype": str(values.dtype),
        "missing_share": float(values.isna().mean()) if len(values) else 0.0,
    }
    if pd.api.types.is_bool_dtype(values.dtype):
        return Feature(kind="boolean", default=bool(present.mode().iloc[0]) if len(present) else None, **facts)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        if present.empty:
            return Feature(kind="date", **facts)
        low, middle, high = present.min(), present.quantile(0.5, interpolation="nearest"), present.max()
        return Feature(kind="date", minimum=_iso(low), maximum=_iso(high), default=_iso(middle), **facts)
    if pd.api.types.is_numeric_dtype(values.dtype):
        finite = present[present.abs() != math.inf]
        if finite.empty:
            return Feature(kind="number", **facts)
        # The nearest row's value, so that the default of whole numbers is whole.
        median = finite.quantile(0.5, interpolation="nearest")
        facts |= {"minimum": finite.min().item(), "maximum": finite.max().item(), "default": median.item()}
        return Feature(kind="number", **facts)
    if column_type in ("category", "boolean"):
        counts = present.astype(str).value_counts()
        top = tuple(counts.index[:MAX_CATEGORIES])
        complete = len(counts) <= MAX_CATEGORIES
        default = top[0] if top else None
        return Feature(kind="category", categories=top, categories_complete=complete, default=default, **facts)
    return Feature(kind="text", **facts)


def _iso(moment: Any) -> str:
    """A date when there is no time of day, else date and time."""
    return str(moment.date().isoformat() if moment == moment.normalize() else moment.isoformat())


def check_row(schema: Sequence[Feature], values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """One row as typed by a person or sent as JSON, made ready for ``to_frame``, with what is odd about it.

    Every feature is in the answer. An empty value stays None where training rows had gaps too; where they never
    had, the model knows nothing of gaps and the feature's usual value is used, with a finding. Raises
    InvalidInput with a message for each field whose value is of the wrong type.
    """
    row: dict[str, Any] = {}
    findings: list[Finding] = []
    wrong: dict[str, str] = {}
    for feature in schema:
        text = _as_text(values.get(feature.name))
        if text is None:
            row[feature.name] = None
            if feature.missing_share == 0 or feature.name not in values:
                row[feature.name], finding = _left_empty(feature)
                findings.append(finding)
            continue
        try:
            row[feature.name] = _coerced(feature, text)
        except ValueError as error:
            wrong[feature.name] = str(error)
            continue
        findings.extend(_oddities(feature, row[feature.name]))
        if feature.is_whole:
            row[feature.name] = round(row[feature.name])
    if wrong:
        raise InvalidInput("Some values are not of the type the model was trained on.", fields=wrong)
    return row, (*findings, *_unknown_fields(schema, values))


def _as_text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip(BLANKS)
    return None if is_missing(text) else text


def _left_empty(feature: Feature) -> tuple[Any, Finding]:
    if feature.missing_share > 0 or feature.default is None:
        value, used = None, "it counts as missing"
    else:
        value, used = feature.default, f"its usual value {feature.default} is used"
    message = f'No value for "{feature.name}": {used}.'
    return value, Finding(field=feature.name, kind="missing", message=message)


def _coerced(feature: Feature, text: str) -> Any:
    """The value by the feature's kind; a ValueError carries the sentence for the field."""
    if feature.kind == "number":
        return _number(text, whole=feature.is_whole)
    if feature.kind == "boolean":
        return _is_true(text)
    if feature.kind == "date":
        return _date(text)
    if feature.type == "boolean":
        return _boolean_word(feature, text)
    return text


def _is_true(text: str) -> bool:
    word = text.casefold()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(f'"{_short(text)}" is neither yes nor no.')
    return word in TRUE_WORDS


def _boolean_word(feature: Feature, text: str) -> str:
    """The column's own word for it: JSON's true is "yes" in a column of yes and no."""
    words = TRUE_WORDS if _is_true(text) else FALSE_WORDS
    return next((category for category in feature.categories if category in words), text.casefold())


def _date(text: str) -> str:
    """As in a file: ISO 8601, the time as written, an offset dropped."""
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise ValueError(f'"{_short(text)}" is not a date; write it like 2026-03-31.') from None
    if not 1678 <= moment.year <= 2261:  # what pandas' nanoseconds hold
        raise ValueError(f'"{_short(text)}" is not a date the model can use.')
    return moment.isoformat()


def _number(text: str, *, whole: bool) -> float | int:
    try:
        if "_" in text or not text.isascii():  # Python's digits, not a file's
            raise ValueError(text)
        number = int(text) if text.lstrip("+-").isdecimal() else float(text)
        finite = math.isfinite(number)
    except OverflowError:  # a whole number beyond the range of floats
        finite = False
    except ValueError:
        raise ValueError(f'"{_short(text)}" is not a number; write it like 1234.5.') from None
    if not finite or (whole and not -_INT64 <= number < _INT64):
        raise ValueError(f'"{_short(text)}" is not a number the model can use.')
    return number


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _oddities(feature: Feature, value: Any) -> list[Finding]:
    found = []
    if feature.kind == "category" and feature.categories_complete and value not in feature.categories:
        message = f'"{_short(value)}" was never seen in "{feature.name}" during training.'
        near = difflib.get_close_matches(value, feature.categories, n=1)
        if near:
            message += f' Did you mean "{near[0]}"?'
        found.append(Finding(field=feature.name, kind="unseen_category", message=message))
    if feature.kind in ("number", "date") and feature.minimum is not None and feature.maximum is not None:
        low, high = feature.minimum, feature.maximum
        outside = _sortable(value) < _sortable(low) or _sortable(value) > _sortable(high)
        if outside:
            message = f'{value} is outside what "{feature.name}" was during training, {low} to {high}.'
            found.append(Finding(field=feature.name, kind="out_of_range", message=message))
    if feature.is_whole and value != round(value):
        message = f'"{feature.name}" has only whole numbers: {value} is taken as {round(value)}.'
        found.append(Finding(field=feature.name, kind="rounded", message=message))
    return found


def _sortable(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _unknown_fields(schema: Sequence[Feature], values: Mapping[str, Any]) -> list[Finding]:
    names = {feature.name for feature in schema}
    absent = sorted(names - values.keys())
    found = []
    for field in values:
        if field in names:
            continue
        message = f'The model does not use "{field}"; it is left out.'
        near = difflib.get_close_matches(field, absent, n=1)
        if near:
            message += f' Did you mean "{near[0]}"?'
        found.append(Finding(field=field, kind="unknown", message=message))
    return found


def to_frame(schema: Sequence[Feature], rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Rows of ``check_row`` as a frame with the dtypes of the training rows.

    A gap in a column whose dtype cannot hold one widens the dtype (whole numbers to float64, booleans to
    object), as reading a file with that gap would have.
    """
    import pandas as pd

    columns = {feature.name: _column(feature, [row.get(feature.name) for row in rows]) for feature in schema}
    return pd.DataFrame(columns, index=range(len(rows)))


def _column(feature: Feature, values: list[Any]) -> Any:
    import pandas as pd

    dtype: Any = feature.dtype
    if feature.kind == "date":
        return pd.to_datetime(pd.Series(values, dtype=object), format="ISO8601").astype(dtype)
    has_gap = any(value is None for value in values)
    if has_gap and dtype.startswith(("int", "uint")):
        dtype = "float64"
    elif (has_gap and dtype == "bool") or dtype == "category":
        dtype = "object"
    return pd.Series(values, dtype=dtype)
