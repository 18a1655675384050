"""What a second start of the local stack may skip."""

import os

import pytest

from accounts.services import ensure_demo_account
from smartml.local import LocalStackError, preparation, state
from tests.services import SERVICES

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(tmp_path, monkeypatch, settings):
    """A project of one module and one static file, prepared in ``tmp_path``; returns how often the program ran."""
    made = tmp_path / "project"
    for name in ("ml/a.py", "static/a.css", "collected/staticfiles.json"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).touch()
    monkeypatch.setattr(preparation, "_ROOT", made)
    settings.STATIC_ROOT = str(made / "collected")
    return made


@pytest.fixture
def prepare(root, tmp_path, stack, settings, monkeypatch):
    """Prepares, and says whether the program was needed for it."""
    settings.MONGODB_URI, settings.AZURE_ACCOUNT_URL = settings.MONGODB_URI, settings.AZURE_ACCOUNT_URL
    ran = []
    password = state.demo_password(tmp_path)

    def run(_directory, *, password, static):
        ran.append(static)
        ensure_demo_account(email=state.DEMO_EMAIL, password=password)

    monkeypatch.setattr(preparation, "_run_prepare", run)

    def call(*, static=True):
        ran.clear()
        preparation.prepare(tmp_path, SERVICES, password=password, static=static)
        return bool(ran)

    return call


def test_a_second_start_skips_the_program_and_looks_after_the_data(prepare, stack):
    from storage import mongo

    assert prepare()
    mongo.get_database().drop_collection("jobs")
    assert not prepare()
    assert "jobs" in mongo.get_database().list_collection_names()


@pytest.mark.parametrize("name", ["ml/a.py", "static/a.css", "collected/staticfiles.json"])
def test_a_changed_or_removed_file_is_prepared_again(prepare, root, name):
    prepare()
    os.utime(root / name, (1, 1))
    assert prepare()
    assert not prepare()
    (root / name).unlink()
    assert prepare()


def test_a_new_static_file_is_collected(prepare, root):
    prepare()
    (root / "static" / "b.css").touch()
    assert prepare()


def test_the_printed_password_works_whatever_happened_to_the_account(prepare, django_user_model):
    prepare()
    user = django_user_model.objects.get(email=state.DEMO_EMAIL)
    for change in ({"is_staff": False}, {"is_active": False}, {"password": "other"}):
        django_user_model.objects.filter(pk=user.pk).update(**change)
        assert prepare(), change
    user.delete()
    assert prepare()


def test_a_start_for_development_is_another(prepare):
    prepare()
    assert prepare(static=False)
    assert not prepare(static=False)
    assert prepare()


def test_a_setting_that_makes_no_sense_is_a_sentence(settings):
    settings.MONGODB_DATABASE = "a/b"
    with pytest.raises(LocalStackError, match="MONGODB_DATABASE is not a name MongoDB accepts"):
        preparation.check_settings()
