"""Whether the score that the app shows can be had without it, and is not bought with a worse model.

For each table and seed the app trains once. A program that knows nothing of it then reads the same CSV file, the
zip that a person downloads and the row numbers in ``holdout-v1.parquet``, computes the score with scikit-learn, and
fits AutoGluon as it comes with the same preset, kinds of models, time limit and rows. Tables: ``FILE:TARGET`` on
the command line (``FILE:TARGET:COLUMN,COLUMN`` without these columns), or the samples that the app offers.

A time limit that cuts a fit makes both sides a matter of what else the machine is doing. To compare them by models
alone take families that are done long before the limit, and one core::

    taskset -c 0 python -m benchmarks.honesty --seeds 5 --families lightgbm,xgboost --seconds 1800
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._bench import MIB, make_user, stack

if TYPE_CHECKING:
    from models_app.records import Job

# AutoGluon's own words for what the app's Quick preset is.
_OUTSIDE = """
import json, sys, tempfile, time
import numpy as np, pandas as pd
from autogluon.tabular import TabularPredictor
from sklearn import metrics

asked = json.loads(sys.argv[1])
# Without "round_trip" pandas is off by the last digit, and AutoGluon tells two values apart by being equal.
table = pd.read_csv(asked["csv"], float_precision="round_trip")
# The app's models know yes and no as the words "true" and "false", where pandas makes a type of them.
for name in table.select_dtypes("bool"):
    table[name] = table[name].map({True: "true", False: "false"})
places = pd.read_parquet(asked["holdout"]).index
target, metric = asked["target"], asked["metric"]
held = table.loc[places]
rest = table.drop(index=places).dropna(subset=[target]).drop(columns=asked["leave_out"])

def score(predictor):
    said, truth = predictor.predict(held), held[target]
    if metric == "root_mean_squared_error":
        return float(np.sqrt(metrics.mean_squared_error(truth, said)))
    return float(metrics.accuracy_score(truth.astype(str), said.astype(str)))

found = {"again": score(TabularPredictor.load(asked["model"], verbosity=0)), "rows": len(held)}
with tempfile.TemporaryDirectory() as place:
    bare = TabularPredictor(label=target, problem_type=asked["problem_type"], path=place, verbosity=0)
    kinds = {"included_model_types": asked["keys"]}
    if not asked["keys"]:
        kinds = {"excluded_model_types": ["RF", "XT", "KNN"]}
    begun = time.monotonic()
    bare.fit(rest, presets="medium_quality", time_limit=asked["seconds"], num_gpus=0, **kinds)
    found |= {"bare": score(bare), "bare_seconds": time.monotonic() - begun}
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.honesty")
    parser.add_argument("tables", nargs="*", metavar="FILE:TARGET[:COLUMN,…]")
    parser.add_argument("--seeds", type=int, default=1, help="five or more say whether the model is as good")
    parser.add_argument("--seconds", type=int, default=20, help="the time limit of each fit")
    parser.add_argument("--families", default="", help="as on the form, by commas; those of Quick when left out")
    asked = parser.parse_args()
    # The score compared is that of the rows held out, however few.
    os.environ["CROSS_VALIDATE_BELOW"] = "0"
    families = tuple(filter(None, asked.families.split(",")))
    with tempfile.TemporaryDirectory(prefix="honesty_") as name, stack():
        for table in [_given(each) for each in asked.tables] or _samples(Path(name)):
            _table(table, seeds=asked.seeds, seconds=asked.seconds, families=families)


@dataclass(frozen=True, slots=True)
class _Table:
    path: Path
    target: str
    leave_out: tuple[str, ...] = ()


def _given(argument: str) -> _Table:
    path, target, *rest = argument.split(":")
    return _Table(Path(path), target, tuple(rest[0].split(",")) if rest else ())


def _samples(directory: Path) -> Iterator[_Table]:
    from datasets.samples import SAMPLES, content_of

    for sample in SAMPLES:
        path = directory / f"{sample.slug}.csv"
        path.write_bytes(content_of(sample.slug))
        yield _Table(path, sample.target)


