"""A part of the stack as a process."""

import os
import socket
import sys
import time

import psutil
import pytest

from smartml.local import LocalStackError
from smartml.local.machine import STACK_MARK, free_port, marked_processes
from smartml.local.process import Part, PartProcess, describe, start_together, stop_in_reverse


def part(code, *, key="part", is_ready=lambda: True, **changes):
    values = {"ready_within": 10.0, "stop_within": 2.0} | changes
    return Part(name=f"Part {key}", key=key, argv=(sys.executable, "-c", code), is_ready=is_ready, **values)


def test_a_part_starts_is_ready_and_stops(tmp_path):
    ready = tmp_path / "ready"
    code = f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); print('hello', flush=True); time.sleep(60)"
    process = PartProcess(part(code, is_ready=ready.exists), tmp_path)
    process.start()
    process.wait_ready()
    pid = process.pid
    assert os.getsid(pid) == pid, "a session of its own: Ctrl-C at the terminal does not reach it"
    process.stop()
    assert not psutil.pid_exists(pid)
    process.stop()  # harmless
    assert "hello" in (tmp_path / "logs" / "part.log").read_text()


def test_a_part_that_dies_while_starting_says_why(tmp_path):
    process = PartProcess(part("import sys; sys.exit('no room')", is_ready=lambda: False), tmp_path)
    process.start()
    with pytest.raises(LocalStackError, match=r"(?s)Part part ended while starting \(exit code 1\).*no room"):
        process.wait_ready()
    process.stop()


def test_a_part_that_is_not_ready_in_time_is_a_sentence(tmp_path):
    process = PartProcess(part("import time; time.sleep(60)", is_ready=lambda: False, ready_within=0.3), tmp_path)
    process.start()
    with pytest.raises(LocalStackError, match="not ready within 0 seconds"):
        process.wait_ready()
    process.stop()


def test_a_part_whose_port_is_taken_is_not_started(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        process = PartProcess(part("pass", port=port), tmp_path)
        with pytest.raises(LocalStackError, match=f"Port {port}, meant for Part part, is in use"):
            process.start()
    assert process.pid is None


def test_a_program_that_is_not_there_is_a_sentence(tmp_path):
    missing = Part(name="It", key="it", argv=(str(tmp_path / "absent"),), is_ready=lambda: True)
    with pytest.raises(LocalStackError, match="It could not be started: No such file"):
        PartProcess(missing, tmp_path).start()


def test_stopping_takes_a_stubborn_part_and_all_it_started_along(tmp_path):
    grandchild = [sys.executable, "-c", "import time; time.sleep(60)"]
    up = tmp_path / "up"
    code = (
        "import pathlib, signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"p = subprocess.Popen({grandchild!r}, start_new_session=True); "
        f"pathlib.Path({str(up)!r}).write_text(str(p.pid)); time.sleep(60)"
    )
    process = PartProcess(part(code, stop_within=0.3, is_ready=lambda: up.exists() and up.read_text()), tmp_path)
    process.start()
    process.wait_ready()
    pids = [process.pid, int(up.read_text())]
    process.stop()
    time.sleep(0.1)
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_when_one_part_fails_none_is_left_running(tmp_path):
    good = part("import time; time.sleep(60)", key="good")
    bad = part("import sys; sys.exit(3)", key="bad", is_ready=lambda: False)
    with pytest.raises(LocalStackError, match=r"Part bad ended while starting \(exit code 3\)"):
        start_together([good, bad], tmp_path)
    assert marked_processes({STACK_MARK: str(tmp_path)}) == []


def test_parts_stop_in_reverse_order(tmp_path):
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        f"def stop(*_):\n    open({str(order)!r}, 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('up', flush=True)\ntime.sleep(60)"
    )

    def is_up(key):
        return lambda: "up" in (tmp_path / "logs" / f"{key}.log").read_text()

    parts = [Part(name=key, key=key, argv=(sys.executable, "-c", code, key), is_ready=is_up(key)) for key in "abc"]
    stop_in_reverse(start_together(parts, tmp_path))
    assert order.read_text() == "cba"


def test_a_large_log_is_put_aside(tmp_path):
    log = tmp_path / "logs" / "part.log"
    log.parent.mkdir()
    with log.open("wb") as file:
        file.truncate(11 * 2**20)
    process = PartProcess(part("pass"), tmp_path)
    process.start()
    process.stop()
    assert log.stat().st_size == 0
    assert log.with_suffix(".log.1").exists()


def test_exit_codes_in_words():
    assert describe(3) == "exit code 3"
    assert describe(-9) == "killed by SIGKILL"
    assert describe(-99) == "killed by signal 99"


def test_a_free_port_is_free():
    assert 1024 <= free_port() < 65536
