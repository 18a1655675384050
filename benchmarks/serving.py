"""What does a prediction through the API cost over the same predictor, persisted, in one's own process?

A real web server (one process, eight threads, as the local stack has it) and a bare script that holds the stored
model in memory answer the same rows in turn, so both see the same machine. Then 1000 rows in one call, 64 callers
at once, and the first answer after a start, which loads everything. Beside the time by the clock stands the time
of computing, which says the same on a machine that has other things to do.

In turn means: a block of calls to the one, a short pause, a block to the other, many times; the figure is the
median of all calls. Not call by call: who has just answered leaves threads behind that wait by computing (OpenMP
does for some milliseconds), on one of two cores, so each side would be slowed by how the other was written, and
both by caches full of the other's work. Somebody who uses a server has one of them. Each call is about another
row, as calls are: cities and agents come again, numbers and dates hardly ever.
"""

import argparse
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks._bench import MIB, make_user, stack, store_table

TARGET, LIMIT = "label", 30
ROUNDS, PER_ROUND, PAUSE = 10, 50, 0.2
CALLERS, CALLS_EACH = 64, 4
ROW = {
    "id": 7, "city": "Bern", "rooms": 4, "area": 81.5, "price": 420_000, "rate": 0.25, "built": 1975,
    "sold": "2019-05-13", "agent": "agent 7",
}  # fmt: skip

Rows = list[dict[str, Any]]

# gunicorn closes what is idle for two seconds.
_KEPT_SECONDS = 1.0

BARE = """
import json, sys, time
import pandas as pd
from autogluon.tabular import TabularPredictor
predictor = TabularPredictor.load(sys.argv[1], verbosity=0)
predictor.persist(models="best", max_memory=None)
for line in sys.stdin:
    asked = json.loads(line)
    times = []
    for rows in asked:
        frame = pd.DataFrame(rows)
        frame["sold"] = pd.to_datetime(frame["sold"])
        start = time.perf_counter()
        predictor.predict_proba(frame)
        times.append(time.perf_counter() - start)
    print(json.dumps(times), flush=True)
"""


MLFLOW = """
import sys
import mlflow.pyfunc
import pandas as pd
class Wrapped(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        from autogluon.tabular import TabularPredictor
        self.predictor = TabularPredictor.load(context.artifacts["predictor"], verbosity=0)
        self.predictor.persist(models="best", max_memory=None)
    def predict(self, context, model_input, params=None):
        return self.predictor.predict_proba(model_input.assign(sold=pd.to_datetime(model_input["sold"])))
home, target = sys.argv[1:]
mlflow.pyfunc.save_model(target, python_model=Wrapped(), artifacts={"predictor": home}, pip_requirements=[])
"""


class Bare:
    """The persisted predictor in a process of its own; it times itself."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def times(self, calls: list[Rows]) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(calls) + "\n")
        self._process.stdin.flush()
        seconds: list[float] = json.loads(self._process.stdout.readline())
        return seconds


class Caller:
    """A program that keeps its connection open, as long as the server does."""

    def __init__(self, port: int, path: str, *, rows_are: str = "rows", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._path, self._rows_are = path, rows_are
        self._headers = {"Content-Type": "application/json", **headers}
        self._last = 0.0

    def ask(self, rows: Rows) -> float:
        body = json.dumps({self._rows_are: rows})
        start = time.perf_counter()
        if start - self._last > _KEPT_SECONDS:
            self._connection.close()
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        self._last = time.perf_counter()
        assert response.status == 200, answer[:500]
        assert len(json.loads(answer)["predictions"]) == len(rows)
        return self._last - start

    def close(self) -> None:
        self._connection.close()


def some_rows(seed: int, count: int) -> list[Rows]:
    """So many calls of one row each, none like another."""
    chosen = random.Random(seed)
    return [
        [
            ROW
            | {
                "id": chosen.randrange(20_000),
                "city": chosen.choice(("Bern", "Oslo", "Nice", "Graz")),
                "rooms": chosen.randrange(1, 9),
                "area": round(chosen.uniform(20, 300), 2),
                "price": chosen.randrange(90_000, 900_000),
                "rate": round(chosen.random(), 6),
                "built": chosen.randrange(1900, 2025),
                "sold": f"20{chosen.randrange(10, 25)}-0{chosen.randrange(1, 10)}-1{chosen.randrange(10)}",
                "agent": f"agent {chosen.randrange(500)}",
            }
        ]
        for _ in range(count)
    ]


def in_turn(first: Callable[[list[Rows]], list[float]], second: Callable[[list[Rows]], list[float]]) -> list[float]:
    """Median seconds of a call of one row by each, in blocks of the same rows."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        calls = some_rows(number, PER_ROUND)
        for found, ask in zip(seconds, (first, second), strict=True):
            time.sleep(PAUSE)
            found.extend(ask(calls))
    return [statistics.median(found) for found in seconds]