def _table(table: _Table, *, seeds: int, seconds: int, families: tuple[str, ...]) -> None:
    print(f"-- {table.path.name}, {table.target}, load {os.getloadavg()[0]:.1f}", flush=True)
    user_id, _, _ = make_user()
    better: list[float] = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory(prefix="honesty_") as scratch:
            found = _once(table, user_id, seed, seconds, families, Path(scratch))
        shown, again, bare = (float(found[name]) for name in ("shown", "again", "bare"))
        is_same = abs(shown - again) <= 1e-6 * max(abs(shown), 1.0)
        better.append((bare - shown) if found["lower_is_better"] else (shown - bare))
        print(
            f"seed {seed}: shown {shown:.6g}, computed outside {again:.6g} on {found['rows']} rows "
            f"({'the same' if is_same else 'NOT THE SAME'}); AutoGluon alone {bare:.6g}; "
            f"{found['app_seconds']:.0f} and {found['bare_seconds']:.0f} s of {seconds}"
            f"{', the app ran out of time' if found['ran_out'] else ''}",
            flush=True,
        )
        print(f"        {found['plan']}", flush=True)
        if not is_same:
            sys.exit("The score that the app shows is not the one that its files give.")
    if len(better) > 1:
        print(f"better than AutoGluon alone by {_paired(better)}", flush=True)


def _once(
    table: _Table, user_id: str, seed: int, seconds: int, families: tuple[str, ...], scratch: Path
) -> dict[str, Any]:
    from datasets import services as datasets
    from ml.options import model_keys
    from models_app import jobs_repository, services
    from models_app.records import JobSettings
    from models_app.tasks import run_training
    from storage.blobs import get_blobs
    from storage.ids import new_id

    ingest = datasets.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name=table.path.name)
    ingest.write(table.path.read_bytes())
    job = services.request_training(
        user_id=user_id,
        dataset=ingest.commit(),
        job_id=new_id(),
        settings=JobSettings(
            target=table.target, time_limit=seconds, seed=seed, families=families, leave_out=table.leave_out
        ),
        model_name=table.path.stem,
        model_id=None,
    )
    if run_training(job.id) != "succeeded":
        sys.exit(f"The training on {table.path.name} did not succeed.")
    model = services.get_model(user_id=user_id, model_id=job.model_id)
    (scratch / "model.zip").write_bytes(b"".join(services.stream_model(model=model, version=1)))
    with zipfile.ZipFile(scratch / "model.zip") as archive:
        archive.extractall(scratch / "model")
    blobs = get_blobs()
    rows = blobs.model_file(user_id, model.id, 1, "holdout", "parquet")
    blobs.download_to(blobs.models_container, rows, scratch / "holdout.parquet")
    shown = services.model_evaluation(model=model, version=1)
    request = {
        "csv": str(table.path.resolve()),
        "holdout": str(scratch / "holdout.parquet"),
        "model": str(scratch / "model" / "predictor"),
        "target": table.target,
        "leave_out": table.leave_out,
        "metric": shown.metric_name,
        "problem_type": model.current.problem_type.value,
        "seconds": seconds,
        "keys": model_keys(families),
    }
    command = [sys.executable, "-W", "ignore", "-c", _OUTSIDE, json.dumps(request)]
    answer = subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    assert shown.setup is not None
    done = jobs_repository.get(job_id=job.id)
    assert done is not None
    return found | {
        "shown": shown.score,
        "lower_is_better": shown.lower_is_better,
        "app_seconds": model.current.fit_seconds,
        "ran_out": shown.setup.ran_out_of_time,
        "plan": _plan(done),
    }


def _plan(job: "Job") -> str:
    """What the flight plan had said, and what it came to."""
    assert job.started_at is not None
    assert job.finished_at is not None
    taken = (job.finished_at - job.started_at).total_seconds()
    models = ", ".join(f"{row.name} {row.fit_seconds:.1f}" for row in job.leaderboard)
    planned = "no plan" if job.plan is None else f"{job.plan.seconds:.0f} s, {job.plan.memory / MIB:.0f} MiB"
    peak = "?" if job.readings is None else f"{job.readings.memory_peak / MIB:.0f}"
    return f"planned {planned}; took {taken:.0f} s, {peak} MiB; models {models}"


def _paired(differences: list[float]) -> str:
    from scipy.stats import t

    mean, error = statistics.fmean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    reach = float(t.ppf(0.975, len(differences) - 1)) * error
    return f"{mean:.4g} on average over {len(differences)} seeds (95 %: {mean - reach:.4g} to {mean + reach:.4g})"


if __name__ == "__main__":
    main()
