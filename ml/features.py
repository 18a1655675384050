"""What a predictor needs to be told: its features, as they were in the training rows.

``feature_schema`` and ``to_frame`` use pandas and belong to the training and serving processes; the rest is
plain Python and runs in the web process.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MAX_CATEGORIES = 50

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


def to_frame(schema: Sequence[Feature], rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Rows of ``ml.prediction.check_rows`` as a frame with the dtypes of the training rows.

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
