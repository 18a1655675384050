"""Asking for a training, watching it, cancelling it."""

import pytest
from django.urls import reverse
from django_q.models import OrmQ

from models_app import jobs_repository
from models_app.records import FittedModel, JobError, JobStatus
from storage.ids import new_id
from tests.factories import queued_job, running_job, stored_dataset

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def _form(**changes):
    return {"target": "species", "preset": "quick", "time_limit": "30", "job_id": new_id()} | changes


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_training_queues_one_job_however_often_it_is_posted(owner, dataset, user, headers):
    url = reverse("models:train", args=[dataset.id])
    form = _form()
    first = owner.post(url, form, headers=headers)
    again = owner.post(url, form, headers=headers)
    where = reverse("models:job", args=[form["job_id"]])
    for response in (first, again):
        assert (response["HX-Redirect"] if headers else response.url) == where
    assert [job.id for job in jobs_repository.recent(user_id=user.id)] == [form["job_id"]]
    assert OrmQ.objects.count() == 1


def test_the_form_offers_the_datasets_columns(owner, dataset):
    page = owner.get(reverse("models:train", args=[dataset.id]), {"target": "species"}).content.decode()
    for column in ("legs", "wings", "weight", "species"):
        assert f'value="{column}"' in page
    assert '<option value="species" selected>' in page


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"target": ""}, "Choose the column to predict."),
        ({"target": "colour"}, "has no column"),
        ({"time_limit": "3"}, "Give between"),
        ({"time_limit": "soon"}, "Enter a whole number."),
        ({"preset": "magic"}, "Select a valid choice."),
    ],
)
@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_a_bad_form_says_why_and_queues_nothing(owner, dataset, user, changes, sentence, headers):
    response = owner.post(reverse("models:train", args=[dataset.id]), _form(**changes), headers=headers)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert ("<html" in response.content.decode()) is not bool(headers)
    assert jobs_repository.recent(user_id=user.id) == ()


BAD_TARGETS = {
    "empty": ("a,b\n" + "".join(f"{i},\n" for i in range(60)), "b"),
    "constant": ("a,b\n" + "".join(f"{i},x\n" for i in range(60)), "b"),
    "all unique text": ("a,b\n" + "".join(f"{i},name-{i}-x\n" for i in range(60)), "b"),
    "too few rows": ("a,b\n1,x\n2,y\n1,x\n2,y\n", "b"),
    "rare class": ("a,b\n" + "".join(f"{i},{'x' if i % 2 else 'y'}\n" for i in range(60)) + "61,z\n", "b"),
}


@pytest.mark.parametrize(("content", "target"), BAD_TARGETS.values(), ids=BAD_TARGETS.keys())
def test_a_target_nothing_can_be_learned_from_is_refused_before_anything_is_queued(
    stack, owner, user, content, target
):
    dataset = stored_dataset(user.id, content=content)
    response = owner.post(reverse("models:train", args=[dataset.id]), _form(target=target))
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.content.decode()
    assert jobs_repository.recent(user_id=user.id) == ()
    assert OrmQ.objects.count() == 0


def test_the_decision_is_shown_with_its_reason_before_training(owner, dataset):
    url = reverse("models:train_target", args=[dataset.id])
    assert "two different values" in owner.get(url, {"target": "species"}, headers=HX).content.decode()
    assert "no column" in owner.get(url, {"target": "colour"}, headers=HX).content.decode()


def test_the_live_page_polls_until_the_job_is_over(owner, dataset, user):
    job = running_job(user.id, dataset)
    rows = (FittedModel(name="LightGBM", val_score=0.75, fit_seconds=1.2),)
    jobs_repository.report(job_id=job.id, owner="owner", stage="Fitting CatBoost", progress=0.4, leaderboard=rows)
    url = reverse("models:job_progress", args=[job.id])
    live = owner.get(url, headers=HX)
    text = live.content.decode()
    assert "hx-trigger" in text
    assert "Fitting CatBoost" in text
    assert "0.75" in text
    assert "no-store" in live["Cache-Control"]
    jobs_repository.fail(
        job_id=job.id, owner="owner", error=JobError(code="x", message="Out of memory.", hint="Leave out columns.")
    )
    over = owner.get(url, headers=HX).content.decode()
    assert f'hx-get="{url}"' not in over
    assert "Out of memory." in over
    assert "Leave out columns." in over
    assert owner.get(reverse("models:job", args=[job.id])).status_code == 200


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_cancelling(owner, dataset, user, headers):
    waiting, running = queued_job(user.id, dataset), running_job(user.id, dataset)
    for job, status in ((waiting, JobStatus.CANCELLED), (running, JobStatus.RUNNING)):
        response = owner.post(reverse("models:job_cancel", args=[job.id]), headers=headers)
        assert response.status_code == (200 if headers else 302)
        now = jobs_repository.get(job_id=job.id)
        assert now is not None
        assert now.status is status
        assert now.cancel_requested or now.status.is_over


def test_the_list_shows_own_jobs_only(owner, dataset, user, other_user, client_for):
    queued_job(user.id, dataset, model_name="Mine alone")
    assert "Mine alone" in owner.get(reverse("models:jobs")).content.decode()
    assert "Mine alone" not in client_for(other_user).get(reverse("models:jobs")).content.decode()


@pytest.mark.parametrize("who", ["other", "staff"])
def test_nobody_else_finds_the_job_or_the_dataset(dataset, user, other_user, staff, client_for, who):
    job = running_job(user.id, dataset)
    client = client_for(other_user if who == "other" else staff)
    for name in ("job", "job_progress"):
        assert client.get(reverse(f"models:{name}", args=[job.id])).status_code == 404
    assert client.post(reverse("models:job_cancel", args=[job.id])).status_code == 404
    assert client.get(reverse("models:train", args=[dataset.id])).status_code == 404
    assert client.post(reverse("models:train", args=[dataset.id]), _form()).status_code == 404
    assert client.get(reverse("models:train_target", args=[dataset.id]), {"target": "legs"}).status_code == 404
    unchanged = jobs_repository.get(job_id=job.id)
    assert unchanged is not None
    assert not unchanged.cancel_requested


def test_a_job_id_of_somebody_else_is_not_given_away(dataset, user, other_user, client_for):
    """Posting a training with another person's job id must neither show nor change that job."""
    job = running_job(user.id, dataset)
    theirs = stored_dataset(other_user.id)
    response = client_for(other_user).post(reverse("models:train", args=[theirs.id]), _form(job_id=job.id))
    assert response.status_code in (404, 409, 422)
    assert jobs_repository.get(job_id=job.id) == job
