"""Personal tokens of the API: made and shown once, kept as a digest, revoked, gone with the account."""

import logging
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import api_tokens, closing, throttle
from accounts.api_tokens import Scope
from accounts.models import ApiToken
from smartml.errors import InvalidInput

PAGE, ACCOUNT = "/accounts/tokens", "/accounts/"
FORM = {"name": "Nightly", "scopes": ["read", "predict"], "days": "30"}
HX = {"HX-Request": "true"}


def raw_rows() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_apitoken")
        return repr(cursor.fetchall())


def make(user, **changes):
    values = {"name": "mine", "scopes": (Scope.READ,), "valid_for": timedelta(days=1)} | changes
    return api_tokens.make(user_id=user.id, **values)


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_a_token_is_shown_once_and_kept_as_a_digest(stack, user, client_for, headers, caplog):
    client = client_for(user)
    with caplog.at_level(logging.DEBUG):
        answer = client.post(PAGE, FORM, headers=headers)
    page = answer.content.decode()
    (secret,) = set(re.findall(r"sml_[\w-]{43}", page))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert page.lstrip().startswith("<!DOCTYPE") is (not headers)
    for later in (client.get(PAGE).content.decode(), client.get(ACCOUNT).content.decode(), raw_rows(), caplog.text):
        assert secret not in later
        assert secret[12:] not in later
    assert f"{secret[:12]}…" in client.get(ACCOUNT).content.decode()
    found = api_tokens.find(secret)
    assert (found.user_id, found.name, found.scopes) == (user.id, "Nightly", (Scope.READ, Scope.PREDICT))
    assert timedelta(days=29) < found.expires_at - timezone.now() <= timedelta(days=30)
    assert secret not in repr(found)


def test_two_secrets_are_never_alike_and_a_part_opens_nothing(db, user):
    (_, one), (_, other) = make(user), make(user, valid_for=None)
    assert one != other
    assert api_tokens.find(other).expires_at is None
    for wrong in (one[:-1], one + "A", one.upper(), "", one[4:]):
        assert api_tokens.find(wrong) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "Say what the token is for"),
        ({"name": "a" * 61}, "at most 60"),
        ({"name": "a\u200bb"}, "characters that can be seen"),
        ({"scopes": []}, "at least one thing"),
        ({"scopes": ["admin"]}, "not one of the available"),
        ({"days": "10000"}, "not one of the available"),
    ],
    ids=["no-name", "long", "invisible", "no-scope", "other-scope", "other-days"],
)
def test_a_form_with_faults_makes_none(stack, user, client_for, changes, sentence):
    answer = client_for(user).post(PAGE, FORM | changes)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert ApiToken.objects.count() == 0


def test_revoking_ends_it_at_once(stack, user, client_for):
    token, secret = make(user)
    client = client_for(user)
    url = f"{PAGE}/{token.id}/revoke"
    assert client.get(url).status_code == 405
    assert "opens nothing any more" in client.post(url, follow=True).content.decode()
    assert api_tokens.find(secret) is None
    assert client.post(url).status_code == 404
    again, _ = make(user)
    fragment = client.post(f"{PAGE}/{again.id}/revoke", headers=HX).content.decode()
    assert fragment.lstrip().startswith("<section")
    assert "is revoked" in fragment


def test_somebody_elses_is_neither_seen_nor_revoked(stack, user, other_user, client_for):
    token, secret = make(user, name="Very private")
    client = client_for(other_user)
    assert "Very private" not in client.get(PAGE).content.decode() + client.get(ACCOUNT).content.decode()
    assert client.post(f"{PAGE}/{token.id}/revoke").status_code == 404
    assert api_tokens.find(secret).id == token.id


def test_a_visitor_is_sent_to_sign_in(db, user):
    token, _ = make(user)
    for url in (PAGE, f"{PAGE}/{token.id}/revoke"):
        assert Client().post(url, FORM)["Location"].startswith("/accounts/sign-in")
    assert ApiToken.objects.count() == 1


def test_an_expired_one_says_so(stack, user, client_for):
    _, secret = make(user, valid_for=timedelta(seconds=-1))
    assert api_tokens.find(secret).is_expired
    assert "expired" in client_for(user).get(ACCOUNT).content.decode()


def test_its_use_is_written_at_most_once_a_minute(db, user, django_assert_num_queries):
    _, secret = make(user)
    api_tokens.note_use(api_tokens.find(secret))
    first = api_tokens.find(secret).last_used_at
    assert first is not None
    known = api_tokens.find(secret)
    with django_assert_num_queries(0):
        api_tokens.note_use(known)
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    api_tokens.note_use(api_tokens.find(secret))
    assert api_tokens.find(secret).last_used_at >= first


def test_only_so_many(db, user, monkeypatch):
    monkeypatch.setattr(api_tokens, "MOST", 1)
    make(user)
    with pytest.raises(InvalidInput, match="tokens already"):
        make(user)


def test_making_them_is_counted(stack, user, client_for, monkeypatch):
    limit = throttle.API_TOKEN
    small = throttle.Limit(name=limit.name, per_place=9, per_account=2, message=limit.message)
    monkeypatch.setattr(throttle, "API_TOKEN", small)
    client = client_for(user)
    assert [client.post(PAGE, FORM).status_code for _ in range(3)] == [200, 200, 429]


def test_they_go_with_the_account_and_open_nothing_from_the_moment_it_closes(stack, user, other_user):
    _, secret = make(user)
    make(other_user)
    closing.begin_closing(user)
    assert api_tokens.find(secret) is None
    closing.close_account(user)
    assert list(ApiToken.objects.values_list("user_id", flat=True)) == [other_user.id]


def test_a_number_that_no_token_has_is_not_found(stack, user, client_for):
    client = client_for(user)
    for number in ("0", "9" * 30):
        assert client.post(f"{PAGE}/{number}/revoke").status_code == 404
