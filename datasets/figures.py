"""Figures of a profile as Plotly takes them: traces and layout, without colours, which the page's own theme gives.

Plain data only; ``static/js/figures.js`` draws it. Beside Plotly's own it reads ``smartml``: in a layout the
``height`` in pixels, in the marker of bars what each one ``means`` ("plain", "moderate" or "high").
"""

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from ml.profile_records import Associations, Measure, TargetRelation

Figure = dict[str, Any]

# More bars than these are a list, which is below the figure anyhow.
MOST_BARS: Final = 30
MOST_IN_HEAT_MAP: Final = 60
_NAME_LENGTH: Final = 24
MEASURES: Final[dict[Measure, str]] = {
    "spearman": "rank correlation (Spearman)",
    "cramers_v": "Cramér's V",
    "correlation_ratio": "correlation ratio",
}


def heat_map(found: Associations) -> Figure:
    """Every column against every other one."""
    count = min(len(found.names), MOST_IN_HEAT_MAP)
    labels = _labels(found.names[:count])
    kinds = [[MEASURES[found.measure(row, column)] for column in range(count)] for row in range(count)]
    trace = {
        "type": "heatmap",
        "x": labels,
        "y": labels,
        "z": [list(row[:count]) for row in found.matrix[:count]],
        "text": kinds,
        "zmin": -1,
        "zmax": 1,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "%{y}<br>%{x}<br>%{z:.2f}, %{text}<extra></extra>",
        "hoverongaps": False,
    }
    axis = {"type": "category", "fixedrange": True, "showgrid": False, "ticks": ""}
    layout = {
        "xaxis": {**axis, "tickangle": -45, "nticks": count, "domain": [0, 0.94]},
        "yaxis": {**axis, "autorange": "reversed", "nticks": count},
        **_key_axes(axis),
        "smartml": {"height": 160 + min(28 * count, 640)},
    }
    return {"data": [trace, _key()], "layout": layout}


def _key() -> Figure:
    """The colours from -1 to 1 beside a heat map. Plotly's own would set a style attribute: not allowed here."""
    steps = [round(-1 + 0.05 * step, 2) for step in range(41)]
    return {
        "type": "heatmap",
        "x": [""],
        "y": steps,
        "z": [[step] for step in steps],
        "zmin": -1,
        "zmax": 1,
        "showscale": False,
        # With a gap it is painted pixel by pixel; without, by an image with a style attribute.
        "xgap": 1,
        "hoverinfo": "skip",
        "xaxis": "x2",
        "yaxis": "y2",
    }


def _key_axes(axis: Figure) -> Figure:
    return {
        "xaxis2": {**axis, "domain": [0.97, 1], "anchor": "y2", "showticklabels": False},
        "yaxis2": {
            **axis,
            "type": "linear",
            "domain": [0.3, 1],
            "anchor": "x2",
            "side": "right",
            "tickvals": [-1, 0, 1],
        },
    }


def relation_bars(found: TargetRelation) -> Figure:
    """How much each column alone says about the target, the strongest above."""
    shown = found.relations[:MOST_BARS]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [round(relation.strength, 4) for relation in shown],
        "y": _labels([relation.column for relation in shown]),
        "customdata": [[relation.metric, relation.score, relation.baseline] for relation in shown],
        "hovertemplate": "%{y}<br>%{customdata[0]} %{customdata[1]:.3f} (knowing nothing: "
        "%{customdata[2]:.3f})<extra></extra>",
        "marker": {"smartml": {"means": [relation.suspicion or "plain" for relation in shown]}},
    }
    layout = {
        "xaxis": {"range": [0, 1], "fixedrange": True, "title": {"text": "0 says nothing, 1 says everything"}},
        "yaxis": {"type": "category", "autorange": "reversed", "fixedrange": True, "nticks": len(shown)},
        "bargap": 0.35,
        "smartml": {"height": 110 + 26 * len(shown)},
    }
    return {"data": [trace], "layout": layout}


def strongest_pairs(found: Associations, *, limit: int) -> tuple[tuple[str, str, float, str], ...]:
    """The pairs of columns that say most about each other, with the measure; the strongest first."""
    count = len(found.names)
    pairs = [
        (found.names[first], found.names[second], value, MEASURES[found.measure(first, second)])
        for first in range(count)
        for second in range(first + 1, count)
        if (value := found.matrix[first][second]) is not None
    ]
    return tuple(sorted(pairs, key=lambda pair: -abs(pair[2]))[:limit])


def _labels(names: Sequence[str]) -> list[str]:
    """Short enough for an axis, without the mark-up that Plotly would read in them, and all different."""
    seen: Counter[str] = Counter()
    labels: list[str] = []
    for name in names:
        short = name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"
        # What differs only in what is cut off stays apart by characters that are not seen.
        labels.append(escape(short, quote=False) + "\u200b" * seen[short])
        seen[short] += 1
    return labels
