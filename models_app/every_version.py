"""All stored versions of everybody, one after the other, for the operator's commands."""

from collections.abc import Iterator

from models_app import repository
from models_app.records import Model, ModelStatus, ModelVersion


def every_version(*, model_id: str | None = None) -> Iterator[tuple[Model, ModelVersion]]:
    """Oldest first, or those of one model. Each is read when it is its turn: the work on one may take long."""
    for found_id, user_id in repository.every_ready():
        model = repository.get(model_id=found_id, user_id=user_id) if model_id in (None, found_id) else None
        if model is not None and model.status is ModelStatus.READY:
            for version in model.versions:
                yield model, version
