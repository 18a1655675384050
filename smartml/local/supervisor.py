"""Starts every part of the local stack in order, keeps them running, stops them in reverse order."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from django.db import Error as SQLError

from smartml.local import LocalStackError, parts, preparation, state
from smartml.local.machine import (
    HOST,
    STACK_MARK,
    check_disk_space,
    check_platform,
    choose_port,
    find_azurite,
    find_mongod,
    find_node,
    stop_marked,
)
from smartml.local.process import PartProcess, describe, start_together, stop_in_reverse
from smartml.local.queue_watch import QueueWatch
from smartml.local.reload import SourceWatch
from smartml.local.stack import DataServices

Say = Callable[[str], None]
_ROOT = Path(__file__).resolve().parent.parent.parent
_MOST_RESTARTS = 4
_WITHIN_SECONDS = 300.0
_USUAL_WEB_PORT = 8000


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM. Not an ``Exception``: no handler on the way may swallow it."""


class Supervisor:
    """One run of the stack. The caller holds the directory's lock."""

    def __init__(self, directory: Path, *, dev: bool, say: Say) -> None:
        self.directory = directory
        self.dev = dev
        self.say = say
        self.running: list[PartProcess] = []
        self.watches = {"light": QueueWatch("light"), "training": QueueWatch("training")}
        self.restarts: dict[str, deque[float]] = {}
        self.source = SourceWatch(_ROOT) if dev else None

    def run(self) -> None:
        """Return after a requested stop; :raises LocalStackError: it could not start or not go on."""
        with _explained(), _stop_signals():
            try:
                self._start()
                while True:
                    time.sleep(1.0)
                    self.look_after()
            except StopRequested:
                self.say("Stopping …")
            finally:
                self._stop()

    # --- Start -----------------------------------------------------------------------------------------------
    def _start(self) -> None:
        check_platform()
        preparation.check_settings()
        check_disk_space(self.directory)
        find_mongod(), find_node(), find_azurite()
        if stop_marked({STACK_MARK: str(self.directory)}):
            self.say("Stopped what an earlier start had left running.")
        ports = self._choose_ports()
        services = DataServices(mongodb_port=ports["MONGODB_PORT"], azurite_port=ports["AZURITE_PORT"])
        environment = {
            **services.environment,
            **{name: os.environ[name] for name in ("DATABASE_URL", "CACHE_URL") if name in os.environ},
            "HTTPS": "false",
            "DEBUG": "false",
            "SITE_URL": os.environ.get("SITE_URL") or f"http://{HOST}:{ports['WEB_PORT']}",
        }
        os.environ["SMARTML_LOCAL_DIR"] = str(self.directory)
        os.environ |= environment
        self.say("Starting MongoDB and Azurite …")
        self.running += start_together(
            [
                parts.mongod(self.directory, port=services.mongodb_port),
                parts.azurite(self.directory, port=services.azurite_port),
            ],
            self.directory,
        )
        self.say("Preparing the databases …")
        password = state.demo_password(self.directory)
        preparation.prepare(self.directory, services, password=password, static=not self.dev)
        self.say("Starting the queue and the web server …")
        self._start_app(ports["WEB_PORT"])
        state.remember_ports(self.directory, ports)
        state.write_stack_env(self.directory, {**environment, **{name: str(port) for name, port in ports.items()}})
        self.say(
            f"\nSmart ML Assistant: http://{HOST}:{ports['WEB_PORT']}/\n"
            f"Sign in with:       {state.DEMO_EMAIL}   {password}\n"
            f"Logs:               {self.directory / 'logs'}\n"
            "Ctrl-C stops everything."
        )

    def _choose_ports(self) -> dict[str, int]:
        last = state.remembered_ports(self.directory)
        ports: dict[str, int] = {}
        for name, usual in (("WEB_PORT", (_USUAL_WEB_PORT,)), ("MONGODB_PORT", ()), ("AZURITE_PORT", ())):
            preferred = [port for port in (last.get(name), *usual) if port and port not in ports.values()]
            ports[name] = choose_port(name, preferred=preferred)
        if len(set(ports.values())) < len(ports):
            raise LocalStackError("WEB_PORT, MONGODB_PORT and AZURITE_PORT must be three different ports.")
        return ports

    def _start_app(self, web_port: int) -> None:
        for watch in self.watches.values():
            watch.restart(0)
        light = parts.cluster("light", name="The light queue", is_ready=self.watches["light"].answered)
        training = parts.cluster("training", name="The training queue", is_ready=self.watches["training"].answered)
        started = start_together([light, training, parts.web(port=web_port, dev=self.dev)], self.directory)
        self.running += started
        for process in started:
            self._watch_anew(process)

    # --- While it runs ---------------------------------------------------------------------------------------
    def look_after(self) -> None:
        """Restart what has died or hangs; :raises LocalStackError: a part dies again and again."""
        for process in self.running:
            code = process.exit_code()
            if code is not None:
                self._restart(process, f"stopped unexpectedly ({describe(code)})")
        for process in self.running:
            watch = self.watches.get(process.part.key)
            if watch and watch.hangs():
                self._restart(process, "no longer takes tasks")
        if self.source and self.source.changed():
            for process in self.running:
                watch = self.watches.get(process.part.key)
                if watch and not watch.is_training():
                    self.say(f"The code has changed: restarting {process.part.name.lower()}.")
                    self._start_again(process)

    def _restart(self, process: PartProcess, reason: str) -> None:
        history = self.restarts.setdefault(process.part.key, deque())
        now = time.monotonic()
        while history and now - history[0] > _WITHIN_SECONDS:
            history.popleft()
        if len(history) >= _MOST_RESTARTS:
            raise LocalStackError(
                f"{process.part.name} {reason} for the {len(history) + 1}th time within "
                f"{_WITHIN_SECONDS / 60:.0f} minutes. {process.last_words()}"
            )
        history.append(now)
        self.say(f"{process.part.name} {reason}; restarting it. {process.last_words()}")
        self._start_again(process)
        self.say(f"{process.part.name} is running again.")

    def _start_again(self, process: PartProcess) -> None:
        process.stop()
        watch = self.watches.get(process.part.key)
        if watch:
            watch.restart(0)
        process.start()
        process.wait_ready()
        self._watch_anew(process)

    def _watch_anew(self, process: PartProcess) -> None:
        watch = self.watches.get(process.part.key)
        if watch and process.pid:
            watch.restart(process.pid)

    # --- Stop ------------------------------------------------------------------------------------------------
    def _stop(self) -> None:
        # A second Ctrl-C must not leave half of it running.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            state.remove_stack_env(self.directory)
        finally:
            stop_in_reverse(self.running)
            stop_marked({STACK_MARK: str(self.directory)})
            self.running = []


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _explained() -> Iterator[None]:
    """A full disk or a locked database is a sentence, not a traceback."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise LocalStackError(f"The local stack cannot go on: {error.strerror or error}{place}.") from error
    except SQLError as error:
        raise LocalStackError(f"The local stack's database of accounts cannot be used: {error}.") from error


@contextmanager
def _stop_signals() -> Iterator[None]:
    def request(_number: int, _frame: FrameType | None) -> None:
        raise StopRequested

    old = {number: signal.signal(number, request) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
