"""Explains one model: ``python -m ml.explainer``, a child process without a secret in its environment.

The frame is that of ``ml.task``; this is what it is asked, and what it says on the way::

    {"model": DIRECTORY, "holdout": PATH, "metric": NAME, "target": COLUMN, "all_rows": N, "seed": N}

    {"stage": S, "progress": P}               now and then, P from 0 to 1
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml import holdout_rows
from ml.explaining import Model, explain
from ml.loading import load
from ml.quiet import quiet_autogluon
from ml.task import Say, main


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The explanation of one model."""
    say({"stage": "Loading the model", "progress": 0.0})
    with quiet_autogluon():
        loaded = load(Path(request["model"]))
        model = Model(loaded.predictor, loaded.features, loaded.problem_type, request["metric"], request["target"])

        def on_progress(stage: str, progress: float) -> None:
            say({"stage": stage[:100], "progress": progress})

        rows = holdout_rows.read(Path(request["holdout"]))
        return dict(
            explain(model, rows, all_rows=request["all_rows"], seed=request["seed"], on_progress=on_progress)
        )


if __name__ == "__main__":
    main(carry_out)
