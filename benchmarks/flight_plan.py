"""How long does each kind of model take on tables of several sizes? What ``ml.flight_plan`` estimates from.

Fits the models of Quick on generated tables and prints the seconds of each beside the plan's. It is run by hand,
on an idle machine, when the coefficients of the plan are to be made anew.

    python -m benchmarks.flight_plan [ROWS ...]
"""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ml.flight_plan import Machine, Table, make_plan
from ml.problem import Preset, ProblemType
from ml.training import FitEvent, fit

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = 8
SIZES = (1_000, 10_000, 40_000)
LIMIT = 900.0


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


def compare(problem_type: ProblemType, rows: int) -> None:
    taken: dict[str, float] = {}

    def note(event: FitEvent) -> None:
        if event.kind == "model_finished" and event.model is not None:
            taken[event.model] = event.fit_seconds or 0.0

    with tempfile.TemporaryDirectory() as directory:
        fit(
            table(problem_type, rows),
            target="y",
            problem_type=problem_type,
            preset=Preset.QUICK,
            time_limit=LIMIT,
            directory=Path(directory) / "predictor",
            seed=0,
            on_event=note,
        )
    classes = {ProblemType.BINARY: 2, ProblemType.MULTICLASS: 5}.get(problem_type, 0)
    plan = make_plan(
        Table(rows=rows, numbers=COLUMNS, categories=1, texts=0, classes=classes),
        problem_type=problem_type,
        preset=Preset.QUICK,
        time_limit=LIMIT,
        keys=None,
        usable=("GBM", "CAT", "XGB", "NN_TORCH"),
        machine=Machine(cores=2, memory=2**34),
    )
    print(f"{problem_type.value}, {rows:,} rows")
    for model in plan.models:
        print(f"  {model.name:22} {taken.get(model.name, 0.0):7.1f} s, planned {model.seconds:7.1f} s", flush=True)


def main() -> None:
    for problem_type in ProblemType:
        for rows in map(int, sys.argv[1:] or SIZES):
            compare(problem_type, rows)


if __name__ == "__main__":
    main()
