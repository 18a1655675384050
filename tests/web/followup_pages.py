"""What the tests of the pages about a version's follow-up work have in common."""

import json
from typing import Any

from django.http import HttpResponse
from django.utils.html import strip_tags

from models_app.records import Model
from storage.blobs import get_blobs


def store_found(model: Model, stem: str, found: dict[str, Any]) -> None:
    """What the work would have found about the first version."""
    get_blobs().put_model_file(
        user_id=model.user_id, model_id=model.id, version=1, stem=stem, ext="json", data=json.dumps(found).encode()
    )


def text_of(response: HttpResponse) -> str:
    """What a person reads."""
    return " ".join(strip_tags(response.content.decode()).split())
