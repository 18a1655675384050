"""Signing up, in and out, passwords, and the account page."""

import re

import pytest
from django.contrib.auth import get_user
from django.core import mail
from django.test import Client
from django.utils.http import urlsafe_base64_encode

from accounts import closing
from accounts.models import User
from accounts.services import ensure_demo_account
from storage import mongo_users
from storage.ids import is_id
from tests.conftest import PASSWORD
from tests.factories import stored_dataset

SIGN_IN = "/accounts/sign-in"
JSON = {"Accept": "application/json"}


def sign_in(client, email="ada@example.com", password=PASSWORD, **kwargs):
    return client.post(SIGN_IN, {"username": email, "password": password}, **kwargs)


# --- Signing up ----------------------------------------------------------------------------------------------
def test_signing_up_signs_in(stack, db, client):
    response = client.post("/accounts/sign-up", {"email": "New@Example.com", "password": "a long enough one"})
    assert response["Location"] == "/"
    user = get_user(client)
    assert user.email == "new@example.com"
    assert is_id(user.id)
    assert "Welcome" in client.get("/").content.decode()


@pytest.mark.parametrize(
    ("email", "password", "sentence"),
    [
        ("", "a long enough one", "This field is required."),
        ("not an address", "a long enough one", "Enter a valid email address."),
        ("new@example.com", "", "This field is required."),
        ("new@example.com", "short", "too short"),
        ("new@example.com", "7401985532", "entirely numeric"),
        ("new@example.com", "password123", "too common"),
        ("jane.austen@example.com", "jane.austen@example", "too similar"),
        ("ADA@example.com", "a long enough one", "There is an account with this address already."),
        ("a" * 250 + "@example.com", "a long enough one", "at most 254 characters"),
    ],
)
def test_signing_up_with_something_wrong(user, client, email, password, sentence):
    response = client.post("/accounts/sign-up", {"email": email, "password": password})
    assert response.status_code == 422
    page = response.content.decode()
    assert sentence in page
    assert 'aria-invalid="true"' in page
    assert User.objects.count() == 1


def test_the_same_sign_up_twice_makes_one_account(db):
    data = {"email": "new@example.com", "password": "a long enough one"}
    statuses = [Client().post("/accounts/sign-up", data).status_code for _ in range(2)]
    assert statuses == [302, 422]
    assert User.objects.count() == 1


def test_a_signed_in_person_does_not_sign_up_again(user, client_for):
    assert client_for(user).get("/accounts/sign-up")["Location"] == "/"


# --- Signing in and out --------------------------------------------------------------------------------------
@pytest.mark.parametrize("email", ["ada@example.com", "Ada@Example.COM", " ada@example.com "])
def test_signing_in_without_regard_to_case(user, client, email):
    assert sign_in(client, email)["Location"] == "/"
    assert get_user(client) == user


def test_signing_in_goes_on_to_the_page_asked_for(user, client):
    response = client.get("/accounts/password")
    assert response["Location"] == f"{SIGN_IN}?next=/accounts/password"
    response = client.post(SIGN_IN, {"username": user.email, "password": PASSWORD, "next": "/accounts/password"})
    assert response["Location"] == "/accounts/password"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_site(user, client, target):
    response = client.post(SIGN_IN, {"username": user.email, "password": PASSWORD, "next": target})
    assert response["Location"] == "/"


def without_tokens(response):
    page = response.content.decode()
    page = re.sub(r'(name="csrfmiddlewaretoken" value|"X-CSRFToken":) ?"?=?"?[^"]+"', "", page)
    return re.sub(r"(ada|nobody)@example\.com", "", page)


def test_a_wrong_address_and_a_wrong_password_look_the_same(user):
    wrong_password = sign_in(Client(), "ada@example.com", "wrong")
    wrong_address = sign_in(Client(), "nobody@example.com", "wrong")
    assert wrong_password.status_code == wrong_address.status_code == 422
    assert without_tokens(wrong_password) == without_tokens(wrong_address)
    assert "do not belong together" in wrong_password.content.decode()


def test_an_inactive_account_looks_like_a_wrong_password(user):
    User.objects.update(is_active=False)
    assert "do not belong together" in sign_in(Client()).content.decode()


def test_signing_out_is_a_post(user, client_for):
    client = client_for(user)
    assert client.get("/accounts/sign-out").status_code == 405
    assert client.post("/accounts/sign-out")["Location"] == SIGN_IN
    assert not get_user(client).is_authenticated


# --- Too many attempts ---------------------------------------------------------------------------------------
@pytest.fixture
def locked(user, settings):
    settings.AXES_FAILURE_LIMIT = 3
    client = Client()
    for email in ("ada@example.com", "ADA@example.com", " Ada@Example.com"):
        response = sign_in(client, email, "wrong")
    return client, response


def test_too_many_attempts_lock_out_whatever_the_spelling(locked):
    client, response = locked
    assert response.status_code == 429
    page = response.content.decode()
    assert "too many attempts" in page
    assert re.search(r"Try again after \d\d:\d\d UTC", page)
    assert 3500 < int(response["Retry-After"]) <= 3601
    assert sign_in(client).status_code == 429, "the right password does not help now"


def test_a_lock_out_as_json_and_as_a_fragment(locked):
    client, _ = locked
    response = sign_in(client, headers=JSON)
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "too_many_requests"
    response = sign_in(client, headers={"HX-Request": "true"})
    assert response.status_code == 429
    assert response["HX-Retarget"] == "#alerts"


def test_somebody_else_is_not_locked_out(locked, other_user):
    client, _ = locked
    assert sign_in(client, other_user.email).status_code == 302


