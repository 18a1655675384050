"""What a model looks at: computed once for each version by follow-up work, kept as ``explanations-v{n}.json``."""

import json
from dataclasses import dataclass
from typing import Final, cast

from datasets.activities import Activity, ActivityKind
from ml.explaining import FORMAT, Explanation
from models_app import followups, services
from models_app.explanation_figures import view_of
from models_app.followups import Followup, WorkState
from models_app.records import Model
from models_app.report_explanation import with_explanation
from smartml.errors import NotFound

MODULE: Final = "ml.explainer"
STEM: Final = "explanations"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationState(WorkState):
    """The explanation of a version, or the newest work on it."""

    explanation: Explanation | None = None


def register() -> None:
    """Offer the work. Called once, when the app starts."""
    followups.register(ActivityKind.EXPLAIN, explain)


def explain(work: Followup) -> None:
    """Let a child look at the model with the rows held out, and keep what it finds."""
    with work.opened() as place:
        if place.holdout is None:
            raise NotFound(
                "This version was trained before the rows held out were kept, so it cannot be explained.",
                hint="Train again to see what the model looks at.",
            )
        request = {
            "metric": work.version.metric_name,
            "target": work.version.target,
            "all_rows": work.version.holdout_rows,
            "seed": work.version.asked.seed,
        }
        output = work.run_child(MODULE, request, place=place, what="looked into the model")
        data = output.read_bytes()
    work.put(STEM, data)
    _complete_report(work, json.loads(data))


def _complete_report(work: Followup, found: Explanation) -> None:
    """The report was written by the training; it is replaced as a whole."""
    report = work.get(services.REPORT, ext="html")
    if report is not None:
        completed = with_explanation(report, view_of(found, target=work.version.target))
        if completed is not None:
            work.put(services.REPORT, completed, ext="html")


def state_of(*, model: Model, version: int) -> ExplanationState:
    """The explanation; where there is none it is begun, unless it was stopped or has failed."""
    explanation = current(model=model, version=version)
    if explanation is not None:
        return ExplanationState(explanation=explanation)
    return ExplanationState(activity=followups.ensure(model=model, version=version, kind=ActivityKind.EXPLAIN))


def current(*, model: Model, version: int) -> Explanation | None:
    """The explanation of a version, if there is one in the present format; starts nothing."""
    found = followups.read(model=model, version=version, stem=STEM)
    return cast("Explanation", found) if found is not None and found["format"] == FORMAT else None


def start(*, model: Model, version: int) -> Activity:
    """Have it made, again after a failure."""
    return followups.start(model=model, version=version, kind=ActivityKind.EXPLAIN)


def cancel(*, model: Model, version: int) -> None:
    """End the work, if there is any."""
    followups.cancel_latest(model=model, version=version, kind=ActivityKind.EXPLAIN)
