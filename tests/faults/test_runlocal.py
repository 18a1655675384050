"""``manage.py runlocal`` for real: it starts, mends itself, and leaves nothing."""

import contextlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import psutil
import pytest

from smartml.local.machine import PART_MARK, STACK_MARK, free_port, marked_processes, stop_marked
from tests.faults.test_stage_faults import PAUSES, STAGES

pytestmark = pytest.mark.slow

MANAGE = Path(__file__).resolve().parent.parent.parent / "manage.py"
# The machine may be busy with the rest of the suite.
PATIENCE = 120
OURS = ("AZURE_", "MONGODB_", "SMARTML_LOCAL_DIR", "DATABASE_URL", "CACHE_URL", "SECRET_KEY", "STATIC_ROOT")
OURS += ("HTTPS", "DEBUG")


class RunLocal:
    """A directory for a local stack, and the ``runlocal`` that works on it."""

    def __init__(self, directory):
        self.directory = directory
        self.output = directory.with_suffix(".out")
        self.port = free_port()
        self.process = None
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environment |= {"SMARTML_LOCAL_DIR": str(directory), "WEB_PORT": str(self.port)}

    def start(self, *arguments):
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, MANAGE, "runlocal", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def said(self):
        return self.output.read_text()

    def wait_until(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"runlocal ended: {self.said()}"
            assert time.monotonic() < deadline, f"{what} did not happen: {self.said()}"
            time.sleep(0.2)

    def wait_for(self, text):
        self.wait_until(lambda: text in self.said(), repr(text))

    def started(self, *arguments):
        self.start(*arguments).wait_for("Ctrl-C stops everything.")
        return self

    def get(self, path, cookie=""):
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Cookie": cookie})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.read().decode()

    def answers(self):
        with contextlib.suppress(OSError):
            return self.get("/readyz")[0] == 200
        return False

    def main_process(self, key):
        """The first process of a part."""
        mine = marked_processes({STACK_MARK: str(self.directory), PART_MARK: key})
        return next(process for process in mine if process.ppid() == self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def processes(self):
        return marked_processes({STACK_MARK: str(self.directory)})

    def manage(self, *arguments, within=60):
        """A command in another shell, which knows nothing but the directory."""
        environment = {name: value for name, value in self.environment.items() if name != "WEB_PORT"}
        return subprocess.run(
            [sys.executable, MANAGE, *arguments], env=environment, capture_output=True, text=True, timeout=within
        )


@pytest.fixture
def runlocal(tmp_path):
    made = RunLocal(tmp_path / "local")
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    stop_marked({STACK_MARK: str(made.directory)})


def test_it_starts_serves_and_stops_without_a_trace(runlocal):
    runlocal.started()
    assert f"http://127.0.0.1:{runlocal.port}/" in runlocal.said()
    assert re.search(r"demo@example\.com +\S{16}", runlocal.said())

    status, page = runlocal.get("/accounts/sign-in")
    assert status == 200
    sheet = re.search(r'href="(/static/[^"]+\.css)"', page).group(1)
    assert runlocal.get(sheet)[0] == 200
    assert runlocal.answers()

    listening = [
        connection.laddr.ip
        for process in runlocal.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert set(listening) == {"127.0.0.1"}

    env_file = runlocal.directory / "stack.env"
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    code = "from storage import blobs, mongo; mongo.ping(); blobs.get_blobs().check()"
    other = runlocal.manage("shell", "-c", code)
    assert other.returncode == 0, other.stderr

    second = runlocal.manage("runlocal")
    assert second.returncode == 1
    assert f"already running (process {runlocal.process.pid})" in second.stderr
    assert "Traceback" not in second.stderr

    assert runlocal.stop() == 0
    assert runlocal.said().rstrip().endswith("Stopped.")
    assert runlocal.processes() == []
    assert not env_file.exists()
    assert not runlocal.answers()
    # The key stays: commands work between two starts.
    assert runlocal.manage("shell", "-c", "pass").returncode == 0


def test_a_killed_part_is_restarted(runlocal):
    runlocal.started()
    for key, name in (
        ("web", "The web server"),
        ("mongod", "MongoDB"),
        ("azurite", "Azurite"),
        ("training", "The training queue"),
    ):
        before = runlocal.main_process(key).pid
        os.kill(before, signal.SIGKILL)
        runlocal.wait_for(f"{name} stopped unexpectedly (killed by SIGKILL); restarting it.")
        runlocal.wait_for(f"{name} is running again.")
        assert runlocal.main_process(key).pid != before
        runlocal.wait_until(runlocal.answers, "an answer of /readyz")
    assert runlocal.stop() == 0
    assert runlocal.processes() == []


@pytest.mark.parametrize("key", ["light", "training"])
def test_a_hung_queue_is_noticed_and_restarted(runlocal, key):
    runlocal.started()
    main = runlocal.main_process(key)
    (sentinel,) = main.children()
    # A worker killed while idle takes the inner queue's lock along; which of these it is cannot be seen.
    for worker in sentinel.children():
        worker.kill()
    runlocal.wait_for(f"The {key} queue no longer takes tasks; restarting it.")
    runlocal.wait_for(f"The {key} queue is running again.")
    assert runlocal.stop() == 0
    assert runlocal.processes() == []


def test_the_start_after_a_kill_cleans_up_and_works(runlocal):
    runlocal.started()
    password = re.search(r"demo@example\.com +(\S+)", runlocal.said()).group(1)
    os.killpg(runlocal.process.pid, signal.SIGKILL)
    runlocal.process.wait()
    left = runlocal.processes()
    assert len(left) >= 5, "the test is about processes that outlive their supervisor"

    runlocal.started()
    assert "Stopped what an earlier start had left running." in runlocal.said()
    assert password in runlocal.said()
    assert not [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert runlocal.answers()
    assert runlocal.stop() == 0
    assert runlocal.processes() == []


# What a person does on the pages, and what is looked for afterwards.
TRAIN = """
from accounts.models import User
from datasets import services as datasets
from models_app import services
from models_app.records import JobSettings
from storage.ids import new_id
from tests.factories import ANIMALS

user = User.objects.get(email="demo@example.com")
ingest = datasets.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="animals.csv")
ingest.write(ANIMALS.encode())
services.request_training(
    user_id=user.id, dataset=ingest.commit(), job_id=new_id(), model_name="Zoo", model_id=None,
    settings=JobSettings(target="species", time_limit=20),
)
"""
LOOK = """
import time
from accounts.models import User
from datasets import services as datasets
from django.utils import timezone
from models_app import services, sweep
from storage.blobs import get_blobs
from storage.workspace import sweep_workspaces

user = User.objects.get(email="demo@example.com")
give_up = time.monotonic() + 120
while time.monotonic() < give_up:
    (job,) = services.recent_jobs(user_id=user.id)
    if job.status.is_over:
        break
    if job.lease_until and job.lease_until < timezone.now():
        sweep.sweep_expired_leases()
    time.sleep(0.2)
sweep_workspaces()
blobs = get_blobs()
stored = sum(blob.size for blob in blobs.list_prefix(blobs.models_container, ""))
totals = datasets.totals_of(user_id=user.id)
print("END", job.status, job.attempt, totals.models_count, totals.models_bytes == stored > 0)
"""


def training_process(runlocal):
    return next((process for process in runlocal.processes() if "trainjob" in process.cmdline()), None)


def test_everything_killed_during_a_training_is_made_good_by_the_next_start(runlocal, tmp_path):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    runlocal.environment |= {"TMPDIR": str(scratch), "JOB_LEASE_SECONDS": "15", "TRAINING_FAMILIES": "GBM"}
    runlocal.started()
    begun = runlocal.manage("shell", "-c", TRAIN)
    assert begun.returncode == 0, begun.stderr
    runlocal.wait_until(lambda: training_process(runlocal) is not None, "a training")
    runlocal.wait_until(lambda: any(scratch.glob("model_*/model_*/predictor")), "a fit")
    child = training_process(runlocal)
    child.suspend()
    # The web server alone: the training does not notice.
    os.kill(runlocal.main_process("web").pid, signal.SIGKILL)
    runlocal.wait_for("The web server is running again.")
    assert training_process(runlocal) == child
    for process in [psutil.Process(runlocal.process.pid), *runlocal.processes()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    runlocal.process.wait()
    left = list(scratch.glob("model_*"))
    assert left

    runlocal.started()
    looked = runlocal.manage("shell", "-c", LOOK, within=PATIENCE + 60)
    assert looked.stdout.splitlines()[-1] == "END succeeded 2 1 True", looked.stdout + looked.stderr
    assert runlocal.stop() == 0
    assert runlocal.processes() == []
    assert not any(path.exists() for path in left)


# A browser of the demo person, and the page of their training.
SIGN_IN = """
from django.conf import settings
from django.test import Client
from django.urls import reverse

browser = Client()
browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
(job,) = services.recent_jobs(user_id=user.id)
name = settings.SESSION_COOKIE_NAME
print(reverse("models:job", args=[job.id]), name + "=" + browser.cookies[name].value)
"""
# In the training's process, as soon as it knows how to train: long before it does.
PATCH = """
import sys
if "trainjob" in sys.orig_argv:
    import os, threading, time

    def patch():
        while not hasattr(sys.modules.get("models_app.pipeline"), "_hear_nothing"):
            time.sleep(0.001)
        exec({pauses!r}, {{"__file__": __file__, "os": os}})

    threading.Thread(target=patch, daemon=True).start()
"""


AGAIN = "The web server is running again."


def test_a_web_server_killed_in_each_stage_of_a_training_comes_back_and_the_training_goes_on(runlocal, tmp_path):
    paused = tmp_path / "paused"
    paused.mkdir()
    for stage in STAGES:
        (paused / stage).touch()
    (paused / "sitecustomize.py").write_text(PATCH.format(pauses=PAUSES))
    runlocal.environment |= {"PYTHONPATH": str(paused), "TRAINING_FAMILIES": "GBM"}
    runlocal.started()
    begun = runlocal.manage("shell", "-c", TRAIN + SIGN_IN, within=PATIENCE)
    assert begun.returncode == 0, begun.stderr
    page, cookie = begun.stdout.splitlines()[-1].split()

    def is_still_at(stage):
        child = training_process(runlocal)
        is_there = child is not None and not (paused / stage).exists()
        return is_there and child.status() == psutil.STATUS_STOPPED

    words = ("Fitting", "Scoring on the holdout", "Storing")
    for restarts, (stage, said) in enumerate(zip(STAGES, words, strict=True), start=1):
        runlocal.wait_until(partial(is_still_at, stage), stage)
        child = training_process(runlocal)
        os.kill(runlocal.main_process("web").pid, signal.SIGKILL)
        runlocal.wait_until(lambda count=restarts: runlocal.said().count(AGAIN) == count, AGAIN)
        assert said in runlocal.get(page, cookie)[1]
        assert training_process(runlocal) == child
        child.resume()
    looked = runlocal.manage("shell", "-c", LOOK, within=PATIENCE + 60)
    assert looked.stdout.splitlines()[-1] == "END succeeded 1 1 True", looked.stdout + looked.stderr
    assert runlocal.stop() == 0
    assert runlocal.processes() == []


def test_a_stop_while_starting_leaves_nothing(runlocal):
    runlocal.start().wait_for("Starting MongoDB and Azurite")
    runlocal.wait_until(lambda: len(runlocal.processes()) >= 2, "the start of the data services")
    runlocal.process.send_signal(signal.SIGTERM)
    assert runlocal.process.wait(timeout=60) == 0
    assert runlocal.processes() == []
    assert "Traceback" not in runlocal.said()


def test_the_development_server_serves_unbuilt_files(runlocal):
    runlocal.started("--dev")
    _, page = runlocal.get("/accounts/sign-in")
    sheet = re.search(r'href="(/static/[^"]+\.css)"', page).group(1)
    assert runlocal.get(sheet)[0] == 200
    assert not (runlocal.directory / "static").exists()
    assert runlocal.stop() == 0
    assert runlocal.processes() == []


def test_a_port_in_use_is_one_sentence(runlocal):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", runlocal.port))
        listener.listen()
        runlocal.start()
        assert runlocal.process.wait(timeout=PATIENCE) == 1
    assert runlocal.said().splitlines() == [
        f"Port {runlocal.port} (WEB_PORT) is in use by another program; stop it or choose another port."
    ]
    assert runlocal.processes() == []


def test_a_directory_that_cannot_be_used_is_one_sentence(runlocal):
    runlocal.directory.touch()
    runlocal.start()
    assert runlocal.process.wait(timeout=PATIENCE) == 1
    assert len(runlocal.said().splitlines()) == 1
    assert str(runlocal.directory) in runlocal.said()


def test_a_place_that_cannot_be_written_is_one_sentence(runlocal):
    runlocal.directory.mkdir()
    (runlocal.directory / "mongodb").touch()
    runlocal.start()
    assert runlocal.process.wait(timeout=PATIENCE) == 1
    assert runlocal.said().splitlines()[1:] == [
        f"The local stack cannot go on: File exists ({runlocal.directory / 'mongodb'})."
    ]
    assert runlocal.processes() == []


def test_a_real_database_is_left_alone(runlocal, tmp_path):
    elsewhere = tmp_path / "real.sqlite3"
    runlocal.environment |= {
        "DATABASE_URL": f"sqlite:///{elsewhere}",
        "CACHE_URL": "rediscache://cache.example.org:6379/0",
        "AZURE_AUTHORITY": "login.example.org",
    }
    runlocal.started()
    assert runlocal.said().splitlines()[0].startswith("Ignored here: DATABASE_URL and CACHE_URL.")
    assert not elsewhere.exists()
    assert (runlocal.directory / "app.sqlite3").exists()
    assert runlocal.get("/accounts/sign-in")[0] == 200
    assert runlocal.stop() == 0

    # The second start has nothing to prepare.
    log = runlocal.directory / "logs" / "prepare.log"
    log.unlink()
    runlocal.started()
    assert not log.exists()
    assert runlocal.answers()
    assert runlocal.stop() == 0
    assert runlocal.processes() == []


def test_a_missing_tool_is_one_sentence(runlocal, tmp_path):
    # A Python that finds everything but the wheel with mongod in it.
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['fiftyone'] = None\n")
    runlocal.environment |= {"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)}
    runlocal.start()
    assert runlocal.process.wait(timeout=PATIENCE) == 1
    assert "`mongod` was not found" in runlocal.said()
    assert "Traceback" not in runlocal.said()
    assert len(runlocal.said().splitlines()) == 1
