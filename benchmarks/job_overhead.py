"""What does a training through the app cost over the same AutoGluon fit in a bare script?

The same table, split share, preset and time limit: once as a job (claim to stored), once as a script that reads the
CSV with pandas, splits, fits and scores. Wall time, each in processes of its own, alternating.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._bench import MIB, make_user, stack, table_chunks

TARGET, LIMIT, REPEAT = "price", 30, 3

BARE = """
import sys, tempfile
import pandas as pd
from sklearn.model_selection import train_test_split
from autogluon.tabular import TabularPredictor
frame = pd.read_csv(sys.argv[1])
train, holdout = train_test_split(frame, test_size=0.2, random_state=0)
with tempfile.TemporaryDirectory() as where:
    predictor = TabularPredictor(label=sys.argv[2], path=where, verbosity=0, problem_type="regression",
                                 eval_metric="root_mean_squared_error")
    predictor.fit(train, presets="medium_quality", time_limit=float(sys.argv[3]),
                  excluded_model_types=["RF", "XT", "KNN"])
    predictor.leaderboard(holdout)
"""


def main() -> None:
    with stack() as directory:
        from datasets import services as datasets
        from ml.problem import Preset
        from models_app import services, worker
        from models_app.records import JobSettings, JobStatus
        from storage.ids import new_id

        user_id, _, _ = make_user()
        table = directory / "table.csv"
        with table.open("wb") as file:
            file.writelines(table_chunks(2 * MIB))
        ingest = datasets.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name="table.csv")
        ingest.write(table.read_bytes())
        dataset = ingest.commit()
        bare, job = [], []
        for _ in range(REPEAT):
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as where:
                script = Path(where) / "bare.py"
                script.write_text(BARE)
                subprocess.run([sys.executable, script, table, TARGET, str(LIMIT)], check=True, capture_output=True)
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            asked = services.request_training(
                user_id=user_id,
                dataset=dataset,
                job_id=new_id(),
                settings=JobSettings(target=TARGET, preset=Preset.QUICK, time_limit=LIMIT),
                model_name="benchmark",
                model_id=None,
            )
            status = worker.run_job(asked.id)
            assert status is JobStatus.SUCCEEDED, services.get_job(user_id=user_id, job_id=asked.id).error
            job.append(time.perf_counter() - start)
        b, j = statistics.median(bare), statistics.median(job)
        print(f"bare script {b:.1f} s, job {j:.1f} s (medians of {REPEAT})")
        print(f"ratio job / bare: {j / b:.3f}; limit for this run {1.10 + 5 / b:.3f} (1.10 plus 5 s)")


if __name__ == "__main__":
    main()
