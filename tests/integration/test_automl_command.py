"""``manage.py automl`` as a person runs it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accounts.models import User
from datasets import services as datasets
from ml.options import ClassWeights, HoldoutKind
from models_app import jobs_repository
from models_app.records import JobSettings, JobStatus
from smartml.local.state import DEMO_EMAIL
from storage.mongo import get_database
from tests.factories import ANIMALS
from tests.training import ROOT, assert_one_model, model_blobs, use_one_family, workspaces

# A transaction of the test would keep the command, another process, out of SQLite.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "animals.csv"
    path.write_text(ANIMALS)
    return path


@pytest.fixture(autouse=True)
def quick(settings, monkeypatch):
    use_one_family(settings, monkeypatch)


def command(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "automl", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that was started in the background ignores Ctrl-C, and would pass that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments: object, **environment: str) -> "tuple[int, str, str]":
    process = command(*arguments, **environment)
    out, err = process.communicate(timeout=150)
    return process.returncode, out, err


def test_a_file_becomes_a_model_with_its_score(stack, user, table):
    code, out, err = run(table, "--target", "species", "--time-limit", 20, "--email", user.email)
    assert (code, err) == (0, "")
    (job,) = jobs_repository.recent(user_id=user.id)
    assert job.status is JobStatus.SUCCEEDED
    assert_one_model(stack, job)
    assert "40 rows, 4 columns" in out
    assert "Fitting" in out
    assert re.search(r"LightGBM +validation +\d", out)
    assert re.search(r"Holdout Accuracy [\d.]+ \(higher is better\) on 8 rows .* 0\.5\.", out)
    assert "Held out: 20 % of the rows, at random (seed 0)." in out
    assert f"/models/{job.model_id}" in out
    assert f"{job.model_id}/model-v1.zip" in out
    assert "\x1b" not in out


def test_the_holdout_the_metric_and_what_is_left_out_can_be_chosen(stack, user, table):
    holdout = ["--holdout", 25, "--time-column", "weight"]
    models = ["--metric", "roc_auc", "--families", "lightgbm", "--balance-classes", "--seed", 4]
    asked = ["--target", "species", "--leave-out", "legs", "--time-limit", 20, "--email", user.email]
    code, _, err = run(table, *asked, *holdout, *models)
    (job,) = jobs_repository.recent(user_id=user.id)
    assert job.settings == JobSettings(
        target="species",
        time_limit=20,
        metric="roc_auc",
        holdout_share=0.25,
        holdout_kind=HoldoutKind.TIME,
        holdout_column="weight",
        leave_out=("legs",),
        families=("lightgbm",),
        class_weights=ClassWeights.BALANCED,
        seed=4,
    )
    # The heaviest are all dogs: such a holdout checks nothing, and the command says so.
    assert (code, err.count("\n")) == (1, 1)
    assert "same class" in err


@pytest.mark.parametrize(
    ("content", "target", "said"),
    [
        (ANIMALS, "specie", "specie"),
        ("", "species", "empty"),
        ("\x89PNG\r\n\x1a\n\0\0\0", "species", ""),
        ("a,b\n1,1\n2,1\n3,1\n", "b", ""),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_nothing_is_kept(stack, user, tmp_path, content, target, said):
    path = tmp_path / "table.csv"
    path.write_text(content)
    code, _, err = run(path, "--target", target, "--email", user.email)
    assert code == 1
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert datasets.list_datasets(user_id=user.id).items == ()
    assert workspaces() == []


def test_a_file_or_an_account_that_does_not_exist_is_said(stack, db, table, tmp_path):
    code, _, err = run(tmp_path / "absent.csv", "--target", "x")
    assert (code, "absent.csv cannot be read" in err) == (1, True)
    code, _, err = run(table, "--target", "species", "--email", "nobody@example.com")
    assert (code, "no account nobody@example.com" in err) == (1, True)


def test_ctrl_c_cancels_and_keeps_nothing(stack, user, table):
    # More than any machine can fit while the signal is on its way.
    table.write_text(
        "a,b,species\n" + "".join(f"{n * 7919 % 997},{n * 31 % 89},{n * n % 3 % 2}\n" for n in range(9_000))
    )
    arguments = (table, "--target", "species", "--email", user.email, "--time-limit", 120)
    process = command(*arguments, TRAINING_FAMILIES="NN_TORCH")
    give_up = time.monotonic() + 60
    while not any(job.stage.startswith("Fitting") for job in jobs_repository.recent(user_id=user.id)):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, "Cancelled; nothing was kept."), out
    assert jobs_repository.recent(user_id=user.id)[0].status is JobStatus.CANCELLED
    assert model_blobs(stack) == []
    assert datasets.totals_of(user_id=user.id).datasets_count == 0
    assert get_database()["datasets"].count_documents({}) == 0
    assert workspaces() == []


def test_without_a_running_stack_it_brings_the_services_along(db, table, tmp_path):
    own = ("MONGODB_", "AZURE_", "AZURITE_", "DATABASE_URL", "SECRET_KEY", "STATIC_ROOT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    directory = tmp_path / "local"
    process = subprocess.run(
        [sys.executable, "manage.py", "automl", str(table), "--target", "species", "--time-limit", "20"],
        cwd=ROOT,
        env=kept | {"SMARTML_LOCAL_DIR": str(directory)},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert "Starting MongoDB and Azurite" in process.stdout
    assert "Holdout Accuracy" in process.stdout
    assert not User.objects.filter(email=DEMO_EMAIL).exists()  # its own accounts are in its own directory
    assert workspaces() == []
