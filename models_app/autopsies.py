"""The leak autopsy of a version: begun by a person, done by follow-up work, kept as ``autopsy-v{n}.json``."""

import math
from dataclasses import dataclass
from typing import Final, cast

from datasets import profiles
from datasets import services as datasets
from datasets.activities import Activity, ActivityKind
from datasets.records import Dataset
from ml.autopsy import FORMAT, MOST_SUSPECTS, Autopsy, fits_for, suspects_of
from models_app import followups, retracing
from models_app.followups import Followup, WorkState
from models_app.records import Model, ModelVersion
from smartml.errors import SmartMLError

MODULE: Final = "ml.autopsist"
STEM: Final = "autopsy"
# What each fit is given at most. A suspect that matters shows within seconds.
SECONDS: Final = 30
_OTHER_SECONDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopsyState(WorkState):
    """The autopsy of a version, or the newest work on it, or the offer to begin. ``suspects`` are those that are
    known without it, None where nobody has looked; ``seconds`` is what it takes at most; ``refusal`` says why it
    cannot be made."""

    autopsy: Autopsy | None = None
    suspects: tuple[str, ...] | None = None
    seconds: int = 0
    refusal: SmartMLError | None = None


def register() -> None:
    """Offer the work. Called once, when the app starts."""
    followups.register(ActivityKind.AUTOPSY, dissect)


def dissect(work: Followup) -> None:
    """Let a child leave out each suspect, and keep what it finds."""
    with retracing.request_of(work) as request, work.opened() as place:
        request["seconds"] = seconds_of(work.version)
        output = work.run_child(MODULE, request, place=place, what="fitted without a column")
        work.put(STEM, output.read_bytes())


def seconds_of(version: ModelVersion) -> int:
    """What each fit is given."""
    return min(version.time_limit, SECONDS)


def state_of(*, model: Model, version: ModelVersion) -> AutopsyState:
    """What there is; nothing is begun."""
    found = current(model=model, version=version.version)
    if found is not None:
        return AutopsyState(autopsy=found)
    activity = followups.latest(model=model, version=version.version, kind=ActivityKind.AUTOPSY)
    if activity is not None and not activity.status.is_over:
        return AutopsyState(activity=activity)
    try:
        dataset = retracing.dataset_of(model=model, version=version)
    except SmartMLError as error:
        return AutopsyState(refusal=error)
    suspects = _known_suspects(model, version, dataset)
    fits = fits_for(MOST_SUSPECTS + 1 if suspects is None else len(suspects))
    # A fit may overrun its time, and what it says of the holdout takes a moment more.
    seconds = 60 * math.ceil((fits * 1.3 * seconds_of(version) + _OTHER_SECONDS) / 60)
    return AutopsyState(activity=activity, suspects=suspects, seconds=seconds)


def current(*, model: Model, version: int) -> Autopsy | None:
    """The autopsy of a version, if there is one in the present format."""
    found = followups.read(model=model, version=version, stem=STEM)
    return cast("Autopsy", found) if found is not None and found["format"] == FORMAT else None


def start(*, model: Model, version: ModelVersion) -> Activity:
    """Have it made, again after a failure.

    :raises SmartMLError: the table is not there any more, or another one.
    """
    retracing.dataset_of(model=model, version=version)
    return followups.start(model=model, version=version.version, kind=ActivityKind.AUTOPSY)


def cancel(*, model: Model, version: int) -> None:
    """End the work, if there is any."""
    followups.cancel_latest(model=model, version=version, kind=ActivityKind.AUTOPSY)


def _known_suspects(model: Model, version: ModelVersion, dataset: Dataset) -> tuple[str, ...] | None:
    """Those that the dataset's own page shows of this target, among the columns of the version."""
    settings = retracing.settings_of(model=model, version=version, dataset=dataset)
    relation = profiles.relation_to(dataset=dataset, target=version.target, types=settings.types)
    if relation is None:
        return None
    columns = version.asked.features_of(datasets.columns_of(dataset=dataset))
    return tuple(found.column for found in suspects_of(relation.relations, columns))
