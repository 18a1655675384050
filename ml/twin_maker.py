"""Makes the twin of one model: ``python -m ml.twin_maker``, a child process without a secret in its environment.

The frame is that of ``ml.task``; this is what it is asked, and what it says on the way::

    {"model": DIRECTORY, "holdout": PATH, "metric": NAME, "target": COLUMN, "seed": N,
     "table": PATH | null, "settings": {...}}          as in ``ml.retracing``

    {"stage": S, "progress": P}               now and then, P from 0 to 1
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import holdout_rows
from ml.loading import load
from ml.quiet import quiet_autogluon
from ml.retracing import Settings, TableChanged, split_again
from ml.task import Say, main
from ml.twin_making import Original, make

if TYPE_CHECKING:
    from pandas import DataFrame


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The twin of one model."""
    say({"stage": "Loading the model", "progress": 0.0})
    with quiet_autogluon():
        loaded = load(Path(request["model"]))
        original = Original(
            loaded.predictor, loaded.features, loaded.problem_type, request["target"], request["metric"]
        )
        return make(
            original,
            holdout=holdout_rows.read(Path(request["holdout"])),
            train=None if request["table"] is None else _training_rows(request),
            seed=request["seed"],
            on_progress=lambda stage, progress: say({"stage": stage, "progress": progress}),
        )


def _training_rows(request: Mapping[str, Any]) -> DataFrame | None:
    try:
        split = split_again(
            Path(request["table"]), Settings.from_dict(request["settings"]), Path(request["holdout"])
        )
    except TableChanged:
        return None
    return split.features_only()[0]


if __name__ == "__main__":
    main(carry_out)
