"""The flight plan on the training form, and the page on which staff see how good such plans are."""

import pytest
from bson import ObjectId
from django.urls import reverse

from ml.problem import Preset, ProblemType
from models_app import jobs_repository, planning, plans_repository
from models_app.records import JobSettings, Plan
from storage.ids import new_id
from storage.mongo import get_database
from tests.factories import queued_job, running_job, stored_dataset, stored_model

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}
CHOSEN = {"target": "species", "preset": "quick", "families": ["lightgbm", "linear"]}


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def url(dataset) -> str:
    return reverse("models:train_plan", args=[dataset.id])


def ended(user, dataset, *, seconds: float, expected: float, preset: Preset = Preset.QUICK):
    """A training that succeeded, with what was expected of it."""
    settings = JobSettings(target="species", preset=preset, time_limit=30)
    plan = Plan(seconds=expected, memory=10**9, models=4)
    job = running_job(user.id, dataset, settings=settings, plan=plan, model_id=new_id())
    stored_model(user.id, dataset, job=job)
    began = {"$dateSubtract": {"startDate": "$finished_at", "unit": "second", "amount": seconds}}
    get_database()["jobs"].update_one({"_id": ObjectId(job.id)}, [{"$set": {"started_at": began}}])
    return job


def test_the_plan_follows_the_choices(owner, dataset):
    text = owner.get(url(dataset), CHOSEN, headers=HX).content.decode()
    assert text.index("LightGBMXT") < text.index("LinearModel") < text.index("WeightedEnsemble_L2")
    assert "CatBoost: not ticked" in text
    assert "UTC" in text
    assert "Each is fitted once, on 32 rows" in text
    folds = owner.get(url(dataset), CHOSEN | {"preset": "balanced"}, headers=HX).content.decode()
    assert "fitted 8 times" in folds


def test_a_small_table_is_judged_by_folds_which_take_their_time(owner, dataset, settings):
    before = owner.get(url(dataset), CHOSEN, headers=HX).content.decode()
    settings.CROSS_VALIDATE_BELOW = 100
    text = owner.get(url(dataset), CHOSEN, headers=HX).content.decode()
    assert "times more to judge it by every row" in text
    assert "times more to judge it by every row" not in before
    by_time = CHOSEN | {"holdout_kind": "time", "holdout_column": "weight"}
    assert "times more" not in owner.get(url(dataset), by_time, headers=HX).content.decode()


def test_while_the_choices_are_not_complete_there_is_no_plan(owner, dataset):
    for missing in ({}, CHOSEN | {"target": "no such"}, CHOSEN | {"time_limit": "soon"}):
        response = owner.get(url(dataset), missing, headers=HX)
        assert response.status_code == 200
        assert "As soon as the choices above are complete" in response.content.decode()
    page = owner.get(reverse("models:train", args=[dataset.id])).content.decode()
    assert f'hx-get="{url(dataset)}"' in page


def test_nobody_else_gets_a_plan(client_for, other_user, dataset):
    assert client_for(other_user).get(url(dataset), CHOSEN, headers=HX).status_code == 404


def test_a_training_that_cannot_fit_is_said_before(owner, dataset, settings):
    settings.TRAINING_MEMORY_MB = 64
    settings.MIN_FREE_DISK_MB = 2**40
    text = owner.get(url(dataset), CHOSEN, headers=HX).content.decode()
    assert "64.0\xa0MB at most and would be ended" in text
    assert "too little room" in text


def test_the_wait_for_other_people_is_part_of_it(owner, user, dataset, other_user):
    theirs = stored_dataset(other_user.id)
    running_job(other_user.id, theirs)
    queued_job(other_user.id, theirs)
    found = planning.outlook(dataset=dataset, settings=JobSettings(target="species"), user_id=user.id)
    # Theirs waits behind the one they have running, mine behind none of mine.
    assert found.waiting == 0
    assert 30 < found.wait <= 60
    assert "after waiting about" in owner.get(url(dataset), CHOSEN, headers=HX).content.decode()


def test_a_job_keeps_what_was_expected_of_it(user, dataset):
    kept = planning.plan_to_keep(
        dataset=dataset,
        settings=JobSettings(target="species"),
        problem_type=ProblemType.MULTICLASS,
        user_id=user.id,
    )
    job = queued_job(user.id, dataset, plan=kept)
    assert jobs_repository.get(job_id=job.id).plan == kept
    assert kept.seconds > 5
    assert kept.models >= 3


def test_numbers_of_a_table_that_nobody_has_looked_through_are_not_taken_for_classes(user, stack):
    rows = "".join(f"{row % 3},{row * 1.37:.2f}\n" for row in range(3000))
    large = stored_dataset(user.id, content="kind,price\n" + rows)
    found = planning.outlook(dataset=large, settings=JobSettings(target="price"), user_id=user.id)
    assert (found.is_rough, found.problem_type) == (True, ProblemType.REGRESSION)


def test_estimates_are_corrected_by_enough_trainings_of_the_same_kind(user, dataset, owner):
    for _ in range(4):
        ended(user, dataset, seconds=20, expected=10)
    assert plans_repository.correction(preset=Preset.QUICK, last=20, at_least=5) == (1.0, 0)
    ended(user, dataset, seconds=20, expected=10)
    ratio, count = plans_repository.correction(preset=Preset.QUICK, last=20, at_least=5)
    assert (round(ratio, 1), count) == (2.0, 5)
    assert plans_repository.correction(preset=Preset.BEST, last=20, at_least=5) == (1.0, 0)
    assert "last 5 trainings of this kind" in owner.get(url(dataset), CHOSEN, headers=HX).content.decode()


def test_staff_see_how_good_plans_are_and_nobody_else_does(client_for, staff, owner, user, dataset):
    page = reverse("models:plan_accuracy")
    assert owner.get(page).status_code == 404
    assert "No training with a plan" in client_for(staff).get(page).content.decode()
    ended(user, dataset, seconds=20, expected=10)
    text = client_for(staff).get(page).content.decode()
    assert "1 took between half and twice" in text
    assert "2.0" in text
    assert "species" not in text
