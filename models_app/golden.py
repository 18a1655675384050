"""The golden rows of a version (``ml.golden``) asked again, through everything that a prediction goes through."""

from typing import Final

from django.utils import timezone

from ml.golden import Replay, compare
from models_app import followups, repository, services
from models_app.records import Model, ModelVersion
from smartml.errors import NotFound

STEM: Final = "golden"


def replay(*, model: Model, version: ModelVersion) -> Replay:
    """Ask them, and note on the version when that was and how many answers have changed.

    :raises NotFound: none were kept when this version was trained.
    :raises SmartMLError: the model cannot be opened (``opening.REFUSALS``), or a service does not answer.
    """
    kept = followups.read(model=model, version=version.version, stem=STEM)
    if kept is None:
        raise NotFound(
            "This version was trained before golden rows were kept.", hint="Train again to have some to replay."
        )
    answers = services.predict_rows(model=model, version=version.version, rows=kept["rows"]).answers
    now = [{"prediction": each.prediction, "probabilities": each.probabilities} for each in answers]
    result = compare(kept["answers"], now)
    repository.set_facts(
        model=model, version=version, golden_checked_at=timezone.now(), golden_drifted=result.drifted
    )
    return result


def said(result: Replay) -> str:
    """The result in a sentence."""
    if not result.drifted:
        return f"Same: all {result.rows} golden rows get the answers they got after training."
    what = f"Drifted: {result.drifted} of {result.rows} golden rows get another answer than after training"
    if result.largest is None:
        return f"{what}, some of them none at all."
    if result.is_relative:
        return f"{what}; they differ by up to {100 * result.largest:.3g} % of the number."
    return f"{what}; a probability differs by up to {100 * result.largest:.3g} points."
