"""Types that a person chose: used by the check of the target, the training, its model and the predictions."""

import pytest
from django.core.cache import cache
from django.urls import reverse

from datasets import services as datasets
from ml.column_types import ColumnType
from ml.prediction import Mode
from ml.problem import ProblemType
from models_app import jobs_repository, services
from models_app.records import JobSettings, JobStatus
from models_app.tasks import run_training
from smartml.errors import InvalidInput, InvalidTarget
from storage.ids import new_id
from tests.factories import stored_dataset
from tests.training import use_one_family

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# `grade` is a number with fractions, but only three of them; `size` holds a word now and then.
TABLE = "size,code,grade\n" + "".join(
    f"{'huge' if i % 20 == 0 else i % 7},{10 + i % 3},{(1.5, 2.5, 3.5)[i % 3]}\n" for i in range(120)
)


@pytest.fixture(autouse=True)
def quick(stack, settings, monkeypatch):
    use_one_family(settings, monkeypatch)
    cache.clear()


@pytest.fixture
def dataset(user):
    return stored_dataset(user.id, content=TABLE)


def choose(dataset, **types):
    for column, kind in types.items():
        datasets.set_type(
            user_id=dataset.user_id,
            dataset_id=dataset.id,
            column=column,
            type=None if kind is None else ColumnType(kind),
        )


def ask(dataset, target="grade", model_id=None):
    return services.request_training(
        user_id=dataset.user_id,
        dataset=dataset,
        job_id=new_id(),
        settings=JobSettings(target=target, time_limit=20),
        model_name="Grades",
        model_id=model_id,
    )


def test_the_check_of_the_target_follows_the_chosen_type(dataset):
    assert services.check_target(dataset=dataset, target="grade").problem_type is ProblemType.REGRESSION
    choose(dataset, grade="category")
    decision = services.check_target(dataset=dataset, target="grade")
    assert decision.problem_type is ProblemType.MULTICLASS
    assert "1.5, 2.5, 3.5" in decision.reason
    choose(dataset, grade="date")
    with pytest.raises(InvalidTarget, match="none of the 120 rows"):
        services.check_target(dataset=dataset, target="grade")
    choose(dataset, grade=None)
    assert services.check_target(dataset=dataset, target="grade").problem_type is ProblemType.REGRESSION


def test_the_training_and_its_model_use_the_chosen_types(dataset, client_for, user):
    choose(dataset, grade="category", code="category", size="integer")
    job = ask(dataset)
    assert job.problem_type is ProblemType.MULTICLASS
    assert run_training(job.id) is JobStatus.SUCCEEDED

    model = services.get_model(user_id=user.id, model_id=job.model_id)
    assert set(services.model_evaluation(model=model, version=1).classes) == {"1.5", "2.5", "3.5"}
    features = {feature.name: feature for feature in services.model_features(model=model, version=1)}
    assert features["code"].kind == "category"
    assert set(features["code"].categories) == {"10", "11", "12"}
    if "size" in features:
        assert features["size"].kind == "number"
    chosen = {each.column: each for each in services.model_chosen_types(model=model, version=1)}
    assert chosen["size"].not_of_type == 6
    assert (chosen["size"].type, chosen["size"].detected_type) == (ColumnType.INTEGER, ColumnType.CATEGORY)
    assert set(chosen) == {"grade", "code", "size"}
    page = " ".join(client_for(user).get(reverse("models:detail", args=[model.id])).content.decode().split())
    assert "<code>size</code> as whole number, not category; 6 values did not fit and counted as missing" in page
    answer = services.predict(model=model, version=1, values={"code": "11", "size": "3"})
    assert answer.prediction == "2.5"

    rows = [{"code": 11, "size": 3}, {"code": "twelve", "size": "3", "colour": "red"}]
    said = services.predict_rows(model=model, version=1, rows=rows)
    assert said.answers[0] == answer
    assert said.answers[0].likely.level == 0.9
    assert "2.5" in said.answers[0].likely.classes
    assert [each.kind for each in said.answers[1].findings] == ["unseen_category"]
    assert "colour" in [each.field for each in said.table_findings]
    with pytest.raises(InvalidInput) as refused:
        services.predict_rows(model=model, version=1, rows=rows, mode=Mode.STRICT)
    assert "rows.1.code" in refused.value.fields

    # A further version is trained on what is chosen then.
    choose(dataset, code=None, size=None)
    again = ask(dataset, model_id=model.id)
    assert run_training(again.id) is JobStatus.SUCCEEDED
    model = services.get_model(user_id=user.id, model_id=job.model_id)
    assert [each.column for each in services.model_chosen_types(model=model, version=2)] == ["grade"]


def test_a_target_whose_type_changed_meanwhile_ends_the_training_with_that_reason(dataset):
    job = ask(dataset)
    assert job.problem_type is ProblemType.REGRESSION
    choose(dataset, grade="category")
    assert run_training(job.id) is JobStatus.FAILED
    error = jobs_repository.get(job_id=job.id).error
    assert error.code == "training_failed"
    assert "The type of the target column was changed" in error.message
