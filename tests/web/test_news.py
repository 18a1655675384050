"""What people hear of a training that has ended: the bell, the list, and one mail."""

import pytest
from django.core import mail
from django.urls import reverse

from models_app import jobs_repository, news, sweep
from models_app.records import JobError
from tests.factories import queued_job, running_job, stored_dataset, stored_model

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}
BELL = reverse("models:news")


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


@pytest.fixture
def mails(settings):
    settings.MAIL_CONFIGURED = True
    settings.SITE_URL = "https://ml.example.com/"
    return mail.outbox


def failed(user, dataset):
    job = running_job(user.id, dataset)
    error = JobError(code="x", message="It would not fit.", hint="Try Quick.")
    return jobs_repository.fail(job_id=job.id, owner="owner", error=error)


def test_the_bell_counts_what_ended_until_its_owner_looks(owner, user, dataset, client_for, other_user):
    assert news.unseen(user_id=user.id) == 0
    job, model = failed(user, dataset), stored_model(user.id, dataset)
    queued_job(user.id, dataset)
    assert "2 trainings ended since you looked" in owner.get(BELL, headers=HX).content.decode()
    assert "nothing new" in client_for(other_user).get(BELL, headers=HX).content.decode()
    owner.get(reverse("models:job", args=[job.id]))
    assert "1 training ended" in owner.get(BELL, headers=HX).content.decode()
    owner.get(reverse("models:detail", args=[model.id]))
    assert "nothing new" in owner.get(BELL, headers=HX).content.decode()


def test_who_watches_to_the_end_has_no_news(owner, user, dataset):
    job = failed(user, dataset)
    owner.get(reverse("models:job_progress", args=[job.id]), headers=HX)
    assert news.unseen(user_id=user.id) == 0


def test_the_list_marks_what_is_new_and_all_can_be_read_at_once(owner, user, dataset):
    failed(user, dataset)
    page = owner.get(reverse("models:jobs")).content.decode()
    assert ">new</span>" in page
    assert owner.post(reverse("models:jobs_seen")).status_code == 302
    page = owner.get(reverse("models:jobs")).content.decode()
    assert ">new</span>" not in page
    assert "Mark all as read" not in page


def test_another_persons_mark_changes_nothing(client_for, other_user, user, dataset):
    failed(user, dataset)
    client_for(other_user).post(reverse("models:jobs_seen"))
    assert news.unseen(user_id=user.id) == 1


def test_a_cancelled_training_is_no_news(user, dataset, mails):
    job = running_job(user.id, dataset)
    jobs_repository.cancel(job_id=job.id, owner="owner")
    waiting = queued_job(user.id, dataset)
    jobs_repository.request_cancel(job_id=waiting.id, user_id=user.id)
    assert (news.unseen(user_id=user.id), news.send_mails(), mails) == (0, 0, [])


def test_one_mail_goes_out_for_each_end(user, dataset, mails):
    job, model = failed(user, dataset), stored_model(user.id, dataset)
    assert sweep.STEPS["mails"]() == 2
    assert news.send_mails() == 0
    bodies = {message.subject: message.body for message in mails}
    assert {message.to[0] for message in mails} == {user.email}
    assert f"https://ml.example.com/jobs/{job.id}" in bodies["Not trained: Animals"]
    assert "It would not fit. Try Quick." in bodies["Not trained: Animals"]
    assert f"https://ml.example.com/models/{model.id}" in bodies["Trained: Animals"]


def test_who_does_not_want_mails_gets_none(owner, user, dataset, mails):
    assert owner.post(reverse("accounts:mails"), {"wanted": "no"}).status_code == 302
    failed(user, dataset)
    assert (news.send_mails(), mails) == (0, [])
    assert "Mail me when a training has ended" in owner.get(reverse("accounts:account")).content.decode()
    owner.post(reverse("accounts:mails"), {"wanted": "yes"})
    failed(user, dataset)
    assert news.send_mails() == 1


def test_a_mail_that_cannot_be_sent_is_logged_and_not_tried_again(user, dataset, mails, settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    failed(user, dataset)
    assert news.send_mails() == 0
    assert "could not be sent: ConnectionRefusedError" in caplog.text
    assert news.send_mails() == 0


def test_without_mail_none_is_tried_and_none_is_kept_for_later(user, dataset, settings):
    failed(user, dataset)
    assert news.send_mails() == 0
    settings.MAIL_CONFIGURED = True
    assert news.send_mails() == 0
    assert mail.outbox == []
