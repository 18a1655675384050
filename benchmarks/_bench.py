"""What the benchmarks share: real services in a temporary directory, made-up tables, medians, and RSS."""

import os
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MIB = 2**20


@contextmanager
def stack() -> Iterator[Path]:
    """MongoDB, Azurite and SQLite of its own, Django set up on them; everything is gone afterwards."""
    from smartml.local.stack import data_services

    with tempfile.TemporaryDirectory(prefix="bench_") as name:
        directory = Path(name)
        with data_services(directory) as services:
            os.environ.update(
                services.environment,
                DJANGO_SETTINGS_MODULE="smartml.settings",
                SECRET_KEY=secrets.token_hex(32),
                SMARTML_LOCAL_DIR=str(directory),
                STATIC_ROOT=str(directory / "static"),
                DATABASE_URL=f"sqlite:///{directory / 'app.sqlite3'}",
                HTTPS="false",
                ALLOWED_HOSTS="127.0.0.1,testserver",
                LOG_LEVEL="WARNING",
            )
            import django
            from django.core.management import call_command

            django.setup()
            call_command("prepare", static=True, verbosity=0)
            yield directory


def make_user() -> tuple[str, str, str]:
    """A fresh account: its id, e-mail address and password."""
    from accounts.models import User

    email, password = f"bench-{secrets.token_hex(4)}@example.org", secrets.token_urlsafe(16)
    return User.objects.create_user(email, password).id, email, password


_HEADER = b"id,city,rooms,area,price,rate,built,sold,agent,label\n"


def table_chunks(size: int) -> Iterator[bytes]:
    """About ``size`` bytes of a mixed ten-column CSV in pieces of some 4 MiB; the same every time."""
    import random

    numbers = random.Random(7)
    lines = []
    for i in range(20_000):
        price = numbers.randrange(90_000, 900_000)
        lines.append(
            f"{i},{numbers.choice(('Bern', 'Oslo', 'Nice', 'Graz'))},{numbers.randrange(1, 9)},"
            f"{numbers.uniform(20, 300):.2f},{price},{numbers.random():.6f},{numbers.randrange(1900, 2025)},"
            f"20{numbers.randrange(10, 25)}-0{numbers.randrange(1, 10)}-1{numbers.randrange(0, 10)},"
            f"agent {numbers.randrange(500)},{'yes' if price > 400_000 else 'no'}\n"
        )
    block = "".join(lines).encode() * 4
    yield _HEADER
    sent = len(_HEADER)
    while sent < size:
        piece = block[: size - sent]
        if len(piece) < len(block):
            piece = piece[: piece.rfind(b"\n") + 1]
            if not piece:
                return
        yield piece
        sent += len(piece)


def store_table(user_id: str, size: int) -> str:
    """Ingest a made-up table of ``size`` bytes; returns the dataset's id."""
    from datasets import services
    from storage.ids import new_id

    ingest = services.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name=f"table-{size}.csv")
    for chunk in table_chunks(size):
        ingest.write(chunk)
    return ingest.commit().id


def median_seconds(action: Callable[[], object], *, repeat: int = 5) -> float:
    """The median wall time of ``action``."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@contextmanager
def peak_rss(pid: int) -> Iterator[list[float]]:
    """Sample the memory of a process and its children every 50 ms; the list holds [at start, peak] in MiB."""
    root = psutil.Process(pid)
    stop = threading.Event()

    def total() -> float:
        found = 0
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:  # it ended between two looks
            return 0.0
        for process in family:
            try:
                found += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return found / MIB

    seen = [total(), total()]

    def watch() -> None:
        while not stop.wait(0.05):
            seen[1] = max(seen[1], total())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
