"""Whether the score that the app shows can be had without it, and is not bought with a worse model.

For each table and seed the app trains once. A program that knows nothing of it then reads the same CSV file, the
zip that a person downloads and the row numbers in ``holdout-v1.parquet``, computes the score with scikit-learn, and
fits AutoGluon as it comes with the same preset, time limit and rows. Tables: ``FILE:TARGET`` on the command line,
or three of scikit-learn's.
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
from pathlib import Path
from typing import Any

from benchmarks._bench import make_user, stack

# AutoGluon's own words for what the app's Quick preset is.
_OUTSIDE = """
import json, sys, tempfile
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
rest = table.drop(index=places).dropna(subset=[target])

def score(predictor):
    said, truth = predictor.predict(held), held[target]
    if metric == "root_mean_squared_error":
        return float(np.sqrt(metrics.mean_squared_error(truth, said)))
    return float(metrics.accuracy_score(truth.astype(str), said.astype(str)))

found = {"again": score(TabularPredictor.load(asked["model"], verbosity=0)), "rows": len(held)}
with tempfile.TemporaryDirectory() as place:
    bare = TabularPredictor(label=target, problem_type=asked["problem_type"], path=place, verbosity=0)
    bare.fit(rest, presets="medium_quality", excluded_model_types=["RF", "XT", "KNN"], time_limit=asked["seconds"],
             num_gpus=0)
    found["bare"] = score(bare)
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.honesty")
    parser.add_argument("tables", nargs="*", metavar="FILE:TARGET")
    parser.add_argument("--seeds", type=int, default=1, help="five or more say whether the model is as good")
    parser.add_argument("--seconds", type=int, default=20, help="the time limit of each fit")
    asked = parser.parse_args()
    # The score compared is that of the rows held out, however few.
    os.environ["CROSS_VALIDATE_BELOW"] = "0"
    with tempfile.TemporaryDirectory(prefix="honesty_") as name, stack():
        given = [(Path(path), target) for path, _, target in (each.rpartition(":") for each in asked.tables)]
        for path, target in given or _samples(Path(name)):
            _table(path, target, seeds=asked.seeds, seconds=asked.seconds)


def _samples(directory: Path) -> Iterator[tuple[Path, str]]:
    from sklearn import datasets

    for name in ("breast_cancer", "wine", "diabetes"):
        path = directory / f"{name}.csv"
        getattr(datasets, f"load_{name}")(as_frame=True).frame.to_csv(path, index=False)
        yield path, "target"


def _table(path: Path, target: str, *, seeds: int, seconds: int) -> None:
    print(f"-- {path.name}, {target}, load {os.getloadavg()[0]:.1f}", flush=True)
    user_id, _, _ = make_user()
    better: list[float] = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory(prefix="honesty_") as scratch:
            found = _once(path, target, user_id, seed, seconds, Path(scratch))
        shown, again, bare = (float(found[name]) for name in ("shown", "again", "bare"))
        is_same = abs(shown - again) <= 1e-6 * max(abs(shown), 1.0)
        better.append((bare - shown) if found["lower_is_better"] else (shown - bare))
        print(
            f"seed {seed}: shown {shown:.6g}, computed outside {again:.6g} on {found['rows']} rows "
            f"({'the same' if is_same else 'NOT THE SAME'}); AutoGluon alone {bare:.6g}",
            flush=True,
        )
        if not is_same:
            sys.exit("The score that the app shows is not the one that its files give.")
    if len(better) > 1:
        print(f"better than AutoGluon alone by {_paired(better)}", flush=True)


def _once(path: Path, target: str, user_id: str, seed: int, seconds: int, scratch: Path) -> dict[str, Any]:
    from datasets import services as datasets
    from models_app import services
    from models_app.records import JobSettings
    from models_app.tasks import run_training
    from storage.blobs import get_blobs
    from storage.ids import new_id

    ingest = datasets.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name=path.name)
    ingest.write(path.read_bytes())
    job = services.request_training(
        user_id=user_id,
        dataset=ingest.commit(),
        job_id=new_id(),
        settings=JobSettings(target=target, time_limit=seconds, seed=seed),
        model_name=path.stem,
        model_id=None,
    )
    if run_training(job.id) != "succeeded":
        sys.exit(f"The training on {path.name} did not succeed.")
    model = services.get_model(user_id=user_id, model_id=job.model_id)
    (scratch / "model.zip").write_bytes(b"".join(services.stream_model(model=model, version=1)))
    with zipfile.ZipFile(scratch / "model.zip") as archive:
        archive.extractall(scratch / "model")
    blobs = get_blobs()
    rows = blobs.model_file(user_id, model.id, 1, "holdout", "parquet")
    blobs.download_to(blobs.models_container, rows, scratch / "holdout.parquet")
    shown = services.model_evaluation(model=model, version=1)
    request = {
        "csv": str(path.resolve()),
        "holdout": str(scratch / "holdout.parquet"),
        "model": str(scratch / "model" / "predictor"),
        "target": target,
        "metric": shown.metric_name,
        "problem_type": model.current.problem_type.value,
        "seconds": seconds,
    }
    command = [sys.executable, "-W", "ignore", "-c", _OUTSIDE, json.dumps(request)]
    answer = subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return found | {"shown": shown.score, "lower_is_better": shown.lower_is_better}


def _paired(differences: list[float]) -> str:
    from scipy.stats import t

    mean, error = statistics.fmean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    reach = float(t.ppf(0.975, len(differences) - 1)) * error
    return f"{mean:.4g} on average over {len(differences)} seeds (95 %: {mean - reach:.4g} to {mean + reach:.4g})"


if __name__ == "__main__":
    main()
