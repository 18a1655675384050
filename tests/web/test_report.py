"""The report of a model: its owner opens and saves it, nobody else knows of it, and nothing in it runs."""

import pytest
from django.urls import reverse

from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(stack, user):
    model = stored_model(user.id, stored_dataset(user.id))
    blobs = get_blobs()
    name = blobs.model_file(model.user_id, model.id, 1, "report", "html")
    blobs.upload_bytes(blobs.models_container, name, b"<!DOCTYPE html><title>card</title>")
    return model


def url(model, version: int = 1) -> str:
    return reverse("models:report", args=[model.id, version])


def test_its_owner_opens_it_and_nothing_in_it_may_run(client_for, user, model):
    response = client_for(user).get(url(model))
    assert response.status_code == 200
    assert b"".join(response.streaming_content) == b"<!DOCTYPE html><title>card</title>"
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert response["Content-Disposition"].startswith("inline")
    policy = response["Content-Security-Policy"]
    assert all(said in policy for said in ("sandbox", "script-src 'none'", "default-src 'none'"))
    assert "allow-scripts" not in policy


def test_saving_names_the_file(client_for, user, model):
    response = client_for(user).get(url(model) + "?save=1")
    assert response["Content-Disposition"].startswith("attachment")
    assert "-v1-report.html" in response["Content-Disposition"]


def test_nobody_else_finds_it(client_for, other_user, model):
    assert client_for(other_user).get(url(model)).status_code == 404


def test_a_version_without_one_says_what_to_do(client_for, user, stack):
    model = stored_model(user.id, stored_dataset(user.id))
    response = client_for(user).get(url(model))
    assert response.status_code == 404
    assert "Train again" in response.content.decode()
    assert client_for(user).get(url(model, 2)).status_code == 404


def test_the_page_of_the_model_links_it(client_for, user, model):
    page = client_for(user).get(reverse("models:detail", args=[model.id])).content.decode()
    assert f'href="{url(model)}"' in page
