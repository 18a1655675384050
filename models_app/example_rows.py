"""A row held out of the training, to try a version with in one click."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml.features import Feature
from models_app import predictor, services
from models_app.records import Model, ModelVersion
from smartml.errors import BlobMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRow:
    """``number`` of the row in its table, from 1; ``values`` as text by column, ``truth`` that of the target."""

    number: int
    values: dict[str, str]
    truth: str


def draw(*, model: Model, version: ModelVersion) -> ExampleRow | None:
    """Any row, rather one whose values the training has met; None for a version that kept none."""
    features = services.model_features(model=model, version=version.version)
    try:
        found = predictor.examples(model=model, version=version)
    except BlobMissing:
        return None
    rows = [
        ExampleRow(
            number=each["place"] + 1,
            values={name: value or "" for name, value in each["values"].items()},
            truth=each["truth"] or "",
        )
        for each in found
    ]
    return next((row for row in rows if _is_known(row, features)), rows[0] if rows else None)


def _is_known(row: ExampleRow, features: Sequence[Feature]) -> bool:
    return all(
        row.values[feature.name] in feature.categories
        for feature in features
        if feature.kind == "category" and feature.categories_complete and row.values[feature.name]
    )
