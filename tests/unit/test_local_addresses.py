"""The local stack works on no database and no cache but its own or one on this machine."""

import os

import pytest

from smartml.local import addresses, parts
from smartml.local.stack import DataServices

SETTINGS = ("DATABASE_URL", "CACHE_URL")


@pytest.fixture(autouse=True)
def env_file(monkeypatch, tmp_path):
    """A `.env` of the test's own; the process environment is put back afterwards."""
    for name in SETTINGS:
        monkeypatch.setenv(name, "to be put back")
        del os.environ[name]
    path = tmp_path / ".env"
    monkeypatch.setattr(addresses, "_ENV_FILE", path)
    return path


@pytest.fixture
def own(tmp_path):
    return {"DATABASE_URL": f"sqlite:///{tmp_path / 'app.sqlite3'}", "CACHE_URL": "locmemcache://smartml"}


def pinned():
    return {name: os.environ[name] for name in SETTINGS}


def test_without_any_setting_both_are_pinned_and_nothing_is_said(tmp_path, own):
    assert addresses.keep_local(tmp_path) is None
    assert pinned() == own


def test_a_real_database_and_cache_in_the_file_are_ignored_in_one_line(tmp_path, own, env_file):
    env_file.write_text(
        "DATABASE_URL=postgres://app:hunter2@db.example.org:5432/smartml\nCACHE_URL=rediscache://10.0.0.7:6379/0\n"
    )
    said = addresses.keep_local(tmp_path)
    assert said.startswith("Ignored here: DATABASE_URL and CACHE_URL.")
    assert "hunter2" not in said
    assert len(said.splitlines()) == 1
    assert pinned() == own


@pytest.mark.parametrize(
    "address",
    [
        "postgres://u:p@db.example.org/x",
        "postgres://u:p@127.0.0.1,db.example.org/x",
        "postgres://u:p@127.0.0.1/x?hostaddr=192.0.2.1",
        "postgres://u:p@127.0.0.1/x?service=live",
        "postgres://u:127.0.0.1@db.example.org/x",
        "postgres://%2Fvar%2Frun%2Fpostgresql/x",
        "postgres:///x",
        "postgres://[broken/x",
        "sqlite:////srv/live/app.sqlite3",
        "$LIVE_DATABASE",
    ],
)
def test_a_database_elsewhere_is_ignored(tmp_path, own, monkeypatch, address):
    monkeypatch.setenv("DATABASE_URL", address)
    assert "Ignored here: DATABASE_URL." in addresses.keep_local(tmp_path)
    assert pinned() == own


@pytest.mark.parametrize("host", ["127.0.0.1:5433", "localhost", "[::1]:5432"])
def test_what_is_on_loopback_is_used(tmp_path, env_file, host):
    given = {"DATABASE_URL": f"postgres://u:p@{host}/x", "CACHE_URL": f"rediscache://{host}/0"}
    env_file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    assert addresses.keep_local(tmp_path) is None
    assert pinned() == given


def test_a_copy_of_the_example_is_nothing_to_speak_of(tmp_path, own, env_file, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    env_file.write_text(f"DATABASE_URL=sqlite:///{tmp_path.name}/app.sqlite3\nCACHE_URL=locmemcache://smartml\n")
    assert addresses.keep_local(tmp_path) is None
    assert pinned() == own


def test_the_environment_wins_over_the_file(tmp_path, env_file, monkeypatch):
    env_file.write_text("DATABASE_URL=postgres://db.example.org/x\n")
    monkeypatch.setenv("DATABASE_URL", "postgres://127.0.0.1/x")
    assert addresses.keep_local(tmp_path) is None
    assert os.environ["DATABASE_URL"] == "postgres://127.0.0.1/x"


def test_no_credential_of_a_real_account_is_left():
    environment = DataServices(mongodb_port=1, azurite_port=2).environment
    assert environment["AZURE_ACCOUNT_URL"] == parts.azurite_url(2)
    blank = {name for name, value in environment.items() if value == ""}
    assert blank == {"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_AUTHORITY"}
