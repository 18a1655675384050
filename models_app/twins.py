"""A small copy of a version as plain JSON and as a page that answers without a network: made when it is asked for.

Kept as ``twin-v{n}.json`` and ``twin-v{n}.html`` beside the version. See ``ml.twin`` for what it is.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.template.loader import render_to_string

from datasets.activities import Activity, ActivityKind
from ml.retracing import TableChanged
from ml.twin import FORMAT
from models_app import followups, retracing
from models_app.followups import Followup, WorkState
from models_app.presenters import metric_label
from models_app.records import Model, ModelVersion
from smartml.errors import NotFound
from storage.blobs import get_blobs

MODULE: Final = "ml.twin_maker"
STEM: Final = "twin"
# A larger table has rows enough among those held out, and is long to read.
_TABLE_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinView:
    """What is said of a twin. Scores as they are, the other facts as sentences."""

    is_good: bool
    verdict: str
    rows: int
    metric: str
    lower_is_better: bool
    twin_score: float | None
    model_score: float | None
    made_of: str
    learned_from: str
    unused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinState(WorkState):
    """The twin of a version, or the work on it that goes on or came to nothing; neither where nobody has asked."""

    view: TwinView | None = None


def register() -> None:
    """Offer the work. Called once, when the app starts."""
    followups.register(ActivityKind.TWIN, make)


def make(work: Followup) -> None:
    """Let a child make the twin, and keep it and its page."""
    with work.opened() as place, _training(work) as training:
        if place.holdout is None:
            raise NotFound(
                "This version is older than the keeping of rows held out, so a twin could not be measured.",
                hint="Train again to have one made.",
            )
        request = {
            "metric": work.version.metric_name,
            "target": work.version.target,
            "seed": work.version.asked.seed,
            **training,
        }
        output = work.run_child(MODULE, request, place=place, what="made the twin")
        document = output.read_bytes()
    work.put(STEM, page_of(work.model.name, work.version, json.loads(document)), ext="html")
    work.put(STEM, document)


@contextmanager
def _training(work: Followup) -> Iterator[dict[str, Any]]:
    """The table of the training for a child, where it is there and small; else the rows held out do."""
    try:
        dataset = retracing.dataset_of(model=work.model, version=work.version)
    except (NotFound, TableChanged):
        yield {"table": None}
        return
    if dataset.file_size > _TABLE_BYTES:
        yield {"table": None}
        return
    with retracing.request_of(work) as request:
        yield request


def page_of(name: str, version: ModelVersion, twin: Mapping[str, Any]) -> bytes:
    """The page that answers by itself."""
    text = json.dumps(twin, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    context = {
        "name": name,
        "version": version,
        "view": view_of(twin),
        # Inside a script no text may end it, or begin a comment.
        "document": text.replace("<", "\\u003c"),
    }
    return render_to_string("models_app/twin/twin.html", context).encode()


def view_of(twin: Mapping[str, Any]) -> TwinView:
    """A stored twin for people."""
    found, learned = twin["agreement"], twin["learned_from"]
    rows = [
        (learned["training_rows"], "rows of the training"),
        (learned["held_out_rows"], "of the rows held out"),
        (learned["made_up_rows"], "made-up rows"),
    ]
    size = sum(len(output.get("trees", ())) for output in twin["outputs"])
    return TwinView(
        is_good=found["is_good"],
        verdict=_verdict(twin),
        rows=found["rows"],
        metric=metric_label(found["metric"]),
        lower_is_better=found["lower_is_better"],
        twin_score=found["twin_score"],
        model_score=found["model_score"],
        made_of=f"It is {size:,} small decision trees." if twin["kind"] == "trees" else "It is a weighted sum.",
        learned_from=" and ".join(f"{count:,} {what}" for count, what in rows if count),
        unused=", ".join(twin["unused"]),
    )


def _verdict(twin: Mapping[str, Any]) -> str:
    found = twin["agreement"]
    share = f"{100 * found['fidelity']:.1f} %"
    if twin["classes"]:
        said = f"The twin gives the model's answer for {share} of the rows it was tried on"
        poor = f"The twin does not agree well with the model: only for {share} of the rows it says the same"
    else:
        typical = f"half of its answers are within {found['typical_difference']:.3g} of the model's"
        said = f"The twin follows {share} of what moves the model's answers; {typical}"
        poor = (
            f"The twin does not agree well with the model: it follows {share} of what moves its answers; {typical}"
        )
    return f"{said}." if found["is_good"] else f"{poor}. Use the portable bundle where it matters."


def state_of(*, model: Model, version: int) -> TwinState:
    """The twin, or how far the work on it is; begins nothing."""
    activity = followups.latest(model=model, version=version, kind=ActivityKind.TWIN)
    if activity is not None and not activity.status.is_over:
        return TwinState(activity=activity)
    twin = followups.read(model=model, version=version, stem=STEM)
    if twin is not None and twin["format"] == FORMAT:
        return TwinState(view=view_of(twin))
    state = TwinState(activity=activity)
    return state if state.is_stopped else TwinState()


def start(*, model: Model, version: int) -> Activity:
    """Have it made, or made again."""
    return followups.start(model=model, version=version, kind=ActivityKind.TWIN)


def cancel(*, model: Model, version: int) -> None:
    """End the work, if there is any."""
    found = followups.latest(model=model, version=version, kind=ActivityKind.TWIN)
    if found is not None:
        followups.cancel(user_id=model.user_id, activity_id=found.id)


def read_file(*, model: Model, version: int, extension: str) -> bytes:
    """The stored JSON or page.

    :raises NotFound: none has been made.
    """
    data = get_blobs().get_model_file(
        user_id=model.user_id, model_id=model.id, version=version, stem=STEM, ext=extension
    )
    if data is None:
        raise NotFound("This version has no twin yet.", hint="Have one made on the page of the model.")
    return data
