"""Two versions asked the same held-out rows, by follow-up work on the left one.

The result, ``compare-{right model}-{right version}-v{n}.json``, lies beside the left version and goes with either.
"""

from dataclasses import dataclass, replace
from typing import Final, cast

from datasets.activities import Activity, ActivityKind
from ml.pairing import FORMAT, Pairing
from ml.prediction import Feature
from models_app import followups, repository, services
from models_app.comparison_files import forget, stem_of
from models_app.followups import Followup, WorkState
from models_app.likeness import Side, same_question
from models_app.records import Model, ModelStatus, ModelVersion
from smartml.errors import BlobMissing, NotFound, ServiceUnavailable

MODULE: Final = "ml.comparer"
_GONE: Final = "One of the two was deleted meanwhile."


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingState(WorkState):
    """The paired comparison of two versions, or the newest work on it, or why there can be none."""

    pairing: Pairing | None = None
    why_not: str = ""


def register() -> None:
    """Offer the work. Called once, when the app starts."""
    followups.register(ActivityKind.COMPARE, compare)


def compare(work: Followup) -> None:
    """Let a child ask both models the rows that neither has seen."""
    model, version = _other(work.activity)
    with work.opened() as place, replace(work, model=model, version=version).opened() as second:
        if place.holdout is None or second.holdout is None:
            raise NotFound(
                "One of the two was trained before the rows held out were kept, so both cannot be asked the same.",
                hint="Train it again to compare them row by row.",
            )
        request = {
            "target": work.version.target,
            "other_model": str(second.model),
            "other_holdout": str(second.holdout),
        }
        output = work.run_child(MODULE, request, place=place, what="compared the two models")
        work.put(stem_of(model.id, version.version), output.read_bytes())
    try:
        _other(work.activity)
    except NotFound:
        forget(user_id=model.user_id, model_id=model.id, version=version.version)
        raise


def _other(activity: Activity) -> tuple[Model, ModelVersion]:
    model_id, _, number = activity.subject.partition(":")
    model = repository.get(model_id=model_id, user_id=activity.user_id)
    version = None if model is None else model.get_version(int(number))
    if model is None or version is None or model.status is not ModelStatus.READY:
        raise NotFound(_GONE)
    return model, version


def why_not(left: Side, right: Side) -> str:
    """What keeps two versions from being asked the same rows, in a sentence; empty where nothing does."""
    if not same_question(left.version, right.version):
        return "They answer different questions."
    if left.version.dataset_id != right.version.dataset_id:
        return "They were trained on different datasets, and a row of one may be known to the other."
    return ""


def side_of(model: Model, version: int) -> Side:
    """A version with its evaluation, as far as that can be read."""
    found = services.get_version(model, version)
    try:
        evaluation = services.model_evaluation(model=model, version=version)
    except (BlobMissing, ServiceUnavailable):
        # The facts are known without it, and a version whose files are lost is one to get away from.
        evaluation = None
    return Side(model=model, version=found, evaluation=evaluation)


def features_of(side: Side) -> tuple[Feature, ...]:
    """The columns it looks at; none where that cannot be read any more."""
    try:
        return services.model_features(model=side.model, version=side.version.version)
    except BlobMissing:
        return ()


def work_on(left: Side, right: Side) -> Activity | None:
    """The newest work on asking both the same rows; starts nothing."""
    return followups.latest(
        model=left.model, version=left.version.version, kind=ActivityKind.COMPARE, subject=_subject(right)
    )


def state_of(left: Side, right: Side) -> PairingState:
    """The comparison; where there is none it is begun, unless it cannot be, was stopped or has failed."""
    if reason := why_not(left, right):
        return PairingState(why_not=reason)
    if (pairing := current(left, right)) is not None:
        return PairingState(pairing=pairing)
    work = followups.ensure(
        model=left.model, version=left.version.version, kind=ActivityKind.COMPARE, subject=_subject(right)
    )
    return PairingState(activity=work)


def current(left: Side, right: Side) -> Pairing | None:
    """The comparison, if there is one in the present format; starts nothing."""
    stem = stem_of(right.model.id, right.version.version)
    found = followups.read(model=left.model, version=left.version.version, stem=stem)
    return cast("Pairing", found) if found is not None and found["format"] == FORMAT else None


def start(left: Side, right: Side) -> None:
    """Have it made, again after a failure."""
    if not why_not(left, right) and current(left, right) is None:
        followups.start(
            model=left.model, version=left.version.version, kind=ActivityKind.COMPARE, subject=_subject(right)
        )


def cancel(left: Side, right: Side) -> None:
    """End the work, if there is any."""
    found = work_on(left, right)
    if found is not None:
        followups.cancel(user_id=left.model.user_id, activity_id=found.id)


def _subject(right: Side) -> str:
    return f"{right.model.id}:{right.version.version}"
