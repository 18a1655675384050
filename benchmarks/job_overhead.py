"""What does a training through the app cost over the same AutoGluon fit in a bare script?

The same rows to learn from and held out, the same families and seeds, and no time limit that cuts either short, so
both fit the same models: the two holdout scores are printed. Once as a job (claim to stored, with its evaluation,
figures, report, checks of the stored file), once as a script that reads the two parts with pandas, fits and scores.
Wall time, each in processes of its own, alternating.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._bench import make_user, stack

TARGET, LIMIT, REPEAT, ROWS, SEED = "price", 600, 3, 20_000, 0
FAMILIES = {"lightgbm": "GBM", "xgboost": "XGB", "catboost": "CAT"}

BARE = """
import json, sys, tempfile
import pandas as pd
from autogluon.tabular import TabularPredictor
from autogluon.tabular.configs.hyperparameter_configs import get_hyperparameter_config
usual = get_hyperparameter_config("default")
train, holdout, target, families, limit = *map(pd.read_csv, sys.argv[1:3]), *sys.argv[3:]
with tempfile.TemporaryDirectory() as where:
    predictor = TabularPredictor(label=target, path=where, verbosity=0, problem_type="regression",
                                 eval_metric="root_mean_squared_error")
    predictor.fit(train, presets="medium_quality", time_limit=float(limit),
                  hyperparameters={name: usual[name] for name in json.loads(families)})
    board = predictor.leaderboard(holdout).set_index("model")
print(json.dumps(-board.loc[predictor.model_best, "score_test"]))
"""


def table_lines() -> Iterator[str]:
    """Houses whose price has a reason, so that boosting takes a usual number of rounds; no row is like another."""
    import numpy as np

    numbers = np.random.default_rng(3)
    area, rooms = numbers.uniform(20, 300, ROWS).round(2), numbers.integers(1, 9, ROWS)
    built, city = numbers.integers(1900, 2025, ROWS), numbers.integers(0, 12, ROWS)
    noise = numbers.normal(0, 30_000, ROWS)
    price = (3000 + 150 * city) * area + 9000 * rooms * (city % 3) + 40 * (built - 1900) ** 1.5 + noise
    yield "area,rooms,built,city,garden,price\n"
    for i in range(ROWS):
        garden = "yes" if area[i] % 7 > 3 else "no"
        yield f"{area[i]},{rooms[i]},{built[i]},town {city[i]},{garden},{price[i]:.0f}\n"


def write_parts(table: Path) -> tuple[Path, Path]:
    """The rows that the job will learn from and hold out, as files for the script."""
    import pandas as pd

    from ml.holdout import split_holdout
    from ml.problem import ProblemType

    parts = split_holdout(
        pd.read_csv(table), target=TARGET, problem_type=ProblemType.REGRESSION, share=0.2, seed=SEED
    )
    paths = table.with_name("train.csv"), table.with_name("holdout.csv")
    for part, path in zip(parts, paths, strict=True):
        part.to_csv(path, index=False)
    return paths


def main() -> None:
    with stack() as directory:
        from datasets import services as datasets
        from ml.problem import Preset
        from models_app import services, worker
        from models_app.records import JobSettings, JobStatus
        from storage.ids import new_id

        user_id, _, _ = make_user()
        table, script = directory / "table.csv", directory / "bare.py"
        table.write_text("".join(table_lines()))
        script.write_text(BARE)
        train, holdout = write_parts(table)
        ingest = datasets.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name="table.csv")
        ingest.write(table.read_bytes())
        dataset = ingest.commit()
        settings = JobSettings(
            target=TARGET,
            preset=Preset.QUICK,
            time_limit=LIMIT,
            families=tuple(FAMILIES),
            holdout_share=0.2,
            seed=SEED,
        )
        command = [sys.executable, script, train, holdout, TARGET, json.dumps([*FAMILIES.values()]), str(LIMIT)]
        bare, job, scores = [], [], set()
        for _ in range(REPEAT):
            start = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            asked = services.request_training(
                user_id=user_id,
                dataset=dataset,
                job_id=new_id(),
                settings=settings,
                model_name="benchmark",
                model_id=None,
            )
            status = worker.run_job(asked.id)
            assert status is JobStatus.SUCCEEDED, services.get_job(user_id=user_id, job_id=asked.id).error
            job.append(time.perf_counter() - start)
            model = services.get_model(user_id=user_id, model_id=asked.model_id)
            scores.add((round(json.loads(done.stdout.splitlines()[-1])), round(model.current.accuracy)))
        b, j = statistics.median(bare), statistics.median(job)
        print(f"holdout error, bare and job: {sorted(scores)}")
        print(f"bare script {b:.1f} s, job {j:.1f} s (medians of {REPEAT})")
        print(f"ratio job / bare: {j / b:.3f}; limits for this run {1.10 + 5 / b:.3f} (1.10 plus 5 s)", end="")
        print(f" and {1.05 + 3 / b:.3f} (1.05 plus 3 s)")


if __name__ == "__main__":
    main()
