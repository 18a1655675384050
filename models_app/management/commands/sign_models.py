"""``manage.py sign_models``: every stored model signed with the present key."""

import hashlib
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from models_app import repository, signing
from models_app.every_version import every_version
from models_app.records import Model, ModelVersion
from smartml.errors import SmartMLError
from storage.blobs import get_blobs


class Command(BaseCommand):
    help = (
        "Sign stored models with MODEL_SIGNING_KEY: those of an older key that still counts, so that it can go, "
        "and those from before there were signatures, if their file still has the recorded SHA-256."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        signed, refused = 0, 0
        for model, version in every_version():
            signature = signing.sign(model_id=model.id, version=version.version, sha256=version.zip_sha256)
            if version.zip_hmac == signature:
                continue
            fault = _fault(model, version)
            if fault is None:
                repository.set_facts(model=model, version=version, zip_hmac=signature)
                signed += 1
            else:
                self.stderr.write(f"{model.id} v{version.version}: {fault}")
                refused += 1
        self.stdout.write(f"{signed} version{'s' * (signed != 1)} signed with the present key.")
        if refused:
            raise CommandError(f"{refused} could not be signed; their owners can train them again.")


def _fault(model: Model, version: ModelVersion) -> str | None:
    """Why a version must not be signed."""
    try:
        if version.zip_hmac is not None:
            signing.verify(model=model, version=version)
            return None
        blobs, digest = get_blobs(), hashlib.sha256()
        name = blobs.model_blob(model.user_id, model.id, version.version)
        for chunk in blobs.iter_chunks(blobs.models_container, name):
            digest.update(chunk)
    except SmartMLError as error:
        return error.message
    if digest.hexdigest() != version.zip_sha256:
        return "The file is not the one that was stored after training."
    return None
