"""Asking for a training, watching it, cancelling it."""

import re

import pytest
from django.urls import reverse
from django_q.models import OrmQ

from accounts import tickets
from datasets import services as datasets
from ml.left_out import LeftOut
from models_app import jobs_repository, services
from models_app.forms import TrainForm
from models_app.jobs_services import time_limit_fault
from models_app.records import FittedModel, JobError, JobStatus, LogLine, Readings
from smartml.errors import InvalidTarget
from storage.blobs import get_blobs
from tests.factories import queued_job, running_job, stored_dataset, stored_model

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def _ticket(person):
    return tickets.issue(user_id=person.id, purpose="training")


def _job_id(person, ticket):
    return tickets.redeem(ticket, user_id=person.id, purpose="training")


@pytest.fixture
def form(user):
    """The form of this person as a browser would send it."""

    def make(**changes):
        return {"target": "species", "preset": "quick", "time_limit": "30", "ticket": _ticket(user)} | changes

    return make


def _ticket_in(response):
    return re.search(r'name="ticket" value="([^"]+)"', response.content.decode())[1]


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_training_queues_one_job_however_often_it_is_posted(owner, dataset, user, form, headers):
    url = reverse("models:train", args=[dataset.id])
    sent = form()
    first = owner.post(url, sent, headers=headers)
    again = owner.post(url, sent, headers=headers)
    job_id = _job_id(user, sent["ticket"])
    for response in (first, again):
        assert (response["HX-Redirect"] if headers else response.url) == reverse("models:job", args=[job_id])
    assert [job.id for job in jobs_repository.recent(user_id=user.id)] == [job_id]
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
@pytest.mark.parametrize(
    "changes", [{"target": "legs"}, {"preset": "best"}, {"time_limit": "31"}, {"model_name": "Other"}]
)
def test_other_settings_under_a_used_form_are_said_and_can_be_sent_again(
    owner, dataset, user, form, changes, headers
):
    """Back, change something, Train: the old training must not be shown as if it were the new one."""
    url = reverse("models:train", args=[dataset.id])
    sent = form()
    owner.post(url, sent)
    response = owner.post(url, sent | changes, headers=headers)
    page = response.content.decode()
    assert response.status_code == 409
    assert "already been used" in page
    assert f'href="{reverse("models:job", args=[_job_id(user, sent["ticket"])])}"' in page
    assert f'href="{url}">Start from an empty form' in page
    assert OrmQ.objects.count() == 1
    again = owner.post(url, sent | changes | {"ticket": _ticket_in(response)})
    assert again.status_code == 302
    assert OrmQ.objects.count() == 2


def test_a_used_form_for_another_dataset_or_model_is_other_settings(owner, dataset, user, form):
    sent = form()
    owner.post(reverse("models:train", args=[dataset.id]), sent)
    other = stored_dataset(user.id)
    assert owner.post(reverse("models:train", args=[other.id]), sent).status_code == 409
    model = stored_model(user.id, dataset)
    again = sent | {"model_id": model.id}
    assert owner.post(reverse("models:train", args=[dataset.id]), again).status_code == 409
    retraining = form(model_id=model.id)
    for _ in range(2):
        assert owner.post(reverse("models:train", args=[dataset.id]), retraining).status_code == 302


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_a_form_that_was_not_given_to_this_person_is_refused_before_anything_is_looked_up(
    owner, dataset, user, other_user, form, headers
):
    theirs = running_job(other_user.id, stored_dataset(other_user.id))
    foreign = _ticket(other_user)
    url = reverse("models:train", args=[dataset.id])
    for bad in ("", theirs.id, _job_id(other_user, foreign), foreign, theirs.id + _ticket(user)[24:]):
        response = owner.post(url, form(ticket=bad), headers=headers)
        assert response.status_code == 422
        assert "This form was out of date; send it again." in response.content.decode()
        assert jobs_repository.recent(user_id=user.id) == ()
        assert jobs_repository.get(job_id=theirs.id) == theirs
    assert owner.post(url, form(ticket=_ticket_in(response))).status_code == 302


def test_faults_and_an_old_form_are_said_together(owner, dataset, form):
    url = reverse("models:train", args=[dataset.id])
    page = owner.post(url, form(ticket="", time_limit="1")).content.decode()
    assert "out of date" in page
    assert "The time limit must be between" in page


