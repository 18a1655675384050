"""``manage.py prepare``: bring the databases and the storage to what this version needs. Safe to repeat."""

import os
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_q.models import Schedule

from accounts.models import User
from smartml.errors import SmartMLError
from storage.blobs import get_blobs
from storage.mongo import prepare_database

SWEEP = "models_app.tasks.sweep"


class Command(BaseCommand):
    help = "Migrate, make containers, collections, indexes and the sweep's schedule; repeat after every upgrade."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--static", action="store_true", help="Collect the static files too.")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        try:
            prepare_database()
            get_blobs().ensure_containers()
        except SmartMLError as error:
            raise CommandError(f"{error.message} {error.hint}") from error
        ensure_schedule()
        if options["static"]:
            call_command("collectstatic", interactive=False, verbosity=0)
        email, password = os.environ.get("DEMO_EMAIL"), os.environ.get("DEMO_PASSWORD")
        if email and password:
            ensure_account(email, password)
        self.stdout.write("Prepared.")


def ensure_schedule() -> None:
    """The sweep runs each minute on the default (``light``) cluster."""
    Schedule.objects.update_or_create(
        name="sweep", defaults={"func": SWEEP, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1}
    )


def ensure_account(email: str, password: str) -> None:
    """An account that can sign in with this password, a member of staff."""
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        User.objects.create_superuser(email, password)
    elif not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
