"""Real trainings on a column that copies the target and on wrong answers, looked into afterwards."""

import io
import threading
import time
from dataclasses import replace

import pandas as pd
import pytest

from datasets import activities
from datasets import services as datasets
from datasets.activities import ActivityStatus
from datasets.children import ChildFailed
from datasets.tasks import run_activity
from ml.column_types import ColumnType
from models_app import autopsies, doubts, followups, retracing, services
from models_app.records import JobSettings, JobStatus
from models_app.tasks import run_training
from smartml.errors import NotFound
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.factories import stored_dataset
from tests.training import model_blobs, use_one_family, workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# `ticket` is written down after the outcome; `size` alone says a little.
VISITS = "size,colour,ticket,bought\n" + "".join(
    f"{i % 10},{'red' if i % 3 else 'blue'},{'T' if bought else 'none'},{'yes' if bought else 'no'}\n"
    for i in range(240)
    for bought in [(i % 10 + (i * 7919) % 11) > 9]
)


class Silent:
    """Progress that nobody watches."""

    def report(self, **said):
        pass

    def check(self):
        pass


def trained(user, settings, monkeypatch, content: str, *, target: str, leave_out: tuple[str, ...] = ()):
    """A model of boosted trees alone."""
    use_one_family(settings, monkeypatch)
    job = services.request_training(
        user_id=user.id,
        dataset=stored_dataset(user.id, content=content, file_name="table.csv"),
        job_id=new_id(),
        settings=JobSettings(target=target, time_limit=20, leave_out=leave_out),
        model_name="A table",
        model_id=None,
    )
    assert run_training(job.id) == JobStatus.SUCCEEDED
    said = [line.text for line in services.get_job(user_id=user.id, job_id=job.id).log]
    assert any(text.startswith("LightGBM: validation accuracy") for text in said)
    assert said[-1] == "Storing"
    return services.get_model(user_id=user.id, model_id=job.model_id)


def test_a_copied_target_is_found_and_taken_apart_and_nothing_is_left(stack, user, settings, monkeypatch):
    model = trained(user, settings, monkeypatch, VISITS, target="bought", leave_out=("colour",))
    version = model.current
    assert version.dataset_sha256 is not None
    offer = autopsies.state_of(model=model, version=version)
    # Nobody has looked at this target yet, so it is not known what there is to take apart.
    assert (offer.autopsy, offer.activity, offer.suspects) == (None, None, None)
    assert offer.seconds > 0

    before = model_blobs(stack)
    cancelled = autopsies.start(model=model, version=version)
    thread = threading.Thread(target=run_activity, args=(cancelled.id,))
    thread.start()
    while (now := activities.get(user_id=user.id, activity_id=cancelled.id)).status is ActivityStatus.QUEUED:
        assert thread.is_alive(), now
        time.sleep(0.02)
    autopsies.cancel(model=model, version=1)
    thread.join(60)
    assert activities.get(user_id=user.id, activity_id=cancelled.id).status is ActivityStatus.CANCELLED
    assert (model_blobs(stack), workspaces(), workspaces("dataset_")) == (before, [], [])

    begun = autopsies.start(model=model, version=version)
    with monkeypatch.context() as patch:
        patch.setattr(followups, "MEMORY_BYTES", 1)
        assert run_activity(begun.id) == ActivityStatus.FAILED
    assert activities.get(user_id=user.id, activity_id=begun.id).error.code == "out_of_memory"
    assert autopsies.state_of(model=model, version=version).is_stopped
    assert (model_blobs(stack), workspaces(), workspaces("dataset_")) == (before, [], [])

    assert run_activity(autopsies.start(model=model, version=version).id) == ActivityStatus.SUCCEEDED
    found = autopsies.state_of(model=model, version=version).autopsy
    assert [each["column"] for each in found["suspects"]] == ["ticket"]
    assert found["suspects"][0]["alone"] == 1.0
    assert (found["metric"], found["rows"], found["score"]) == ("accuracy", version.holdout_rows, 1.0)
    (side,) = found["sides"]
    assert side["columns"] == ["ticket"]
    assert found["guess"] - 0.1 <= side["score"] < 1.0
    assert side["worse"] == pytest.approx(1.0 - side["score"])
    assert 0 < side["low"] <= side["worse"] <= side["high"]
    assert workspaces() == []

    # Another type than that of the training, chosen since, changes nothing: the version's own settings count.
    dataset = datasets.get_dataset(user_id=user.id, dataset_id=version.dataset_id)
    datasets.set_type(user_id=user.id, dataset_id=dataset.id, column="size", type=ColumnType.CATEGORY)
    then = retracing.settings_of(model=model, version=version, dataset=dataset)
    assert (then.types, then.leave_out) == ({}, ("colour",))

    # Rows that another seed holds out are not those the version was judged by.
    other = replace(version, settings=replace(version.settings, seed=version.settings.seed + 1))
    work = followups.Followup(model, other, begun, Silent())
    with pytest.raises(ChildFailed, match="does not part into the same rows"):
        autopsies.dissect(work)
    assert workspaces() == []

    datasets.delete_dataset(user_id=user.id, dataset_id=dataset.id)
    assert autopsies.state_of(model=model, version=version).autopsy == found
    with pytest.raises(NotFound, match="was deleted"):
        autopsies.start(model=model, version=version)
    services.delete_model(user_id=user.id, model_id=model.id)
    assert model_blobs(stack) == []


# The answer is the size; in the rows FLIPPED somebody wrote the other one down.
FLIPPED = (2, 30, 55, 121, 160, 233)
SIZES = "size,noise,large\n" + "".join(
    f"{(i * 37) % 100},{(i * 7919) % 13},{'yes' if ((i * 37) % 100 >= 50) != (i in FLIPPED) else 'no'}\n"
    for i in range(240)
)


def test_planted_wrong_answers_are_listed_by_their_rows_in_the_table(stack, user, settings, monkeypatch):
    model = trained(user, settings, monkeypatch, SIZES, target="large")
    version = model.current
    assert doubts.state_of(model=model, version=version).seconds > 0
    begun = doubts.start(model=model, version=version)
    assert run_activity(begun.id) == ActivityStatus.SUCCEEDED
    found = doubts.state_of(model=model, version=version).check
    rows = {doubt["row"]: doubt for doubt in found["doubts"]}
    planted = {i + 1 for i in FLIPPED}
    assert len(planted & set(rows)) >= 5
    assert len(rows) <= 12
    one = rows[next(iter(planted & set(rows)))]
    assert {one["given"], one["expected"]} == {"yes", "no"}
    assert one["expected_share"] > one["given_share"]
    assert (found["family"], found["train_rows"], found["holdout_rows"]) == ("GBM", 192, 48)
    kept = get_blobs().get_model_file(user_id=user.id, model_id=model.id, version=1, stem="holdout", ext="parquet")
    held_out = set(pd.read_parquet(io.BytesIO(kept)).index + 1)
    assert all(doubt["held_out"] == (row in held_out) for row, doubt in rows.items())
    assert workspaces() == []
    services.delete_model(user_id=user.id, model_id=model.id)
    assert model_blobs(stack) == []
