"""``manage.py replay_golden``: whether stored models still answer as they did after their training."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from models_app import golden
from models_app.every_version import every_version
from smartml.errors import NotFound, SmartMLError


class Command(BaseCommand):
    help = (
        "Ask every stored model the rows that were kept with it, and compare its answers with those it gave after "
        "its training. Run it after an upgrade of Python, AutoGluon or what is below it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--model", metavar="ID", help="this model alone")

    def handle(self, *, model: str | None = None, **options: Any) -> None:
        same, drifted, closed, without = 0, 0, 0, 0
        for owner, version in every_version(model_id=model):
            try:
                result = golden.replay(model=owner, version=version)
            except NotFound as error:
                without += 1
                line = error.message
            except SmartMLError as error:
                closed += 1
                line = f"Cannot be opened: {error.message} {error.hint}"
            else:
                same, drifted = same + (not result.drifted), drifted + bool(result.drifted)
                line = golden.said(result)
            self.stdout.write(f"{owner.id} v{version.version} {line}")
        if model is not None and not same + drifted + closed + without:
            raise CommandError(f"There is no model {model}.")
        summary = f"{same} same, {drifted} drifted, {closed} cannot be opened, {without} without golden rows."
        if drifted or closed:
            raise CommandError(summary)
        self.stdout.write(summary)