class Computing:
    """Milliseconds of computing of a process and its children for each of the calls it is asked to make."""

    def __init__(self, pid: int, ask: Callable[[list[Rows]], list[float]]) -> None:
        self._pid, self._ask, self._seconds, self._calls = pid, ask, 0.0, 0

    def __call__(self, calls: list[Rows]) -> list[float]:
        before = computing(self._pid)
        seconds = self._ask(calls)
        self._seconds += computing(self._pid) - before
        self._calls += len(calls)
        return seconds

    @property
    def per_call(self) -> float:
        return 1000 * self._seconds / self._calls


def computing(pid: int) -> float:
    """Seconds of computing of a process and its children so far."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


@contextmanager
def web_server() -> Iterator[tuple[int, int]]:
    """The application behind gunicorn: its port and its process."""
    from smartml.local import parts
    from smartml.local.machine import free_port

    port = free_port()
    part = parts.web(port=port, dev=False)
    server = subprocess.Popen(part.argv, env=os.environ | part.environment)
    try:
        give_up = time.monotonic() + 60
        while not part.is_ready():
            assert server.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.1)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait()


@contextmanager
def mlflow_server(python: str, home: Path, directory: Path) -> Iterator[tuple[int, int]]:
    """The same predictor behind ``mlflow models serve``: its port and its process. ``python`` has MLflow and
    AutoGluon."""
    from smartml.local.machine import free_port

    target, port = directory / "mlflow", free_port()
    subprocess.run([python, "-c", MLFLOW, str(home), str(target)], check=True)
    serve = ["models", "serve", "-m", str(target), "-h", "127.0.0.1", "-p", str(port), "--env-manager", "local"]
    environment = os.environ | {"PATH": f"{Path(python).parent}:{os.environ['PATH']}"}
    server = subprocess.Popen([python, "-m", "mlflow", *serve], env=environment, start_new_session=True)
    try:
        give_up = time.monotonic() + 180
        while True:
            try:
                Caller(port, "/invocations", rows_are="dataframe_records").ask([ROW])
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < give_up
                time.sleep(0.5)
        yield port, server.pid
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def train() -> tuple[str, str]:
    """A model of the made-up table: its owner and its id."""
    from datasets import services as datasets
    from ml.problem import Preset
    from models_app import services, worker
    from models_app.records import JobSettings, JobStatus
    from storage.ids import new_id

    user_id, _, _ = make_user()
    asked = services.request_training(
        user_id=user_id,
        dataset=datasets.get_dataset(user_id=user_id, dataset_id=store_table(user_id, 2 * MIB)),
        job_id=new_id(),
        settings=JobSettings(target=TARGET, preset=Preset.QUICK, time_limit=LIMIT),
        model_name="benchmark",
        model_id=None,
    )
    assert worker.run_job(asked.id) is JobStatus.SUCCEEDED
    return user_id, asked.model_id


def predictor_memory(pid: int) -> list[float]:
    """MiB of each process of a web server that holds predictors."""
    family = psutil.Process(pid).children(recursive=True)
    return [each.memory_info().rss / MIB for each in family if "ml.serving" in each.cmdline()]


def many_at_once(call: Callable[[], Caller]) -> tuple[float, list[float]]:
    """Seconds altogether, and of each call. A call that fails ends the benchmark."""
    seconds: list[float] = []
    faults: list[BaseException] = []
    begin = threading.Barrier(CALLERS + 1)

    def work() -> None:
        caller = call()
        begin.wait()
        try:
            seconds.extend([caller.ask([ROW]) for _ in range(CALLS_EACH)])
        except BaseException as error:  # noqa: BLE001 -- raised below
            faults.append(error)
        finally:
            caller.close()

    threads = [threading.Thread(target=work) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    begin.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return time.perf_counter() - start, seconds


def compare_with_mlflow(python: str, home: Path, directory: Path, caller: Caller, pid: int) -> None:
    """One row in turn by both."""
    with mlflow_server(python, home, directory) as (port, mlflow_pid):
        other = Caller(port, "/invocations", rows_are="dataframe_records")
        ours = Computing(pid, lambda calls: [caller.ask(rows) for rows in calls])
        theirs = Computing(mlflow_pid, lambda calls: [other.ask(rows) for rows in calls])
        api, served = in_turn(ours, theirs)
    print(f"mlflow       : {1000 * served:6.1f} ms by `mlflow models serve`, {1000 * api:6.1f} ms by the API")
    print(f"               of computing {theirs.per_call:.1f} ms by MLflow, {ours.per_call:.1f} ms by the API")
    print(f"ratio mlflow / API: {served / api:.2f}, {'met' if served > api else 'NOT met'} (above 1)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlflow", metavar="PYTHON", help="compare with MLflow, installed beside AutoGluon there")
    args = parser.parse_args()
    os.environ["API_REQUESTS_PER_MINUTE"] = "1000000"
    with stack() as directory:
        from accounts import api_tokens
        from ml import bundle
        from models_app import opening, services

        user_id, model_id = train()
        model = services.get_model(user_id=user_id, model_id=model_id)
        _, secret = api_tokens.make(
            user_id=user_id, name="benchmark", scopes=[api_tokens.Scope.PREDICT], valid_for=None
        )
        (directory / "open").mkdir()
        home = opening.fetch(model=model, version=model.current, scratch=directory / "open") / bundle.PREDICTOR
        print(f"model: {model.current.base_model}, {model.current.zip_size / MIB:.1f} MiB")

        cold, cold_computing = [], []

        def ours_at(port: int) -> Caller:
            return Caller(port, f"/api/v1/models/{model_id}/predict", Authorization=f"Bearer {secret}")

        def first_answer(port: int, pid: int) -> Caller:
            caller = ours_at(port)
            before = computing(pid)
            cold.append(caller.ask([ROW]))
            cold_computing.append(computing(pid) - before)
            return caller

        for _ in range(2):
            with web_server() as (port, pid):
                first_answer(port, pid)
        with web_server() as (port, pid), Bare(home) as bare:
            caller = first_answer(port, pid)
            bare.times([[ROW]] * 3)
            ours = Computing(pid, lambda calls: [caller.ask(rows) for rows in calls])
            theirs = Computing(bare.pid, bare.times)
            api, alone = in_turn(ours, theirs)
            thousand = [ROW | {"id": number, "area": 20 + number / 7} for number in range(1000)]
            bulk = statistics.median(caller.ask(thousand) for _ in range(5))
            bulk_alone = statistics.median(bare.times([thousand] * 5))
            whole, each = many_at_once(lambda: ours_at(port))
            memory = predictor_memory(pid)
            if args.mlflow:
                compare_with_mlflow(args.mlflow, home, directory, ours_at(port), pid)
        limit = 2 * alone + 0.005
        print(f"one row      : {1000 * api:6.1f} ms by the API, {1000 * alone:6.1f} ms in process")
        print(
            f"               at most {1000 * limit:.1f} ms (2x plus 5 ms): {'met' if api <= limit else 'NOT met'}"
        )
        print(f"               of computing {ours.per_call:.1f} ms by the API, {theirs.per_call:.1f} ms in process")
        print(f"1000 rows    : {1000 * bulk:6.1f} ms by the API, {1000 * bulk_alone:6.1f} ms in process")
        print(f"{CALLERS} callers   : {len(each)} answers, no error, {len(each) / whole:.0f} a second,", end=" ")
        print(f"median {1000 * statistics.median(each):.0f} ms, longest {1000 * max(each):.0f} ms")
        print(f"memory       : {', '.join(f'{each:.0f} MiB' for each in memory)} (predictor processes)")
        print(
            f"first answer : {statistics.median(cold):6.2f} s after a start (median of {len(cold)}; at most 5 s),",
            end=" ",
        )
        print(f"of computing {statistics.median(cold_computing):.2f} s")


if __name__ == "__main__":
    main()
