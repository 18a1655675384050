"""Two real trainings, asked the same rows by work of its own."""

from datetime import date, timedelta

import pytest

from datasets import activities
from datasets.activities import ActivityStatus
from datasets.tasks import run_activity
from ml.options import HoldoutKind
from models_app import comparisons, followups, repository, services, versions
from models_app.comparisons import side_of
from models_app.records import JobSettings, JobStatus
from models_app.tasks import run_training
from storage.ids import new_id
from tests.factories import stored_dataset
from tests.training import model_blobs, use_one_family, workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# The price is of the rooms and of the district.
HOUSES = "day,rooms,district,price\n" + "".join(
    f"{date(2024, 1, 1) + timedelta(days=i)},{1 + i % 9},{'north' if i % 2 else 'south'},"
    f"{100_000 + 25_000 * (i % 9) + 30_000 * (i % 2) + i}\n"
    for i in range(300)
)


@pytest.fixture
def model(stack, user, settings, monkeypatch):
    """Version 2 has not seen the district."""
    use_one_family(settings, monkeypatch)
    dataset = stored_dataset(user.id, content=HOUSES, file_name="houses.csv")
    model_id = None
    for left_out in ((), ("district",)):
        job = services.request_training(
            user_id=user.id,
            dataset=dataset,
            job_id=new_id(),
            settings=JobSettings(
                target="price",
                time_limit=20,
                leave_out=left_out,
                holdout_kind=HoldoutKind.TIME,
                holdout_column="day",
            ),
            model_name="Houses",
            model_id=model_id,
        )
        assert run_training(job.id) == JobStatus.SUCCEEDED
        model_id = job.model_id
    return services.get_model(user_id=user.id, model_id=model_id)


def test_two_versions_are_asked_the_same_rows_and_nothing_is_left_of_it_when_one_goes(
    stack, user, model, monkeypatch
):
    left, right = side_of(model, 1), side_of(model, 2)
    work = comparisons.state_of(left, right).activity
    assert comparisons.state_of(left, right).activity.id == work.id
    before = model_blobs(stack)
    monkeypatch.setattr(followups, "MEMORY_BYTES", 1)
    assert run_activity(work.id) == ActivityStatus.FAILED
    assert comparisons.state_of(left, right).is_stopped
    assert (model_blobs(stack), workspaces()) == (before, [])
    monkeypatch.undo()

    comparisons.start(left, right)
    again = comparisons.state_of(left, right).activity
    assert run_activity(again.id) == ActivityStatus.SUCCEEDED
    found = comparisons.state_of(left, right).pairing
    # The latest days were held out for both, so these are the scores of the two trainings.
    assert found["rows"] == model.current.holdout_rows == 60
    scores = {each["metric"]: each for each in found["metrics"]}
    rmse = scores["root_mean_squared_error"]
    assert rmse["left"] == pytest.approx(left.version.accuracy, rel=1e-3)
    assert rmse["right"] == pytest.approx(right.version.accuracy, rel=1e-3)
    assert 0 < rmse["low"] < rmse["difference"] < rmse["high"]
    assert found["apart"] > 5_000
    assert workspaces() == []
    assert set(model_blobs(stack)) - set(before) == {f"{user.id}/{model.id}/compare-{model.id}-2-v1.json"}

    # What comes too late finds the other one gone.
    late = followups.start(model=model, version=1, kind=again.kind, subject=again.subject)
    versions.promote(user_id=user.id, model_id=model.id, version=1, instead_of=2)
    versions.delete_version(user_id=user.id, model_id=model.id, version=2)
    assert run_activity(late.id) == ActivityStatus.FAILED
    assert "deleted meanwhile" in activities.get(user_id=user.id, activity_id=late.id).error.message
    assert not [name for name in model_blobs(stack) if "compare-" in name or "-v2." in name]
    assert repository.get(model_id=model.id, user_id=user.id).version == 1
