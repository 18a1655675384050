"""What can be done with the versions of a model: make one current, roll back, delete one.

The prediction form, the list and the API answer with ``model.current``. A further training becomes current by
itself until somebody has chosen a version by hand; from then on it waits to be promoted.
"""

from functools import partial

from models_app import comparison_files, followups, services, versions_repository
from models_app.records import Model, ModelStatus, ModelVersion
from smartml.errors import Conflict, NotFound
from storage.blobs import Removed, get_blobs
from storage.emptying import delete_all


class IsCurrent(Conflict):
    """What is asked for cannot be done with the version that answers."""


def promote(*, user_id: str, model_id: str, version: int, instead_of: int) -> Model:
    """Make a version the current one; again is fine. ``instead_of``: the one that was current when it was decided.

    :raises NotFound: there is no such version, or not any more.
    :raises Conflict: another one has become current meanwhile.
    """
    changed = versions_repository.promote(
        model_id=model_id, user_id=user_id, version=version, instead_of=instead_of
    )
    if changed is not None:
        return changed
    model = services.get_model(user_id=user_id, model_id=model_id)
    services.get_version(model, version)
    if model.version == version:
        return model
    raise Conflict(
        f"Version {model.version} of {model.name} has become current meanwhile.",
        hint="Look at the scores again: they are of another pair of versions now.",
    )


def follow_trainings(*, user_id: str, model_id: str, follow: bool) -> Model:
    """Whether the next version that is trained becomes current by itself."""
    changed = versions_repository.set_pinned(model_id=model_id, user_id=user_id, pinned=not follow)
    if changed is None:
        raise NotFound("There is no such model.")
    return changed


def find_for_deletion(*, user_id: str, model_id: str, version: int) -> tuple[Model, ModelVersion]:
    """A version that can be deleted by itself, or whose deletion can be finished.

    :raises IsCurrent: it is the one that answers.
    """
    model = services.get_model(user_id=user_id, model_id=model_id)
    found = _leaving(model, version) or services.get_version(model, version)
    if found.version == model.version:
        raise _is_current(model)
    return model, found


def delete_version(*, user_id: str, model_id: str, version: int) -> tuple[Model, Removed]:
    """Remove the blobs of a version that is not current, then its facts and its share of the totals; again after a
    crash is fine.

    :raises IsCurrent: it is the one that answers.
    :raises ServiceUnavailable: not all blobs are gone; the version stays marked and the sweep goes on.
    """
    model = versions_repository.mark_deleting(model_id=model_id, user_id=user_id, version=version)
    going = None if model is None else _leaving(model, version)
    if model is None or going is None:
        find_for_deletion(user_id=user_id, model_id=model_id, version=version)
        raise NotFound("There is no such version any more.")
    followups.stop_model(user_id=user_id, model_id=model_id, version=version)
    services.forget_cached(model, going)
    removed = delete_all(
        partial(get_blobs().delete_model_version, user_id=user_id, model_id=model_id, version=version)
    )
    comparison_files.forget(user_id=user_id, model_id=model_id, version=version)
    # Before the version, which is what a sweep finds after a crash.
    followups.forget_model(model_id=model_id, version=version)
    versions_repository.remove(model_id=model_id, user_id=user_id, version=version)
    return model, removed


def finish_deletion(model: Model, version: int) -> bool:
    """Delete a marked version unless somebody else was quicker; whether there was something to delete."""
    if model.status is not ModelStatus.READY:
        return False  # all of it goes
    try:
        delete_version(user_id=model.user_id, model_id=model.id, version=version)
    except NotFound:
        return False
    return True


def _leaving(model: Model, version: int) -> ModelVersion | None:
    return next((each for each in model.leaving if each.version == version), None)


def _is_current(model: Model) -> IsCurrent:
    if len(model.versions) == 1:
        return IsCurrent(
            f"This is the only version of {model.name}, and a model needs one.",
            hint="Delete the model instead, or train another version first.",
        )
    return IsCurrent(
        f"Version {model.version} of {model.name} is the current one: it answers the prediction form and the API.",
        hint="Make another version current, then delete this one.",
    )