def test_every_form_page_is_fetched_again_by_back(owner, dataset):
    for url in (reverse("models:train", args=[dataset.id]), reverse("datasets:new")):
        first, second = owner.get(url), owner.get(url)
        assert "no-store" in first["Cache-Control"]
        assert first.content != second.content


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
        ({"time_limit": "3"}, "The time limit must be between 5 and 6750 seconds."),
        ({"time_limit": "6751"}, "The time limit must be between 5 and 6750 seconds."),
        ({"model_name": "\u200b"}, "Nothing of this name can be seen."),
        ({"model_name": "\u200d\u3164"}, "Nothing of this name can be seen."),
        ({"model_name": "x" * 121}, "at most 120 characters"),
        ({"time_limit": "soon"}, "Enter a whole number."),
        ({"preset": "magic"}, "Select a valid choice."),
    ],
)
@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_a_bad_form_says_why_and_queues_nothing(owner, dataset, user, form, changes, sentence, headers):
    response = owner.post(reverse("models:train", args=[dataset.id]), form(**changes), headers=headers)
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
    stack, owner, user, form, content, target
):
    dataset = stored_dataset(user.id, content=content)
    response = owner.post(reverse("models:train", args=[dataset.id]), form(target=target))
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.content.decode()
    assert jobs_repository.recent(user_id=user.id) == ()
    assert OrmQ.objects.count() == 0


def test_the_decision_is_shown_with_its_reason_before_training(owner, dataset):
    url = reverse("models:train_target", args=[dataset.id])
    decided = owner.get(url, {"target": "species"}, headers=HX).content.decode()
    refused = owner.get(url, {"target": "colour"}, headers=HX).content.decode()
    assert re.search(r'data-announce="[^"`]*two different values', decided)
    assert re.search(r'data-announce="[^"`]*no column', refused)


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


def test_a_new_model_is_announced_once_and_draws_the_figure(owner, dataset, user):
    job = running_job(user.id, dataset)
    progress, figure = (reverse(f"models:job_{name}", args=[job.id]) for name in ("progress", "figure"))
    assert "data-figure-plot" not in owner.get(figure, headers=HX).content.decode()
    rows = tuple(
        FittedModel(name=name, val_score=score, fit_seconds=1.2, at_seconds=at)
        for name, score, at in (("LightGBM", 0.75, 1.5), ("CatBoost", 0.875, 4.0))
    )
    out = (LeftOut(name="XGBoost", reason="no time was left for it"),)
    jobs_repository.report(job_id=job.id, owner="owner", leaderboard=rows, left_out=out, metric="accuracy")
    readings = Readings(memory=3 << 30, memory_peak=4 << 30, cores=1.75)
    jobs_repository.heartbeat(job_id=job.id, owner="owner", lease_seconds=60, readings=readings)
    news = owner.get(progress, {"models": 0}, headers=HX)
    text = news.content.decode()
    assert "job-models" in news["HX-Trigger-After-Settle"]
    assert f"{progress}?models=2" in text
    assert "XGBoost: no time was left for it" in text
    assert re.search(r"3.0.GB of [^ ]+ allowed, at most 4.0.GB so far; 1.8 cores busy", text)
    assert "HX-Trigger-After-Settle" not in owner.get(progress, {"models": 2}, headers=HX)
    drawn = owner.get(figure, headers=HX).content.decode()
    assert "data-figure-plot" in drawn
    assert "CatBoost" in drawn
    assert "data-figure-plot" in owner.get(reverse("models:job", args=[job.id])).content.decode()


def test_more_trainings_than_may_wait_are_refused_at_the_form(owner, dataset, user, form, settings):
    settings.TRAININGS_WAITING_PER_USER = 1
    queued_job(user.id, dataset)
    response = owner.post(reverse("models:train", args=[dataset.id]), form(), headers=HX)
    assert response.status_code == 429
    assert "1 of your trainings are waiting already" in response.content.decode()
    assert len(services.recent_jobs(user_id=user.id)) == 1


