"""Takes a model's suspects apart: ``python -m ml.autopsist``, a child process without a secret in its environment.

The frame is that of ``ml.task``; this is what it is asked, and what it says on the way::

    {"table": PATH, "settings": {...}, "holdout": PATH or null, "seconds": N}      see ml.retracing.Settings

    {"stage": S, "progress": P}               now and then, P from 0 to 1
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.autopsy import dissect
from ml.quiet import quiet_autogluon
from ml.relation import relate
from ml.retracing import Settings, split_again
from ml.task import Say, main

# Where the fits begin on the way.
_FITTING = 0.1


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The autopsy of one version."""
    table, settings = Path(request["table"]), Settings.from_dict(request["settings"])
    kept = request["holdout"]
    say({"stage": "Finding the rows of the training again", "progress": 0.0})
    split = split_again(table, settings, None if kept is None else Path(kept))
    say({"stage": "Holding each column against the target", "progress": 0.03})
    relation = relate(table, target=settings.target, formats=settings.formats, overrides=settings.types)

    def on_progress(stage: str, progress: float) -> None:
        say({"stage": stage[:150], "progress": _FITTING + (1 - _FITTING) * progress})

    with quiet_autogluon():
        found = dissect(
            split,
            settings,
            relation.relations,
            alone_metric=relation.relations[0].metric if relation.relations else "",
            seconds=request["seconds"],
            on_progress=on_progress,
        )
    return dict(found)


if __name__ == "__main__":
    main(carry_out)
