"""Tools, ports and processes of this machine."""

import socket
import subprocess
import sys

import psutil
import pytest

from smartml.local import LocalStackError, machine
from smartml.local.machine import choose_port, free_port, marked_processes, port_is_free, stop_marked


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_named_port_is_used(monkeypatch):
    port = free_port()
    monkeypatch.setenv("WEB_PORT", str(port))
    assert choose_port("WEB_PORT", preferred=[1]) == port


def test_a_named_port_in_use_is_a_sentence(monkeypatch, taken_port):
    monkeypatch.setenv("WEB_PORT", str(taken_port))
    with pytest.raises(LocalStackError, match=rf"Port {taken_port} \(WEB_PORT\) is in use"):
        choose_port("WEB_PORT")


@pytest.mark.parametrize("value", ["web", "0", "70000", "-1", "8000.5"])
def test_a_name_that_is_no_port_is_a_sentence(monkeypatch, value):
    monkeypatch.setenv("WEB_PORT", value)
    with pytest.raises(LocalStackError, match="is not a port number"):
        choose_port("WEB_PORT")


def test_the_first_free_preferred_port_is_used_else_any(monkeypatch, taken_port):
    monkeypatch.delenv("WEB_PORT", raising=False)
    other = free_port()
    assert choose_port("WEB_PORT", preferred=[taken_port, other]) == other
    assert port_is_free(choose_port("WEB_PORT", preferred=[taken_port]))


def test_too_little_disk_space_is_a_sentence(tmp_path):
    with pytest.raises(LocalStackError, match="MB are free on the disk"):
        machine.check_disk_space(tmp_path, needed=2**60)


def test_another_platform_is_a_sentence(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(LocalStackError, match="Linux and macOS only"):
        machine.check_platform()


def test_missing_tools_are_sentences(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    monkeypatch.setattr(machine, "_REPOSITORY", tmp_path)
    finders = {"mongod": machine.find_mongod, "Node.js": machine.find_node, "npm": machine.find_azurite}
    for word, find in finders.items():
        with pytest.raises(LocalStackError, match=word):
            find()


def test_an_old_node_on_the_path_is_not_used(monkeypatch, tmp_path):
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v20.20.2\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    with pytest.raises(LocalStackError, match=r"Node.js 22 or newer was not found"):
        machine.find_node()
    node.write_text("#!/bin/sh\necho v24.1.0\n")
    assert machine.find_node() == node


def test_marked_processes_are_found_and_stopped_with_what_they_started(monkeypatch):
    marks = {"SMARTML_TEST_MARK": "one"}
    monkeypatch.setenv("SMARTML_TEST_MARK", "one")
    # The parent ignores SIGTERM and has a child in a session of its own.
    child = [sys.executable, "-c", "import time; time.sleep(60)"]
    code = (
        "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"subprocess.Popen({child!r}, start_new_session=True); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "up\n"
        assert len(marked_processes(marks)) == 2
        assert len(stop_marked(marks, within=0.5)) >= 2
        assert marked_processes(marks) == []
        assert not psutil.pid_exists(parent.pid)
