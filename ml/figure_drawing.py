"""Figures as pictures, for a file that has to be read without scripts: the plain description that a page gives to
Plotly, drawn by matplotlib as SVG. Only what the app's own figures use is understood."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from html import unescape
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture = Mapping[str, Any]

_WIDTH: Final = 6.2  # inches
_PIXELS_PER_INCH: Final = 80
_INK: Final = "#1f2937"
_QUIET: Final = "#8a97a6"
_COLOUR: Final = "#0f5fd6"
_SERIES: Final = ("#0f5fd6", "#d9640b", "#13805b", "#a23bb1", "#b58900", "#c92a2a", "#4b5563", "#0891b2")
_STYLES: Final = {"dot": ":", "dash": "--", "solid": "-"}
# Any: its type lists each of 300 names.
_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "figure",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    # The texts are data, not formulas: a dollar sign begins none.
    "text.parse_math": False,
}


def draw_svg(picture: Picture) -> bytes:
    """``{"data": [traces], "layout": {...}}`` as an SVG document."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    layout = picture["layout"]
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH, layout["smartml"]["height"] / _PIXELS_PER_INCH), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for spine in ("top", "right"):
            axes.spines[spine].set_visible(False)
        for spine in ("left", "bottom"):
            axes.spines[spine].set_color("#d5dce4")
        for number, trace in enumerate(picture["data"]):
            _TRACES[trace["type"]](axes, trace, _SERIES[number % len(_SERIES)])
        _dress(axes, layout)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _scatter(axes: Axes, trace: Picture, colour: str) -> None:
    mode, line, marker = trace.get("mode", "lines"), trace.get("line", {}), trace.get("marker", {})
    axes.plot(
        trace["x"],
        trace["y"],
        color=line.get("color") or marker.get("color") or colour,
        linestyle=_STYLES[line.get("dash", "solid")] if "lines" in mode else "none",
        linewidth=line.get("width", 1.6),
        marker="o" if "markers" in mode else "",
        markersize=marker.get("size", 6) * 0.7,
        markeredgewidth=0,
        alpha=marker.get("opacity", trace.get("opacity", 1)),
        label=_plain(trace["name"]) if trace.get("name") and trace.get("showlegend", True) else "_",
    )


def _bar(axes: Axes, trace: Picture, colour: str) -> None:
    marker = trace.get("marker", {}).get("color")
    fill = marker if isinstance(marker, str) else colour
    error = _error(trace.get("error_x") or trace.get("error_y"))
    shared: dict[str, Any] = {"color": fill, "ecolor": _QUIET, "error_kw": {"linewidth": 1.2}}
    if trace.get("orientation") == "h":
        places = range(len(trace["y"]))
        axes.barh(places, trace["x"], xerr=error, height=0.7, **shared)
        axes.set_yticks(list(places), [_plain(str(name)) for name in trace["y"]])
        return
    named = any(isinstance(value, str) for value in trace["x"])
    places = range(len(trace["x"])) if named else trace["x"]
    axes.bar(places, trace["y"], yerr=error, width=trace.get("width", 0.8), **shared)
    if named:
        axes.set_xticks(list(places), [_plain(str(name)) for name in trace["x"]])


def _error(described: Mapping[str, Any] | None) -> Any:
    """Lengths up, or down and up."""
    if described is None:
        return None
    up = described["array"]
    return [described["arrayminus"], up] if "arrayminus" in described else up


def _heatmap(axes: Axes, trace: Picture, _: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shades", ["#b35806", "#f1b677", "#f5f7fa", "#7fb0ee", "#0b4fa8"])
    axes.imshow(trace["z"], cmap=shades, vmin=trace.get("zmin"), vmax=trace.get("zmax"), aspect="auto")
    for axis, names in ((axes.xaxis, trace["x"]), (axes.yaxis, trace["y"])):
        axis.set_ticks(range(len(names)), [_plain(str(name)) for name in names])
    axes.tick_params(axis="x", labelrotation=90 if len(trace["x"]) > 8 else 0)
    if not trace.get("texttemplate"):
        return
    for row, (texts, values) in enumerate(zip(trace["text"], trace["z"], strict=True)):
        for column, (text, value) in enumerate(zip(texts, values, strict=True)):
            ink = "#ffffff" if abs(value) > 0.7 else _INK
            axes.text(column, row, _plain(text), ha="center", va="center", color=ink)


_TRACES: Final = {"scatter": _scatter, "bar": _bar, "heatmap": _heatmap}


def _dress(axes: Axes, layout: Picture) -> None:
    names: tuple[Literal["x", "y"], ...] = ("x", "y")
    for name in names:
        described = layout[f"{name}axis"]
        axis = getattr(axes, f"{name}axis")
        axis.set_label_text(_plain(described.get("title", {}).get("text", "")))
        if "range" in described:
            getattr(axes, f"set_{name}lim")(described["range"])
        if described.get("type") == "category":
            continue
        axes.grid(True, axis=name, color="#e9edf2", linewidth=0.8)
        span = max((abs(limit) for limit in getattr(axes, f"get_{name}lim")()), default=0.0)
        if span >= 1_000:
            axis.set_major_formatter("{x:,.0f}")
    axes.set_axisbelow(True)
    if layout["yaxis"].get("autorange") == "reversed":
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, top), min(bottom, top))
    if layout.get("showlegend") and axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, labelcolor=_INK)


def _plain(text: str) -> str:
    """Plotly's text may hold line breaks and escaped characters, and invisible ones that keep names apart."""
    return unescape(re.sub(r"<br>", "\n", text)).replace("\u200b", "")
