"""What the live page says about a job, from the record alone."""

from datetime import UTC, datetime, timedelta

import pytest

from ml.problem import ProblemType
from models_app.presenters import present_job
from models_app.records import FittedModel, Job, JobSettings, JobStatus

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def job(**changes: object) -> Job:
    values: dict[str, object] = {
        "id": "0" * 24,
        "user_id": "1" * 24,
        "dataset_id": "2" * 24,
        "dataset_name": "houses",
        "model_id": "3" * 24,
        "model_name": "Houses",
        "version": 1,
        "settings": JobSettings(target="price", time_limit=60),
        "status": JobStatus.RUNNING,
        "created_at": NOW - timedelta(seconds=90),
        "started_at": NOW - timedelta(seconds=40),
        "problem_type": ProblemType.REGRESSION,
        "problem_reason": "Numbers.",
    }
    return Job(**(values | changes))  # type: ignore[arg-type]


def test_errors_are_shown_as_positive_numbers_with_the_smallest_first():
    rows = (
        FittedModel(name="A", val_score=-300.0, fit_seconds=1.0),
        FittedModel(name="B", val_score=-200.0, fit_seconds=1.0),
        FittedModel(name="C", val_score=None, fit_seconds=1.0),
    )
    view = present_job(job(metric="root_mean_squared_error", leaderboard=rows), now=NOW)
    assert [(row.name, row.val_score) for row in view.rows] == [("B", 200.0), ("A", 300.0), ("C", None)]
    assert view.best is view.rows[0]


def test_shares_keep_their_sign_with_the_largest_first():
    rows = tuple(FittedModel(name=n, val_score=v, fit_seconds=1.0) for n, v in (("A", 0.7), ("B", 0.9)))
    view = present_job(job(metric="accuracy", leaderboard=rows), now=NOW)
    assert [(row.name, row.val_score) for row in view.rows] == [("B", 0.9), ("A", 0.7)]


@pytest.mark.parametrize(("ago", "left"), [(0, 60), (25, 35), (90, 0)])
def test_the_time_left_counts_down_from_the_start_of_the_fit_and_never_below_zero(ago, left):
    view = present_job(job(fit_started_at=NOW - timedelta(seconds=ago)), now=NOW)
    assert view.fit_seconds_left == left
    assert view.elapsed == 40


def test_no_time_left_is_claimed_when_nothing_is_being_fitted():
    assert present_job(job(), now=NOW).fit_seconds_left is None
    over = job(status=JobStatus.SUCCEEDED, fit_started_at=NOW, finished_at=NOW - timedelta(seconds=10))
    view = present_job(over, now=NOW)
    assert view.fit_seconds_left is None
    assert (view.elapsed, view.percent, view.poll_seconds) == (30, 100, None)


@pytest.mark.parametrize(("age", "interval"), [(10, 2), (120, 3), (3600, 5)])
def test_polling_slows_down_with_the_age_of_the_job(age, interval):
    view = present_job(job(started_at=NOW - timedelta(seconds=age)), now=NOW)
    assert view.poll_seconds == interval
