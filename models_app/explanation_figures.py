"""The figures and sentences of what a model looks at. Plain data only, as in ``models_app.figures``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml.explaining import Effect, Explanation, Importance
from models_app.figures import Figure, FigureView, short_name
from models_app.presenters import metric_label
from models_app.templatetags.scores import score

_SHOWN: Final = 20
_SENTENCES: Final = 3
_NAMED: Final = 12
_LINE: Final = {"color": "#4c8df6", "width": 3}
_CURVE: Final = {"color": "rgba(138, 151, 166, 0.35)", "width": 1}
_FIXED: Final = {"fixedrange": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationView:
    """``sentences`` about the columns that matter most; ``notes`` on what was looked at, and what was not."""

    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    figures: tuple[FigureView, ...]


def view_of(found: Explanation, *, target: str, whole: bool = False) -> ExplanationView:
    """``whole``: with the curve of every row among the numbers, as a file has them."""
    figures = [_importances(found)] if found["importances"] else []
    figures += [
        _effect(effect, place, target, found["effect_rows"], whole) for place, effect in enumerate(found["effects"])
    ]
    return ExplanationView(sentences=_sentences(found), notes=_notes(found), figures=tuple(figures))


def matters(each: Importance) -> bool:
    """Whether the interval of a column lies above zero."""
    return each["low"] > 0


def _sentences(found: Explanation) -> tuple[str, ...]:
    metric = metric_label(found["metric"])
    mattering = [each for each in found["importances"] if matters(each)]
    if not mattering:
        return ("No column makes a difference that the rows held out can show.",)
    return tuple(
        f"Permuting `{each['column']}` worsens {metric} by {score(each['worse'])} "
        f"({score(each['low'])}–{score(each['high'])})."
        for each in mattering[:_SENTENCES]
    )


def _notes(found: Explanation) -> tuple[str, ...]:
    notes = []
    idle = [each["column"] for each in found["importances"] if not matters(each)]
    if idle:
        has = (
            "has an interval that includes 0: it is"
            if len(idle) == 1
            else "have intervals that include 0: they are"
        )
        notes.append(f"{_listed(idle)} {has} unimportant to this model as far as these rows can tell.")
    used = f"{found['rows']:,}"
    of = used if found["rows"] == found["all_rows"] else f"{used} of the {found['all_rows']:,}"
    notes.append(
        f"Measured on {of} rows that the model had not seen, each column shuffled "
        f"{found['shuffles']} time{'' if found['shuffles'] == 1 else 's'}. Columns that say the same can "
        "stand in for each other: each of them may look less important than both together are."
    )
    if found["left_out"]:
        notes.append(f"Without a measure, for want of time or of a usable score: {_listed(found['left_out'])}.")
    notes += [f"`{column}` has no curve: {why}." for column, why in found["no_effect"]]
    return tuple(notes)


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(f"`{column}`" for column in columns[:_NAMED])
    more = len(columns) - _NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _importances(found: Explanation) -> FigureView:
    metric = metric_label(found["metric"])
    shown = found["importances"][:_SHOWN]
    trace = {
        "type": "bar",
        "orientation": "h",
        # Two names that are cut to the same text are two bars.
        "y": [short_name(each["column"]) + "\u200b" * place for place, each in enumerate(shown)],
        "x": [each["worse"] for each in shown],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(each["high"] - each["worse"], 0) for each in shown],
            "arrayminus": [max(each["worse"] - each["low"], 0) for each in shown],
            "color": "#8a97a6",
            "thickness": 1.5,
        },
        "marker": {"color": ["#4c8df6" if matters(each) else "#8a97a6" for each in shown]},
        "hovertemplate": f"%{{y}}<br>worsens {metric} by %{{x:,.4~g}}<extra></extra>",
    }
    some = f" The first {_SHOWN} of {len(found['importances']):,} columns." if len(shown) < _all(found) else ""
    return FigureView(
        key="importance",
        title="What each column is worth",
        caption=f"By how much {metric} worsens when the values of the column are shuffled among the rows, with "
        f"the 95 % interval. Grey: the interval includes 0.{some}",
        heads=("column", f"worsens {metric} by", "low", "high"),
        rows=tuple((each["column"], each["worse"], each["low"], each["high"]) for each in found["importances"]),
        plot={
            "data": [trace],
            "layout": {
                "xaxis": {"title": {"text": f"worsens {metric} by"}, **_FIXED},
                "yaxis": {"type": "category", "autorange": "reversed", **_FIXED},
                "showlegend": False,
                "smartml": {"height": 120 + 30 * len(shown)},
            },
        },
    )


def _all(found: Explanation) -> int:
    return len(found["importances"])


def _effect(effect: Effect, place: int, target: str, rows: int, whole: bool) -> FigureView:
    classes, column = effect["classes"], effect["column"]
    said = f"predicted {short_name(target)}"
    if len(classes) == 1:
        said = f"probability of “{short_name(classes[0])}”"
    elif classes:
        said = "probability"
    is_line = effect["kind"] in ("number", "date")
    values = effect["values"] if is_line else [short_name(str(value)) for value in effect["values"]]
    curves: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": values,
            "y": curve,
            "line": _CURVE,
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for curve in effect["curves"]
    ]
    means: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": short_name(name),
            "x": values,
            "y": mean,
            "hovertemplate": f"{short_name(column)} %{{x}}<br>%{{y:,.4~g}}<extra>{short_name(name)}</extra>",
            **({"line": _LINE} if len(effect["mean"]) == 1 else {}),
        }
        for name, mean in zip(classes or [said], effect["mean"], strict=True)
    ]
    axis: dict[str, Any] = {"title": {"text": short_name(column)}, **_FIXED}
    if not is_line:
        axis["type"] = "category"
    lines = (
        f" The thin lines are {len(curves)} single rows: where they run apart, the effect depends on other columns."
    )
    heads = ("value", *(classes if len(classes) > 1 else ["average"]))
    numbers = [[value, *line] for value, *line in zip(effect["values"], *effect["mean"], strict=True)]
    if whole and effect["curves"]:
        heads += tuple(f"row {number + 1}" for number in range(len(effect["curves"])))
        numbers = [[*line, *row] for line, row in zip(numbers, zip(*effect["curves"], strict=True), strict=True)]
    return FigureView(
        key=f"effect-{place + 1}",
        title=f"What the model makes of {column}",
        caption=f"The {said} on average over {rows:,} rows held out, when this column is set to a value and all "
        f"others stay as they are.{lines if curves else ''}",
        heads=heads,
        rows=tuple(tuple(line) for line in numbers),
        plot={
            "data": [*curves, *means],
            "layout": {
                "xaxis": axis,
                "yaxis": {"title": {"text": said}, **_FIXED},
                "showlegend": len(means) > 1,
                "smartml": {"height": 320},
            },
        },
    )
