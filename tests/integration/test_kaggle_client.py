"""The real kagglesdk client against a stand-in of Kaggle on this machine."""

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.utils import timezone

from accounts.kaggle_credentials import Credential
from datasets import kaggle_client
from datasets.kaggle_client import Client
from datasets.kaggle_errors import KaggleUnavailable, NotAllowed, Paused, TokenRefused
from datasets.kaggle_records import DatasetRef, FileRef
from smartml.errors import InvalidInput, NotFound
from storage.ids import new_id
from tests.kaggle_stub import SIGNATURE, StubDataset, kaggle_stub

REF = DatasetRef(owner="ada", slug="iris")
FILE = FileRef(dataset=REF, name="iris.csv", version=3)
IRIS = b"a,b\n1,2\n3,4\n"


@pytest.fixture
def kaggle(settings):
    with kaggle_stub() as stub:
        stub.datasets["ada/iris"] = StubDataset("Iris flowers", {"iris.csv": IRIS})
        settings.KAGGLE_BASE_URL = stub.url
        yield stub


@pytest.fixture
def client():
    # A token of its own for each test: pauses are remembered for a credential.
    with Client(Credential(secret=f"token-{new_id()}")) as made:
        yield made


CALLS = {
    "ListDatasets": lambda client: client.search("iris"),
    "GetDataset": lambda client: client.dataset(REF),
    "ListDatasetFiles": lambda client: client.files(REF, version=3),
    "DownloadDataset": lambda client: client.open_file(FILE).close(),
}
each_call = pytest.mark.parametrize("operation", sorted(CALLS))


# --- What it says --------------------------------------------------------------------------------------------
def test_search_goes_page_by_page(kaggle, client):
    for number in range(4):
        kaggle.datasets[f"ada/more-{number}"] = StubDataset(f"More iris {number}", {"x.csv": b"x"})
    first = client.search("iris")
    assert [found.ref.text for found in first.items] == ["ada/iris", "ada/more-0"]
    assert (first.items[0].title, first.items[0].size, first.items[0].license_name) == (
        "Iris flowers",
        len(IRIS),
        "CC0-1.0",
    )
    assert first.items[0].updated_at == datetime(2026, 3, 4, 5, 6, 7, 123000, tzinfo=UTC)
    second = client.search("iris", token=first.next_token)
    third = client.search("iris", token=second.next_token)
    assert [found.ref.slug for found in second.items + third.items] == ["more-1", "more-2", "more-3"]
    assert third.next_token is None
    assert kaggle.seen[0].body == {"search": "iris", "pageSize": 20}


def test_nothing_found_is_an_empty_page(kaggle, client):
    assert client.search("no such thing").items == ()


def test_a_dataset_and_its_files(kaggle, client):
    kaggle.datasets["ada/iris"].files |= {"folder/b.csv": b"b", "c.csv": b"cc"}
    found = client.dataset(REF)
    assert (found.title, found.license_name, found.version, found.size) == (
        "Iris flowers",
        "CC0-1.0",
        3,
        len(IRIS) + 3,
    )
    first = client.files(REF, version=3)
    second = client.files(REF, version=3, token=first.next_token)
    assert [file.name for file in first.items + second.items] == ["iris.csv", "folder/b.csv", "c.csv"]
    assert [file.size for file in second.items] == [2]
    assert second.next_token is None
    assert kaggle.seen[-1].body["datasetVersionNumber"] == 3


def test_a_licence_that_is_not_with_the_facts_is_asked_for(kaggle, client):
    kaggle.datasets["ada/iris"].license_name = ""
    assert client.dataset(REF).license_name == "ODbL-1.0"


def test_a_file_comes_from_where_kaggle_sends_for_it(kaggle, client):
    with client.open_file(FILE) as answer:
        assert answer.content == IRIS
    assert kaggle.seen[-1].body == {
        "ownerSlug": "ada",
        "datasetSlug": "iris",
        "fileName": "iris.csv",
        "datasetVersionNumber": 3,
    }


def test_a_file_that_kaggle_sends_itself(kaggle, client):
    kaggle.direct = True
    with client.open_file(FILE) as answer:
        assert answer.content == IRIS


