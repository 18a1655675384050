"""What every address of the API has in common: who may use it, and how a failure is said."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts import api_tokens, closing, throttle
from accounts.api_tokens import Scope
from datasets import services
from storage import mongo
from tests.web.api_client import BASE, Program, error_of
from tests.web.dataset_pages import TABLE

NEVER_MADE = "sml_" + "a" * 43


# --- Who may use it ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "token_required"),
        ("", "token_required"),
        ("Bearer", "token_required"),
        ("Basic YTpi", "token_required"),
        (f"Bearer {NEVER_MADE}", "token_invalid"),
        ("Bearer \u00e9", "token_invalid"),
    ],
)
def test_without_a_token_nothing_is_answered_even_in_a_signed_in_browser(db, user, client_for, header, code):
    headers = {} if header is None else {"Authorization": header}
    for client in (Client(), client_for(user)):
        answer = client.get(f"{BASE}/datasets", headers=headers)
        assert error_of(answer, 401)["code"] == code
        assert answer["WWW-Authenticate"] == "Bearer"


def test_a_session_alone_makes_nothing(stack, user, client_for):
    answer = client_for(user).generic("POST", f"{BASE}/datasets?file_name=a.csv", TABLE, "text/csv")
    error_of(answer, 401)


def test_an_expired_a_revoked_and_a_closed_accounts_token_open_nothing(stack, user, other_user):
    expired = Program(user, valid_for=timedelta(seconds=-1))
    assert error_of(expired.get("/datasets"), 401)["code"] == "token_expired"
    program = Program(user)
    assert program.get("/datasets").status_code == 200
    assert api_tokens.find(program.secret).last_used_at is not None
    api_tokens.revoke(user_id=user.id, token_id=program.token.id)
    assert error_of(program.get("/datasets"), 401)["code"] == "token_invalid"
    other = Program(other_user)
    closing.begin_closing(other_user)
    assert error_of(other.get("/datasets"), 401)["code"] == "token_invalid"


def test_a_token_does_only_what_it_may(stack, user):
    reader, writer = Program(user, Scope.READ, Scope.PREDICT), Program(user, Scope.WRITE)
    assert error_of(writer.get("/datasets"), 403)["code"] == "scope_missing"
    error = error_of(reader.upload(TABLE), 403)
    assert "change anything" in error["message"]
    assert writer.upload(TABLE).status_code == 201
    assert len(reader.get("/datasets").json()["items"]) == 1


def test_requests_of_a_token_are_counted(stack, user, settings):
    settings.API_REQUESTS_PER_MINUTE = 2
    one, other = Program(user), Program(user)
    assert [one.get("/datasets").status_code for _ in range(2)] == [200, 200]
    answer = one.get("/datasets")
    assert error_of(answer, 429)["code"] == "too_many_requests"
    assert 0 < int(answer["Retry-After"]) <= 61
    assert other.get("/datasets").status_code == 200


def test_wrong_tokens_are_counted_by_place(db, client, monkeypatch):
    limit = throttle.WRONG_TOKEN
    small = throttle.Limit(name=limit.name, per_place=2, per_account=2, message=limit.message)
    monkeypatch.setattr(throttle, "WRONG_TOKEN", small)
    headers = {"Authorization": f"Bearer {NEVER_MADE}"}
    answers = [client.get(f"{BASE}/datasets", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert "Retry-After" in answers[-1]


# --- How a failure is said -----------------------------------------------------------------------------------
def test_what_is_not_there_and_what_is_not_allowed_are_said_as_everything_else(stack, user):
    program = Program(user)
    error_of(program.get("/nothing"), 404)
    error_of(program.get("/"), 404)
    error_of(program.get("/datasets/1"), 404)
    answer = program.send("PUT", "/datasets")
    assert error_of(answer, 405)["code"] == "method_not_allowed"
    assert {word.strip() for word in answer["Allow"].split(",")} == {"GET", "POST"}


@pytest.mark.parametrize("path", ["/nothing", "/datasets/", "/models/xyz", f"/models/{'A' * 24}"])
def test_an_address_that_is_none_is_said_for_programs(db, client, path):
    error = error_of(client.get(f"{BASE}{path}"), 404)
    assert error["message"] == "There is no such address."
    assert "/api/docs" in error["hint"]


def test_head_is_get_without_the_body(stack, user):
    program = Program(user)
    whole, head = program.get("/datasets"), program.send("HEAD", "/datasets")
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Length"] == str(len(whole.content))
    assert program.send("HEAD", f"/datasets/{'0' * 24}").status_code == 404
    assert program.send("HEAD", "/trainings", headers={"Authorization": "Bearer no"}).status_code == 401


def test_what_nobody_foresaw_is_said_without_its_details(stack, user, monkeypatch):
    def fail(**values):
        raise ZeroDivisionError("secret detail")

    program = Program(user)
    program.client.raise_request_exception = False
    monkeypatch.setattr(services, "list_datasets", fail)
    answer = program.get("/datasets")
    assert error_of(answer, 500)["code"] == "error"
    assert "secret" not in answer.content.decode()


def test_a_service_that_is_away_is_said_with_when_to_try_again(stack, user, settings, monkeypatch):
    program = Program(user)
    away = "mongodb://127.0.0.1:1/?directConnection=true"
    monkeypatch.setenv("MONGODB_URI", away)
    settings.MONGODB_URI, settings.MONGODB_TIMEOUT_SECONDS = away, 0.2
    mongo.reset_client()
    answer = program.get("/datasets")
    mongo.reset_client()
    assert error_of(answer, 503)["code"] == "metadata_unavailable"
    assert answer["Retry-After"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=x", "limit"), ("sort=colour", "sort"), ("cursor=bad", None)],
)
def test_a_fault_is_named_by_its_field(stack, user, query, field):
    error = error_of(Program(user).get(f"/datasets?{query}"), 422)
    assert field is None or list(error["fields"]) == [field]


def test_the_description_is_public_and_names_every_address(db, client):
    answer = client.get(f"{BASE}/openapi.json")
    assert answer.status_code == 200
    paths = answer.json()["paths"]
    assert "/api/v1/datasets/{dataset_id}" in paths
    for methods in paths.values():
        for operation in methods.values():
            assert operation["security"] == [{"TokenAuth": []}]
            assert "Needs the right" in operation["description"].replace("\n", " ")
