"""The portable bundle: who may have it, and what it says of a version from before everything was written down."""

import hashlib
import io
import json
import zipfile

import pytest
from django.urls import reverse

from models_app import portable
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model

pytestmark = pytest.mark.django_db


def url(model) -> str:
    return reverse("models:bundle", args=[model.id, 1])


def test_the_page_links_it_and_nobody_else_finds_it(stack, user, other_user, client_for):
    model = stored_model(user.id, stored_dataset(user.id))
    page = client_for(user).get(reverse("models:detail", args=[model.id])).content.decode()
    assert f'href="{url(model)}"' in page
    assert client_for(other_user).get(url(model)).status_code == 404


def test_an_older_version_says_that_its_requirements_are_not_all(stack, user):
    model = stored_model(user.id, stored_dataset(user.id))
    metadata = {"format": 1, "features": [], "classes": [], "versions": {"python": "3.11.7", "torch": "2.5.1+cpu"}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("predictor/predictor.pkl", b"never opened")
    blobs, name = get_blobs(), get_blobs().model_blob(user.id, model.id, 1)
    blobs.delete_blobs(blobs.models_container, [name])
    blobs.upload_bytes(blobs.models_container, name, buffer.getvalue())
    version = model.current
    object.__setattr__(version, "zip_sha256", hashlib.sha256(buffer.getvalue()).hexdigest())
    object.__setattr__(version, "zip_hmac", None)
    bundle = zipfile.ZipFile(io.BytesIO(b"".join(portable.stream(model=model, version=version))))
    assert "torch==2.5.1" in bundle.read("requirements.txt").decode().splitlines()
    assert "Only these versions were written down" in bundle.read("requirements.txt").decode()
    assert "names the main ones" in bundle.read("README.md").decode()
    dockerfile = bundle.read("Dockerfile").decode()
    assert dockerfile.startswith("FROM python:3.11-slim\n")
    assert "whl/cpu" in dockerfile
    assert "report.html" not in bundle.namelist()
    assert bundle.read("predictor/predictor.pkl") == b"never opened"
