"""What does a million rows cost in a batch, against the same predictor in a bare loop?

Both run in a process of their own and write a CSV with a prediction for each row. The bare loop is what a person
would write: ``pd.read_csv`` in chunks, ``predictor.predict``, ``to_csv``. The batch also checks every value, adds
probabilities, the likely classes and findings, counts drift, and scores the target that is in the file. Memory is
measured at a tenth of the rows too: it must not grow with the file.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._bench import MIB, peak_rss

if TYPE_CHECKING:
    import pandas as pd

ROWS = 1_000_000
PART = ROWS // 10
TRAIN = 20_000
BARE = """
import json, sys
from pathlib import Path
import pandas as pd
from ml.loading import load
from ml.quiet import quiet_autogluon

request = json.loads(sys.argv[1])
with quiet_autogluon():
    predictor = load(Path(request["model"])).predictor
    for number, chunk in enumerate(pd.read_csv(request["table"], chunksize=20_000)):
        chunk["prediction"] = predictor.predict(chunk)
        chunk.to_csv(request["result"], mode="a" if number else "w", header=not number, index=False)
"""
TYPES = {
    "age": "integer", "income": "numeric", "balance": "numeric", "town": "category", "job": "category",
    "since": "date", "calls": "integer", "member": "boolean",
}  # fmt: skip


def frame(rows: int, seed: int) -> "pd.DataFrame":
    """A mixed table; one value in fifty of ``balance`` is missing, ``bought`` hangs on some of the others."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    age, income = rng.integers(18, 80, rows), rng.normal(50_000, 15_000, rows).round(2)
    member = np.where(rng.random(rows) < 0.4, "yes", "no")
    odds = (age - 40) / 15 + (income - 50_000) / 20_000 + (member == "yes")
    return pd.DataFrame(
        {
            "age": age,
            "income": income,
            "balance": np.where(rng.random(rows) < 0.02, np.nan, rng.normal(1000, 400, rows).round(2)),
            "town": rng.choice(["Bern", "Oslo", "Nice", "Graz", "Cork"], rows),
            "job": rng.choice([f"job {i}" for i in range(30)], rows),
            "since": (pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, rows), unit="D")),
            "calls": rng.poisson(3, rows),
            "member": member,
            "bought": np.where(rng.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no"),
        }
    )


def make_model(directory: Path) -> None:
    """``model``, unpacked, and ``reference.json``."""
    from ml import bundle, drift, prediction, training
    from ml.problem import Preset, ProblemType

    train = frame(TRAIN, 1)
    predictor = training.fit(
        train,
        target="bought",
        problem_type=ProblemType.BINARY,
        preset=Preset.QUICK,
        time_limit=60,
        directory=directory / "fit",
        seed=1,
        on_event=lambda event: None,
        families=["GBM"],
    ).predictor
    features = prediction.feature_schema(
        train, target="bought", columns_types=TYPES, used=prediction.used_features(predictor)
    )
    bundle.prepare_for_storage(predictor, directory / "model")
    metadata = {
        "format": bundle.FORMAT,
        "versions": bundle.library_versions(),
        "features": [feature.as_dict() for feature in features],
        "problem_type": ProblemType.BINARY,
    }
    (directory / "model" / bundle.METADATA).write_text(json.dumps(metadata))
    (directory / "reference.json").write_text(json.dumps(drift.reference_of(train, features)))


def make_table(path: Path, rows: int) -> None:
    """As ``ml.tables.normalise`` writes it."""
    for start in range(0, rows, PART):
        frame(PART, 2 + start).to_csv(
            path, mode="a" if start else "w", header=not start, index=False, lineterminator="\n"
        )


def request(directory: Path, table: Path, rows: int) -> dict[str, object]:
    from ml.value_formats import PLAIN

    return {
        "model": str(directory / "model"),
        "table": str(table),
        "rows": rows,
        "result": str(directory / "result.csv"),
        "output": str(directory / "summary.json"),
        "trace": str(directory / "trace"),
        "formats": asdict(PLAIN),
        "reach": {"level": 0.9, "reach": 0.6},
        "target": "bought",
        "reference": str(directory / "reference.json"),
    }


def batch(asked: dict[str, object]) -> tuple[float, float]:
    """Seconds and peak memory of the batch's process."""
    with subprocess.Popen(
        [sys.executable, "-m", "ml.batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        assert child.stdin is not None
        child.stdin.write(json.dumps(asked).encode() + b"\n")
        child.stdin.flush()
        return _to_its_end(child)


def bare(asked: dict[str, object]) -> tuple[float, float]:
    """The same of the bare loop."""
    with subprocess.Popen([sys.executable, "-c", BARE, json.dumps(asked)], stderr=subprocess.DEVNULL) as child:
        return _to_its_end(child)


def _to_its_end(child: "subprocess.Popen[bytes]") -> tuple[float, float]:
    start = time.perf_counter()
    with peak_rss(child.pid) as seen:
        code = child.wait()
    assert code == 0, code
    return time.perf_counter() - start, seen[1]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench_") as name:
        directory = Path(name)
        make_model(directory)
        small, large = directory / "small.csv", directory / "large.csv"
        make_table(small, PART)
        make_table(large, ROWS)
        few = batch(request(directory, small, PART))
        many = batch(request(directory, large, ROWS))
        plain = bare(request(directory, large, ROWS))
        size = large.stat().st_size / MIB
        print(f"batch of {PART:>9,} rows            : {few[0]:6.1f} s, peak {few[1]:.0f} MiB")
        print(f"batch of {ROWS:>9,} rows, {size:.0f} MiB    : {many[0]:6.1f} s, peak {many[1]:.0f} MiB")
        print(f"bare loop, {ROWS:>9,} rows          : {plain[0]:6.1f} s, peak {plain[1]:.0f} MiB")
        print(f"speed, batch against the bare loop : {plain[0] / many[0]:.2f}  (at least 0.80)")
        print(f"memory, ten times the rows         : {many[1] / few[1]:.2f}  (flat: at most 1.25)")


if __name__ == "__main__":
    main()
