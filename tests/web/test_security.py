"""Headers, cookies and what a strict Content-Security-Policy forbids in a page."""

import json
import os
import re
import subprocess
import sys
from io import BytesIO

import pytest
from django.conf import settings as django_settings
from django.db import connection

from tests.conftest import PASSWORD
from tests.factories import queued_job, stored_dataset, stored_model


@pytest.fixture
def pages(stack, user, client_for):
    """Every plain page of a person who has something."""
    client = client_for(user)
    dataset = stored_dataset(user.id)
    model = stored_model(user.id, dataset)
    job = queued_job(user.id, dataset)
    urls = [
        "/",
        "/datasets/",
        "/datasets/new",
        f"/datasets/{dataset.id}",
        f"/datasets/{dataset.id}/train",
        "/models/",
        f"/models/{model.id}",
        "/jobs/",
        f"/jobs/{job.id}",
        "/accounts/",
        "/accounts/delete",
        "/accounts/password",
        "/no/such/page",
    ]
    return {url: client.get(url) for url in urls}


def test_no_page_needs_what_the_policy_forbids(pages):
    for url, response in pages.items():
        page = response.content.decode()
        assert response.status_code in (200, 404), url
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), f"inline script in {url}"
        assert not re.search(r"<style\b", page), f"style element in {url}"
        assert not re.search(r"\sstyle\s*=\s*[\"']", page), f"style attribute in {url}"
        assert not re.search(r"\s(on[a-z]+|hx-on[^=\s]*)\s*=\s*[\"']", page), f"inline handler in {url}"
        assert "js:" not in " ".join(re.findall(r"hx-vals='([^']*)'", page)), f"evaluated hx-vals in {url}"
        sources = re.findall(r'<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"]+)"', page)
        assert all(source.startswith("/static/") for source in sources), f"foreign source in {url}: {sources}"


def test_every_page_has_one_main_heading_and_named_controls(pages):
    for url, response in pages.items():
        page = response.content.decode()
        assert len(re.findall(r"<h1\b", page)) == 1, url
        titles = re.findall(r"<title>(.*?)</title>", page, re.DOTALL)
        assert len(titles) == 1, url
        assert titles[0].split("·")[0].strip(), url
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), f"the same id twice in {url}"
        for form in re.findall(r'<form\b[^>]*method="post".*?</form>', page, re.DOTALL):
            assert "csrfmiddlewaretoken" in form, f"a form without a token in {url}"


def test_every_page_carries_the_headers(pages):
    for url, response in pages.items():
        policy = response["Content-Security-Policy"]
        assert "script-src 'self'" in policy, url
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"
        assert response["Referrer-Policy"] == "same-origin"
        assert response["Cross-Origin-Opener-Policy"] == "same-origin"


def test_no_page_of_a_person_is_kept_by_a_cache_in_between(pages):
    for url, response in pages.items():
        control = response.get("Cache-Control", "")
        assert "no-store" in control, url


def test_a_view_that_says_how_long_its_answer_keeps_is_not_overruled(stack, user, client_for):
    dataset = stored_dataset(user.id)
    assert client_for(user).get(f"/datasets/{dataset.id}/download")["Cache-Control"] == "private, no-cache"


def test_a_visitors_page_is_left_alone(db, client):
    assert "Cache-Control" not in client.get("/accounts/password-reset/sent")


class Counted(BytesIO):
    """A body that counts what is read of it."""

    taken = 0

    def read(self, size=-1):
        piece = super().read(size)
        self.taken += len(piece)
        return piece


@pytest.mark.parametrize("url", ["/accounts/sign-in", "/accounts/sign-up", "/no/such/page"])
def test_nobody_puts_a_file_on_the_disk_by_sending_it_to_any_page(db, client, settings, tmp_path, url):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "not there")  # whoever wanted to write would fail
    part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    head = part.format("username", "") + "ada@example.com\r\n" + part.format("f", '; filename="f.bin"')
    body = Counted(head.encode() + b"0" * 20 * 2**20 + b"\r\n--x--\r\n")
    response = client.post(
        url,
        content_type="multipart/form-data; boundary=x",
        **{"wsgi.input": body, "CONTENT_LENGTH": str(len(body.getvalue()))},
    )
    assert response.status_code in (404, 422)
    assert body.taken < 2**20
    if url == "/accounts/sign-in":
        assert response.context["form"].data["username"] == "ada@example.com"


def test_the_cookies_are_closed_to_scripts_and_other_sites(user, client):
    client.get("/accounts/sign-in")
    client.post("/accounts/sign-in", {"username": user.email, "password": PASSWORD})
    for name in ("sessionid", "csrftoken"):
        assert client.cookies[name]["httponly"], name
        assert client.cookies[name]["samesite"] == "Lax", name


def test_the_session_changes_when_one_signs_in(user, client):
    client.get("/accounts/sign-in")
    session = client.session
    session["kept"] = "yes"
    session.save()
    before = client.session.session_key
    client.cookies["sessionid"] = before
    client.post("/accounts/sign-in", {"username": user.email, "password": PASSWORD})
    assert client.session.session_key != before


def test_a_form_from_elsewhere_is_refused(user):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/accounts/sign-out").status_code == 403
    assert client.post("/accounts/delete", {"password": PASSWORD}).status_code == 403


def test_a_foreign_host_is_refused(db, client):
    response = client.get("/", headers={"Host": "evil.example"})
    assert response.status_code == 400


def settings_under(environment, *names):
    """What the settings say in a process of its own with these variables, the tests' own left out."""
    program = (
        "import json, django; django.setup(); from django.conf import settings;"
        f"print(json.dumps({{n: getattr(settings, n) for n in {names!r}}}, default=str))"
    )
    outside = {k: v for k, v in os.environ.items() if k not in ("DEBUG", "HTTPS", "DATABASE_URL")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=outside | environment | {"DJANGO_SETTINGS_MODULE": "smartml.settings"},
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_defaults_are_those_of_a_server_behind_tls():
    values = settings_under(
        {},
        "DEBUG",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "SECURE_CONTENT_TYPE_NOSNIFF",
        "AXES_ENABLED",
    )
    assert values.pop("DEBUG") is False
    assert all(values.values()), values


def test_other_names_below_this_one_are_left_alone_unless_asked_for():
    name = "SECURE_HSTS_INCLUDE_SUBDOMAINS"
    assert settings_under({}, name) == {name: False}
    assert settings_under({"HSTS_INCLUDE_SUBDOMAINS": "true"}, name) == {name: True}
    assert settings_under({"HSTS_INCLUDE_SUBDOMAINS": "true", "HTTPS": "false"}, name) == {name: False}


def test_probes_inside_ask_by_plain_http(db, client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/accounts/sign-in").status_code == 301
    assert client.get("/healthz/more").status_code == 301


def test_accounts_move_to_postgresql_by_one_variable():
    url = "postgresql://smartml:pw@127.0.0.1:5432/accounts"
    database = settings_under({"DATABASE_URL": url}, "DATABASES")["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert "init_command" not in database.get("OPTIONS", {})
    assert database["CONN_HEALTH_CHECKS"] is True


@pytest.mark.django_db(transaction=True)
def test_sqlite_lets_web_and_workers_write_side_by_side():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
    assert connection.settings_dict["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
