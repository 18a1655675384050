"""A profile as its templates show it: little histograms, shares, sentences. No input or output here."""

from dataclasses import dataclass
from typing import Final

from datasets import figures
from datasets.activities import Activity
from datasets.figures import Figure
from datasets.profiles import ProfileState
from datasets.records import Dataset
from ml.column_types import ColumnType
from ml.profile_records import (
    ColumnProfile,
    Histogram,
    TableProfile,
)
from ml.readable import plain_number

PAGE_SIZE: Final = 24
MOST_PAIRS: Final = 60
# The little histograms, in units of their view box.
CHART_WIDTH: Final = 240
CHART_HEIGHT: Final = 56
_GAP: Final = 0.12
_TOP_SHOWN: Final = 5
_QUANTILE_LABELS: Final = {"p5": "5 %", "p25": "25 %", "p50": "Median", "p75": "75 %", "p95": "95 %"}

_TYPE_ICONS: Final = {
    ColumnType.INTEGER: "ruler",
    ColumnType.NUMERIC: "ruler",
    ColumnType.BOOLEAN: "circle-check",
    ColumnType.DATE: "calendar",
    ColumnType.CATEGORY: "tag",
    ColumnType.TEXT: "file-text",
    ColumnType.ID: "key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a little histogram, in units of the view box."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopValue:
    """One of the most frequent values; ``percent`` of the values that are not missing."""

    value: str
    count: int
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One column. ``index`` is its place in the file, from 0. ``chosen`` is the type a person chose, or ""."""

    index: int
    column: ColumnProfile
    type: ColumnType
    icon: str
    chosen: str
    is_outdated: bool
    is_target: bool
    missing_percent: float
    bars: tuple[Bar, ...]
    chart_label: str
    facts: tuple[tuple[str, str], ...]
    top: tuple[TopValue, ...]
    notes: tuple[str, ...]

    @property
    def type_label(self) -> str:
        return self.type.label

    @property
    def detected_label(self) -> str:
        return self.column.detected_type.label


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPage:
    """A page of cards. ``number`` counts from 1; ``found`` of ``total`` columns fit what was asked for."""

    cards: tuple[Card, ...]
    number: int
    pages: int
    found: int
    total: int

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.pages else None


def card_page(
    state: ProfileState, dataset: Dataset, *, search: str = "", kind: str = "", number: int = 1
) -> CardPage:
    """The cards of the columns whose name holds ``search`` and whose type is ``kind`` ("": any)."""
    wanted = search.casefold()
    found = [
        index
        for index, column in enumerate(state.columns)
        if wanted in column.name.casefold() and kind in ("", _type(state, column))
    ]
    pages = max(1, -(-len(found) // PAGE_SIZE))
    number = min(max(number, 1), pages)
    shown = found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return CardPage(
        cards=tuple(card(state, dataset, index) for index in shown),
        number=number,
        pages=pages,
        found=len(found),
        total=len(state.columns),
    )


def page_of(index: int) -> int:
    """The page that a column is on when nothing is filtered."""
    return index // PAGE_SIZE + 1


def _type(state: ProfileState, column: ColumnProfile) -> ColumnType:
    return state.types.get(column.name, column.detected_type)


def card(state: ProfileState, dataset: Dataset, index: int) -> Card:
    """One column's card; of one whose figures are of another type than now, only what does not depend on it."""
    column = state.columns[index]
    outdated = column.name in state.outdated
    type_ = _type(state, column)
    histogram = None if outdated else column.histogram
    return Card(
        index=index,
        column=column,
        type=type_,
        icon=_TYPE_ICONS[type_],
        chosen=str(state.types.get(column.name, "")),
        is_outdated=outdated,
        is_target=column.name == dataset.target_column,
        missing_percent=_percent(column.missing, column.rows),
        bars=() if histogram is None else _bars(histogram),
        chart_label="" if histogram is None else _chart_label(column, histogram),
        facts=() if outdated else _facts(column),
        top=() if outdated or histogram is not None else _top(column),
        notes=() if outdated else _notes(column),
    )


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _bars(histogram: Histogram) -> tuple[Bar, ...]:
    highest = max(histogram.counts, default=0) or 1
    step = CHART_WIDTH / max(len(histogram.counts), 1)
    bars = []
    for place, count in enumerate(histogram.counts):
        # What is not nothing is seen, however little it is.
        height = 0.0 if not count else max(1.5, CHART_HEIGHT * count / highest)
        low, high = _edge(histogram.edges[place]), _edge(histogram.edges[place + 1])
        bars.append(
            Bar(
                x=round(place * step, 2),
                y=round(CHART_HEIGHT - height, 2),
                width=round(step * (1 - _GAP), 2),
                height=round(height, 2),
                title=f"{low} to {high}: {count:,}",
            )
        )
    return tuple(bars)


def _edge(edge: float | str) -> str:
    return edge if isinstance(edge, str) else plain_number(edge)


def _chart_label(column: ColumnProfile, histogram: Histogram) -> str:
    highest = max(range(len(histogram.counts)), key=lambda place: histogram.counts[place], default=None)
    label = f"Histogram of {column.name}, {_edge(histogram.edges[0])} to {_edge(histogram.edges[-1])}"
    if highest is None:
        return label
    low, high = _edge(histogram.edges[highest]), _edge(histogram.edges[highest + 1])
    return f"{label}; most values, {histogram.counts[highest]:,}, lie from {low} to {high}"


def _facts(column: ColumnProfile) -> tuple[tuple[str, str], ...]:
    """What is said of the values, as term and description, numbers in their order."""
    quantiles = [
        (label, plain_number(column.quantiles[name]))
        for name, label in _QUANTILE_LABELS.items()
        if name in column.quantiles
    ]
    facts = [("Different", f"{'' if column.unique_is_exact else 'about '}{column.unique:,}")]
    if column.mean is not None:
        facts.append(("Mean", plain_number(column.mean)))
    if column.std is not None:
        facts.append(("Std. deviation", plain_number(column.std)))
    if column.minimum is not None and column.maximum is not None:
        facts += [("Smallest", _bound(column.minimum)), *quantiles, ("Largest", _bound(column.maximum))]
    if column.zeros:
        facts.append(("Zeros", f"{column.zeros:,}"))
    if column.negatives:
        facts.append(("Negative", f"{column.negatives:,}"))
    if column.longest and column.type in (ColumnType.TEXT, ColumnType.CATEGORY, ColumnType.ID):
        facts.append(("Longest", f"{column.longest:,} character{'s' * (column.longest != 1)}"))
    return tuple(facts)


def _bound(text: str) -> str:
    return text.removesuffix(" 00:00:00")


def _top(column: ColumnProfile) -> tuple[TopValue, ...]:
    of = min(column.sampled_rows, column.present) if column.sampled_rows else column.present
    return tuple(
        TopValue(value=value, count=count, percent=min(100.0, _percent(count, of)))
        for value, count in column.top[:_TOP_SHOWN]
    )


def _notes(column: ColumnProfile) -> tuple[str, ...]:
    notes = []
    if column.not_of_type:
        subject = "1 value is" if column.not_of_type == 1 else f"{column.not_of_type:,} values are"
        notes.append(f"{subject} not of the chosen type and counted as missing.")
    if column.disguised_missing:
        written = ", ".join(f"“{word}”" for word, _ in column.disguises[:3])
        notes.append(f"{column.disguised_missing:,} missing written as {written}." if written else "")
    if column.is_preliminary:
        notes.append(f"From a sample of {column.rows:,} rows; the whole file follows.")
    elif column.sampled_rows:
        notes.append(f"Quantiles and frequent values from {column.sampled_rows:,} rows spread over the file.")
    return tuple(note for note in notes if note)


# --- The whole ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityView:
    """Work that runs or has stopped; ``poll_seconds`` until the page asks again."""

    activity: Activity
    percent: int
    poll_seconds: int | None


def activity_view(activity: Activity | None) -> ActivityView | None:
    """None when there is nothing to say about it."""
    if activity is None:
        return None
    over = activity.status.is_over
    return ActivityView(activity=activity, percent=round(100 * activity.progress), poll_seconds=None if over else 2)


def sentence(state: ProfileState, dataset: Dataset) -> str:
    """What the head of the section says: the table's size, or what is being waited for."""
    profile = state.profile
    if profile is None:
        if state.outdated:
            return "The file is looked at again with the types you have chosen."
        if state.columns:
            return f"{len(state.columns):,} of {dataset.column_count:,} columns are ready; the others follow."
        return "You can leave this page; the work goes on."
    size = f"{_counted(profile.rows, 'row')}, {_counted(len(profile.columns), 'column')}"
    if profile.duplicate_rows is None:
        return size
    about = "" if profile.duplicate_rows_exact or not profile.duplicate_rows else "about "
    return f"{size}, {about}{_counted(profile.duplicate_rows, 'duplicate row')}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}" if count else f"no {what}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationsView:
    """The heat map and, in its place without a script, the strongest pairs."""

    figure: Figure
    pairs: tuple[tuple[str, str, float, str], ...]
    note: str
    columns: int


def associations_view(profile: TableProfile) -> AssociationsView | None:
    """None where fewer than two columns can be compared."""
    found = profile.associations
    if found is None or len(found.names) < 2:
        return None
    return AssociationsView(
        figure=figures.heat_map(found),
        pairs=figures.strongest_pairs(found, limit=MOST_PAIRS),
        note=found.note,
        columns=len(found.names),
    )
