"""Telling people that a training has ended: in the app, and by mail where the operator has set up mail."""

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import User
from models_app import news_repository
from models_app.records import Job, JobStatus
from storage import sweeping

logger = logging.getLogger(__name__)


def unseen(*, user_id: str) -> int:
    """How many trainings have ended since this person looked."""
    return news_repository.count_unseen(user_id=user_id)


def seen(job: Job) -> None:
    """Its owner looks at it, or at its model."""
    if job.unseen:
        news_repository.mark_seen(user_id=job.user_id, job_id=job.id)


def seen_model(*, user_id: str, job_id: str) -> None:
    """Its owner looks at what the training ``job_id`` has made."""
    news_repository.mark_seen(user_id=user_id, job_id=job_id)


def all_seen(*, user_id: str) -> None:
    """Its owner has read the list."""
    news_repository.mark_seen(user_id=user_id)


def send_mails() -> int:
    """One mail for each training that has ended; returns how many went out. Each is tried once: a mail that came
    twice would be worse than one that did not come."""
    return sweeping.each(news_repository.mails_due(), _send, what="sending a mail")


def _send(job_id: str) -> bool:
    job = news_repository.take_mail(job_id=job_id)
    if job is None or not settings.MAIL_CONFIGURED:
        return False
    user = User.objects.filter(id=job.user_id, closing_at=None, is_active=True, mail_when_done=True).first()
    if user is None:
        return False
    subject, body = _mail(job)
    try:
        send_mail(subject, body, None, [user.email])
    except (SMTPException, OSError) as error:
        logger.warning("Job %s: the mail about it could not be sent: %s", job.id, type(error).__name__)
        return False
    return True


def _mail(job: Job) -> tuple[str, str]:
    done = job.status is JobStatus.SUCCEEDED
    # A new version need not be the current one.
    model_page = f"{reverse('models:detail', args=[job.model_id])}?version={job.version}"
    address = model_page if done else reverse("models:job", args=[job.id])
    # A mail has no request to take the address of the site from.
    link = f"{settings.SITE_URL.rstrip('/')}{address}" if settings.SITE_URL else ""
    subject = f"{'Trained' if done else 'Not trained'}: {job.model_name}"
    body = render_to_string("models_app/done_email.txt", {"job": job, "done": done, "link": link})
    return " ".join(subject.split()), body
