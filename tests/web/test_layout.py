"""The frame around every page, the dashboard and the health pages."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache
from django.db import OperationalError

from smartml import health
from storage import mongo
from storage.blobs import reset_blobs
from tests.factories import queued_job, running_job, stored_dataset, stored_model

UNREACHABLE = "mongodb://127.0.0.1:1/?directConnection=true"


@pytest.fixture
def no_mongo(stack, settings, monkeypatch):
    monkeypatch.setenv("MONGODB_URI", UNREACHABLE)
    settings.MONGODB_URI, settings.MONGODB_TIMEOUT_SECONDS = UNREACHABLE, 2.5
    mongo.reset_client()
    yield
    mongo.reset_client()


@pytest.fixture
def no_blobs(stack, settings):
    cache.clear()
    settings.AZURE_ACCOUNT_URL = "http://127.0.0.1:1/devstoreaccount1"
    reset_blobs()
    yield
    cache.clear()


def test_a_visitor_gets_the_landing_page(db, client):
    page = client.get("/").content.decode()
    assert "Make an account" in page
    assert "Sign out" not in page


def test_a_newcomer_is_told_the_next_step(stack, user, client_for):
    page = client_for(user).get("/").content.decode()
    assert "Start with a table" in page
    assert 'href="/datasets/new"' in page


def test_the_dashboard_shows_what_is_there(stack, user, client_for):
    dataset = stored_dataset(user.id)
    model = stored_model(user.id, dataset)
    page = client_for(user).get("/").content.decode()
    assert f"/datasets/{dataset.id}" in page
    assert f"/models/{model.id}" in page
    assert "Recent trainings" in page


def test_the_dashboard_shows_nothing_of_somebody_else(stack, user, other_user, client_for):
    dataset = stored_dataset(other_user.id)
    assert dataset.id not in client_for(user).get("/").content.decode()


def test_the_summary_polls_only_while_something_runs(stack, user, client_for):
    client = client_for(user)
    dataset = stored_dataset(user.id)
    stored_model(user.id, dataset)
    assert "hx-trigger" not in client.get("/dashboard/summary").content.decode()
    job = queued_job(user.id, dataset)
    response = client.get("/dashboard/summary", headers={"HX-Request": "true"})
    assert 'hx-trigger="load delay:' in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert f"/jobs/{job.id}" in response.content.decode()


def test_a_running_job_shows_its_stage_and_progress(stack, user, client_for):
    running_job(user.id, stored_dataset(user.id))
    page = client_for(user).get("/").content.decode()
    assert "<progress" in page
    assert "Running" in page


def test_the_section_is_marked_in_the_navigation(stack, user, client_for):
    client = client_for(user)
    for url, label in [("/", "Dashboard"), ("/datasets/", "Datasets"), ("/models/", "Models"), ("/jobs/", "Jobs")]:
        page = client.get(url).content.decode()
        assert page.count('aria-current="page"') == 1, url
        assert re.search(rf'aria-current="page">.*?{label}', page, re.DOTALL), url


def test_the_frame_serves_everybody(db, client):
    page = client.get("/").content.decode()
    assert '<html lang="en-GB">' in page
    assert 'class="skip-link" href="#content"' in page
    assert page.count("<main") == page.count("<h1") == 1
    assert re.search(r'id="announcer"\s+role="status"\s+aria-live="polite"', page)
    assert '"allowEval": false' in page
    assert page.index('"422"') < page.index('"[45]..')


def test_staff_are_told_that_storage_is_not_configured(stack, staff, user, settings, client_for):
    settings.AZURE_STORAGE_ENABLED = False
    assert "is not configured" in client_for(staff).get("/accounts/").content.decode()
    assert "is not configured" not in client_for(user).get("/accounts/").content.decode()


def test_staff_are_told_that_storage_does_not_answer(no_blobs, staff, client_for):
    assert "does not answer" in client_for(staff).get("/status/storage").content.decode()


def test_staff_see_no_banner_when_storage_answers(stack, staff, client_for):
    cache.clear()
    assert client_for(staff).get("/status/storage").content.decode().strip() == ""


def test_the_storage_state_is_for_staff(db, user, client_for):
    assert client_for(user).get("/status/storage").status_code == 404


def test_the_process_is_alive_without_any_service(client):
    """No ``db`` fixture: a query would fail this test."""
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db(transaction=True)
def test_ready_when_every_service_answers(stack, client):
    response = client.get("/readyz")
    assert response.status_code == 200, response.content
    assert response.json()["status"] == "ok"
    assert set(response.json()["checks"]) == {"mongodb", "blobs", "accounts"}


@pytest.mark.django_db(transaction=True)
def test_not_ready_without_mongodb_and_said_in_time(no_mongo, client):
    began = time.monotonic()
    response = client.get("/readyz")
    assert time.monotonic() - began < 8
    assert response.status_code == 503
    checks = response.json()["checks"]
    assert checks["mongodb"]["status"] == "failed"
    assert checks["blobs"]["status"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_only_staff_are_told_why_a_service_fails(no_mongo, client, user, staff, client_for):
    for other in (client, client_for(user)):
        assert other.get("/readyz").json()["checks"]["mongodb"] == {"status": "failed"}
    assert client_for(staff).get("/readyz").json()["checks"]["mongodb"]["message"]


def test_readiness_is_told_without_the_accounts_database(client, monkeypatch):
    """No ``db`` fixture: the cookie cannot be looked up."""
    monkeypatch.setattr(health, "check_all", lambda: (health.Check("accounts", False, "secret"),))

    def refuse(self):
        raise OperationalError("secret host")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", refuse)
    client.cookies["sessionid"] = "a" * 32
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "failed", "checks": {"accounts": {"status": "failed"}}}


def test_many_who_ask_at_once_cost_one_check(monkeypatch):
    asked = []

    def check():
        asked.append(threading.get_ident())
        time.sleep(0.1)
        return (health.Check("mongodb", True, "Answers."),)

    monkeypatch.setattr(health, "check_all", check)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: health.check_recently(), range(16)))
    assert len(asked) == 1
    assert len(set(answers)) == 1
    monkeypatch.setattr(health, "_KEPT_SECONDS", 0)
    health.check_recently()
    assert len(asked) == 2


@pytest.mark.django_db(transaction=True)
def test_not_ready_without_blobs(no_blobs, client):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["blobs"]["status"] == "failed"


def test_without_mongodb_the_dashboard_is_a_page_that_comes_back(no_mongo, user, client_for):
    client = client_for(user)
    began = time.monotonic()
    response = client.get("/")
    assert time.monotonic() - began < 8
    assert response.status_code == 503
    assert 'http-equiv="refresh"' in response.content.decode()


def test_names_are_escaped(stack, user, client_for):
    dataset = stored_dataset(user.id)
    queued_job(user.id, dataset, model_name="<script>alert(1)</script>")
    page = client_for(user).get("/").content.decode()
    assert "&lt;script&gt;alert" in page
    assert "<script>alert" not in page
