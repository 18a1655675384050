"""The numbers behind the figures of a profile, as CSV files."""

import csv
import io
from collections.abc import Iterable, Sequence

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from datasets import profiles, services
from datasets.records import Dataset
from ml.profile_records import QUANTILES, ColumnProfile, TableProfile
from smartml.errors import NotFound
from smartml.htmx import UserRequest

_NOT_YET = "The profile of this dataset is not there yet."
# Of ColumnProfile; the quantiles follow.
_COLUMN_FIELDS = (
    *("name", "type", "detected_type", "rows", "missing", "disguised_missing", "not_of_type", "unique"),
    *("unique_is_exact", "minimum", "maximum", "mean", "std", "zeros", "negatives", "longest"),
)

Row = Sequence[object]


@login_required
@require_GET
@never_cache
def columns(request: UserRequest, dataset_id: str) -> HttpResponse:
    """One row for each column."""
    dataset, profile = _profile(request, dataset_id)
    heads = ["column", *_COLUMN_FIELDS[1:], *QUANTILES]
    return _csv(dataset, "columns", heads, map(_column_row, profile.columns))


@login_required
@require_GET
@never_cache
def column(request: UserRequest, dataset_id: str, index: int) -> HttpResponse:
    """The bins of one column's histogram, or its most frequent values."""
    dataset, profile = _profile(request, dataset_id)
    if index >= len(profile.columns):
        raise NotFound("This file has no such column.")
    found = profile.columns[index]
    if found.histogram is None:
        return _csv(dataset, f"column-{index + 1}", ["value", "count"], found.top)
    edges, counts = found.histogram.edges, found.histogram.counts
    bins = zip(edges[:-1], edges[1:], counts, strict=True)
    return _csv(dataset, f"column-{index + 1}", ["from", "to", "count"], bins)


@login_required
@require_GET
@never_cache
def checks(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Every check with its evidence."""
    dataset, profile = _profile(request, dataset_id)
    rows = ([each.kind, each.status, each.column, each.evidence, each.action] for each in profile.checks)
    return _csv(dataset, "checks", ["check", "status", "column", "evidence", "action"], rows)


@login_required
@require_GET
@never_cache
def associations(request: UserRequest, dataset_id: str) -> HttpResponse:
    """The whole matrix of the heat map."""
    dataset, profile = _profile(request, dataset_id)
    found = profile.associations
    if found is None:
        raise NotFound("There is nothing to compare in this dataset.")
    rows = ([name, *row] for name, row in zip(found.names, found.matrix, strict=True))
    return _csv(dataset, "associations", ["column", *found.names], rows)


@login_required
@require_GET
@never_cache
def relation(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Each column against the target."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    state = profiles.relation_state(dataset=dataset, begin=False)
    if state is None or state.relation is None:
        raise NotFound("No column has been held against the target of this dataset yet.")
    heads = ["column", "strength", "score", "metric", "baseline", "suspicion", "sentence"]
    rows = (
        [each.column, each.strength, each.score, each.metric, each.baseline, each.suspicion, each.sentence]
        for each in state.relation.relations
    )
    return _csv(dataset, "relation", heads, rows)


def _profile(request: UserRequest, dataset_id: str) -> tuple[Dataset, TableProfile]:
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    profile = profiles.current(dataset=dataset)
    if profile is None:
        raise NotFound(_NOT_YET)
    return dataset, profile


def _column_row(column: ColumnProfile) -> Row:
    fields = [getattr(column, name) for name in _COLUMN_FIELDS]
    return [*fields, *(column.quantiles.get(name) for name in QUANTILES)]


def _csv(dataset: Dataset, what: str, heads: Row, rows: Iterable[Row]) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(heads)
    writer.writerows(rows)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    name = content_disposition_header(True, f"{dataset.name}-{what}.csv")
    response["Content-Disposition"] = name or "attachment"
    return response
