"""The figures of a model's page: what each one says, as Plotly takes it and as a table of numbers. Plain data only;
``static/js/figures.js`` draws it in the colours of the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, Final

from ml.diagnosis import Coverage, Curve, Diagnosis, Outcome, Threshold
from ml.segments import ColumnSegments
from models_app.templatetags.scores import score

Figure = dict[str, Any]
Row = tuple[object, ...]

_LABEL_LENGTH: Final = 24
# More classes than these make a heat map of specks; the table has them all.
_MOST_CLASSES: Final = 30
_SHOWN_SEGMENT_COLUMNS: Final = 4
_BROKEN: Final = (
    " That is less than promised, by more than chance: the rows held out are unlike those it learned from."
    " Count on larger errors."
)
_LINE: Final = {"color": "#4c8df6"}
_CHANCE: Final = {"color": "#8a97a6", "dash": "dot"}
_FIXED: Final = {"fixedrange": True}
_SHARE: Final = {"range": [-0.02, 1.02], "fixedrange": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """One figure with its numbers. ``key`` names it in addresses; ``plot`` is None where a table says it best."""

    key: str
    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    plot: Figure | None = None


def figures_of(found: Diagnosis, *, error_name: str) -> tuple[FigureView, ...]:
    """Every figure that the numbers allow, in the order of the page. ``error_name``: what the segments measure."""
    made: list[FigureView] = []
    if "confusion" in found:
        made += [_confusion(found), _classes(found)]
    if found.get("roc"):
        made += [_roc(found["roc"]), _precision_recall(found["precision_recall"])]
    if "calibration" in found:
        made.append(_calibration(found))
    if "thresholds" in found:
        made.append(_thresholds(found["thresholds"]))
    if "actual" in found:
        made += [_actual(found), _residuals(found)]
    segments = found.get("segments", [])
    made += [_segments(column, place, error_name) for place, column in enumerate(segments[:_SHOWN_SEGMENT_COLUMNS])]
    if len(segments) > _SHOWN_SEGMENT_COLUMNS:
        made.append(_all_segments(segments, error_name))
    return tuple(made)


def coverage_sentence(coverage: Coverage, rows: int, *, is_number: bool) -> str:
    """What the promise of an interval or a set came to on the rows held out."""
    promised = (
        f"The prediction ± {score(coverage['reach'])}" if is_number else "The set of classes that are likely enough"
    )
    size = "" if is_number else f" It holds {coverage['size']:.2f} classes on average."
    return (
        f"{promised} was to hold the truth in {coverage['level']:.0%} of all rows, judged by "
        f"{coverage['calibration_rows']:,} rows set aside inside the training. Of the {rows:,} rows held out it "
        f"does in {coverage['covered']:.1%}.{size}{_BROKEN if _is_broken(coverage, rows) else ''}"
    )


def _is_broken(coverage: Coverage, rows: int) -> bool:
    """Whether it held clearly less often than luck explains: three standard errors."""
    level = coverage["level"]
    return bool(coverage["covered"] < level - 3 * (level * (1 - level) / max(rows, 1)) ** 0.5)


def _layout(x: str, y: str, *, height: int = 320, **more: Any) -> Figure:
    return {
        "xaxis": {"title": {"text": x}, **_FIXED},
        "yaxis": {"title": {"text": y}, **_FIXED},
        "showlegend": False,
        "smartml": {"height": height},
        **more,
    }


def short_name(name: str) -> str:
    """A name as an axis takes it: cut, and text where Plotly reads markup."""
    short = name if len(name) <= _LABEL_LENGTH else f"{name[: _LABEL_LENGTH - 1]}…"
    return escape(short, quote=False)


def _confusion(found: Diagnosis) -> FigureView:
    labels, counts = found["confusion"]["labels"], found["confusion"]["counts"]
    plot: Figure | None = None
    if len(labels) <= _MOST_CLASSES:
        shares = [[count / max(sum(line), 1) for count in line] for line in counts]
        names = [
            f"{place + 1} {short_name(label)}" if len(labels) > 2 else short_name(label)
            for place, label in enumerate(labels)
        ]
        trace = {
            "type": "heatmap",
            "x": names,
            "y": names,
            "z": shares,
            "text": [
                [f"{count:,}<br>{share:.0%}" for count, share in zip(*line, strict=True)]
                for line in zip(counts, shares, strict=True)
            ],
            "texttemplate": "%{text}" if len(labels) <= 8 else "",
            "hovertemplate": "is %{y}, said %{x}<br>%{text} of the class<extra></extra>",
            "zmin": -1,
            "zmax": 1,
            "showscale": False,
            "xgap": 1,
            "ygap": 1,
        }
        axis = {"type": "category", **_FIXED}
        plot = {
            "data": [trace],
            "layout": {
                "xaxis": {**axis, "title": {"text": "the model said"}},
                "yaxis": {**axis, "title": {"text": "it is"}, "autorange": "reversed"},
                "smartml": {"height": 180 + min(60 * len(labels), 480)},
            },
        }
    return FigureView(
        key="confusion",
        title="What was taken for what",
        caption="A line for each true class: how many of its rows were said to be of each class, and the share.",
        heads=("is \\ said", *labels),
        rows=tuple((label, *line) for label, line in zip(labels, counts, strict=True)),
        plot=plot,
    )


def _classes(found: Diagnosis) -> FigureView:
    return FigureView(
        key="classes",
        title="Class by class",
        caption="Precision: the share of its alarms that are right. Recall: the share of its rows that are found.",
        heads=("class", "rows", "precision", "recall", "F1"),
        rows=tuple(
            (each["label"], each["rows"], each["precision"], each["recall"], each["f1"])
            for each in found["classes"]
        ),
    )


def _lines(curves: Sequence[Curve], hover: str) -> list[Figure]:
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": short_name(curve["label"]),
            "x": curve["x"],
            "y": curve["y"],
            "hovertemplate": hover,
            **({"line": _LINE} if len(curves) == 1 else {}),
        }
        for curve in curves
    ]


def _points(curves: Sequence[Curve]) -> tuple[Row, ...]:
    return tuple((curve["label"], x, y) for curve in curves for x, y in zip(curve["x"], curve["y"], strict=True))


def _areas(curves: Sequence[Curve]) -> str:
    return ", ".join(f"“{curve['label']}” {curve['area']:.3f}" for curve in curves)


def _roc(curves: Sequence[Curve]) -> FigureView:
    chance: Figure = {
        "type": "scatter",
        "mode": "lines",
        "x": [0, 1],
        "y": [0, 1],
        "line": _CHANCE,
        "hoverinfo": "skip",
    }
    layout: Figure = _layout("share of the others taken for the class", "share of the class found")
    layout |= {"xaxis": layout["xaxis"] | _SHARE, "yaxis": layout["yaxis"] | _SHARE}
    if len(curves) > 1:
        layout["showlegend"] = True
        chance["showlegend"] = False
    return FigureView(
        key="roc",
        title="ROC curve",
        caption=f"Area under the curve: {_areas(curves)}. A guess has 0.5, the dotted line.",
        heads=("class", "false positive rate", "true positive rate"),
        rows=_points(curves),
        plot={"data": [chance, *_lines(curves, "found %{y:.1%}<br>false alarms %{x:.1%}")], "layout": layout},
    )


def _precision_recall(curves: Sequence[Curve]) -> FigureView:
    layout = _layout("recall (share of the class found)", "precision (alarms that are right)")
    layout |= {"xaxis": layout["xaxis"] | _SHARE, "yaxis": layout["yaxis"] | _SHARE, "showlegend": len(curves) > 1}
    return FigureView(
        key="precision-recall",
        title="Precision and recall",
        caption=f"Average precision: {_areas(curves)}. A guess has the share of the class.",
        heads=("class", "recall", "precision"),
        rows=_points(curves),
        plot={"data": _lines(curves, "recall %{x:.1%}<br>precision %{y:.1%}"), "layout": layout},
    )


def _calibration(found: Diagnosis) -> FigureView:
    calibration = found["calibration"]
    bins = calibration["bins"]
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [each["said"] for each in bins],
        "y": [each["true"] for each in bins],
        "customdata": [each["rows"] for each in bins],
        "hovertemplate": "said %{x:.1%}<br>came true %{y:.1%}<br>%{customdata:,} rows<extra></extra>",
        "line": _LINE,
    }
    ideal = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": _CHANCE, "hoverinfo": "skip"}
    layout = _layout("probability that was said", "share that came true")
    layout |= {"xaxis": layout["xaxis"] | _SHARE, "yaxis": layout["yaxis"] | _SHARE}
    two = len(found["confusion"]["labels"]) == 2
    about = f"of “{found['confusion']['labels'][1]}”" if two else "of the class it answered"
    return FigureView(
        key="calibration",
        title="Does a probability mean what it says?",
        caption=f"Probabilities {about}, in bins of about as many rows; on the dotted line they are exact. "
        f"Expected calibration error {calibration['ece']:.3f}, Brier score {calibration['brier']:.3f} (best: 0).",
        heads=("said", "came true", "rows"),
        rows=tuple((each["said"], each["true"], each["rows"]) for each in bins),
        plot={"data": [ideal, trace], "layout": layout},
    )


def _thresholds(thresholds: Sequence[Threshold]) -> FigureView:
    def curve(name: str, colour: str, value: Any) -> Figure:
        known = [(each["threshold"], value(each["validation"])) for each in thresholds]
        shown = [(x, y) for x, y in known if y is not None]
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [x for x, _ in shown],
            "y": [y for _, y in shown],
            "line": {"color": colour},
            "hovertemplate": f"{name} %{{y:.1%}} from %{{x:.2f}}<extra></extra>",
        }

    layout = _layout("said when the probability is at least", "share")
    layout |= {"xaxis": layout["xaxis"] | _SHARE, "yaxis": layout["yaxis"] | _SHARE, "showlegend": True}
    counted = ("found", "false alarms", "missed", "left")
    heads = ("threshold", *(f"{what} ({rows})" for rows in ("validation", "holdout") for what in counted))
    return FigureView(
        key="thresholds",
        title="What a threshold costs",
        caption="Choose by the validation rows, which the training has set aside inside; the holdout says what "
        "came of it. The model's own answers are not changed.",
        heads=heads,
        rows=tuple(
            (each["threshold"], *_counted(each["validation"]), *_counted(each["holdout"])) for each in thresholds
        ),
        plot={
            "data": [
                curve("recall", "#4c8df6", lambda found: _part(found["tp"], found["tp"] + found["fn"])),
                curve("precision", "#e8833a", lambda found: _part(found["tp"], found["tp"] + found["fp"])),
            ],
            "layout": layout,
        },
    )


def _counted(outcome: Outcome) -> Row:
    return outcome["tp"], outcome["fp"], outcome["fn"], outcome["tn"]


def _part(some: int, every: int) -> float | None:
    return some / every if every else None


def _actual(found: Diagnosis) -> FigureView:
    actual, predicted = found["actual"], found["predicted"]
    low, high = min(*actual, *predicted), max(*actual, *predicted)
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": actual,
        "y": predicted,
        "marker": {"size": 5, "opacity": 0.45, **_LINE},
        "hovertemplate": "is %{x:,.6~g}<br>predicted %{y:,.6~g}<extra></extra>",
    }
    ideal = {
        "type": "scatter",
        "mode": "lines",
        "x": [low, high],
        "y": [low, high],
        "line": _CHANCE,
        "hoverinfo": "skip",
    }
    sampled = (
        "" if len(actual) == found["rows"] else f" {len(actual):,} of {found['rows']:,} rows, drawn at random."
    )
    return FigureView(
        key="actual",
        title="Predicted against actual",
        caption=f"On the dotted line a prediction is exact.{sampled}",
        heads=("actual", "predicted"),
        rows=tuple(zip(actual, predicted, strict=True)),
        plot={"data": [ideal, points], "layout": _layout("actual", "predicted", height=380)},
    )


def _residuals(found: Diagnosis) -> FigureView:
    edges, counts = found["residuals"]["edges"], found["residuals"]["counts"]
    trace = {
        "type": "bar",
        "x": [(low + high) / 2 for low, high in pairwise(edges)],
        "y": counts,
        "width": [high - low for low, high in pairwise(edges)],
        "marker": _LINE,
        "hovertemplate": "%{x:,.6~g}<br>%{y:,} rows<extra></extra>",
    }
    return FigureView(
        key="residuals",
        title="How far off",
        caption="Actual minus predicted, over all rows held out: right of zero the model said too little.",
        heads=("from", "to", "rows"),
        rows=tuple(zip(edges, edges[1:], counts, strict=False)),
        plot={"data": [trace], "layout": _layout("actual minus predicted", "rows", bargap=0.02)},
    )


def _segments(column: ColumnSegments, place: int, error_name: str) -> FigureView:
    segments = column["segments"]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [f"{short_name(each['name'])}" + "\u200b" * number for number, each in enumerate(segments)],
        "x": [each["error"] for each in segments],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(each["high"] - each["error"], 0) for each in segments],
            "arrayminus": [max(each["error"] - each["low"], 0) for each in segments],
            "color": "#8a97a6",
            "thickness": 1.5,
        },
        "customdata": [each["rows"] for each in segments],
        "marker": _LINE,
        "hovertemplate": "%{y}<br>%{x:,.4~g}<br>%{customdata:,} rows<extra></extra>",
    }
    layout = _layout(error_name, "", height=120 + 34 * len(segments))
    layout["yaxis"] |= {"type": "category", "autorange": "reversed"}
    return FigureView(
        key=f"segments-{place + 1}",
        title=f"Error by {column['column']}",
        caption=f"The {error_name} in each part of the column, with its 95 % interval.",
        heads=("part", "rows", error_name, "low", "high"),
        rows=tuple((s["name"], s["rows"], s["error"], s["low"], s["high"]) for s in segments),
        plot={"data": [trace], "layout": layout},
    )


def _all_segments(segments: Iterable[ColumnSegments], error_name: str) -> FigureView:
    return FigureView(
        key="segments",
        title="Error by column",
        caption=f"The {error_name} in each part, with its 95 % interval; the most telling columns first.",
        heads=("column", "part", "rows", error_name, "low", "high"),
        rows=tuple(
            (column["column"], s["name"], s["rows"], s["error"], s["low"], s["high"])
            for column in segments
            for s in column["segments"]
        ),
    )


def find(views: Iterable[FigureView], key: str) -> FigureView | None:
    """The figure of this key."""
    found: Mapping[str, FigureView] = {view.key: view for view in views}
    return found.get(key)
