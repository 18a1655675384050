"""Looks for answers worth a look: ``python -m ml.doubter``, a child process without a secret.

The frame is that of ``ml.task``; this is what it is asked, and what it says on the way::

    {"table": PATH, "settings": {...}, "model": DIRECTORY, "holdout": PATH or null, "seconds": N,
     "reach": R or null}

    {"stage": S, "progress": P}               now and then, P from 0 to 1
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.doubts import find_doubts
from ml.explaining import Model
from ml.loading import load
from ml.quiet import quiet_autogluon
from ml.retracing import Settings, split_again
from ml.task import Say, main


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The rows of one version that are worth a look."""
    settings, kept = Settings.from_dict(request["settings"]), request["holdout"]
    say({"stage": "Finding the rows of the training again", "progress": 0.0})
    split = split_again(Path(request["table"]), settings, None if kept is None else Path(kept))

    def on_progress(stage: str, progress: float) -> None:
        say({"stage": stage, "progress": progress})

    with quiet_autogluon():
        loaded = load(Path(request["model"]))
        model = Model(loaded.predictor, loaded.features, loaded.problem_type, settings.metric, settings.target)
        return dict(
            find_doubts(
                split,
                settings,
                model,
                seconds=request["seconds"],
                holdout_reach=request["reach"],
                on_progress=on_progress,
            )
        )


if __name__ == "__main__":
    main(carry_out)
