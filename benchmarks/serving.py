"""What does a prediction through the API cost over the same predictor, persisted, in one's own process?

A real web server (one process, eight threads, as the local stack has it) and a bare script that holds the stored
model in memory answer the same rows in turn, so both see the same machine. Then 1000 rows in one call, 64 callers
at once, and the first answer after a start, which loads everything.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from benchmarks._bench import MIB, make_user, stack, store_table

TARGET, LIMIT = "label", 30
ROUNDS, PER_ROUND = 20, 10
CALLERS, CALLS_EACH = 64, 4
ROW = {
    "id": 7, "city": "Bern", "rooms": 4, "area": 81.5, "price": 420_000, "rate": 0.25, "built": 1975,
    "sold": "2019-05-13", "agent": "agent 7",
}  # fmt: skip

BARE = """
import json, sys, time
import pandas as pd
from autogluon.tabular import TabularPredictor
predictor = TabularPredictor.load(sys.argv[1], verbosity=0)
predictor.persist(models="best", max_memory=None)
for line in sys.stdin:
    asked = json.loads(line)
    frame = pd.DataFrame(asked["rows"])
    frame["sold"] = pd.to_datetime(frame["sold"])
    times = []
    for _ in range(asked["times"]):
        start = time.perf_counter()
        predictor.predict_proba(frame)
        times.append(time.perf_counter() - start)
    print(json.dumps(times), flush=True)
"""


class Bare:
    """The persisted predictor in a process of its own; it times itself."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def times(self, rows: list[dict[str, Any]], times: int) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"rows": rows, "times": times}) + "\n")
        self._process.stdin.flush()
        seconds: list[float] = json.loads(self._process.stdout.readline())
        return seconds


class Caller:
    """A program that keeps its connection open."""

    def __init__(self, port: int, model_id: str, secret: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._path = f"/api/v1/models/{model_id}/predict"
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def ask(self, rows: list[dict[str, Any]]) -> float:
        body = json.dumps({"rows": rows})
        start = time.perf_counter()
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        seconds = time.perf_counter() - start
        assert response.status == 200, answer[:500]
        assert len(json.loads(answer)["predictions"]) == len(rows)
        return seconds

    def close(self) -> None:
        self._connection.close()


@contextmanager
def web_server() -> Iterator[int]:
    """The application behind gunicorn; its port."""
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
        yield port
    finally:
        server.terminate()
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


def many_at_once(port: int, model_id: str, secret: str) -> tuple[float, list[float]]:
    """Seconds altogether, and of each call. A call that fails ends the benchmark."""
    seconds: list[float] = []
    faults: list[BaseException] = []
    begin = threading.Barrier(CALLERS + 1)

    def work() -> None:
        caller = Caller(port, model_id, secret)
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


def main() -> None:
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

        cold = []
        for _ in range(2):
            with web_server() as port:
                cold.append(Caller(port, model_id, secret).ask([ROW]))
        with web_server() as port, Bare(home) as bare:
            caller = Caller(port, model_id, secret)
            cold.append(caller.ask([ROW]))
            bare.times([ROW], 3)
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(ROUNDS):
                ours += [caller.ask([ROW]) for _ in range(PER_ROUND)]
                theirs += bare.times([ROW], PER_ROUND)
            api, alone = statistics.median(ours), statistics.median(theirs)
            thousand = [ROW | {"id": number, "area": 20 + number / 7} for number in range(1000)]
            bulk = statistics.median(caller.ask(thousand) for _ in range(5))
            bulk_alone = statistics.median(bare.times(thousand, 5))
            whole, each = many_at_once(port, model_id, secret)
        limit = 2 * alone + 0.005
        print(f"one row      : {1000 * api:6.1f} ms by the API, {1000 * alone:6.1f} ms in process")
        print(
            f"               at most {1000 * limit:.1f} ms (2x plus 5 ms): {'met' if api <= limit else 'NOT met'}"
        )
        print(f"1000 rows    : {1000 * bulk:6.1f} ms by the API, {1000 * bulk_alone:6.1f} ms in process")
        print(f"{CALLERS} callers   : {len(each)} answers, no error, {len(each) / whole:.0f} a second,", end=" ")
        print(f"median {1000 * statistics.median(each):.0f} ms, longest {1000 * max(each):.0f} ms")
        print(f"first answer : {statistics.median(cold):6.2f} s after a start (median of {len(cold)}; at most 5 s)")


if __name__ == "__main__":
    main()
