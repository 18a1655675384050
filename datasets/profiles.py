"""The profile of a dataset and the relation of its columns to the target, as the pages have them.

Both hold values of rows, so they are blobs beside the file, written by :mod:`datasets.profile_work`, not by a page:

``derived/profile.json``        the whole profile
``derived/profile-part.json``   the columns that are ready while it is being made
``derived/relation-HASH.json``  each column against one target; HASH is of the target's name

Each says which version of the file and which chosen types it is of; one of another version is never shown.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError

from datasets import activities, overrides
from datasets.activities import Activity, ActivityKind, ActivityStatus
from datasets.records import Dataset
from ml.column_types import ColumnType
from ml.profile_records import ColumnProfile, TableProfile, TargetRelation
from smartml.errors import SmartMLError
from storage.blobs import get_blobs

log = logging.getLogger(__name__)

# Raised when what is stored means something else than before: older ones are then made anew.
FORMAT: Final = 1
PROFILE: Final = "profile.json"
PART: Final = "profile-part.json"

Types = dict[str, ColumnType]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileState:
    """What is known of a dataset's columns at this moment.

    ``profile`` is complete and of the present file and types, else None. ``columns`` are its columns, or those that
    are ready so far. ``types`` are the chosen ones. ``outdated`` are columns shown with figures of another type
    than the one that is chosen now. ``activity`` is the newest work on it, unless the profile is there.
    """

    profile: TableProfile | None
    columns: tuple[ColumnProfile, ...]
    types: Types
    outdated: frozenset[str] = frozenset()
    activity: Activity | None = None

    @property
    def is_running(self) -> bool:
        return self.activity is not None and not self.activity.status.is_over

    @property
    def is_stopped(self) -> bool:
        """It ended without a profile; nothing happens before somebody asks for it again."""
        return self.activity is not None and self.activity.status in _STOPPED


_STOPPED: Final = frozenset({ActivityStatus.FAILED, ActivityStatus.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationState:
    """Each column against ``target``: the relation, or the work on it."""

    target: str
    relation: TargetRelation | None = None
    activity: Activity | None = None

    @property
    def is_running(self) -> bool:
        return self.activity is not None and not self.activity.status.is_over


def start(*, dataset: Dataset) -> Activity:
    """Have the profile made; the same work that is not over yet is returned."""
    return activities.start(user_id=dataset.user_id, dataset_id=dataset.id, kind=ActivityKind.PROFILE)


def start_relation(*, dataset: Dataset, target: str) -> Activity:
    """Have every column held against ``target``."""
    return activities.start(
        user_id=dataset.user_id, dataset_id=dataset.id, kind=ActivityKind.RELATION, subject=target
    )


def start_quietly(*, dataset: Dataset) -> None:
    """The same for a dataset that has just become ready: whatever fails, its page tries again."""
    try:
        start(dataset=dataset)
    except (SmartMLError, DatabaseError) as error:
        log.warning("The profile of dataset %s waits for its page: %s", dataset.id, type(error).__name__)


def state_of(*, dataset: Dataset, begin: bool = True) -> ProfileState:
    """The profile, or what there is of it; with ``begin`` the work is started where there is none."""
    types = overrides.types_of(dataset=dataset)
    stored = _read(dataset, PROFILE)
    profile = None if stored is None else TableProfile.from_dict(stored["profile"])
    if stored is not None and profile is not None and _types_in(stored) == types:
        return ProfileState(profile=profile, columns=profile.columns, types=types)
    activity = _newest(dataset, ActivityKind.PROFILE, "")
    if begin and (activity is None or activity.status is ActivityStatus.SUCCEEDED):
        activity = start(dataset=dataset)
    if stored is not None and profile is not None:
        before = _types_in(stored)
        changed = frozenset(name for name in {*before, *types} if before.get(name) != types.get(name))
        return ProfileState(profile=None, columns=profile.columns, types=types, outdated=changed, activity=activity)
    return ProfileState(profile=None, columns=_part(dataset, types), types=types, activity=activity)


def current(*, dataset: Dataset) -> TableProfile | None:
    """The complete profile of the present file and types, if there is one; starts nothing."""
    return state_of(dataset=dataset, begin=False).profile


def relation_state(
    *, dataset: Dataset, types: Types | None = None, begin: bool = True, target: str | None = None
) -> RelationState | None:
    """Each column against ``target``, the dataset's own unless it is said; None when none is chosen. ``types``: the
    chosen ones, if known."""
    target = target or dataset.target_column
    if target is None:
        return None
    stored = _read(dataset, relation_name(target))
    types = overrides.types_of(dataset=dataset) if types is None else types
    if stored is not None and _types_in(stored) == types and stored["relation"]["target"] == target:
        return RelationState(target=target, relation=TargetRelation.from_dict(stored["relation"]))
    activity = _newest(dataset, ActivityKind.RELATION, target)
    if begin and (activity is None or activity.status is ActivityStatus.SUCCEEDED):
        activity = start_relation(dataset=dataset, target=target)
    return RelationState(target=target, activity=activity)


def relation_to(*, dataset: Dataset, target: str, types: Types) -> TargetRelation | None:
    """Each column against this target as these types read it, if somebody has looked; starts nothing."""
    stored = _read(dataset, relation_name(target))
    if stored is None or _types_in(stored) != types or stored["relation"]["target"] != target:
        return None
    return TargetRelation.from_dict(stored["relation"])


def suspects(*, dataset: Dataset, target: str) -> tuple[str, ...]:
    """The columns that give this target away by themselves, as far as somebody has looked; starts nothing."""
    known = relation_to(dataset=dataset, target=target, types=overrides.types_of(dataset=dataset))
    return () if known is None else tuple(found.column for found in known.relations if found.is_suspect)


def choose_type(*, dataset: Dataset, column: str, type: ColumnType | None) -> None:
    """Store the type of a column of the table, and have everything that depends on it made anew."""
    overrides.set_type(dataset=dataset, column=column, type=type)
    start(dataset=dataset)
    if dataset.target_column is not None:
        start_relation(dataset=dataset, target=dataset.target_column)


def relation_name(target: str) -> str:
    """The blob of the relation to this target."""
    return f"relation-{hashlib.sha256(target.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.json"


def header(*, dataset: Dataset, types: Types) -> dict[str, Any]:
    """What a derived document is of, to be stored in it."""
    return {"format": FORMAT, "etag": dataset.etag, "types": types}


def _read(dataset: Dataset, name: str) -> dict[str, Any] | None:
    """A derived document of the present file, in the present format."""
    data = get_blobs().get_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=name)
    if data is None:
        return None
    document: dict[str, Any] = json.loads(data)
    is_of_it = (document.get("format"), document.get("etag")) == (FORMAT, dataset.etag)
    return document if is_of_it else None


def _types_in(document: dict[str, Any]) -> Types:
    return {name: ColumnType(kind) for name, kind in document["types"].items()}


def _part(dataset: Dataset, types: Types) -> tuple[ColumnProfile, ...]:
    stored = _read(dataset, PART)
    if stored is None or _types_in(stored) != types:
        return ()
    return tuple(map(ColumnProfile.from_dict, stored["columns"]))


def _newest(dataset: Dataset, kind: ActivityKind, subject: str) -> Activity | None:
    return activities.latest(user_id=dataset.user_id, dataset_id=dataset.id, kind=kind, subject=subject)
