"""``manage.py runlocal``: the whole product on this machine, until Ctrl-C."""

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from smartml.local import LocalStackError, state
from smartml.local.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run MongoDB, Azurite, the queue and the web server on 127.0.0.1 until Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dev", action="store_true", help="Reload when the code changes, and show tracebacks.")

    def handle(self, *args: Any, **options: Any) -> None:
        def say(text: str) -> None:
            self.stdout.write(text)
            self.stdout.flush()

        # A line for every sign of life of the queue would drown what people should read here.
        logging.getLogger("django-q").setLevel(logging.WARNING)
        try:
            directory = state.local_directory()
            with state.locked(directory):
                Supervisor(directory, dev=options["dev"], say=say).run()
        except LocalStackError as error:
            self.stderr.write(str(error))
            raise SystemExit(1) from None
        say("Stopped.")
