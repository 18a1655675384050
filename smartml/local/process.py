"""One part of the stack as a process: start, wait until it is ready, stop without a trace."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smartml.local import LocalStackError
from smartml.local.machine import PART_MARK, STACK_MARK, port_is_free, stop_marked

_LARGEST_LOG = 10 * 2**20
_PORT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What to start. ``key`` names its log file; ``is_ready`` is asked until it says yes; times in seconds."""

    name: str
    key: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    ready_within: float = 60.0
    stop_within: float = 10.0


class PartProcess:
    """A part that runs. Its process leads a session of its own, so the terminal's Ctrl-C does not reach it."""

    def __init__(self, part: Part, directory: Path) -> None:
        self.part = part
        self.log_path = directory / "logs" / f"{part.key}.log"
        self._marks = {STACK_MARK: str(directory), PART_MARK: part.key}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; :raises LocalStackError: its port is taken or it cannot be executed."""
        if self.part.port is not None and not port_is_free(self.part.port):
            raise LocalStackError(
                f"Port {self.part.port}, meant for {self.part.name}, is in use by another program; "
                "stop it or choose another port."
            )
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > _LARGEST_LOG:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        try:
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    self.part.argv,
                    env={**os.environ, **self.part.environment, **self._marks},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise LocalStackError(f"{self.part.name} could not be started: {error.strerror or error}.") from error

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    def wait_ready(self) -> None:
        """Return when the part answers; :raises LocalStackError: it died or its deadline passed."""
        deadline = time.monotonic() + self.part.ready_within
        while not self.part.is_ready():
            code = self.exit_code()
            if code is not None:
                raise LocalStackError(
                    f"{self.part.name} ended while starting ({describe(code)}). {self.last_words()}"
                )
            if time.monotonic() > deadline:
                seconds = f"{self.part.ready_within:.0f} seconds"
                raise LocalStackError(f"{self.part.name} was not ready within {seconds}. {self.last_words()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """SIGTERM to the main process only (a queue cluster hangs when its group gets it), then SIGKILL to the
        group, then to whatever it started elsewhere."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=self.part.stop_within)
        # The group's number stays taken while a member lives, so this cannot hit a stranger.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        stop_marked(self._marks, within=2.0)
        self._process = None
        self._wait_for_port()

    def _wait_for_port(self) -> None:
        """A process that is ending has no environment to be found by any more, but may still hold its socket."""
        deadline = time.monotonic() + _PORT_SECONDS
        while self.part.port is not None and not port_is_free(self.part.port) and time.monotonic() < deadline:
            time.sleep(0.05)

    def last_words(self) -> str:
        """Where the log is, with its last line."""
        try:
            lines = self.log_path.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        last = f" Its last line: {lines[-1][:300]}" if lines else ""
        return f"See {self.log_path}.{last}"


def describe(code: int) -> str:
    """An exit code for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def start_together(parts: Sequence[Part], directory: Path) -> list[PartProcess]:
    """Start the parts at once and wait for all; on any failure none is left running."""
    processes: list[PartProcess] = []
    try:
        for part in parts:
            process = PartProcess(part, directory)
            processes.append(process)
            process.start()
        for process in processes:
            process.wait_ready()
    except BaseException:
        stop_in_reverse(processes)
        raise
    return processes


def stop_in_reverse(processes: Sequence[PartProcess]) -> None:
    for process in reversed(processes):
        process.stop()
