"""How a training gets better while it runs: every finished model against the time, and the best so far."""

from collections.abc import Sequence
from typing import Final

from ml.evaluation import lower_is_better
from models_app.figures import Figure, FigureView
from models_app.records import FittedModel

_FIXED: Final = {"fixedrange": True}


def progress_figure(leaderboard: Sequence[FittedModel], *, metric: str, label: str) -> FigureView | None:
    """None as long as there is no line to draw. Scores in the metric's natural sign."""
    known = [row for row in leaderboard if row.val_score is not None and row.at_seconds is not None]
    if len(known) < 2:
        return None
    known.sort(key=lambda row: row.at_seconds or 0.0)
    sign = -1 if lower_is_better(metric) else 1
    times = [round(row.at_seconds or 0.0, 1) for row in known]
    scores = [sign * (row.val_score or 0.0) for row in known]
    best = _best_so_far(scores, lowest=sign < 0)
    return FigureView(
        key="progress",
        title="Score over time",
        caption=f"Validation {label} of each model when it was done; the line is the best so far.",
        heads=("model", "seconds", f"validation {label}", "best so far"),
        rows=tuple((row.name, *numbers) for row, *numbers in zip(known, times, scores, best, strict=True)),
        plot=_plot([row.name for row in known], times, scores, best, label),
    )


def _best_so_far(scores: Sequence[float], *, lowest: bool) -> list[float]:
    best: list[float] = []
    for score in scores:
        better = min if lowest else max
        best.append(better(best[-1], score) if best else score)
    return best


def _plot(
    names: Sequence[str], times: Sequence[float], scores: Sequence[float], best: Sequence[float], label: str
) -> Figure:
    line: Figure = {
        "type": "scatter",
        "mode": "lines",
        "x": list(times),
        "y": list(best),
        "line": {"color": "#4c8df6", "shape": "hv"},
        "hoverinfo": "skip",
    }
    points: Figure = {
        "type": "scatter",
        "mode": "markers",
        "x": list(times),
        "y": list(scores),
        "text": list(names),
        "marker": {"size": 8, "color": "#8a97a6"},
        "hovertemplate": "%{text}<br>%{y:.4~g} after %{x:.0f} s<extra></extra>",
    }
    return {
        "data": [line, points],
        "layout": {
            "xaxis": {"title": {"text": "seconds of fitting"}, "rangemode": "tozero", **_FIXED},
            "yaxis": {"title": {"text": f"validation {label}"}, **_FIXED},
            "showlegend": False,
            "smartml": {"height": 260},
        },
    }
