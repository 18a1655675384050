"""A child process for heavy work: it says how it went, however it went, and leaves nothing."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from datasets import children
from datasets.children import ChildFailed
from datasets.processes import MARK
from smartml.errors import JobCancelled
from tests.training import ROOT

MODULE = "tests.child_programs"


@pytest.fixture
def run(tmp_path):
    """``run(what)`` returns the events; the pids of everything that was started are in ``run.pids``."""

    def start(what, *, memory_bytes=1 << 30, check=lambda: None, on_event=lambda event: None):
        def note(event):
            start.events.append(event)
            on_event(event)

        children.run(MODULE, {"do": what}, scratch=tmp_path, memory_bytes=memory_bytes, on_event=note, check=check)
        return start.events

    start.events = []
    yield start
    assert not alive(start.events)


def alive(events) -> list[int]:
    """The child and everything that carries its mark."""
    mark = events[0]["environment"][MARK]
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_child_knows_no_secret_and_its_chatter_goes_nowhere(run, tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hush")
    first, last = run("finish")

    assert last == {"done": True}
    environment = first["environment"]
    secret = [
        name for name in environment if name.startswith(("AZURE_", "MONGODB_", "SECRET", "DATABASE", "KAGGLE"))
    ]
    assert secret == []
    assert environment["TMPDIR"] == environment["HOME"] == str(tmp_path)
    assert "what a library prints" in (tmp_path / "child.log").read_text()


def test_a_failure_is_what_the_child_says(run):
    with pytest.raises(ChildFailed) as failed:
        run("fail")
    error = failed.value
    assert (error.code, error.message, error.hint) == ("invalid_target", "It cannot be done.", "Do another thing.")


@pytest.mark.parametrize("how", ["crash", "vanish"])
def test_an_end_without_a_word_is_a_failure(run, how):
    with pytest.raises(ChildFailed) as failed:
        run(how)
    assert failed.value.code == "crashed"


def test_a_killed_child_is_a_failure_that_speaks_of_memory(run):
    def kill(event):
        if "asleep" in event:
            psutil.Process(run.events[0]["pid"]).kill()

    with pytest.raises(ChildFailed) as failed:
        run("sleep", on_event=kill)
    assert failed.value.code == "out_of_memory"


def test_a_child_that_grows_is_ended(run):
    started = time.monotonic()
    with pytest.raises(ChildFailed) as failed:
        run("grow", memory_bytes=200 << 20)
    assert failed.value.code == "out_of_memory"
    assert time.monotonic() - started < 20


def test_a_cancelled_child_and_what_it_has_started_end_at_once(run):
    def check():
        if len(run.events) == 2:
            raise JobCancelled("Not any more.")

    started = time.monotonic()
    with pytest.raises(JobCancelled):
        run("sleep", check=check)
    assert time.monotonic() - started < 10


def test_a_child_ends_with_its_worker(tmp_path):
    program = (
        "import django; django.setup()\n"
        "from pathlib import Path\n"
        "from datasets import children\n"
        "def note(event):\n"
        "    if 'pid' in event: print(event['pid'], flush=True)\n"
        f"children.run({MODULE!r}, {{'do': 'wait'}}, scratch=Path({str(tmp_path)!r}), memory_bytes=1 << 30,"
        " on_event=note, check=lambda: None)\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "smartml.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with worker:
        child = psutil.Process(int(worker.stdout.readline()))
        worker.kill()
    child.wait(10)
