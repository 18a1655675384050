"""What moves one prediction: of a row that somebody typed, or of one of the rows held out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml.prediction import check_row
from ml.readable import plain_number
from models_app import explanations, predictor, services
from models_app.records import Model, ModelVersion
from smartml.errors import BlobMissing, NotFound

_SHOWN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """``share`` (0 to 100) is of the largest part, for a bar."""

    column: str
    value: str
    adds: str
    raises: bool
    share: float
    unsure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """What a prediction is made of. ``rest``: the sum of the parts that are not shown, and how many columns."""

    about: str
    prediction: str
    average: str
    usual_rows: int
    parts: tuple[PartView, ...]
    rest: str
    rest_count: int
    truth: str | None


def explain_values(*, model: Model, version: ModelVersion, values: Mapping[str, str]) -> RowView:
    """Of a row of text values by column name.

    :raises InvalidInput: with ``fields`` by column name, for values of a wrong type.
    """
    row, _ = check_row(services.model_features(model=model, version=version.version), values)
    return _view(_explain(model, version, {"row": row}), version)


def explain_place(*, model: Model, version: ModelVersion, number: int) -> RowView:
    """Of a row held out, by its number in the table, from 1.

    :raises InvalidInput: it was not held out.
    """
    return _view(_explain(model, version, {"place": number - 1}), version)


def _explain(model: Model, version: ModelVersion, asked: Mapping[str, Any]) -> dict[str, Any]:
    explanation = explanations.current(model=model, version=version.version)
    ranking = [] if explanation is None else [each["column"] for each in explanation["importances"]]
    try:
        return predictor.explain(model=model, version=version, asked={**asked, "ranking": ranking})
    except BlobMissing as error:
        raise NotFound(
            "This version was trained before the rows held out were kept, so there is nothing to compare with.",
            hint="Train again to see what moves a prediction.",
        ) from error


def _view(found: Mapping[str, Any], version: ModelVersion) -> RowView:
    is_share = found["class"] is not None

    def said(value: float) -> str:
        return f"{100 * value:.1f} %" if is_share else plain_number(float(f"{value:.4g}"))

    def signed(value: float) -> str:
        text = f"{100 * abs(value):.1f} points" if is_share else plain_number(float(f"{abs(value):.3g}"))
        return f"{'+' if value >= 0 else '−'}{text}"

    # Columns that say nothing at all need no line.
    parts = [part for part in found["parts"] if part["adds"] or part["error"]]
    shown, rest = parts[:_SHOWN], parts[_SHOWN:]
    largest = max((abs(part["adds"]) for part in shown), default=0.0) or 1.0
    return RowView(
        about=f"the probability of “{found['class']}”" if is_share else version.target,
        prediction=said(found["prediction"]),
        average=said(found["average"]),
        usual_rows=found["usual_rows"],
        parts=tuple(
            PartView(
                column=part["columns"][0] if part["count"] == 1 else f"{part['count']} other columns together",
                value="" if part["count"] > 1 else "missing" if part["value"] is None else part["value"],
                adds=signed(part["adds"]),
                raises=part["adds"] >= 0,
                share=100 * abs(part["adds"]) / largest,
                unsure=part["error"] >= abs(part["adds"]),
            )
            for part in shown
        ),
        rest=signed(sum(part["adds"] for part in rest)),
        rest_count=sum(part["count"] for part in rest),
        truth=_truth(found),
    )


def _truth(found: Mapping[str, Any]) -> str | None:
    truth: str | None = found["truth"]
    return truth if truth is None or found["class"] is not None else plain_number(float(truth))
