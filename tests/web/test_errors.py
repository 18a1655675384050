"""A failure as a page, a fragment or JSON: one sentence, the next step, the right status, no detail of ours."""

import logging

import pytest
from django.db import OperationalError
from django.test import Client

from smartml.requestid import current_request_id

pytestmark = pytest.mark.urls("tests.web.error_urls")

STATUSES = [
    ("input", 422),
    ("large", 413),
    ("missing", 404),
    ("conflict", 409),
    ("many", 429),
    ("mongo", 503),
    ("storage", 503),
    ("unforeseen", 500),
    ("sql", 503),
    ("disk", 503),
    ("http404", 404),
    ("denied", 403),
    ("toobig", 413),
    ("suspicious", 400),
]
JSON = {"Accept": "application/json"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def visitor() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(("name", "status"), STATUSES)
def test_a_page_has_the_layout_a_sentence_and_a_next_step(db, visitor, name, status):
    response = visitor.get(f"/fail/{name}")
    page = response.content.decode()
    assert response.status_code == status
    assert "Smart ML Assistant</span>" in page
    assert "error-hint" in page
    assert "btn btn-primary" in page
    assert "secret" not in page
    assert "Traceback" not in page
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("name", "status"), STATUSES)
def test_a_fragment_goes_to_the_alert_region(db, visitor, name, status):
    response = visitor.get(f"/fail/{name}", headers=HTMX)
    fragment = response.content.decode()
    assert response.status_code == status
    assert response["HX-Retarget"] == "#alerts"
    assert response["HX-Reswap"] == "innerHTML"
    assert 'role="alert"' in fragment
    assert "<html" not in fragment
    assert "secret" not in fragment


@pytest.mark.parametrize(("name", "status"), STATUSES)
def test_json_has_one_shape(db, visitor, name, status):
    response = visitor.get(f"/fail/{name}", headers=JSON)
    assert response.status_code == status
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "hint", "fields"}
    assert body["error"]["message"]
    assert "secret" not in response.content.decode()


def test_the_json_shape_in_full(db, visitor):
    assert visitor.get("/fail/input", headers=JSON).json() == {
        "error": {
            "code": "invalid_input",
            "message": "The name is empty.",
            "hint": "Correct it and send it again.",
            "fields": {"name": "Give it a name."},
        }
    }


@pytest.mark.parametrize("name", ["unforeseen", "sql", "mongo", "storage"])
def test_a_server_fault_is_shown_without_asking_any_database(visitor, name):
    """No ``db`` fixture: a query would fail this test. The cookie stands for somebody signed in."""
    visitor.cookies["sessionid"] = "a" * 32
    response = visitor.get(f"/fail/{name}")
    page = response.content.decode()
    assert response.status_code >= 500
    assert "Request id" in page
    assert ">Datasets<" in page


def test_a_boosted_link_gets_the_whole_page(db, visitor):
    response = visitor.get("/fail/conflict", headers=HTMX | {"HX-Boosted": "true"})
    assert "<html" in response.content.decode()
    assert "HX-Retarget" not in response


def test_a_page_that_is_not_available_comes_back_by_itself(visitor):
    response = visitor.get("/fail/mongo")
    assert '<meta http-equiv="refresh" content="10">' in response.content.decode()
    assert response["Retry-After"] == "10"


@pytest.mark.parametrize(("method", "name"), [("post", "mongo"), ("get", "storage")])
def test_what_cannot_come_back_does_not_reload(visitor, method, name):
    """A form must not be sent as a GET, and settings do not change by waiting."""
    response = getattr(visitor, method)(f"/fail/{name}")
    assert 'http-equiv="refresh"' not in response.content.decode()


def test_a_wrong_method_says_so(db, visitor):
    response = visitor.get("/only-post")
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert "Not possible this way" in response.content.decode()
    assert visitor.get("/only-post", headers=JSON).json()["error"]["code"] == "method_not_allowed"


def test_an_unknown_address_is_a_page(db, visitor):
    response = visitor.get("/no/such/page")
    assert response.status_code == 404
    assert "Nothing here" in response.content.decode()


def test_markup_in_a_message_is_text(db, visitor):
    for headers in ({}, HTMX):
        assert "<script>alert" not in visitor.get("/fail/markup", headers=headers).content.decode()


def test_a_stale_form_is_explained(db):
    response = Client(enforce_csrf_checks=True).post("/only-post")
    assert response.status_code == 403
    assert "Reload the page" in response.content.decode()


def test_the_request_id_is_in_the_answer_the_page_and_the_log(visitor, caplog):
    with caplog.at_level(logging.ERROR, logger="django.request"):
        response = visitor.get("/fail/unforeseen", headers={"X-Request-ID": "balancer-0001"})
    assert response["X-Request-ID"] == "balancer-0001"
    assert "balancer-0001" in response.content.decode()
    assert any(record.exc_info for record in caplog.records)
    assert current_request_id() == "-"


@pytest.mark.parametrize("offered", ["short", "with space in it", "line\tbreak-123", "x" * 65, "<b>12345678</b>"])
def test_a_malformed_request_id_is_replaced(db, visitor, offered):
    response = visitor.get("/healthz", headers={"X-Request-ID": offered})
    assert response["X-Request-ID"] != offered
    assert len(response["X-Request-ID"]) == 24


def test_a_form_that_is_too_long_is_too_large(db, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    client = Client(enforce_csrf_checks=True)
    client.get("/accounts/sign-in")
    response = client.post("/only-post", {"text": "x" * 2000})
    assert response.status_code == 413
    assert "more data than this page accepts" in response.content.decode()


@pytest.mark.parametrize(
    ("body", "content_type", "host", "sentence"),
    [
        (b"&".join([b"a=1"] * 30), "application/x-www-form-urlencoded", "testserver", "at most 20"),
        (b"a=1", "multipart/form-data; boundary=", "testserver", "arrived damaged or in part"),
        (b"", "text/plain", "evil.example", "does not answer under the name"),
    ],
    ids=["too many fields", "no boundary", "host"],
)
@pytest.mark.parametrize("headers", [{}, HTMX, JSON], ids=["page", "fragment", "json"])
def test_a_request_that_cannot_be_read_names_the_cause(db, settings, body, content_type, host, sentence, headers):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 20
    client = Client(enforce_csrf_checks=True)
    client.get("/accounts/sign-in")
    response = client.generic("POST", "/only-post", body, content_type, headers={"Host": host, **headers})
    assert response.status_code == 400
    assert sentence in response.content.decode()


def test_too_many_files_are_named(db, visitor):
    assert "too many files" in visitor.get("/fail/files").content.decode()


def test_an_attempt_too_many_says_when_to_come_back(db, visitor):
    assert visitor.get("/fail/many")["Retry-After"] == "120"


def test_two_request_ids_do_not_follow_one_another(db, visitor):
    """The ids of things do; this one is shown to everybody."""
    first, second = (visitor.get("/healthz")["X-Request-ID"] for _ in range(2))
    assert first[:12] != second[:12]


def test_a_database_that_fails_while_the_session_is_read_is_a_page(db, visitor, monkeypatch):
    """Outside of every view: the session belongs to a middleware."""

    def refuse(self):
        raise OperationalError("secret host")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", refuse)
    visitor.cookies["sessionid"] = "a" * 32
    response = visitor.get("/accounts/")
    page = response.content.decode()
    assert response.status_code == 503
    assert "The accounts database does not answer." in page
    assert "secret" not in page
