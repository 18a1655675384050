"""How long does each kind of model take on tables of several sizes? What ``ml.flight_plan`` estimates from.

Fits the models of Quick on generated tables and prints the seconds of each, as soon as it is done, beside those
that the plan has for so many cores. It is run by hand when the coefficients of the plan are to be made anew: by the
clock of an idle machine, or by the time of the processor on one core of a busy one, which is what the clock would
say there without the others::

    taskset -c 0 python -m benchmarks.flight_plan [ROWS ...] [--seconds SECONDS]

A fit is ended after SECONDS; what was left out then, or may have been cut, is said.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._bench import MIB
from ml.flight_plan import FlightPlan, Machine, Table, make_plan
from ml.problem import Preset, ProblemType
from ml.training import FitEvent, fit

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = 8
SIZES = (1_000, 10_000, 40_000)


def table(problem_type: ProblemType, rows: int) -> "DataFrame":
    """Numbers and a category, and a target that depends on some of them."""
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(rows, COLUMNS)), columns=[f"x{n}" for n in range(COLUMNS)])
    frame["k"] = draw.choice(list("abcdefgh"), rows)
    worth = 2 * frame["x0"] + 2 * np.sin(3 * frame["x1"]) + frame["x2"] * frame["x3"] + draw.normal(size=rows)
    if problem_type is ProblemType.BINARY:
        return frame.assign(y=np.where(worth > 0, "yes", "no"))
    if problem_type is ProblemType.MULTICLASS:
        return frame.assign(y=pd.qcut(worth, 5, labels=list("uvwxy")).astype(str))
    return frame.assign(y=worth)


def planned(problem_type: ProblemType, rows: int, seconds: int) -> FlightPlan:
    """What the plan says of a table of ``table`` on the cores that this process may use."""
    classes = {ProblemType.BINARY: 2, ProblemType.MULTICLASS: 5}.get(problem_type, 0)
    return make_plan(
        Table(rows=rows, numbers=COLUMNS, categories=1, texts=0, classes=classes),
        problem_type=problem_type,
        preset=Preset.QUICK,
        time_limit=seconds,
        keys=None,
        usable=("GBM", "CAT", "XGB", "NN_TORCH"),
        machine=Machine(cores=len(os.sched_getaffinity(0)), memory=2**34),
    )


def compare(problem_type: ProblemType, rows: int, seconds: int) -> None:
    plan = planned(problem_type, rows, seconds)
    expected = {model.name: model.seconds for model in plan.models}
    begun: dict[str, tuple[float, float]] = {}
    print(f"{problem_type.value}, {rows:,} rows, load {os.getloadavg()[0]:.1f}", flush=True)

    def note(event: FitEvent) -> None:
        now = time.monotonic(), time.process_time()
        if event.kind == "model_started" and event.model is not None:
            begun[event.model] = now
        elif event.kind == "model_finished" and event.model in begun:
            wall, work = (after - before for after, before in zip(now, begun[event.model], strict=True))
            plan_says = f"planned {expected[event.model]:6.1f} s" if event.model in expected else "not planned"
            print(f"  {event.model:22} {wall:7.1f} s, processor {work:7.1f} s, {plan_says}", flush=True)
        elif event.kind == "model_left_out":
            print(f"  {event.model:22} left out: {event.reason}", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        fitted = fit(
            table(problem_type, rows),
            target="y",
            problem_type=problem_type,
            preset=Preset.QUICK,
            time_limit=seconds,
            directory=Path(directory) / "predictor",
            seed=0,
            on_event=note,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"  the fit {fitted.fit_seconds:.1f} s{', perhaps cut short' if fitted.ran_out_of_time else ''}, planned "
        f"{plan.fit:.1f} s; memory so far {peak / MIB:.0f} MiB, planned {plan.memory / MIB:.0f} MiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flight_plan")
    parser.add_argument("rows", nargs="*", type=int, default=SIZES)
    parser.add_argument("--seconds", type=int, default=40, help="the time limit of each fit")
    asked = parser.parse_args()
    for rows in asked.rows:
        for problem_type in ProblemType:
            compare(problem_type, rows, asked.seconds)


if __name__ == "__main__":
    main()
