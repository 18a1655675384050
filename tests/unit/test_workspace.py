"""Temporary directories are removed in every outcome, and the sweep takes what a dead process left."""

import logging
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from storage import workspace as module
from storage.workspace import sweep_workspaces, workspace

ROOT = Path(__file__).resolve().parents[2]
HOLD = (
    "import sys, time\n"
    "from storage.workspace import workspace\n"
    "with workspace('model') as path:\n"
    "    (path / 'half').write_text('x')\n"
    "    print(path, flush=True)\n"
    "    time.sleep(60)\n"
)


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder():
    """A program that holds a workspace until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["kaggle", "dataset", "model"])
def test_private_named_after_its_process_and_gone_afterwards(scratch, kind):
    with workspace(kind) as path:
        assert path.parent == scratch
        assert path.name.startswith(f"{kind}_{os.getpid()}_")
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "deep").mkdir()
        (path / "deep" / "file").write_bytes(b"x")
    assert list(scratch.iterdir()) == []


def test_gone_after_an_error_which_is_passed_on(scratch):
    def fail():
        with workspace("dataset") as path:
            (path / "file").write_bytes(b"x")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert list(scratch.iterdir()) == []


def test_one_that_was_removed_inside_is_fine(scratch, caplog):
    with workspace("dataset") as path:
        path.rmdir()
    assert caplog.records == []


def test_two_at_once_do_not_meet(scratch):
    with workspace("model") as one, workspace("model") as two:
        assert one != two


def test_a_failed_removal_is_logged_and_not_raised(scratch, monkeypatch, caplog):
    def refuse(path, ignore_errors=False):
        if not ignore_errors:
            raise PermissionError("no")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(module.shutil, "rmtree", refuse)
        with workspace("model") as path:
            pass
    assert str(path) in caplog.text
    assert path.is_dir()


def test_sweep_spares_the_living(scratch, holder):
    path = Path(holder.stdout.readline().strip())
    with workspace("dataset"):
        assert sweep_workspaces() == []
        assert (path / "half").exists()


def test_sweep_removes_what_a_killed_process_left(scratch, holder):
    path = Path(holder.stdout.readline().strip())
    holder.send_signal(signal.SIGKILL)
    # Not reaped yet: a zombie holds no workspace.
    deadline = time.monotonic() + 10
    while not (removed := sweep_workspaces()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert removed == [path.name]
    assert list(scratch.iterdir()) == []
    assert sweep_workspaces() == []


def test_sweep_sees_through_a_process_id_that_was_given_away(scratch):
    left = scratch / f"kaggle_{os.getpid()}_1_abcdefgh"
    left.mkdir()
    assert sweep_workspaces() == [left.name]


def test_sweep_leaves_other_peoples_names_and_links_alone(scratch):
    elsewhere = scratch / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    for name in ("model_of_my_house", "dataset_1", "model_999999999_1_abcdefgh_more-", "kaggle_x_1_abcdefgh"):
        (scratch / name).mkdir()
    (scratch / "model_999999999_1_abcdefgh").symlink_to(elsewhere)
    (scratch / "dataset_999999999_1_abcdefgh").write_text("a file")
    assert sweep_workspaces() == []
    assert (elsewhere / "precious").exists()


def test_where_there_is_no_proc_the_sweep_works_too(scratch, monkeypatch):
    monkeypatch.setattr(module, "_PROC", scratch / "absent")
    (scratch / "model_999999999_1_abcdefgh").mkdir()
    with workspace("model") as path:
        assert sweep_workspaces() == ["model_999999999_1_abcdefgh"]
        assert path.exists()
