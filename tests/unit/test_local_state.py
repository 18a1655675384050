"""The directory of the local stack."""

import stat
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from smartml.local import LocalStackError, state
from smartml.local.reload import SourceWatch


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directory_is_made_private(monkeypatch, tmp_path):
    monkeypatch.setenv("SMARTML_LOCAL_DIR", str(tmp_path / "a" / "b"))
    assert state.local_directory() == tmp_path / "a" / "b"
    assert mode(tmp_path / "a" / "b") == 0o700


def test_a_directory_that_cannot_be_made_is_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SMARTML_LOCAL_DIR", str(tmp_path / "file" / "b"))
    with pytest.raises(LocalStackError, match="cannot be made: Not a directory"):
        state.local_directory()


def test_secrets_are_made_once_and_private(tmp_path):
    state.ensure_secret_keys(tmp_path)
    first = (tmp_path / "secret.env").read_text()
    state.ensure_secret_keys(tmp_path)
    assert (tmp_path / "secret.env").read_text() == first
    made = dict(line.split("=", 1) for line in first.splitlines())
    assert set(made) == {"SECRET_KEY", "KAGGLE_CREDENTIALS_KEY"}
    assert len(made["SECRET_KEY"]) > 60
    Fernet(made["KAGGLE_CREDENTIALS_KEY"])
    password = state.demo_password(tmp_path)
    assert state.demo_password(tmp_path) == password
    assert len(password) >= 16
    assert mode(tmp_path / "secret.env") == mode(tmp_path / "demo-password") == 0o600


def test_a_directory_of_an_earlier_version_keeps_its_key_and_gets_the_other(tmp_path):
    (tmp_path / "secret.env").write_text("SECRET_KEY=kept\n")
    state.ensure_secret_keys(tmp_path)
    first, second = (tmp_path / "secret.env").read_text().splitlines()
    assert first == "SECRET_KEY=kept"
    assert second.startswith("KAGGLE_CREDENTIALS_KEY=")


def test_only_one_process_holds_the_directory(tmp_path):
    assert not state.is_running(tmp_path)
    code = (
        "import pathlib, sys; from smartml.local import state\n"
        "with state.locked(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        assert state.is_running(tmp_path)
        with (
            pytest.raises(LocalStackError, match=rf"already running \(process {holder.pid}\)"),
            state.locked(tmp_path),
        ):
            pass
        holder.kill()
    assert not state.is_running(tmp_path)
    with state.locked(tmp_path):
        assert state.is_running(tmp_path)


def test_a_lock_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(LocalStackError, match="lock cannot be written: Is a directory"), state.locked(tmp_path):
        pass


def test_the_settings_of_the_stack_are_private_and_go_away(tmp_path):
    state.write_stack_env(tmp_path, {"B": "2", "A": "1"})
    path = tmp_path / "stack.env"
    assert path.read_text().splitlines()[1:] == ["A=1", "B=2"]
    assert mode(path) == 0o600
    state.remove_stack_env(tmp_path)
    state.remove_stack_env(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["{", "[1]", '{"WEB_PORT": "x"}'])
def test_damaged_notes_about_ports_are_ignored(tmp_path, content):
    assert state.remembered_ports(tmp_path) == {}
    (tmp_path / "ports.json").write_text(content)
    assert state.remembered_ports(tmp_path) == {}
    state.remember_ports(tmp_path, {"WEB_PORT": 8000})
    assert state.remembered_ports(tmp_path) == {"WEB_PORT": 8000}


def test_changed_added_and_removed_source_files_are_noticed(tmp_path):
    module = tmp_path / "ml" / "tables.py"
    module.parent.mkdir()
    watch = SourceWatch(tmp_path)
    assert not watch.changed()
    module.write_text("a = 1\n")
    assert watch.changed()
    assert not watch.changed()
    module.unlink()
    assert watch.changed()
