"""What is wrong with the settings is said at start: by the system checks and in the log."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import environ
import pytest
from django.core.checks import run_checks

from smartml import checks

ROOT = Path(__file__).resolve().parents[2]


def ids(found):
    return [finding.id for finding in found]


def test_the_suites_own_settings_have_no_fault():
    assert [finding for check in checks.ALL for finding in check()] == []


def test_they_are_registered(settings):
    settings.AZURE_STORAGE_ENABLED = False
    assert "smartml.W001" in ids(run_checks())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"AZURE_STORAGE_ENABLED": False}, "AZURE_STORAGE_ENABLED is off"),
        ({"AZURE_ACCOUNT_URL": ""}, "AZURE_ACCOUNT_URL is not set"),
        ({"AZURE_ACCOUNT_URL": "account"}, "must look like https://"),
        ({"AZURE_ACCOUNT_URL": "https://host:port"}, "is not a URL"),
        ({"AZURE_ACCOUNT_URL": "http://host.example.com/devstoreaccount1"}, "must start with https://"),
        ({"AZURE_ACCOUNT_URL": "https://a.example.com/?sig=hush"}, "without a signature"),
        ({"AZURE_DATASETS_CONTAINER": "My_Data"}, "AZURE_DATASETS_CONTAINER must be"),
        ({"AZURE_MODELS_CONTAINER": "a--b"}, "AZURE_MODELS_CONTAINER must be"),
        ({"AZURE_MODELS_CONTAINER": "same", "AZURE_DATASETS_CONTAINER": "same"}, "must differ"),
        ({"AZURE_ACCOUNT_URL": "https://a.example.com", "AZURE_CLIENT_SECRET": "hush"}, "AZURE_TENANT_ID and"),
    ],
)
def test_azure(settings, caplog, changes, reason):
    for name, value in changes.items():
        setattr(settings, name, value)
    found = checks.check_azure()
    assert ids(found) == ["smartml.W001"]
    assert "every dataset and model operation will fail" in found[0].msg
    assert reason in found[0].msg
    with caplog.at_level(logging.WARNING):
        checks.log_findings()
    assert reason in caplog.text
    assert "hush" not in caplog.text


def test_a_tenant_without_a_secret_is_pointed_out(settings):
    settings.AZURE_ACCOUNT_URL = "https://a.example.com"
    assert checks.check_azure() == []
    settings.AZURE_TENANT_ID = "t"
    assert ids(checks.check_azure()) == ["smartml.W002"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"MONGODB_URI": ""}, "smartml.E010"),
        ({"MONGODB_URI": "http://user:hush@host/"}, "smartml.E010"),
        ({"MONGODB_URI": "mongodb://"}, "smartml.E010"),
        ({"MONGODB_URI": "mongodb://user:hush@/x"}, "smartml.E010"),
        ({"MONGODB_DATABASE": ""}, "smartml.E011"),
        ({"MONGODB_DATABASE": "a.b"}, "smartml.E011"),
        ({"MONGODB_DATABASE": "x" * 64}, "smartml.E011"),
        ({"MONGODB_TIMEOUT_SECONDS": 0.0}, "smartml.E012"),
    ],
)
def test_mongodb(settings, changes, expected):
    for name, value in changes.items():
        setattr(settings, name, value)
    found = checks.check_mongodb()
    assert ids(found) == [expected]
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    "uri", ["mongodb://a:1,b:2/?replicaSet=r", "mongodb+srv://user:p%40ss@host/", "mongodb://h"]
)
def test_good_mongodb_addresses(settings, uri):
    settings.MONGODB_URI = uri
    assert checks.check_mongodb() == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("locmemcache://smartml", []),
        ("dummycache://", []),
        ("redis://127.0.0.1:6379/0", []),
        ("filecache:///tmp/cache", ["smartml.E030"]),
        ("dbcache://cache_table", ["smartml.E030"]),
    ],
)
def test_a_cache_on_disk_or_in_sql_would_hold_rows(settings, url, expected):
    settings.CACHES = {"default": environ.Env.cache_url_config(url)}
    assert ids(checks.check_caches()) == expected


def cluster(settings, training=None, **changes):
    base = settings.Q_CLUSTER
    alternatives = {"training": base["ALT_CLUSTERS"]["training"] | (training or {})}
    settings.Q_CLUSTER = base | {"ALT_CLUSTERS": alternatives} | changes


@pytest.mark.parametrize(
    ("training", "changes", "expected"),
    [
        ({}, {"orm": None}, ["smartml.E020"]),
        ({}, {"ALT_CLUSTERS": {}}, ["smartml.E020"]),
        ({"workers": 0}, {}, ["smartml.E021"]),
        ({}, {"workers": 0}, ["smartml.E021"]),
        ({"retry": 60}, {}, ["smartml.E022"]),
        ({}, {"timeout": None}, ["smartml.E022"]),
    ],
)
def test_queue(settings, training, changes, expected):
    cluster(settings, training, **changes)
    assert ids(checks.check_queue()) == expected


def test_a_training_must_fit_into_the_queues_time(settings):
    settings.MAX_TRAINING_SECONDS = settings.Q_CLUSTER["ALT_CLUSTERS"]["training"]["timeout"]
    assert ids(checks.check_queue()) == ["smartml.E023"]


def test_a_short_lease_is_pointed_out(settings):
    settings.JOB_LEASE_SECONDS = 5
    assert ids(checks.check_queue()) == ["smartml.W020"]


def test_a_server_that_runs_no_checks_says_it_in_its_log():
    done = subprocess.run(
        [sys.executable, "-c", "import smartml.wsgi"],
        cwd=ROOT,
        env={**os.environ, "AZURE_STORAGE_ENABLED": "false", "DJANGO_SETTINGS_MODULE": "smartml.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING smartml.checks" in done.stderr
    assert "Blob storage is not configured" in done.stderr