def test_what_can_have_the_focus_has_an_id_so_that_a_poll_does_not_take_it_away(owner, dataset, user):
    job = running_job(user.id, dataset)
    url = reverse("models:job_progress", args=[job.id])
    live = owner.get(url, headers=HX).content.decode()
    jobs_repository.fail(job_id=job.id, owner="owner", error=JobError(code="x", message="Out of memory.", hint=""))
    over = owner.get(url, headers=HX).content.decode()
    for text, ids in ((live, ["job-stop", "job-cancel", "job-dataset"]), (over, ["job-dataset", "job-again"])):
        tags = re.findall(r"<(?:a|button)\s[^>]*>", text)
        assert [re.search(r'\bid="([^"]*)"', tag)[1] for tag in tags] == ids


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_stopping_early_is_asked_of_a_running_training(owner, dataset, user, headers):
    job = running_job(user.id, dataset)
    response = owner.post(reverse("models:job_stop", args=[job.id]), headers=headers)
    assert response.status_code == (200 if headers else 302)
    assert jobs_repository.get(job_id=job.id).stop_requested
    page = owner.get(reverse("models:job_progress", args=[job.id])).content.decode()
    assert "Finishing early" in page
    assert "As soon as a first model is fitted it is scored and kept." in page


def test_a_training_that_waits_has_nothing_to_keep(owner, dataset, user):
    job = queued_job(user.id, dataset)
    assert "job-stop" not in owner.get(reverse("models:job", args=[job.id])).content.decode()
    response = owner.post(reverse("models:job_stop", args=[job.id]), headers=HX)
    assert response.status_code == 409
    assert "there is nothing to keep" in response.content.decode()
    assert not jobs_repository.get(job_id=job.id).stop_requested


def test_a_training_that_is_over_stays_as_it_is(owner, dataset, user):
    job = running_job(user.id, dataset)
    jobs_repository.cancel(job_id=job.id, owner="owner")
    assert owner.post(reverse("models:job_stop", args=[job.id]), headers=HX).status_code == 200
    assert not jobs_repository.get(job_id=job.id).stop_requested


def test_nobody_else_stops_a_training(client, client_for, other_user, dataset, user):
    job = running_job(user.id, dataset)
    assert client_for(other_user).post(reverse("models:job_stop", args=[job.id])).status_code == 404
    assert client.post(reverse("models:job_stop", args=[job.id])).status_code == 302
    assert not jobs_repository.get(job_id=job.id).stop_requested


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
def test_nobody_else_finds_the_job_or_the_dataset(dataset, user, form, other_user, staff, client_for, who):
    job = running_job(user.id, dataset)
    client = client_for(other_user if who == "other" else staff)
    for name in ("job", "job_progress", "job_figure"):
        assert client.get(reverse(f"models:{name}", args=[job.id])).status_code == 404
    assert client.post(reverse("models:job_cancel", args=[job.id])).status_code == 404
    assert client.get(reverse("models:train", args=[dataset.id])).status_code == 404
    assert client.post(reverse("models:train", args=[dataset.id]), form()).status_code == 404
    for name in ("train_target", "train_evidence"):
        assert client.get(reverse(f"models:{name}", args=[dataset.id]), {"target": "legs"}).status_code == 404
    unchanged = jobs_repository.get(job_id=job.id)
    assert unchanged is not None
    assert not unchanged.cancel_requested


# --- Targets and names ---------------------------------------------------------------------------------------
ODD_COLUMNS = {"control character": ("be\x01ll", "control character"), "long": ("n" * 1001, "at most 1,000")}


@pytest.mark.parametrize(("column", "sentence"), ODD_COLUMNS.values(), ids=ODD_COLUMNS.keys())
def test_a_column_that_cannot_be_stored_as_a_target_is_refused_at_its_field(
    stack, owner, user, form, column, sentence
):
    content = f'a,"{column}"\n' + "".join(f"{i},{'x' if i % 2 else 'y'}\n" for i in range(60))
    dataset = stored_dataset(user.id, content=content)
    (_, name) = datasets.columns_of(dataset=dataset)
    response = owner.post(reverse("models:train", args=[dataset.id]), form(target=name))
    assert response.status_code == 422
    assert sentence in str(response.context["form"].errors["target"])
    assert datasets.get_dataset(user_id=user.id, dataset_id=dataset.id).target_column is None
    looked_at = owner.get(reverse("models:train_target", args=[dataset.id]), {"target": name}, headers=HX)
    assert sentence in looked_at.content.decode()


