"""How many attempts one place and one account have, and which place a visitor comes from."""

import pytest
from django.core import mail
from django.test import Client, RequestFactory

from accounts import throttle
from accounts.clients import client_ip, client_network
from accounts.models import User
from tests.conftest import PASSWORD

SIGN_IN, SIGN_UP, RESET = "/accounts/sign-in", "/accounts/sign-up", "/accounts/password-reset"


@pytest.fixture
def few(monkeypatch):
    """Three attempts from one place, two on one account."""
    for name in ("SIGN_UP", "PASSWORD_RESET", "PASSWORD_CHANGE", "DELETE_ACCOUNT"):
        limit = getattr(throttle, name)
        small = throttle.Limit(name=limit.name, per_place=3, per_account=2, message=limit.message)
        monkeypatch.setattr(throttle, name, small)


def statuses(*answers):
    return [answer.status_code for answer in answers]


# --- Where a request comes from ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("1.1.1.1,2.2.2.2, 203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("203.0.113.7, unknown", None),
        ("", None),
    ],
)
def test_behind_a_proxy_the_last_hop_is_the_visitor(settings, forwarded, expected):
    settings.BEHIND_PROXY = True
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    assert client_ip(request) == expected


def test_without_a_proxy_nobody_chooses_his_address(settings):
    settings.BEHIND_PROXY = False
    request = RequestFactory().get("/", headers={"X-Forwarded-For": "203.0.113.7"})
    assert client_ip(request) == "127.0.0.1"


def test_a_server_on_a_socket_knows_no_address(settings):
    settings.BEHIND_PROXY = False
    assert client_ip(RequestFactory().get("/", REMOTE_ADDR="")) is None


def test_addresses_of_one_ipv6_network_are_one_place(settings):
    places = {client_network(RequestFactory().get("/", REMOTE_ADDR=f"2001:db8::{n}")) for n in (1, 2)}
    assert places == {"2001:db8::/64"}


# --- Signing in ----------------------------------------------------------------------------------------------
def wrong(client, email, forwarded=""):
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return client.post(SIGN_IN, {"username": email, "password": "wrong"}, headers=headers)


def test_one_password_on_many_addresses_closes_sign_in_for_the_place(user, settings):
    settings.SIGN_IN_FAILURE_LIMIT_PER_IP = 3
    answers = [wrong(Client(), f"person{n}@example.com") for n in range(3)]
    assert statuses(*answers) == [422, 422, 429]
    assert "from this network" in answers[-1].content.decode()
    good = {"username": user.email, "password": PASSWORD}
    assert Client().post(SIGN_IN, good).status_code == 429
    assert Client().post(SIGN_IN, good, REMOTE_ADDR="203.0.113.9").status_code == 302


def test_a_good_sign_in_in_between_does_not_start_the_count_anew(user, settings):
    settings.SIGN_IN_FAILURE_LIMIT_PER_IP = 3
    wrong(Client(), "a@example.com"), wrong(Client(), "b@example.com")
    assert Client().post(SIGN_IN, {"username": user.email, "password": PASSWORD}).status_code == 302
    assert wrong(Client(), "c@example.com").status_code == 429


def test_behind_a_proxy_one_visitor_does_not_lock_out_the_others(user, settings):
    settings.BEHIND_PROXY = True
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        locked = wrong(Client(), user.email, "9.9.9.9, 203.0.113.7")
    assert locked.status_code == 429
    good = {"username": user.email, "password": PASSWORD}
    assert Client().post(SIGN_IN, good, headers={"X-Forwarded-For": "203.0.113.8"}).status_code == 302


# --- The other forms -----------------------------------------------------------------------------------------
def test_signing_up_is_limited_by_place(few, db, settings):
    answers = [Client().post(SIGN_UP, {"email": f"p{n}@example.com", "password": "short"}) for n in range(4)]
    assert statuses(*answers) == [422, 422, 422, 429]
    assert 0 < int(answers[-1]["Retry-After"]) <= 3601
    assert "too many attempts to make an account" in answers[-1].content.decode()
    elsewhere = Client().post(SIGN_UP, {"email": "p9@example.com", "password": "short"}, REMOTE_ADDR="203.0.113.9")
    assert elsewhere.status_code == 422


def test_nobody_finds_out_addresses_by_signing_up(few, user):
    """The form says that an address is taken; so it is not asked often."""
    tried = [Client().post(SIGN_UP, {"email": "ADA@example.com", "password": "x"}) for _ in range(3)]
    assert statuses(*tried) == [422, 422, 429]
    assert User.objects.count() == 1


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_a_mailbox_is_not_flooded_and_nothing_is_told(few, user, email):
    answers = [Client().post(RESET, {"email": email}, REMOTE_ADDR=f"203.0.113.{n}") for n in range(3)]
    assert statuses(*answers) == [302, 302, 429]
    assert len(mail.outbox) == (2 if email == user.email else 0)


def test_an_empty_address_is_nobodys(few, db):
    answers = [Client().post(RESET, {"email": " "}, REMOTE_ADDR=f"203.0.113.{n}") for n in range(4)]
    assert statuses(*answers) == [422] * 4


@pytest.mark.parametrize("url", ["/accounts/password", "/accounts/delete"])
def test_a_password_is_not_guessed_in_an_open_session(stack, few, user, client_for, url):
    client = client_for(user)
    form = {"old_password": "wrong", "new_password1": "another long one", "new_password2": "another long one"}
    answers = [client.post(url, form | {"password": "wrong"}) for _ in range(3)]
    assert statuses(*answers) == [422, 422, 429]
    assert client.post(url, {"old_password": PASSWORD, "password": PASSWORD}).status_code == 429
    assert client.get(url).status_code == 200
    assert User.objects.get().is_active


def test_a_refusal_as_json(few, db):
    for _ in range(3):
        answer = Client().post(RESET, {"email": "a@example.com"}, headers={"Accept": "application/json"})
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "too_many_requests"


def test_the_next_hour_is_another_one(few, db, monkeypatch):
    now = 10 * throttle.WINDOW_SECONDS + 5.0
    monkeypatch.setattr("accounts.throttle.time.time", lambda: now)
    assert [Client().post(RESET, {"email": "a@example.com"}).status_code for _ in range(3)][-1] == 429
    now += throttle.WINDOW_SECONDS
    assert Client().post(RESET, {"email": "a@example.com"}).status_code == 302
