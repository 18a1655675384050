"""The score over time."""

from models_app.progress_figure import progress_figure
from models_app.records import FittedModel


def row(name: str, score: float | None, at: float | None) -> FittedModel:
    return FittedModel(name=name, val_score=score, fit_seconds=1.0, at_seconds=at)


def test_the_line_is_the_best_so_far_of_an_error_in_its_own_sign():
    view = progress_figure(
        [row("A", -300.0, 2.0), row("C", -250.0, 9.0), row("B", -280.0, 5.0), row("D", -260.0, 11.0)],
        metric="root_mean_squared_error",
        label="RMSE",
    )
    assert view is not None
    assert view.rows == (
        ("A", 2.0, 300.0, 300.0),
        ("B", 5.0, 280.0, 280.0),
        ("C", 9.0, 250.0, 250.0),
        ("D", 11.0, 260.0, 250.0),
    )
    line, points = view.plot["data"]
    assert line["y"] == [300.0, 280.0, 250.0, 250.0]
    assert points["y"] == [300.0, 280.0, 250.0, 260.0]


def test_a_share_grows():
    view = progress_figure([row("A", 0.7, 1.0), row("B", 0.6, 2.0)], metric="accuracy", label="Accuracy")
    assert [each[-1] for each in view.rows] == [0.7, 0.7]


def test_there_is_no_line_through_one_point_or_through_what_has_no_time():
    assert progress_figure([row("A", 0.7, 1.0)], metric="accuracy", label="") is None
    assert progress_figure([row("A", 0.7, None), row("B", 0.8, None)], metric="accuracy", label="") is None
