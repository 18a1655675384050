"""Answers worth a look: looked for when a person asks, by follow-up work, kept as ``labels-v{n}.json``."""

import math
from dataclasses import dataclass
from typing import Final, cast

from datasets.activities import Activity, ActivityKind
from ml.cross_validation import FOLDS
from ml.doubts import FORMAT, Doubts
from models_app import followups, retracing, services
from models_app.followups import Followup, WorkState
from models_app.records import Model, ModelVersion
from smartml.errors import SmartMLError

MODULE: Final = "ml.doubter"
STEM: Final = "labels"
# What the fit of each fold is given at most.
SECONDS: Final = 20
_OTHER_SECONDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtState(WorkState):
    """What was found in a version's rows, or the newest work on it, or the offer to begin: ``seconds`` is what it
    takes at most; ``refusal`` says why it cannot be done."""

    check: Doubts | None = None
    seconds: int = 0
    refusal: SmartMLError | None = None


def register() -> None:
    """Offer the work. Called once, when the app starts."""
    followups.register(ActivityKind.LABELS, look)


def look(work: Followup) -> None:
    """Let a child judge every row, and keep which are worth a look."""
    figures = services.model_diagnosis(model=work.model, version=work.version.version)
    coverage = None if figures is None else figures.get("coverage")
    with retracing.request_of(work) as request, work.opened() as place:
        request["seconds"] = seconds_of(work.version)
        request["reach"] = None if coverage is None else coverage["reach"]
        output = work.run_child(MODULE, request, place=place, what="looked at the answers")
        work.put(STEM, output.read_bytes())


def seconds_of(version: ModelVersion) -> int:
    """What each fit is given."""
    return min(version.time_limit, SECONDS)


def state_of(*, model: Model, version: ModelVersion) -> DoubtState:
    """What there is; nothing is begun."""
    found = current(model=model, version=version.version)
    if found is not None:
        return DoubtState(check=found)
    activity = followups.latest(model=model, version=version.version, kind=ActivityKind.LABELS)
    if activity is not None and not activity.status.is_over:
        return DoubtState(activity=activity)
    try:
        retracing.dataset_of(model=model, version=version)
    except SmartMLError as error:
        return DoubtState(refusal=error)
    seconds = 60 * math.ceil((FOLDS * 1.3 * seconds_of(version) + _OTHER_SECONDS) / 60)
    return DoubtState(activity=activity, seconds=seconds)


def current(*, model: Model, version: int) -> Doubts | None:
    """What was found, if there is a result in the present format."""
    found = followups.read(model=model, version=version, stem=STEM)
    return cast("Doubts", found) if found is not None and found["format"] == FORMAT else None


def start(*, model: Model, version: ModelVersion) -> Activity:
    """Have it done, again after a failure.

    :raises SmartMLError: the table is not there any more, or another one.
    """
    retracing.dataset_of(model=model, version=version)
    return followups.start(model=model, version=version.version, kind=ActivityKind.LABELS)


def cancel(*, model: Model, version: int) -> None:
    """End the work, if there is any."""
    followups.cancel_latest(model=model, version=version, kind=ActivityKind.LABELS)
