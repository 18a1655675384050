"""Figures as pictures: every figure of the app can be drawn, and says what it is about."""

from xml.etree import ElementTree

import pytest

from ml.figure_drawing import draw_svg
from models_app.figures import figures_of

OUTCOME = {"tp": 4, "fp": 1, "fn": 2, "tn": 9}
CLASSES = {
    "rows": 8,
    "confusion": {"labels": ["dog", "$<b>duck$"], "counts": [[4, 0], [1, 3]]},
    "classes": [{"label": "dog", "rows": 4, "precision": 0.8, "recall": 1.0, "f1": None}],
    "roc": [{"label": "duck", "x": [0.0, 0.5, 1.0], "y": [0.0, 0.9, 1.0], "area": 0.9375}],
    "precision_recall": [{"label": "duck", "x": [0.0, 1.0], "y": [1.0, 0.5], "area": 0.91}],
    "calibration": {"bins": [{"said": 0.2, "true": 0.25, "rows": 8}], "brier": 0.11, "ece": 0.05},
    "thresholds": [{"threshold": 0.5, "validation": OUTCOME, "holdout": OUTCOME}],
    "segments": [
        {
            "column": "legs",
            "segments": [
                {"name": "two", "rows": 30, "error": 0.1, "low": 0.04, "high": 0.25},
                {"name": "four", "rows": 30, "error": 0.3, "low": 0.2, "high": 0.4},
            ],
        }
    ],
}
NUMBERS = {
    "rows": 3,
    "actual": [10_000.0, 20_000.0, 30_000.0],
    "predicted": [11_000.0, 19_000.0, 30_500.0],
    "residuals": {"edges": [-1000.0, 0.0, 1000.0], "counts": [2, 1]},
}


@pytest.mark.parametrize("found", [CLASSES, NUMBERS], ids=["classes", "numbers"])
def test_every_figure_becomes_a_picture_with_its_words(found):
    views = [view for view in figures_of(found, error_name="wrong answers") if view.plot is not None]
    assert len(views) >= 2
    for view in views:
        svg = draw_svg(view.plot)
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        words = svg.decode()
        for axis in ("xaxis", "yaxis"):
            assert view.plot["layout"][axis].get("title", {}).get("text", "") in words


def test_names_of_the_data_are_neither_markup_nor_formulas():
    confusion = next(view for view in figures_of(CLASSES, error_name="") if view.key == "confusion")
    svg = draw_svg(confusion.plot).decode()
    assert "$&lt;b&gt;duck$" in svg
    assert "<b>" not in svg


def test_the_same_figure_is_the_same_file():
    view = figures_of(NUMBERS, error_name="")[0]
    assert draw_svg(view.plot) == draw_svg(view.plot)


def test_bars_that_lie_keep_the_order_of_the_page():
    """The first bar is the uppermost: its label has the smallest y."""
    view = next(v for v in figures_of(CLASSES, error_name="share") if v.key == "segments-1")
    words = ElementTree.fromstring(draw_svg(view.plot)).iter("{http://www.w3.org/2000/svg}text")
    heights = {word.text: float(word.attrib["y"]) for word in words if word.text in ("two", "four")}
    assert heights["two"] < heights["four"]


def test_an_interval_of_a_share_is_drawn_where_it_is_and_not_below_nothing():
    view = next(v for v in figures_of(CLASSES, error_name="share") if v.key == "segments-1")
    assert view.plot is not None
    [bars] = view.plot["data"]
    assert bars["error_x"]["symmetric"] is False
    assert bars["error_x"]["array"] == pytest.approx([0.15, 0.1])
    assert bars["error_x"]["arrayminus"] == pytest.approx([0.06, 0.1])
