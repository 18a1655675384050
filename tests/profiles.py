"""Profiles of datasets, stored as the work on the queue stores them, without doing it."""

import json
from collections.abc import Sequence
from typing import Any

from datasets import activities_repository, overrides, profiles
from datasets.activities import Activity, ActivityError, ActivityKind, ActivityStatus
from datasets.records import Dataset
from ml.column_types import ColumnType
from ml.problem import ProblemType
from ml.profile_records import (
    Associations,
    Check,
    ColumnProfile,
    Histogram,
    Relation,
    TableProfile,
    TargetRelation,
    TargetSuggestion,
)
from storage.blobs import get_blobs

LEGS = ColumnProfile(
    name="legs",
    type=ColumnType.INTEGER,
    detected_type=ColumnType.INTEGER,
    rows=40,
    missing=4,
    unique=2,
    unique_is_exact=True,
    disguised_missing=1,
    disguises=(("?", 1),),
    example="4",
    minimum="2",
    maximum="4",
    mean=3.0,
    std=1.01,
    quantiles={"p5": 2.0, "p25": 2.0, "p50": 3.0, "p75": 4.0, "p95": 4.0},
    zeros=0,
    negatives=0,
    histogram=Histogram(edges=(2.0, 3.0, 4.0), counts=(20, 16)),
)
SPECIES = ColumnProfile(
    name="species",
    type=ColumnType.CATEGORY,
    detected_type=ColumnType.CATEGORY,
    rows=40,
    missing=0,
    unique=2,
    unique_is_exact=True,
    example="dog",
    top=(("dog", 20), ("duck", 20)),
    longest=4,
)
WINGS = ColumnProfile(
    name="wings",
    type=ColumnType.BOOLEAN,
    detected_type=ColumnType.BOOLEAN,
    rows=40,
    missing=0,
    unique=2,
    unique_is_exact=True,
    example="no",
    top=(("no", 20), ("yes", 20)),
    longest=3,
)
WEIGHT = ColumnProfile(
    name="weight",
    type=ColumnType.NUMERIC,
    detected_type=ColumnType.NUMERIC,
    rows=40,
    missing=0,
    unique=40,
    unique_is_exact=False,
    minimum="1.0",
    maximum="21.9",
    mean=11.45,
    histogram=Histogram(edges=(1.0, 11.0, 21.9), counts=(20, 20)),
)
COLUMNS = (LEGS, WINGS, WEIGHT, SPECIES)
RELATION = TargetRelation(
    target="species",
    problem_type=ProblemType.BINARY,
    rows=40,
    rows_used=40,
    group_column=None,
    relations=(
        Relation(
            column="wings",
            score=1.0,
            metric="balanced accuracy",
            baseline=0.5,
            strength=1.0,
            suspicion="high",
            sentence="wings alone tells species without a mistake.",
        ),
        Relation(
            column="legs",
            score=0.6,
            metric="balanced accuracy",
            baseline=0.5,
            strength=0.2,
            suspicion="",
            sentence="legs alone says a little.",
        ),
    ),
    checks=(
        Check(
            kind="leakage",
            status="alert",
            column="wings",
            evidence="wings alone is always right.",
            action="Leave it out unless it is known before.",
        ),
    ),
    note="Five-fold cross-validation on all rows.",
)


def table_profile(columns: Sequence[ColumnProfile] = COLUMNS, **changes: Any) -> TableProfile:
    """The profile of the animals."""
    values: dict[str, Any] = {
        "rows": 40,
        "bytes": 600,
        "columns": tuple(columns),
        "duplicate_rows": 3,
        "duplicate_rows_exact": True,
        "duplicate_columns": (),
        "associations": Associations(
            names=("legs", "weight", "species"),
            kinds=("number", "number", "category"),
            matrix=((1.0, 0.97, None), (0.97, 1.0, 0.5), (None, 0.5, 1.0)),
            sampled_rows=40,
            note="From all rows.",
        ),
        "checks": (
            Check(kind="constant", status="passed", column=None, evidence="No column is constant.", action=""),
            Check(
                kind="disguised_missing",
                status="done",
                column="legs",
                evidence="1 value is written as “?”.",
                action="It counts as missing.",
            ),
            Check(
                kind="missing",
                status="alert",
                column="legs",
                evidence="10 % of legs is missing.",
                action="Look whether the gaps mean something.",
            ),
        ),
        "suggestion": TargetSuggestion(
            column="species", reason="it is the last column.", others=(("wings", "it has two values."),)
        ),
    }
    return TableProfile(**(values | changes))


def wide_profile(width: int) -> TableProfile:
    """As many columns as asked for."""
    columns = [
        ColumnProfile(
            name=f"c{index}",
            type=ColumnType.INTEGER,
            detected_type=ColumnType.INTEGER,
            rows=1,
            missing=0,
            unique=1,
            unique_is_exact=True,
            minimum="1",
            maximum="1",
            quantiles={"p50": 1.0},
            histogram=Histogram(edges=tuple(map(float, range(21))), counts=(1,) * 20),
        )
        for index in range(width)
    ]
    return table_profile(columns, associations=None, checks=(), suggestion=None)


def store_profile(dataset: Dataset, profile: TableProfile | None = None, **header: Any) -> None:
    """As it is stored when the work has succeeded; ``header`` changes what it is of."""
    document = _header(dataset) | header | {"profile": (profile or table_profile()).as_dict()}
    _put(dataset, profiles.PROFILE, document)


def store_part(dataset: Dataset, columns: Sequence[ColumnProfile], **header: Any) -> None:
    """As it is stored while the work goes on."""
    made = table_profile(columns).as_dict()["columns"]
    _put(dataset, profiles.PART, _header(dataset) | header | {"columns": made})


def store_relation(dataset: Dataset, relation: TargetRelation = RELATION, **header: Any) -> None:
    document = _header(dataset) | header | {"relation": relation.as_dict()}
    _put(dataset, profiles.relation_name(relation.target), document)


def _header(dataset: Dataset) -> dict[str, Any]:
    return profiles.header(dataset=dataset, types=overrides.types_of(dataset=dataset))


def _put(dataset: Dataset, name: str, document: dict[str, Any]) -> None:
    data = json.dumps(document, ensure_ascii=False).encode()
    get_blobs().put_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=name, data=data)


def work_on(dataset: Dataset, kind: ActivityKind = ActivityKind.PROFILE) -> Activity | None:
    """The newest work of this kind."""
    return activities_repository.latest(user_id=dataset.user_id, dataset_id=dataset.id, kind=kind)


def fail(activity: Activity, message: str = "There was not enough memory.") -> None:
    """End work that waits as a worker would that could not do it."""
    claimed = activities_repository.claim(activity_id=activity.id, owner="test", lease_seconds=60)
    assert claimed is not None
    ended = activities_repository.finish(
        activity_id=activity.id,
        owner="test",
        status=ActivityStatus.FAILED,
        error=ActivityError(code="out_of_memory", message=message, hint="Try again when less is going on."),
        has_leftovers=False,
    )
    assert ended is not None
