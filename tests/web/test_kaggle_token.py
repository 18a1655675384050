"""A person's own Kaggle token: stored encrypted, never shown again, gone with the account."""

import logging

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts import closing, kaggle_credentials, throttle
from accounts.models import KaggleToken
from smartml import checks
from smartml.errors import Conflict, InvalidInput

PAGE, REMOVE, ACCOUNT = "/accounts/kaggle", "/accounts/kaggle/remove", "/accounts/"
TOKEN = "KGAT_0123456789abcdef0123456789abwxyz"
ONE, TWO, THREE = (Fernet.generate_key().decode() for _ in range(3))


def raw_rows() -> str:
    """The table as it lies in the database, read behind the models' back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_kaggletoken")
        return repr(cursor.fetchall())


def store(user, secret=TOKEN, username=""):
    return kaggle_credentials.store(user_id=user.id, secret=secret, username=username)


# --- The pages -----------------------------------------------------------------------------------------------
def test_a_token_is_stored_encrypted_and_shown_never_again(stack, user, client_for, caplog):
    client = client_for(user)
    with caplog.at_level(logging.DEBUG):
        answer = client.post(PAGE, {"token": f"  {TOKEN}\n"}, follow=True)
    assert answer.redirect_chain == [(ACCOUNT, 302)]
    pages = [answer.content.decode(), client.get(PAGE).content.decode(), client.get(ACCOUNT).content.decode()]
    assert all("wxyz" in page for page in pages)
    stored = raw_rows()
    for place in (*pages, stored, caplog.text):
        assert TOKEN not in place
        assert TOKEN[5:-4] not in place
    assert stored.count("gAAAA") == 1
    credential = kaggle_credentials.credential_for(user_id=user.id)
    assert (credential.secret, credential.username, credential.is_server) == (TOKEN, None, False)
    assert TOKEN not in repr(credential)


def test_a_new_one_takes_the_place_of_the_old(stack, user, client_for):
    client = client_for(user)
    client.post(PAGE, {"token": TOKEN})
    client.post(PAGE, {"token": "another-token-of-some-length-9999"})
    assert KaggleToken.objects.count() == 1
    assert kaggle_credentials.credential_for(user_id=user.id).secret.endswith("9999")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"token": "a" * 32, "username": "ada"}, ("ada", "a" * 32)),
        ({"token": '{"username": "ada", "key": "' + "b" * 32 + '"}'}, ("ada", "b" * 32)),
        ({"token": "c" * 40}, (None, "c" * 40)),
    ],
    ids=["key", "kaggle.json", "token"],
)
def test_each_form_of_a_credential_is_taken(stack, user, client_for, form, expected):
    assert client_for(user).post(PAGE, form).status_code == 302
    found = kaggle_credentials.credential_for(user_id=user.id)
    assert (found.username, found.secret) == expected


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"token": ""}, "Paste the token"),
        ({"token": "short"}, "does not look like a Kaggle token"),
        ({"token": "a" * 30 + "\u00e9"}, "does not look like a Kaggle token"),
        ({"token": "a" * 15 + "\n" + "a" * 15}, "does not look like a Kaggle token"),
        ({"token": "a" * 2001}, "does not look like a Kaggle token"),
        ({"token": '{"username": "ada"}'}, "not the content of a kaggle.json"),
        ({"token": "{"}, "not the content of a kaggle.json"),
        ({"token": "a" * 32, "username": "a:b"}, "does not look like a Kaggle user name"),
    ],
    ids=["none", "short", "accent", "two-lines", "long", "no-key", "broken", "colon"],
)
def test_what_is_no_token_is_refused_at_its_field(stack, user, client_for, form, sentence):
    answer = client_for(user).post(PAGE, form)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in page
    assert 'aria-invalid="true"' in page
    assert form["token"] == "" or f'value="{form["token"]}"' not in page
    assert KaggleToken.objects.count() == 0


def test_it_leads_back_to_where_it_was_asked_for_and_nowhere_else(stack, user, client_for):
    client = client_for(user)
    assert client.post(f"{PAGE}?next=/datasets/kaggle/", {"token": TOKEN})["Location"] == "/datasets/kaggle/"
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        assert client.post(f"{PAGE}?next={elsewhere}", {"token": TOKEN})["Location"] == ACCOUNT


def test_it_can_be_removed_and_removing_twice_is_harmless(stack, user, other_user, client_for):
    store(user), store(other_user)
    client = client_for(user)
    for _ in range(2):
        assert "removed" in client.post(REMOVE, follow=True).content.decode()
    assert list(KaggleToken.objects.values_list("user_id", flat=True)) == [other_user.id]
    assert client.get(REMOVE).status_code == 405


def test_nobody_sees_somebody_elses(stack, user, other_user, client_for):
    store(user)
    client = client_for(other_user)
    assert "wxyz" not in client.get(PAGE).content.decode() + client.get(ACCOUNT).content.decode()
    assert kaggle_credentials.credential_for(user_id=other_user.id) is None


def test_without_a_key_storing_is_refused_with_a_sentence(stack, user, client_for, settings):
    settings.KAGGLE_CREDENTIALS_KEY = []
    client = client_for(user)
    assert "Ask the operator to set KAGGLE_CREDENTIALS_KEY" in client.get(PAGE).content.decode()
    answer = client.post(PAGE, {"token": TOKEN})
    assert answer.status_code == 503
    assert "cannot store Kaggle tokens" in answer.content.decode()
    assert KaggleToken.objects.count() == 0


def test_attempts_are_counted(stack, user, client_for, monkeypatch):
    limit = throttle.KAGGLE_TOKEN
    small = throttle.Limit(name=limit.name, per_place=9, per_account=2, message=limit.message)
    monkeypatch.setattr(throttle, "KAGGLE_TOKEN", small)
    client = client_for(user)
    assert [client.post(PAGE, {"token": "x"}).status_code for _ in range(3)] == [422, 422, 429]


def test_a_visitor_is_sent_to_sign_in(db):
    assert Client().post(PAGE, {"token": TOKEN})["Location"].startswith("/accounts/sign-in")
    assert KaggleToken.objects.count() == 0


# --- Whose credential is used --------------------------------------------------------------------------------
def test_the_servers_token_is_used_by_those_without_their_own(db, user, other_user, settings):
    settings.KAGGLE_USERNAME, settings.KAGGLE_KEY = "server", "k" * 32
    store(user)
    assert kaggle_credentials.credential_for(user_id=user.id).secret == TOKEN
    servers = kaggle_credentials.credential_for(user_id=other_user.id)
    assert (servers.username, servers.is_server) == ("server", True)
    settings.KAGGLE_API_TOKEN = "t" * 40
    assert kaggle_credentials.credential_for(user_id=other_user.id).username is None
    settings.KAGGLE_API_TOKEN, settings.KAGGLE_KEY = "", ""
    assert kaggle_credentials.credential_for(user_id=other_user.id) is None


def test_a_token_that_cannot_be_decrypted_is_not_replaced_by_the_servers(db, user, settings, caplog):
    settings.KAGGLE_API_TOKEN = "t" * 40
    store(user)
    settings.KAGGLE_CREDENTIALS_KEY = [TWO]
    with pytest.raises(Conflict, match="can no longer be decrypted"):
        kaggle_credentials.credential_for(user_id=user.id)
    assert "cannot be decrypted" in caplog.text
    settings.KAGGLE_CREDENTIALS_KEY = []
    with pytest.raises(Conflict):
        kaggle_credentials.credential_for(user_id=user.id)


def test_a_row_moved_to_another_account_opens_nothing(db, user, other_user):
    store(user)
    KaggleToken.objects.filter(user=user).update(user=other_user)
    with pytest.raises(Conflict):
        kaggle_credentials.credential_for(user_id=other_user.id)


def test_an_invalid_token_is_refused_by_the_service_too(db, user):
    with pytest.raises(InvalidInput):
        store(user, secret="x")


# --- Keys that are replaced ----------------------------------------------------------------------------------
def test_a_key_is_replaced_without_anybody_storing_again(db, user, other_user, settings, capsys):
    settings.KAGGLE_CREDENTIALS_KEY = [ONE]
    store(user)
    before = raw_rows()
    settings.KAGGLE_CREDENTIALS_KEY = [TWO, ONE]
    store(other_user)
    assert kaggle_credentials.credential_for(user_id=user.id).secret == TOKEN
    call_command("rotate_credentials")
    assert "2 tokens encrypted" in capsys.readouterr().out
    assert raw_rows() != before
    settings.KAGGLE_CREDENTIALS_KEY = [TWO]
    for person in (user, other_user):
        assert kaggle_credentials.credential_for(user_id=person.id).secret == TOKEN


def test_rotation_says_what_it_could_not_open_and_leaves_it(db, user, settings):
    settings.KAGGLE_CREDENTIALS_KEY = [ONE]
    store(user)
    before = raw_rows()
    settings.KAGGLE_CREDENTIALS_KEY = [THREE]
    with pytest.raises(CommandError, match="1 could not be decrypted"):
        call_command("rotate_credentials")
    assert raw_rows() == before
    settings.KAGGLE_CREDENTIALS_KEY = []
    with pytest.raises(CommandError, match="has no key"):
        call_command("rotate_credentials")


# --- Leaving -------------------------------------------------------------------------------------------------
def test_it_goes_with_the_account(stack, user, other_user):
    store(user), store(other_user)
    closing.close_account(user)
    assert list(KaggleToken.objects.values_list("user_id", flat=True)) == [other_user.id]


# --- Settings ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"KAGGLE_CREDENTIALS_KEY": []}, ["smartml.W040"]),
        ({"KAGGLE_CREDENTIALS_KEY": [ONE, "hush"]}, ["smartml.E040"]),
        ({"KAGGLE_USERNAME": "ada"}, ["smartml.W041"]),
        ({"KAGGLE_KEY": "hush"}, ["smartml.W041"]),
        ({"KAGGLE_BASE_URL": ""}, []),
        ({"KAGGLE_BASE_URL": "https://mirror.example/"}, []),
        ({"KAGGLE_BASE_URL": "http://mirror.example/"}, ["smartml.E041"]),
        ({"KAGGLE_BASE_URL": "hush"}, ["smartml.E041"]),
    ],
    ids=["good", "no-key", "bad-key", "name-only", "key-only", "kaggle", "https", "http", "no-address"],
)
def test_settings_are_checked_without_being_quoted(settings, changes, expected):
    for name, value in changes.items():
        setattr(settings, name, value)
    found = checks.check_kaggle()
    assert [finding.id for finding in found] == expected
    assert "hush" not in str(found)