# --- Whose credentials, and where they go --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (Credential(secret="the-token"), "Bearer the-token"),
        (Credential(secret="the-key", username="ada"), "Basic YWRhOnRoZS1rZXk="),
    ],
    ids=["token", "key"],
)
def test_the_given_credential_is_used_and_no_other(kaggle, monkeypatch, tmp_path, credential, expected):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "somebody-elses")
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "elses")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "STAGING")
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".kaggle"
    home.mkdir()
    (home / "access_token").write_text("somebody-elses")
    (home / "kaggle.json").write_text(json.dumps({"username": "somebody", "key": "elses"}))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password elses\n")
    (tmp_path / ".netrc").chmod(0o600)
    with Client(credential) as client:
        client.search("iris")
        client.open_file(FILE).close()
    assert {seen.authorization for seen in kaggle.seen} == {expected}
    assert {seen.authorization for seen in kaggle.files_seen} == {""}
    assert not any("Cookie" in seen.headers for seen in kaggle.files_seen)


@pytest.mark.parametrize(
    "target",
    ["http://192.0.2.1/file", "ftp://127.0.0.1/file", "file:///etc/passwd", "http://[::1", ""],
    ids=["plain", "ftp", "file", "broken", "none"],
)
def test_an_address_that_is_not_encrypted_is_not_followed(kaggle, client, target):
    kaggle.redirect_to = target or "about:blank"
    with pytest.raises(KaggleUnavailable, match=r"not encrypted|could not be read"):
        client.open_file(FILE)


def test_a_circle_of_redirects_ends(kaggle, client, monkeypatch):
    kaggle.redirect_to = f"{kaggle.files_url}/again"
    monkeypatch.setattr("tests.kaggle_stub._Files.do_GET", lambda self: self.answer(302, Location="/again"))
    with pytest.raises(KaggleUnavailable, match="without an end"):
        client.open_file(FILE)


def test_plain_http_to_another_machine_is_refused(settings, client):
    settings.KAGGLE_BASE_URL = "http://kaggle.example"
    with pytest.raises(KaggleUnavailable, match="not encrypted"):
        Client(Credential(secret="t"))


def test_kaggle_itself_is_the_default(settings):
    settings.KAGGLE_BASE_URL = ""
    assert kaggle_client.base_url() == "https://api.kaggle.com"


# --- Refusals ------------------------------------------------------------------------------------------------
@each_call
@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (400, InvalidInput, "does not understand"),
        (401, TokenRefused, "does not accept your token"),
        (403, NotAllowed, "does not let this account"),
        (404, NotFound, "no such dataset or file"),
        (500, KaggleUnavailable, "a fault of its own"),
        (503, KaggleUnavailable, "a fault of its own"),
    ],
)
def test_each_refusal_is_a_sentence_with_a_next_step(kaggle, client, caplog, operation, status, kind, sentence):
    kaggle.fail[operation] = status
    with pytest.raises(kind) as caught:
        CALLS[operation](client)
    error = caught.value
    assert sentence in error.message
    assert error.hint
    for text in (error.message, error.hint, repr(error.__cause__), caplog.text):
        assert "hush" not in text
        assert "token-" not in text
    if status == 403 and operation != "ListDatasets":
        assert "https://www.kaggle.com/datasets/ada/iris" in error.hint
        assert "accept the rules" in error.hint


def test_a_refusal_in_the_body_of_a_good_answer_counts(kaggle, client):
    kaggle.garbage = b'{"code": 403, "message": "hush"}'
    with pytest.raises(NotAllowed):
        client.search("iris")


def test_a_refusal_of_the_servers_token_says_so(kaggle):
    kaggle.accepts = set()
    with Client(Credential(secret="t", is_server=True)) as client, pytest.raises(TokenRefused) as caught:
        client.search("iris")
    assert "this server's token" in caught.value.message
    assert "token of your own" in caught.value.hint


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("45", 45),
        ("0", 1),
        ("nonsense", 60),
        ("", 60),
        ("999999", 86400),
        ("in three hours", 3 * 3600),
    ],
    ids=["seconds", "none", "nonsense", "empty", "long", "date"],
)
@each_call
def test_a_pause_is_told_and_kept(kaggle, client, operation, header, seconds):
    if header == "in three hours":
        header = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)
    kaggle.fail[operation], kaggle.retry_after = 429, header
    with pytest.raises(Paused) as caught:
        CALLS[operation](client)
    assert caught.value.retry_seconds == pytest.approx(seconds, abs=60 if seconds > 10000 else 1)
    assert "asks for a pause" in caught.value.message
    assert "Try again after" in caught.value.hint
    kaggle.fail.clear()
    asked = len(kaggle.seen)
    if seconds > 1:
        with pytest.raises(Paused):
            client.search("iris")
        assert len(kaggle.seen) == asked


