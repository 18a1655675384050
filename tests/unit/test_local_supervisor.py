"""What the supervisor does about a part that dies, and the choice of ports."""

import socket
import sys

import psutil
import pytest
from django.db import OperationalError

from smartml.local import LocalStackError, state
from smartml.local.machine import STACK_MARK, free_port, marked_processes
from smartml.local.process import Part, PartProcess
from smartml.local.supervisor import StopRequested, Supervisor


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(tmp_path, said):
    return Supervisor(tmp_path, dev=False, say=said.append)


def running(supervisor, code):
    part = Part(name="The part", key="part", argv=(sys.executable, "-c", code), is_ready=lambda: True)
    process = PartProcess(part, supervisor.directory)
    process.start()
    supervisor.running.append(process)
    return process


def test_a_part_that_lives_is_left_alone(supervisor, said):
    process = running(supervisor, "import time; time.sleep(60)")
    pid = process.pid
    supervisor.look_after()
    assert process.pid == pid
    process.stop()
    assert said == []


def test_a_part_that_dies_again_and_again_ends_everything_with_the_reason(supervisor, said):
    process = running(supervisor, "import sys; sys.exit('disk full')")
    for _ in range(4):
        process._process.wait()
        supervisor.look_after()
    process._process.wait()
    with pytest.raises(LocalStackError) as caught:
        supervisor.look_after()
    assert "The part stopped unexpectedly (exit code 1) for the 5th time within 5 minutes." in str(caught.value)
    assert "disk full" in str(caught.value)
    assert said[0].startswith("The part stopped unexpectedly (exit code 1); restarting it. See ")
    assert said[1] == "The part is running again."
    assert marked_processes({STACK_MARK: str(supervisor.directory)}) == []


def test_ports_are_those_of_the_last_start_while_they_are_free(supervisor, monkeypatch):
    for name in ("WEB_PORT", "MONGODB_PORT", "AZURITE_PORT"):
        monkeypatch.delenv(name, raising=False)
    last = {"WEB_PORT": free_port(), "MONGODB_PORT": free_port()}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        state.remember_ports(supervisor.directory, {**last, "AZURITE_PORT": taken})
        ports = supervisor._choose_ports()
    assert {name: ports[name] for name in last} == last
    assert ports["AZURITE_PORT"] != taken


def test_one_port_for_two_parts_is_a_sentence(supervisor, monkeypatch):
    port = str(free_port())
    monkeypatch.setenv("WEB_PORT", port)
    monkeypatch.setenv("MONGODB_PORT", port)
    with pytest.raises(LocalStackError, match="three different ports"):
        supervisor._choose_ports()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device", "/x/ports.json"), "No space left on device (/x/ports.json)."),
        (OperationalError("database is locked"), "cannot be used: database is locked."),
    ],
)
@pytest.mark.parametrize("at", ["_start", "look_after"])
def test_a_full_disk_or_a_locked_database_is_a_sentence_and_nothing_is_left(
    supervisor, monkeypatch, error, sentence, at
):
    process = running(supervisor, "import time; time.sleep(60)")
    pid = process.pid

    def fail():
        raise error

    monkeypatch.setattr(supervisor, "_start", lambda: None)
    monkeypatch.setattr(supervisor, at, fail)
    with pytest.raises(LocalStackError) as caught:
        supervisor.run()
    assert str(caught.value).endswith(sentence)
    assert not psutil.pid_exists(pid)


def test_a_stack_env_that_cannot_be_removed_keeps_no_part_running(supervisor, monkeypatch):
    process = running(supervisor, "import time; time.sleep(60)")
    (supervisor.directory / "stack.env").mkdir()

    def stop():
        raise StopRequested

    monkeypatch.setattr(supervisor, "_start", stop)
    with pytest.raises(LocalStackError, match=r"stack\.env"):
        supervisor.run()
    assert process.pid is None
