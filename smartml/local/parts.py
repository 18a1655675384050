"""What the parts of the local stack are. Everything listens on 127.0.0.1 only."""

import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from smartml.local.machine import HOST, find_azurite, find_mongod, find_node
from smartml.local.process import Part
from storage.mongo_replica_set import ensure_primary

_MANAGE = str(Path(__file__).resolve().parent.parent.parent / "manage.py")
# Azurite's well-known account; storage.blobs uses its published key for this name on loopback.
AZURITE_ACCOUNT = "devstoreaccount1"


def mongod(directory: Path, *, port: int) -> Part:
    data = directory / "mongodb"
    data.mkdir(parents=True, exist_ok=True)
    return Part(
        name="MongoDB",
        key="mongod",
        argv=(
            str(find_mongod()),
            *("--dbpath", str(data)),
            *("--port", str(port)),
            *("--bind_ip", HOST),
            *("--replSet", "rs0"),
            *("--wiredTigerCacheSizeGB", "0.25"),
            *("--networkMessageCompressors", "snappy"),
            # A file for each collection and index stays open for ten minutes after its last use, dropped ones too:
            # the tests' thousands of databases would run out of file descriptors, and mongod aborts then.
            *("--wiredTigerEngineConfigString", "file_manager=(close_idle_time=20,close_scan_interval=5)"),
            "--nounixsocket",
            "--quiet",
        ),
        is_ready=lambda: ensure_primary(HOST, port),
        port=port,
        stop_within=20.0,
    )


def azurite(directory: Path, *, port: int) -> Part:
    data = directory / "azurite"
    data.mkdir(parents=True, exist_ok=True)
    return Part(
        name="Azurite",
        key="azurite",
        argv=(
            str(find_node()),
            str(find_azurite()),
            *("--blobHost", HOST),
            *("--blobPort", str(port)),
            *("--location", str(data)),
            "--skipApiVersionCheck",
            "--disableTelemetry",
            "--silent",
        ),
        is_ready=lambda: answers_http(f"http://{HOST}:{port}/{AZURITE_ACCOUNT}?comp=list"),
        port=port,
    )


def cluster(key: str, *, name: str, is_ready: Callable[[], bool]) -> Part:
    """A django-q2 cluster: ``light`` is the default queue, any other is chosen by its environment variable."""
    chosen = {} if key == "light" else {"Q_CLUSTER_NAME": key}
    return Part(
        name=name,
        key=key,
        # The system checks load every page's code; the preparation has made them.
        argv=(sys.executable, _MANAGE, "qcluster", "--skip-checks"),
        environment={**chosen, "PYTHONUNBUFFERED": "1"},
        is_ready=is_ready,
        stop_within=6.0,
    )


def web(*, port: int, dev: bool) -> Part:
    """The web server: one process with threads, or Django's reloading server for development."""
    gunicorn = (
        *("-m", "gunicorn", "smartml.wsgi"),
        *("--bind", f"{HOST}:{port}"),
        *("--worker-class", "gthread", "--workers", "1", "--threads", "8"),
        *("--timeout", "120", "--graceful-timeout", "5"),
        "--no-control-socket",
    )
    runserver = (_MANAGE, "runserver", f"{HOST}:{port}")
    return Part(
        name="The web server",
        key="web",
        argv=(sys.executable, *(runserver if dev else gunicorn)),
        environment={"DEBUG": "true" if dev else "false", "PYTHONUNBUFFERED": "1"},
        is_ready=lambda: answers_http(f"http://{HOST}:{port}/healthz", only_success=True),
        port=port,
        stop_within=7.0,
    )


def mongodb_uri(port: int) -> str:
    return f"mongodb://{HOST}:{port}/?directConnection=true"


def azurite_url(port: int) -> str:
    return f"http://{HOST}:{port}/{AZURITE_ACCOUNT}"


def answers_http(url: str, *, only_success: bool = False) -> bool:
    """Whether anything speaks HTTP there; unless ``only_success``, a refusal (403, 404) is an answer too."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 -- our own http address
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500 and not only_success
    except OSError:
        return False