def test_the_pause_of_one_account_holds_up_no_other(kaggle, client):
    kaggle.fail["ListDatasets"] = [429]
    with pytest.raises(Paused):
        client.search("iris")
    with Client(Credential(secret=f"other-{new_id()}")) as other:
        assert other.search("iris").items


def test_after_the_pause_kaggle_is_asked_again(kaggle, client, monkeypatch):
    kaggle.fail["ListDatasets"] = [429]
    with pytest.raises(Paused):
        client.search("iris")
    later = time.time() + 40
    monkeypatch.setattr("datasets.kaggle_client.time.time", lambda: later)
    assert client.search("iris").items


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b'{"datasets": 5}', b'{"datasets": [{"ref": 5}]}', b"\xff\xfe"],
    ids=["empty", "html", "list", "null", "number", "ref", "bytes"],
)
def test_an_answer_of_another_form_is_a_sentence(kaggle, client, body):
    kaggle.garbage = body
    with pytest.raises(KaggleUnavailable, match="could not be read"):
        client.search("iris")


def test_a_listing_with_an_error_message(kaggle, client):
    kaggle.garbage = b'{"errorMessage": "hush"}'
    with pytest.raises(NotFound) as caught:
        client.files(REF, version=None)
    assert "hush" not in caught.value.message + caught.value.hint


def test_references_that_are_none_are_left_out(kaggle, client):
    kaggle.garbage = b'{"datasets": [{"ref": "a/b", "title": "T"}, {"ref": "../x"}, {"ref": ""}]}'
    assert [found.ref.text for found in client.search("x").items] == ["a/b"]


# --- Time ----------------------------------------------------------------------------------------------------
def test_an_answer_that_does_not_come_is_not_waited_for(kaggle, client, monkeypatch):
    monkeypatch.setattr(kaggle_client, "READ_SECONDS", 0.3)
    kaggle.stall = 1.0
    began = time.monotonic()
    with pytest.raises(KaggleUnavailable, match="did not answer in time"):
        client.search("iris")
    assert time.monotonic() - began < 0.9


def test_an_answer_that_does_not_end_is_given_up(kaggle, client, monkeypatch):
    monkeypatch.setattr(kaggle_client, "_MAX_ANSWER", 10)
    with pytest.raises(KaggleUnavailable, match="took too long"):
        client.search("iris")


def test_nobody_at_home(settings, client):
    settings.KAGGLE_BASE_URL = "http://127.0.0.1:9"
    with Client(Credential(secret="t")) as nowhere, pytest.raises(KaggleUnavailable, match="cannot be reached"):
        nowhere.search("iris")


# --- What reaches the log ------------------------------------------------------------------------------------
def test_neither_token_nor_signature_reaches_a_log_or_an_error(kaggle, caplog):
    secret = f"secret-{new_id()}"
    with caplog.at_level(logging.DEBUG), Client(Credential(secret=secret, username="ada")) as client:
        client.search("iris")
        client.open_file(FILE).close()
        kaggle.fail["file"] = 403
        with pytest.raises(KaggleUnavailable) as caught:
            client.open_file(FILE)
        logging.getLogger("x").exception("As the app logs it", exc_info=caught.value)
    assert "file store answered 403" in caplog.text
    assert secret not in caplog.text
    assert secret not in repr(client.__dict__)
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("urllib3"))
    assert SIGNATURE not in ours


def test_the_clients_own_debug_log_is_off(settings):
    assert settings.LOGGING["loggers"]["urllib3"]["level"] == "WARNING"
    assert timezone.now().tzinfo is UTC