def test_a_refused_training_does_not_change_the_target(owner, dataset, user, form, monkeypatch):
    url = reverse("models:train", args=[dataset.id])
    monkeypatch.setattr(TrainForm, "clean_model_name", lambda self: self.cleaned_data["model_name"])
    response = owner.post(url, form(model_name="\u200b"))
    assert response.status_code == 422
    assert "can be seen" in str(response.context["form"].errors["model_name"])
    assert datasets.get_dataset(user_id=user.id, dataset_id=dataset.id).target_column is None


def test_a_name_made_from_odd_names_always_serves(stack, owner, user, form):
    column = "c" * 900
    content = f"a,{column}\n" + "".join(f"{i},{'x' if i % 2 else 'y'}\n" for i in range(60))
    dataset = stored_dataset(user.id, content=content, file_name="d" * 200 + ".csv")
    assert owner.post(reverse("models:train", args=[dataset.id]), form(target=column)).status_code == 302
    (job,) = jobs_repository.recent(user_id=user.id)
    assert 1 <= len(job.model_name) <= 120


def test_a_target_is_looked_for_in_the_header_before_the_table_is_read(dataset, user):
    datasets.columns_of(dataset=dataset)
    get_blobs().delete_dataset(user_id=user.id, dataset_id=dataset.id)
    with pytest.raises(InvalidTarget, match="Did you mean `species`"):
        services.check_target(dataset=dataset, target="specie")
    with pytest.raises(InvalidTarget, match="no column"):
        services.check_target(dataset=dataset, target="\x00" * 100_000)


def test_a_refusal_is_remembered_too(stack, user):
    dataset = stored_dataset(user.id, content="a,b\n" + "".join(f"{i},x\n" for i in range(60)))
    for _ in range(2):
        with pytest.raises(InvalidTarget, match="same value"):
            services.check_target(dataset=dataset, target="b")
        get_blobs().delete_dataset(user_id=user.id, dataset_id=dataset.id)


def test_the_bounds_of_the_time_limit_are_the_same_everywhere(owner, dataset, settings):
    settings.MAX_TRAINING_SECONDS = 1000
    page = owner.get(reverse("models:train", args=[dataset.id])).content.decode()
    assert "Seconds of fitting, 5 to 50. Empty: 50 for Quick, 50 for Balanced, 50 for Best." in page
    assert time_limit_fault(51) == "The time limit must be between 5 and 50 seconds."
    assert time_limit_fault(5) is time_limit_fault(50) is None


def test_what_has_been_deleted_since_is_named_and_no_dead_link(owner, dataset, user):
    job = running_job(user.id, dataset)
    jobs_repository.cancel(job_id=job.id, owner="owner")
    datasets.delete_dataset(user_id=user.id, dataset_id=dataset.id)
    text = owner.get(reverse("models:job", args=[job.id])).content.decode()
    assert f"{dataset.name} (deleted)" in text
    assert dataset.id not in text


def test_a_training_whose_model_has_been_deleted_says_so(owner, dataset, user):
    model = stored_model(user.id, dataset)
    page = reverse("models:job", args=[model.versions[0].job_id])
    link = reverse("models:detail", args=[model.id])
    assert link in owner.get(page).content.decode()
    services.delete_model(user_id=user.id, model_id=model.id)
    text = owner.get(page).content.decode()
    assert "The model of this training, or this version of it, has been deleted." in text
    assert link not in text


def test_the_live_page_shows_the_last_thirty_lines_of_the_fit_the_newest_first(owner, dataset, user):
    job = running_job(user.id, dataset)
    url = reverse("models:job_progress", args=[job.id])
    assert 'data-test="job-log"' not in owner.get(url, headers=HX).content.decode()
    lines = [LogLine(at_seconds=number, text=f"Line {number} {'x' * 300}") for number in range(40)]
    assert jobs_repository.report(job_id=job.id, owner="owner", log=lines)
    page = owner.get(url, headers=HX).content.decode()
    assert [int(number) for number in re.findall(r"Line (\d+) x", page)] == list(range(39, 9, -1))
    assert "x" * 200 not in page
    jobs_repository.requeue(job_id=job.id, owner="owner")
    assert services.get_job(user_id=user.id, job_id=job.id).log == ()
