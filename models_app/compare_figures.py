"""The figures of two versions in one: two curves in two colours, each on the rows its model was judged by."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from ml.diagnosis import Curve, Diagnosis, Residuals
from models_app.figures import Figure, FigureView, Row, short_name

LEFT: Final = "#4c8df6"
RIGHT: Final = "#e8833a"
# Of many classes the first few: more than twice these curves cannot be read.
_CLASSES: Final = 3
_CHANCE: Final[Figure] = {"color": "#8a97a6", "dash": "dot"}
_FIXED: Final = {"fixedrange": True}
_SHARE: Final = {"range": [-0.02, 1.02], "fixedrange": True}
_DASHES: Final = ("solid", "dash", "dot")
_POINTS: Final = 400

Names = tuple[str, str]


def overlaid(left: Diagnosis, right: Diagnosis, names: Names) -> tuple[FigureView, ...]:
    """Every figure that both have the numbers for. ``names`` are those of the two versions."""
    both = (left, right)
    made: list[FigureView] = []
    if left.get("roc") and right.get("roc"):
        made.append(
            _curves(
                [each["roc"] for each in both],
                names,
                key="roc",
                title="ROC curve",
                area="Area under the curve",
                axes=("share of the others taken for the class", "share of the class found"),
                line=True,
            )
        )
        made.append(
            _curves(
                [each["precision_recall"] for each in both],
                names,
                key="precision-recall",
                title="Precision and recall",
                area="Average precision",
                axes=("recall (share of the class found)", "precision (alarms that are right)"),
                line=False,
            )
        )
    if "calibration" in left and "calibration" in right:
        made.append(_calibration(both, names))
    if "actual" in left and "actual" in right:
        made += [_actual(both, names), _residuals([each["residuals"] for each in both], names)]
    return tuple(view for view in made if view.rows)


def _layout(x: str, y: str, **more: Any) -> Figure:
    return {
        "xaxis": {"title": {"text": x}, **_FIXED},
        "yaxis": {"title": {"text": y}, **_FIXED},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.12},
        "smartml": {"height": 360},
        **more,
    }


def _reference(low: float, high: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [low, high],
        "y": [low, high],
        "line": _CHANCE,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _curves(
    found: Sequence[Sequence[Curve]],
    names: Names,
    *,
    key: str,
    title: str,
    area: str,
    axes: tuple[str, str],
    line: bool,
) -> FigureView:
    known = [{curve["label"]: curve for curve in curves} for curves in found]
    labels = [label for label in known[0] if label in known[1]][:_CLASSES]
    layout = _layout(*axes)
    layout |= {"xaxis": layout["xaxis"] | _SHARE, "yaxis": layout["yaxis"] | _SHARE}
    traces: list[Figure] = [_reference(0, 1)] if line else []
    rows: list[Row] = []
    for side, (name, colour) in enumerate(zip(names, (LEFT, RIGHT), strict=True)):
        for label, dash in zip(labels, _DASHES, strict=False):
            curve = known[side][label]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": short_name(name) if len(labels) == 1 else f"{short_name(name)}: {short_name(label)}",
                    "x": curve["x"],
                    "y": curve["y"],
                    "line": {"color": colour, "dash": dash},
                    "hovertemplate": "%{y:.1%} at %{x:.1%}",
                }
            )
            rows += [(name, label, x, y) for x, y in zip(curve["x"], curve["y"], strict=True)]
    areas = "; ".join(
        f"{name} " + ", ".join(f"“{label}” {known[side][label]['area']:.3f}" for label in labels)
        for side, name in enumerate(names)
    )
    return FigureView(
        key=key,
        title=title,
        caption=f"{area}: {areas}.",
        heads=("model", "class", axes[0].partition(" (")[0], axes[1].partition(" (")[0]),
        rows=tuple(rows),
        plot={"data": traces, "layout": layout},
    )


def _calibration(both: tuple[Diagnosis, Diagnosis], names: Names) -> FigureView:
    layout = _layout("probability that was said", "share that came true")
    layout |= {"xaxis": layout["xaxis"] | _SHARE, "yaxis": layout["yaxis"] | _SHARE}
    traces = [_reference(0, 1)]
    rows: list[Row] = []
    errors = []
    for name, colour, diagnosis in zip(names, (LEFT, RIGHT), both, strict=True):
        bins = diagnosis["calibration"]["bins"]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": short_name(name),
                "x": [each["said"] for each in bins],
                "y": [each["true"] for each in bins],
                "customdata": [each["rows"] for each in bins],
                "line": {"color": colour},
                "hovertemplate": "said %{x:.1%}<br>came true %{y:.1%}<br>%{customdata:,} rows",
            }
        )
        rows += [(name, each["said"], each["true"], each["rows"]) for each in bins]
        errors.append(f"{name} {diagnosis['calibration']['ece']:.3f}")
    return FigureView(
        key="calibration",
        title="Does a probability mean what it says?",
        caption=f"On the dotted line probabilities are exact. Expected calibration error: {'; '.join(errors)}.",
        heads=("model", "said", "came true", "rows"),
        rows=tuple(rows),
        plot={"data": traces, "layout": layout},
    )


def _actual(both: tuple[Diagnosis, Diagnosis], names: Names) -> FigureView:
    values = [value for each in both for part in (each["actual"], each["predicted"]) for value in part]
    traces = [_reference(min(values), max(values))]
    rows: list[Row] = []
    for name, colour, diagnosis in zip(names, (LEFT, RIGHT), both, strict=True):
        actual, predicted = diagnosis["actual"][:_POINTS], diagnosis["predicted"][:_POINTS]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": short_name(name),
                "x": actual,
                "y": predicted,
                "marker": {"size": 5, "opacity": 0.45, "color": colour},
                "hovertemplate": "is %{x:,.6~g}<br>predicted %{y:,.6~g}",
            }
        )
        rows += [(name, *pair) for pair in zip(actual, predicted, strict=True)]
    return FigureView(
        key="actual",
        title="Predicted against actual",
        caption=f"On the dotted line a prediction is exact. At most {_POINTS} rows of each, drawn at random.",
        heads=("model", "actual", "predicted"),
        rows=tuple(rows),
        plot={"data": traces, "layout": _layout("actual", "predicted")},
    )


def _residuals(both: Sequence[Residuals], names: Names) -> FigureView:
    """Bins of two models are of different widths, so their heights are shares for each unit of the target."""
    traces: list[Figure] = []
    rows: list[Row] = []
    for name, colour, found in zip(names, (LEFT, RIGHT), both, strict=True):
        every = max(sum(found["counts"]), 1)
        bins = [
            (low, high, count / every / (high - low) if high > low else 0.0)
            for (low, high), count in zip(pairwise(found["edges"]), found["counts"], strict=True)
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": short_name(name),
                "x": found["edges"],
                "y": [*(height for *_, height in bins), 0.0],
                "line": {"color": colour, "shape": "hv"},
                "hovertemplate": "%{x:,.6~g}<br>%{y:.3~g}",
            }
        )
        rows += [(name, *each) for each in bins]
    return FigureView(
        key="residuals",
        title="How far off",
        caption="Actual minus predicted: the narrower and the nearer to zero, the better.",
        heads=("model", "from", "to", "share of rows for each unit"),
        rows=tuple(rows),
        plot={"data": traces, "layout": _layout("actual minus predicted", "share of rows for each unit")},
    )
