"""Trainings that take seconds, and a look behind the application's back at what one leaves."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from bson import ObjectId
from django.conf import settings

from datasets.processes import MARK
from models_app import jobs_repository
from models_app.records import Job
from storage.mongo import get_database
from tests.services import blob_service

ROOT = Path(__file__).resolve().parent.parent
WORK = """
import django, pathlib
django.setup()
from django.conf import settings
settings.BASE_DIR = pathlib.Path({directory!r})
from models_app.worker import run_job
print(run_job({job_id!r}))
"""


def use_one_family(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boosted trees only, here and in the training's process."""
    monkeypatch.setenv("TRAINING_FAMILIES", "GBM")
    settings.TRAINING_FAMILIES = ["GBM"]


def start_worker(job_id: str, *, directory: Path = ROOT, **environment: str) -> "subprocess.Popen[bytes]":
    """A worker in a process of its own, as the queue has it, so that it can be killed. Its training is started by
    the ``manage.py`` in ``directory`` (``change_child``)."""
    return subprocess.Popen(
        [sys.executable, "-c", WORK.format(job_id=job_id, directory=str(directory))],
        cwd=ROOT,
        env=os.environ | environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )


def change_child(settings, directory: Path, lines: str) -> None:
    """Let the training's process run ``lines`` before its command."""
    program = "import os, sys\n"
    program += f"sys.path.insert(0, {str(ROOT)!r})\n"
    program += "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'smartml.settings')\n"
    program += "import django\ndjango.setup()\n"
    program += lines + "\n"
    program += "from django.core.management import execute_from_command_line\n"
    program += "execute_from_command_line(sys.argv)\n"
    (directory / "manage.py").write_text(program)
    settings.BASE_DIR = directory


def wait_for(job_id: str, condition: Callable[[Job], bool], *, seconds: float = 90.0) -> Job:
    """The job as soon as it meets ``condition``."""
    give_up = time.monotonic() + seconds
    while True:
        job = jobs_repository.get(job_id=job_id)
        assert job is not None
        if condition(job):
            return job
        assert time.monotonic() < give_up, f"{job.status}: {job.stage}"
        time.sleep(0.005)


def processes_of(job: Job) -> list[psutil.Process]:
    """Every process of the job's training, wherever it went."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(f"{job.id}:"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def child_of(job: Job) -> psutil.Process:
    """The training's process."""
    return next(process for process in processes_of(job) if "trainjob" in process.cmdline())


def model_blobs(stack) -> list[str]:
    return sorted(_sizes(stack))


def _sizes(stack) -> dict[str, int]:
    # The one that the test uses: it may have one of its own.
    with blob_service(settings.AZURE_ACCOUNT_URL) as service:
        listed = service.get_container_client(stack.models_container).list_blobs()
        return {blob.name: blob.size for blob in listed}


def workspaces(kind: str = "model_") -> list[str]:
    return sorted(path.name for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith(kind))


def assert_nothing_left(stack, job: Job, *, seconds: float = 5.0) -> None:
    """No process, no workspace, no blob, no model, no count of a training that made no model."""
    _assert_gone(job, seconds)
    assert model_blobs(stack) == []
    assert list(get_database()["models"].find()) == []
    assert _totals(job.user_id) == (0, 0)


def assert_one_model(stack, job: Job, *, seconds: float = 10.0) -> None:
    """Exactly the blobs of one version, one model, one count; nothing else."""
    prefix = f"{job.user_id}/{job.model_id}"
    stems = dict.fromkeys(("evaluation", "figures", "golden", "reference", "schema"), "json")
    stems |= {"model": "zip", "holdout": "parquet", "report": "html"}
    names = [f"{prefix}/{stem}-v{job.version}.{extension}" for stem, extension in stems.items()]
    assert model_blobs(stack) == sorted(names)
    (model,) = get_database()["models"].find()
    assert str(model["_id"]) == job.model_id
    assert [version["version"] for version in model["versions"]] == [job.version]
    assert _totals(job.user_id) == (1, sum(_sizes(stack).values()))
    _assert_gone(job, seconds)


def _assert_gone(job: Job, seconds: float) -> None:
    """The job is over a moment before its process and its workspace are gone."""
    give_up = time.monotonic() + seconds
    while (processes_of(job) or workspaces()) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert processes_of(job) == []
    assert workspaces() == []


def _totals(user_id: str) -> tuple[int, int]:
    """Models and their bytes, as they are counted for a person."""
    found = get_database()["users"].find_one({"_id": ObjectId(user_id)}) or {}
    return found.get("models_count", 0), found.get("models_bytes", 0)
