"""What is wrong with the settings of Azure, MongoDB, the queue, the caches and Kaggle, said at start.

Looks at settings only and asks no service, so a start costs nothing. Blob storage may be missing on purpose, so
what concerns it is a warning: the app starts and every dataset and model operation says why it fails. A setting
that would lose work or make no sense is an error, which stops `manage.py`.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.checks import ERROR, CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from accounts.kaggle_credentials import keys_fault
from storage.credentials import AuthKind, AzureSettings

_log = logging.getLogger(__name__)
# Workers renew their lease every few seconds; it must outlast a MongoDB that elects a new primary.
_SHORT_LEASE_SECONDS = 15
_MAKE_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def check_azure(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Whether blob storage can be used with these settings."""
    azure = AzureSettings.from_django()
    fault = azure.fault()
    if fault is not None:
        return [
            Warning(
                f"Blob storage is not configured: every dataset and model operation will fail. {fault}",
                hint="Set AZURE_STORAGE_ENABLED, AZURE_ACCOUNT_URL and the credentials (see .env.example).",
                id="smartml.W001",
            )
        ]
    if azure.kind is AuthKind.MANAGED_IDENTITY and (azure.tenant_id or azure.authority):
        return [
            Warning(
                "AZURE_TENANT_ID or AZURE_AUTHORITY is set without a secret, so a managed identity is used.",
                hint="Set AZURE_CLIENT_SECRET for a service principal, or remove the others.",
                id="smartml.W002",
            )
        ]
    return []


def check_mongodb(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Whether the MongoDB settings can name a database. Messages never quote the address: it holds a password."""
    found: list[CheckMessage] = []
    if not _is_mongodb_uri(settings.MONGODB_URI):
        found.append(
            Error(
                "MONGODB_URI is not the address of a MongoDB server.",
                hint="It looks like mongodb://HOST:PORT/?replicaSet=NAME or mongodb+srv://HOST/.",
                id="smartml.E010",
            )
        )
    name = settings.MONGODB_DATABASE
    if not name or len(name.encode()) > 63 or re.search(r'[/\\. "$*<>:|?\x00]', name):
        found.append(
            Error(
                "MONGODB_DATABASE is not a name MongoDB accepts.",
                hint="Use 1 to 63 letters, digits, hyphens and underscores.",
                id="smartml.E011",
            )
        )
    if not 0 < settings.MONGODB_TIMEOUT_SECONDS <= 60:
        found.append(
            Error(
                "MONGODB_TIMEOUT_SECONDS must be above 0 and at most 60.",
                hint="2.5 makes a page answer within 3 seconds when MongoDB is away.",
                id="smartml.E012",
            )
        )
    return found


def _is_mongodb_uri(uri: str) -> bool:
    try:
        address = urlsplit(uri)
    except ValueError:
        return False
    hosts = address.netloc.rpartition("@")[2].split(",")
    return address.scheme in {"mongodb", "mongodb+srv"} and all(hosts)


def check_queue(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Whether the queue would deliver a job once and let it run to its end."""
    light = settings.Q_CLUSTER
    training = light.get("ALT_CLUSTERS", {}).get("training")
    if not light.get("orm") or training is None:
        return [
            Error(
                "Q_CLUSTER needs the ORM broker (`orm`) and a second cluster named `training`.",
                hint="Trainings are sent to that cluster; nothing would ever run them.",
                id="smartml.E020",
            )
        ]
    return [
        *_check_cluster("light", light),
        *_check_cluster("training", light | training),
        *_check_durations(training),
    ]


def _check_cluster(name: str, cluster: dict[str, Any]) -> Iterable[CheckMessage]:
    if cluster["workers"] < 1:
        yield Error(
            f"The {name} queue has no workers.", hint=f"Set {name.upper()}_WORKERS to 1 or more.", id="smartml.E021"
        )
    if not cluster.get("timeout") or cluster["retry"] <= cluster["timeout"]:
        yield Error(
            f"The {name} queue would deliver a task again while it still runs.",
            hint="In Q_CLUSTER, `retry` must exceed `timeout`, and `timeout` must be set.",
            id="smartml.E022",
        )


def _check_durations(training: dict[str, Any]) -> Iterable[CheckMessage]:
    if not 1 <= settings.MAX_TRAINING_SECONDS < training["timeout"]:
        yield Error(
            "MAX_TRAINING_SECONDS must be at least 1 and below the training queue's `timeout`.",
            hint=f"The queue ends a task after {training['timeout']} seconds.",
            id="smartml.E023",
        )
    if settings.JOB_LEASE_SECONDS < _SHORT_LEASE_SECONDS:
        yield Warning(
            f"JOB_LEASE_SECONDS is below {_SHORT_LEASE_SECONDS}: a short pause of MongoDB ends healthy trainings.",
            hint="45 is a good value; the sweep takes a job over when its worker was silent for that long.",
            id="smartml.W020",
        )


def check_caches(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Whether caches stay in memory: first rows and schemas are cached, and belong in no file and no SQL table."""
    found: list[CheckMessage] = []
    for kind, place in ((FileBasedCache, "files"), (DatabaseCache, "an SQL table")):
        names = [
            name for name, cache in settings.CACHES.items() if issubclass(import_string(cache["BACKEND"]), kind)
        ]
        if names:
            found.append(
                Error(
                    f"The cache ({', '.join(names)}) writes to {place}, and rows of datasets are cached.",
                    hint="Use locmemcache://smartml, or redis://HOST:6379/0 to share it (CACHE_URL).",
                    id="smartml.E030",
                )
            )
    return found


def check_kaggle(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Whether tokens can be stored, and what Kaggle would be asked with. Messages quote no key and no token."""
    found: list[CheckMessage] = []
    fault = keys_fault()
    if fault is not None:
        found.append(Error(fault, hint=f"Make one with: {_MAKE_KEY}", id="smartml.E040"))
    elif not settings.KAGGLE_CREDENTIALS_KEY:
        found.append(
            Warning(
                "KAGGLE_CREDENTIALS_KEY is not set, so nobody can store a Kaggle token of their own.",
                hint=f"Make one with: {_MAKE_KEY}",
                id="smartml.W040",
            )
        )
    if bool(settings.KAGGLE_USERNAME) != bool(settings.KAGGLE_KEY):
        found.append(
            Warning(
                "Only one of KAGGLE_USERNAME and KAGGLE_KEY is set; neither is used.",
                hint="Set both, or KAGGLE_API_TOKEN instead.",
                id="smartml.W041",
            )
        )
    if settings.KAGGLE_BASE_URL and not _is_safe_base(settings.KAGGLE_BASE_URL):
        found.append(
            Error(
                "KAGGLE_BASE_URL must be https; plain http only to this machine.",
                hint="Leave it empty for Kaggle itself.",
                id="smartml.E041",
            )
        )
    return found


def _is_safe_base(url: str) -> bool:
    try:
        address = urlsplit(url)
        host = address.hostname
    except ValueError:
        return False
    return bool(host) and (address.scheme == "https" or (address.scheme == "http" and host in _LOOPBACK))


ALL = (check_azure, check_mongodb, check_queue, check_caches, check_kaggle)


def log_findings() -> None:
    """Put every finding in the log: a web server started by WSGI runs no system checks."""
    for check in ALL:
        for finding in check():
            level = logging.ERROR if finding.level >= ERROR else logging.WARNING
            _log.log(level, "%s (%s) %s", finding.msg, finding.id, finding.hint)
