"""What a profile of a table says: plain records that go to JSON and back. A light module: no data library.

They hold values of rows (examples, most frequent values, bounds), so they are kept with the rows, as blobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ml.column_types import ColumnType
from ml.problem import ProblemType

CheckStatus = Literal["passed", "done", "alert"]
Suspicion = Literal["", "moderate", "high"]
AssociationKind = Literal["number", "category"]
Measure = Literal["spearman", "cramers_v", "correlation_ratio"]

#: The quantiles of a column of numbers, by their names in :attr:`ColumnProfile.quantiles`.
QUANTILES = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """``counts[i]`` values lie from ``edges[i]`` up to, without, ``edges[i + 1]``; the last bin holds its end too.

    ``edges`` are one more than ``counts``: numbers, or ISO texts where the column holds dates. ``sampled_rows``:
    the rows that were looked at where not all were, for these counts then are of the sample; 0 when all were.
    """

    edges: tuple[float | str, ...]
    counts: tuple[int, ...]
    sampled_rows: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Histogram":
        return cls(
            edges=tuple(values["edges"]),
            counts=tuple(values["counts"]),
            sampled_rows=values.get("sampled_rows", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column. Every figure is of all rows, but for those that ``sampled_rows`` is about.

    ``type`` is what it is used as, ``detected_type`` what the rules of :mod:`ml.column_types` say; they differ
    where a person chose. ``missing`` counts gaps however they are written, ``disguised_missing`` those among them
    that are written as a word or sign, and ``disguises`` which, the most frequent first. ``not_of_type`` counts the
    values that are not of a chosen type and so are read as missing. ``example``, ``minimum`` and ``maximum`` are
    texts; the bounds keep every digit of an integer and are given for numbers and dates. ``mean``, ``std`` (of a
    sample: n - 1), ``quantiles`` (see QUANTILES), ``zeros`` and ``negatives`` are given for numbers only. ``top``
    are the most frequent values with their counts, at most ten; ``longest`` is the length of the longest text.
    ``sampled_rows``: quantiles, and top values, are of this many rows, spread over the file; 0 when of all.
    ``is_preliminary``: every figure is of the ``rows`` sampled rows, until the whole file has been read.
    """

    name: str
    type: ColumnType
    detected_type: ColumnType
    rows: int
    missing: int
    unique: int
    unique_is_exact: bool
    disguised_missing: int = 0
    disguises: tuple[tuple[str, int], ...] = ()
    not_of_type: int = 0
    example: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: Mapping[str, float] = field(default_factory=dict)
    zeros: int | None = None
    negatives: int | None = None
    histogram: Histogram | None = None
    top: tuple[tuple[str, int], ...] = ()
    longest: int = 0
    sampled_rows: int = 0
    is_preliminary: bool = False

    @property
    def present(self) -> int:
        return self.rows - self.missing

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ColumnProfile":
        histogram = values["histogram"]
        changed = {
            "type": ColumnType(values["type"]),
            "detected_type": ColumnType(values["detected_type"]),
            "histogram": None if histogram is None else Histogram.from_dict(histogram),
            "top": _pairs(values["top"]),
            "disguises": _pairs(values["disguises"]),
        }
        return cls(**{**values, **changed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Associations:
    """How much each of some columns says about each other one.

    ``matrix`` is symmetric, with 1.0 on its diagonal; None where nothing can be said (a constant column). What a
    figure is depends on the two kinds, see :meth:`measure`: Spearman's rank correlation from -1 to 1, Cramér's V
    (bias corrected) and the correlation ratio (eta) from 0 to 1. ``sampled_rows``: how many rows it was computed
    on, spread evenly over the file. ``note`` says in a sentence which rows and which columns. ``equivalent`` are
    pairs of columns of which each value of one goes with one of the other, such as a name and its code.
    """

    names: tuple[str, ...]
    kinds: tuple[AssociationKind, ...]
    matrix: tuple[tuple[float | None, ...], ...]
    sampled_rows: int
    note: str
    equivalent: tuple[tuple[str, str], ...] = ()

    def measure(self, first: int, second: int) -> Measure:
        kinds = {self.kinds[first], self.kinds[second]}
        if len(kinds) == 2:
            return "correlation_ratio"
        return "spearman" if kinds == {"number"} else "cramers_v"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Associations":
        return cls(
            names=tuple(values["names"]),
            kinds=tuple(values["kinds"]),
            matrix=tuple(map(tuple, values["matrix"])),
            sampled_rows=values["sampled_rows"],
            note=values["note"],
            equivalent=tuple((first, second) for first, second in values["equivalent"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: ``passed``, ``done`` (something was done about it) or ``alert``.

    ``column`` is None where it is about the table, or where no column gave cause. ``evidence`` says what was found,
    in numbers; ``action`` what was done about it or what a person may do, "" where nothing is needed.
    """

    kind: str
    status: CheckStatus
    column: str | None
    evidence: str
    action: str

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Check":
        return cls(**values)


#: The kinds of checks with their titles, in the order in which they are shown.
CHECK_TITLES = {
    "leakage": "Leakage",
    "imbalance": "Class balance",
    "duplicate_rows": "Duplicate rows",
    "duplicate_columns": "Duplicate columns",
    "constant": "Constant columns",
    "nearly_constant": "Nearly constant columns",
    "id_like": "Columns that name rows",
    "missing": "Missing values",
    "disguised_missing": "Disguised missing values",
    "sentinel": "Stand-in values",
    "mixed_types": "Mixed types",
    "written_otherwise": "Numbers and dates read as text",
    "high_cardinality": "Many categories",
    "excess_zeros": "Excess zeros",
    "outliers": "Outliers",
    "skew": "Skew",
    "time_order": "Time order",
    "groups": "Groups of rows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSuggestion:
    """The column that looks most like what a person wants to predict, why, and those that come next.

    ``others`` are (column, reason) pairs, the likelier first. Nothing is stored as a dataset's target by this.
    """

    column: str
    reason: str
    others: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TargetSuggestion":
        others = tuple((column, reason) for column, reason in values["others"])
        return cls(column=values["column"], reason=values["reason"], others=others)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProfile:
    """A whole table. ``bytes`` is the size of the normalised file.

    ``duplicate_rows`` counts rows that repeat an earlier one in all columns; None when it was not counted, and an
    estimate unless ``duplicate_rows_exact``. ``duplicate_columns`` are (first, its copy) pairs of equal values in
    every row.
    """

    rows: int
    bytes: int
    columns: tuple[ColumnProfile, ...]
    duplicate_rows: int | None
    duplicate_rows_exact: bool
    duplicate_columns: tuple[tuple[str, str], ...]
    associations: Associations | None
    checks: tuple[Check, ...]
    suggestion: TargetSuggestion | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TableProfile":
        associations, suggestion = values["associations"], values["suggestion"]
        changed = {
            "columns": tuple(map(ColumnProfile.from_dict, values["columns"])),
            "duplicate_columns": tuple((first, second) for first, second in values["duplicate_columns"]),
            "associations": None if associations is None else Associations.from_dict(associations),
            "checks": tuple(map(Check.from_dict, values["checks"])),
            "suggestion": None if suggestion is None else TargetSuggestion.from_dict(suggestion),
        }
        return cls(**{**values, **changed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """What one column alone says about the target.

    ``score`` is the cross-validated score of a model that knows this column only, in ``metric`` ("balanced
    accuracy" or "R²": the higher the better, 1 is perfect), ``baseline`` what knowing nothing scores. ``strength``
    puts it between 0 (nothing) and 1 (everything). ``suspicion`` is set where a column says more than seems fair.
    """

    column: str
    score: float
    metric: str
    baseline: float
    strength: float
    suspicion: Suspicion
    sentence: str

    @property
    def is_suspect(self) -> bool:
        return self.suspicion != ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Relation":
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRelation:
    """Every column against the target, the strongest first.

    ``rows`` have a target; ``rows_used`` of them, spread evenly over the file, were scored on. ``group_column``:
    its values were kept on one side of each cut. ``note`` says in sentences how it was done and what was left out.
    ``checks`` are those that only a target makes possible: leakage and imbalance.
    """

    target: str
    problem_type: ProblemType
    rows: int
    rows_used: int
    group_column: str | None
    relations: tuple[Relation, ...]
    checks: tuple[Check, ...]
    note: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TargetRelation":
        changed = {
            "problem_type": ProblemType(values["problem_type"]),
            "relations": tuple(map(Relation.from_dict, values["relations"])),
            "checks": tuple(map(Check.from_dict, values["checks"])),
        }
        return cls(**{**values, **changed})


def column_as_dict(column: ColumnProfile) -> dict[str, Any]:
    """One column's profile for JSON; :meth:`ColumnProfile.from_dict` reads it."""
    return asdict(column)


def _pairs(values: Sequence[Sequence[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((str(value), int(count)) for value, count in values)
