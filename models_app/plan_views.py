"""The flight plan on the training form, and for staff how good such plans are."""

import statistics
from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from datasets import services as datasets
from models_app import planning, plans_repository
from models_app.forms import TrainForm
from models_app.records import Job
from smartml.errors import NotFound
from smartml.htmx import UserRequest


@login_required
@require_GET
@never_cache
def train_plan(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fragment: what a training with the choices of the form would do; nothing while these are not complete."""
    dataset = datasets.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    form = TrainForm(request.GET, columns=datasets.columns_of(dataset=dataset))
    context: dict[str, object] = {"dataset": dataset}
    if form.is_valid():
        settings = form.job_settings()
        context["outlook"] = planning.outlook(dataset=dataset, settings=settings, user_id=request.user.id)
        context["settings"] = settings
    return render(request, "models_app/_plan.html", context)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """Expected and actual of one training; ``ratio`` is actual by expected time."""

    job: Job
    seconds: float
    ratio: float


@login_required
@require_GET
@never_cache
def plan_accuracy(request: UserRequest) -> HttpResponse:
    """For staff: the last plans, and what the trainings came to."""
    if not request.user.is_staff:
        raise NotFound("There is no such page.")
    rows = [_planned(job) for job in plans_repository.last_planned()]
    ratios = sorted(row.ratio for row in rows)
    summary = {
        "median": statistics.median(ratios) if ratios else None,
        "within_double": sum(0.5 <= ratio <= 2 for ratio in ratios),
    }
    return render(request, "models_app/plan_accuracy.html", {"rows": rows, **summary})


def _planned(job: Job) -> PlannedJob:
    assert job.plan is not None
    assert job.started_at is not None
    assert job.finished_at is not None
    seconds = (job.finished_at - job.started_at).total_seconds()
    return PlannedJob(job=job, seconds=seconds, ratio=seconds / max(job.plan.seconds, 1e-9))
