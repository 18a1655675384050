"""``manage.py prepare`` on real services."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django_q.models import Schedule

from accounts.models import User
from accounts.services import ensure_demo_account
from storage import blobs, mongo


@pytest.mark.django_db
def test_it_makes_what_is_needed_and_may_be_repeated(stack):
    for _ in range(2):
        out = StringIO()
        call_command("prepare", stdout=out)
        assert out.getvalue() == "Prepared.\n"
    blobs.get_blobs().check()
    assert "datasets" in mongo.get_database().list_collection_names()
    schedules = Schedule.objects.values_list("func", "schedule_type", "minutes", "cluster").order_by("func")
    # No cluster: only the default one runs them.
    assert [row[0] for row in schedules] == ["models_app.tasks.sweep", "models_app.tasks.sweep_strays"]
    assert schedules[0] == ("models_app.tasks.sweep", "I", 1, None)
    assert schedules[1][3] is None


@pytest.mark.django_db
def test_without_storage_it_says_so(stack, settings):
    settings.AZURE_STORAGE_ENABLED = False
    blobs.reset_blobs()
    with pytest.raises(CommandError, match="not configured"):
        call_command("prepare", stdout=StringIO())


@pytest.mark.django_db
def test_the_demo_account_is_made_once_and_takes_the_password():
    ensure_demo_account(email="demo@example.com", password="one password of many")
    ensure_demo_account(email="demo@example.com", password="one password of many")
    ensure_demo_account(email="Demo@example.com", password="another password of many")
    user = User.objects.get()
    assert user.check_password("another password of many")
    assert user.is_staff