def test_an_address_without_account_locks_in_the_same_way(db, settings):
    settings.AXES_FAILURE_LIMIT = 2
    client = Client()
    assert [sign_in(client, "nobody@example.com").status_code for _ in range(2)] == [422, 429]


def test_a_new_password_by_mail_ends_the_lock(locked):
    client, _ = locked
    reset_password(client, "ada@example.com", "another long one")
    assert sign_in(client, password="another long one").status_code == 302


# --- Passwords -----------------------------------------------------------------------------------------------
def reset_password(client, email, password):
    client.post("/accounts/password-reset", {"email": email})
    link = re.search(r"http://testserver(/\S+)", mail.outbox[-1].body)[1]
    form = client.get(link)["Location"]
    return client.post(form, {"new_password1": password, "new_password2": password})


def test_changing_the_password(user, client_for):
    client, other_browser = client_for(user), client_for(user)
    response = client.post(
        "/accounts/password",
        {"old_password": PASSWORD, "new_password1": "another long one", "new_password2": "another long one"},
    )
    assert response["Location"] == "/accounts/"
    assert get_user(client).is_authenticated
    assert not get_user(other_browser).is_authenticated
    user.refresh_from_db()
    assert user.check_password("another long one")


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("wrong", "another long one", "another long one"),
        (PASSWORD, "short", "short"),
        (PASSWORD, PASSWORD, PASSWORD),
    ],
)
def test_changing_the_password_with_something_wrong(user, client_for, old, new, again):
    response = client_for(user).post(
        "/accounts/password", {"old_password": old, "new_password1": new, "new_password2": again}
    )
    assert response.status_code == 422
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_resetting_the_password(user, client):
    response = reset_password(client, "ADA@example.com", "another long one")
    assert response["Location"] == "/accounts/password-reset/complete"
    assert "sign in" in client.get(response["Location"]).content.decode()
    assert sign_in(client, password="another long one").status_code == 302


def test_a_reset_tells_nobody_who_has_an_account(user, client):
    answers = [client.post("/accounts/password-reset", {"email": e}) for e in (user.email, "nobody@example.com")]
    assert {answer["Location"] for answer in answers} == {"/accounts/password-reset/sent"}
    assert len(mail.outbox) == 1
    assert "If there is an account" in client.get("/accounts/password-reset/sent").content.decode()


def test_a_reset_link_works_once(user, client):
    reset_password(client, user.email, "another long one")
    link = re.search(r"http://testserver(/\S+)", mail.outbox[-1].body)[1]
    page = Client().get(link).content.decode()
    assert "used already" in page
    assert "Ask for a new link" in page


@pytest.mark.parametrize("text", ["\x00", "x" * 24, "1", "ada@example.com", "\udcff", ""])
def test_what_cannot_be_an_id_in_a_reset_link_is_not_looked_up(db, client, text, django_assert_num_queries):
    """PostgreSQL refuses a NUL with an error of its own."""
    uid = urlsafe_base64_encode(text.encode(errors="surrogateescape")) or "-"
    with django_assert_num_queries(0):
        response = client.get(f"/accounts/password-reset/{uid}/set-password")
    assert response.status_code == 200
    assert "Ask for a new link" in response.content.decode()


def test_passwords_never_come_back_in_a_page(user, client):
    secret = "Zx-very-secret-77"
    assert secret not in sign_in(client, password=secret).content.decode()
    assert secret not in client.post("/accounts/sign-up", {"email": "x", "password": secret}).content.decode()


# --- The account page ----------------------------------------------------------------------------------------
def test_the_account_page_says_who_and_how_much(stack, user, client_for):
    dataset = stored_dataset(user.id)
    page = client_for(user).get("/accounts/").content.decode()
    assert "ada@example.com" in page
    assert re.search(r"<dd>\s*1 ", page)
    assert f"{dataset.file_size}\xa0bytes" in page


def test_the_demo_account_always_has_its_password(db):
    first = ensure_demo_account(email="demo@example.com", password="one long password")
    second = ensure_demo_account(email="Demo@example.com", password="another long one")
    assert first == second
    assert second.is_staff
    assert second.check_password("another long one")


def test_preparing_again_signs_nobody_out_of_the_demo_account(db, client_for):
    client = client_for(ensure_demo_account(email="demo@example.com", password="one long password"))
    ensure_demo_account(email="demo@example.com", password="one long password")
    assert get_user(client).is_authenticated


def test_the_demo_account_comes_back_whatever_happened_to_it(stack, user):
    closing.begin_closing(user)
    mongo_users.begin_closing(user_id=user.id)
    again = ensure_demo_account(email=user.email, password="one long password")
    assert again == user
    assert again.is_active
    assert again.closing_at is None
    assert stored_dataset(user.id)


# --- An expired sign-in --------------------------------------------------------------------------------------
def test_an_expired_sign_in_in_a_fragment_sends_the_whole_page_away(db, client):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/datasets/?search=a%20b"}
    response = client.get("/dashboard/summary", headers=headers)
    assert response["HX-Redirect"] == f"{SIGN_IN}?next=%2Fdatasets%2F%3Fsearch%3Da%2520b"
    assert response.content == b""


@pytest.mark.parametrize("page", ["https://evil.example/x", "//evil.example/x", "javascript:alert(1)", "", None])
def test_an_expired_sign_in_never_leads_to_another_site(db, client, page):
    headers = {"HX-Request": "true"} | ({} if page is None else {"HX-Current-URL": page})
    assert client.get("/dashboard/summary", headers=headers)["HX-Redirect"] == f"{SIGN_IN}?next=%2F"


def test_an_expired_sign_in_as_json(db, client):
    response = client.get("/dashboard/summary", headers=JSON)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "sign_in_required"
