"""What pages show of the checks of a table, and of how much its columns say about a target."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from datasets import figures
from datasets.figures import Figure
from datasets.profile_presenters import page_of
from datasets.profiles import RelationState
from ml.profile_records import CHECK_TITLES, Check, ColumnProfile, Relation, TargetRelation

MOST_CHECKS: Final = 60
MOST_RELATIONS: Final = 100
_CHECK_ICONS: Final = {"passed": "circle-check", "done": "wand", "alert": "alert-triangle"}
_CHECK_COLOURS: Final = {"passed": "green", "done": "blue", "alert": "yellow"}
_CHECK_WORDS: Final = {"passed": "Passed", "done": "Done", "alert": "Look at it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One check with what its row shows; ``page`` and ``index`` lead to the column's card."""

    check: Check
    title: str
    icon: str
    colour: str
    word: str
    index: int | None
    page: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksView:
    """The checks that say something, and those that passed."""

    told: tuple[CheckView, ...]
    passed: tuple[CheckView, ...]
    alerts: int
    hidden: int


def checks_view(checks: Sequence[Check], columns: Sequence[ColumnProfile]) -> ChecksView:
    """Alerts first, then what was done, then what passed."""
    places = {column.name: index for index, column in enumerate(columns)}
    order = {"alert": 0, "done": 1}
    told = sorted((check for check in checks if check.status != "passed"), key=lambda check: order[check.status])
    return ChecksView(
        told=tuple(_check_view(check, places) for check in told[:MOST_CHECKS]),
        passed=tuple(_check_view(check, places) for check in checks if check.status == "passed"),
        alerts=sum(check.status == "alert" for check in told),
        hidden=max(0, len(told) - MOST_CHECKS),
    )


def _check_view(check: Check, places: dict[str, int]) -> CheckView:
    index = None if check.column is None else places.get(check.column)
    return CheckView(
        check=check,
        title=CHECK_TITLES.get(check.kind, check.kind.replace("_", " ").capitalize()),
        icon=_CHECK_ICONS[check.status],
        colour=_CHECK_COLOURS[check.status],
        word=_CHECK_WORDS[check.status],
        index=index,
        page=None if index is None else page_of(index),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationView:
    """The columns against the target: suspects with what to do, a figure, and the numbers."""

    figure: Figure
    relations: tuple[Relation, ...]
    hidden: int
    told: tuple[CheckView, ...]


def relation_view(state: RelationState | None, columns: Sequence[ColumnProfile]) -> RelationView | None:
    """None while there is no relation."""
    if state is None or state.relation is None:
        return None
    found = state.relation
    return RelationView(
        figure=figures.relation_bars(found),
        relations=found.relations[:MOST_RELATIONS],
        hidden=max(0, len(found.relations) - MOST_RELATIONS),
        told=_suspects_first(found, columns),
    )


def _suspects_first(found: TargetRelation, columns: Sequence[ColumnProfile]) -> tuple[CheckView, ...]:
    """What there is to say, with the columns that probably give the target away marked and above."""
    named = {check.column for check in found.checks if check.kind == "leakage"}
    silent = [
        Check(kind="leakage", status="alert", column=relation.column, evidence=relation.sentence, action="")
        for relation in found.relations
        if relation.is_suspect and relation.column not in named
    ]
    high = {relation.column for relation in found.relations if relation.suspicion == "high"}
    views = [
        replace(view, colour="red", word="Suspect")
        if view.check.kind == "leakage" and view.check.column in high
        else view
        for view in checks_view([*found.checks, *silent], columns).told
    ]
    return tuple(sorted(views, key=lambda view: view.colour != "red"))
