"""``manage.py prepare``: bring the databases and the storage to what this version needs. Safe to repeat."""

import os
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.services import ensure_demo_account
from smartml.errors import SmartMLError
from storage.blobs import get_blobs
from storage.mongo import prepare_database


class Command(BaseCommand):
    help = "Migrate (which schedules the sweep too), make containers, collections and indexes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--static", action="store_true", help="Collect the static files too.")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        try:
            prepare_database()
            get_blobs().ensure_containers()
        except SmartMLError as error:
            raise CommandError(f"{error.message} {error.hint}") from error
        if options["static"]:
            call_command("collectstatic", interactive=False, verbosity=0)
        email, password = os.environ.get("DEMO_EMAIL"), os.environ.get("DEMO_PASSWORD")
        if email and password:
            ensure_demo_account(email=email, password=password)
        self.stdout.write("Prepared.")
