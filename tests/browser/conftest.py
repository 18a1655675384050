"""A real browser against the whole running stack: web server, queue, MongoDB, Azurite."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from smartml.local.machine import free_port
from storage.ids import new_id
from tests.kaggle_stub import Kaggle, kaggle_stub
from tests.services import RUN, WORKER

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_START_WITHIN = 120
# The machine may be busy with the rest of the suite.
_PATIENCE = 60_000
expect.set_options(timeout=_PATIENCE)


@pytest.fixture(scope="session")
def kaggle() -> Iterator[Kaggle]:
    """The Kaggle that the site asks."""
    with kaggle_stub() as stub:
        yield stub


@pytest.fixture(scope="session")
def site(kaggle: Kaggle) -> Iterator[str]:
    """The address of a stack started by ``runlocal`` in a directory of its own, stopped by Ctrl-C."""
    directory = RUN / (WORKER or "main") / f"browser_{new_id()}"
    (directory / "tmp").mkdir(parents=True)
    port = free_port()
    # What the suite's own services and settings put into the environment must not reach this stack.
    own = ("MONGODB_", "AZURE_", "DATABASE_URL", "SECRET_KEY", "STATIC_ROOT", "AZURITE_", "DEBUG", "HTTPS")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(own)}
    environment |= {
        "SMARTML_LOCAL_DIR": str(directory),
        "WEB_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(directory / "tmp"),
        "KAGGLE_BASE_URL": kaggle.url,
    }
    log = directory / "runlocal.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runlocal"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _START_WITHIN
        while not re.search(rf"127\.0\.0\.1:{port}\b", log.read_text(errors="replace")):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert process.returncode == 0, log.read_text(errors="replace")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Not for the whole session: while Playwright's event loop is there, Django lets nothing else of this process
    # use a database, and a worker that has run out of tests takes over any of another's.
    # Other tests of this process look at what is in the temporary directory.
    scratch = RUN / (WORKER or "main") / "chromium"
    scratch.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(scratch))
        playwright = sync_playwright().start()
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield found
    found.close()
    playwright.stop()


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A fresh visitor. Anything the console reports as an error fails the test: a CSP breach, a script's crash."""
    context = browser.new_context(base_url=site, accept_downloads=True, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(_PATIENCE)
    found = context.new_page()
    problems: list[str] = []
    # 4xx answers are part of what is tested; the browser reports them as errors of a resource. A request that gives
    # way to a newer one is reported by htmx.
    expected = ("Failed to load resource", "htmx:sendAbort", "htmx:afterRequest")
    found.on(
        "console",
        lambda message: (
            problems.append(message.text)
            if message.type == "error" and not message.text.startswith(expected)
            else None
        ),
    )
    found.on("pageerror", lambda error: problems.append(str(error)))
    yield found
    context.close()
    assert not problems
