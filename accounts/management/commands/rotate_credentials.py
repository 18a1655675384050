"""``manage.py rotate_credentials``: every stored Kaggle token encrypted with the first key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import kaggle_credentials
from smartml.errors import SmartMLError


class Command(BaseCommand):
    help = "Encrypt the stored Kaggle tokens with the first of KAGGLE_CREDENTIALS_KEY, so that the others can go."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done, lost = kaggle_credentials.rotate_all()
        except SmartMLError as error:
            raise CommandError(f"{error.message} {error.hint}") from None
        self.stdout.write(f"{done} token{'s' * (done != 1)} encrypted with the first key.")
        if lost:
            raise CommandError(
                f"{lost} could not be decrypted with any key; put the key that encrypted them back, or have their "
                "owners store them again."
            )
