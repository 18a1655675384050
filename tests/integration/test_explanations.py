"""A real training, explained afterwards by work of its own."""

import pytest

from datasets import activities
from datasets import services as datasets
from datasets.activities import ActivityKind, ActivityStatus
from datasets.tasks import run_activity
from ml.prediction import Mode
from models_app import example_rows, explanations, followups, predictor, row_explanations, services
from models_app.records import JobSettings, JobStatus
from models_app.tasks import run_training
from smartml.errors import InvalidInput
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.factories import stored_dataset
from tests.training import model_blobs, use_one_family, workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# The price is of the rooms; the district has no say.
HOUSES = "rooms,district,price\n" + "".join(
    f"{1 + i % 9},{'north' if i % 2 else 'south'},{100_000 + 25_000 * (i % 9) + i}\n" for i in range(300)
)


@pytest.fixture
def model(stack, user, settings, monkeypatch):
    use_one_family(settings, monkeypatch)
    dataset = stored_dataset(user.id, content=HOUSES, file_name="houses.csv")
    job = services.request_training(
        user_id=user.id,
        dataset=dataset,
        job_id=new_id(),
        settings=JobSettings(target="price", time_limit=20),
        model_name="Houses",
        model_id=None,
    )
    assert run_training(job.id) == JobStatus.SUCCEEDED
    return services.get_model(user_id=user.id, model_id=job.model_id)


def report_of(model) -> str:
    return b"".join(services.stream_report(model=model, version=1)).decode()


def test_a_trained_model_is_explained_without_its_dataset_and_leaves_nothing(stack, user, model, monkeypatch):
    # The worker has asked for it; a page only looks.
    begun = followups.latest(model=model, version=1, kind=ActivityKind.EXPLAIN)
    assert explanations.state_of(model=model, version=1).activity.id == begun.id
    datasets.delete_dataset(user_id=user.id, dataset_id=model.current.dataset_id)

    monkeypatch.setattr(followups, "MEMORY_BYTES", 1)
    before = model_blobs(stack)
    assert run_activity(begun.id) == ActivityStatus.FAILED
    assert activities.get(user_id=user.id, activity_id=begun.id).error.code == "out_of_memory"
    assert explanations.state_of(model=model, version=1).is_stopped
    assert (model_blobs(stack), workspaces()) == (before, [])
    monkeypatch.undo()

    report_headings = report_of(model).count("<h2>")
    assert "This copy was made before." in report_of(model)
    assert run_activity(explanations.start(model=model, version=1).id) == ActivityStatus.SUCCEEDED
    # The report that the training wrote has it now, and everything that it had.
    report = report_of(model)
    assert "Permuting <code>rooms</code> worsens RMSE by" in report
    assert "What each column is worth" in report
    assert "This copy was made before" not in report
    assert report.count("<h2>") == report_headings
    stored = sum(blob.size for blob in get_blobs().list_prefix(stack.models_container, ""))
    assert datasets.totals_of(user_id=user.id).models_bytes == stored
    found = explanations.state_of(model=model, version=1).explanation
    assert found["metric"] == "root_mean_squared_error"
    assert (found["rows"], found["all_rows"]) == (60, 60)
    first = found["importances"][0]
    assert first["column"] == "rooms"
    assert first["low"] > 0
    assert found["score"] == pytest.approx(model.current.accuracy, rel=1e-3)
    assert workspaces() == []

    # One row by its values, then one of those held out: the parts add up to what the model says.
    view = row_explanations.explain_values(
        model=model, version=model.current, values={"rooms": "9", "district": "north"}
    )
    assert (view.parts[0].column, view.parts[0].raises) == ("rooms", True)
    asked = {"ranking": ["rooms"], "row": {"rooms": 1, "district": "south"}}
    told = predictor.explain(model=model, version=model.current, asked=asked)
    assert told["average"] + sum(part["adds"] for part in told["parts"]) == pytest.approx(told["prediction"])
    with pytest.raises(InvalidInput, match="Some that are") as refused:
        row_explanations.explain_place(model=model, version=model.current, number=100_000)
    number = int(refused.value.message.rsplit(" ", 1)[1].rstrip(".").replace(",", ""))
    held_out = row_explanations.explain_place(model=model, version=model.current, number=number)
    index = number - 1
    assert float(held_out.truth.replace(",", "")) == pytest.approx(100_000 + 25_000 * (index % 9) + index, rel=1e-5)
    # Rows held out, as a person would type them, are the rows that the model was judged by.
    drawn = [example_rows.draw(model=model, version=model.current) for _ in range(3)]
    said = services.predict_rows(model=model, version=1, rows=[row.values for row in drawn], mode=Mode.STRICT)
    for row, answer in zip(drawn, said.answers, strict=True):
        assert float(row.truth) == 100_000 + 25_000 * ((row.number - 1) % 9) + row.number - 1
        assert answer.interval.high - answer.interval.low == pytest.approx(
            2 * services.model_reach(model=model, version=1).reach
        )
        assert answer.interval.low < answer.prediction < answer.interval.high
    predictor.stop()
    assert workspaces() == []

    services.delete_model(user_id=user.id, model_id=model.id)
    assert model_blobs(stack) == []
