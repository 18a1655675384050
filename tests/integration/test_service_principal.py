"""Signing in to Azure as a service principal or a managed identity, end to end on loopback."""

import logging
import socket
import ssl
import time
import traceback
import urllib.request
from datetime import timedelta

import pytest

from smartml.errors import StorageUnavailable
from storage.blobs import get_blobs, reset_blobs
from tests.azure_identity import (
    CLIENT,
    MSI_HEADER,
    SECRET,
    TENANT,
    azurite_with_tokens,
    make_certificate,
    sign_in_server,
)

SECONDS = 5.0
WRONG = "wrong~Secret.that-must-not-be-seen"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def account_url(certificate, tmp_path_factory):
    with azurite_with_tokens(tmp_path_factory.mktemp("azurite"), certificate) as url:
        yield url


@pytest.fixture
def sign_in(certificate):
    with sign_in_server(certificate) as server:
        yield server


@pytest.fixture
def azure(settings, monkeypatch, certificate, account_url, sign_in):
    """The settings of a service principal; the caller may spoil them before the first use."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    settings.AZURE_STORAGE_ENABLED = True
    settings.AZURE_ACCOUNT_URL = account_url
    settings.AZURE_TENANT_ID = TENANT
    settings.AZURE_CLIENT_ID = CLIENT
    settings.AZURE_CLIENT_SECRET = SECRET
    settings.AZURE_AUTHORITY = sign_in.url
    settings.AZURE_DATASETS_CONTAINER = "datasets"
    settings.AZURE_MODELS_CONTAINER = "models"
    reset_blobs()
    yield settings
    reset_blobs()


def managed_identity(settings, monkeypatch, sign_in, header=MSI_HEADER):
    settings.AZURE_TENANT_ID = settings.AZURE_CLIENT_ID = settings.AZURE_CLIENT_SECRET = ""
    settings.AZURE_AUTHORITY = ""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{sign_in.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", header)


def use_everything(blobs, tmp_path):
    """Every kind of operation once, on an account that is empty before and after."""
    blobs.ensure_containers()
    blobs.check()
    container = blobs.datasets_container
    data = b"x,y\n" * 2_000_000
    with blobs.open_writer(container, "a/b.csv") as writer:
        writer.write(data)
        stored = writer.commit()
    assert blobs.download_to(container, "a/b.csv", tmp_path / "b.csv") == stored.sha256
    assert blobs.read_range(container, "a/b.csv", offset=4, length=3) == b"x,y"
    assert blobs.info(container, "a/b.csv").size == len(data)
    removed = blobs.delete_prefix(container, "a/")
    assert (removed.count, removed.remaining) == (1, 0)


def test_the_right_secret_works_end_to_end_with_one_token(azure, sign_in, tmp_path):
    use_everything(get_blobs(), tmp_path)
    assert sign_in.seen == {"granted": 1, "refused": 0}
    assert sign_in.resources == ["https://storage.azure.com"]


def test_a_signed_link_is_made_with_a_delegation_key(azure, certificate):
    blobs = get_blobs()
    blobs.ensure_containers()
    blobs.upload_bytes(blobs.datasets_container, "a/b.csv", b"x,y\n")
    url = blobs.signed_url(
        blobs.datasets_container, "a/b.csv", expires_in=timedelta(minutes=5), download_name="b.csv"
    )
    assert "skoid=" in url
    assert SECRET not in url
    context = ssl.create_default_context(cafile=str(certificate.path))
    with urllib.request.urlopen(url, context=context) as answer:
        assert answer.read() == b"x,y\n"
    # The key is used again for the next link.
    key = blobs._delegation_key
    blobs.signed_url(blobs.datasets_container, "a/b.csv", expires_in=timedelta(hours=1), download_name="b.csv")
    assert blobs._delegation_key is key
    blobs.delete_prefix(blobs.datasets_container, "a/")


@pytest.mark.parametrize("operation", ["check", "info", "upload", "link"])
def test_a_wrong_secret_is_reported_in_seconds_and_never_shown(azure, sign_in, caplog, capfd, operation):
    azure.AZURE_CLIENT_SECRET = WRONG
    blobs = get_blobs()
    container = blobs.datasets_container
    call = {
        "check": blobs.check,
        "info": lambda: blobs.info(container, "a/b"),
        "upload": lambda: blobs.upload_bytes(container, "a/b", b"x"),
        "link": lambda: blobs.signed_url(container, "a/b", expires_in=timedelta(minutes=1), download_name="b"),
    }[operation]
    start = time.monotonic()
    with caplog.at_level(logging.DEBUG), pytest.raises(StorageUnavailable) as caught:
        call()
    assert time.monotonic() - start < SECONDS
    assert sign_in.seen == {"granted": 0, "refused": 1}
    error = caught.value
    assert error.message == "Signing in to Azure with the app's service principal failed (AADSTS7000215)."
    told = "".join(traceback.format_exception(error))
    logged = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
    printed = "".join(capfd.readouterr())
    assert "AADSTS7000215" in caplog.text
    for text in (told, repr(error.as_dict()), logged, printed, repr(blobs.__dict__), str(blobs._settings)):
        assert WRONG not in text
        assert "must-not-be-seen" not in text


def test_a_secret_that_works_again_is_taken_at_once(azure, sign_in):
    azure.AZURE_CLIENT_SECRET = WRONG
    with pytest.raises(StorageUnavailable):
        get_blobs().check()
    azure.AZURE_CLIENT_SECRET = SECRET
    get_blobs().ensure_containers()
    get_blobs().check()


def test_a_sign_in_server_that_is_away_is_reported_in_seconds(azure):
    with socket.create_server(("127.0.0.1", 0)) as server:
        azure.AZURE_AUTHORITY = f"https://127.0.0.1:{server.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(StorageUnavailable, match="Signing in to Azure"):
        get_blobs().check()
    assert time.monotonic() - start < SECONDS


def test_a_token_that_storage_does_not_accept_is_reported_in_seconds(azure, sign_in, monkeypatch):
    monkeypatch.setattr("tests.azure_identity.TOKEN_SECONDS", -30)
    start = time.monotonic()
    with pytest.raises(StorageUnavailable, match=r"refused the app's credentials|Signing in"):
        get_blobs().check()
    assert time.monotonic() - start < SECONDS


def test_without_a_secret_a_managed_identity_is_used(azure, monkeypatch, sign_in, tmp_path):
    managed_identity(azure, monkeypatch, sign_in)
    use_everything(get_blobs(), tmp_path)
    assert sign_in.seen == {"granted": 1, "refused": 0}


def test_a_managed_identity_that_is_refused_is_reported_in_seconds(azure, monkeypatch, sign_in, caplog):
    managed_identity(azure, monkeypatch, sign_in, header=WRONG)
    start = time.monotonic()
    with caplog.at_level(logging.DEBUG), pytest.raises(StorageUnavailable, match="managed identity") as caught:
        get_blobs().check()
    assert time.monotonic() - start < SECONDS
    assert WRONG not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "Signing in to Azure with the managed identity failed" in caplog.text
