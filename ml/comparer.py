"""Asks two models the same rows: ``python -m ml.comparer``, a child process without a secret in its environment.

The frame is that of ``ml.task``; this is what it is asked::

    {"model": DIRECTORY, "holdout": PATH, "other_model": DIRECTORY, "other_holdout": PATH, "target": COLUMN}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml import holdout_rows, pairing
from ml.explaining import Model
from ml.loading import load
from ml.quiet import quiet_autogluon
from ml.task import Say, main


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The pairing of the two; one model at a time is in memory."""
    say({"stage": "Looking for rows that neither has seen", "progress": 0.0})
    rows = {side: holdout_rows.read(Path(request[f"{side}holdout"])) for side in ("", "other_")}
    places = pairing.shared_places(rows[""], rows["other_"])
    if len(places) < pairing.FEWEST_ROWS:
        return dict(pairing.too_few(len(places)))
    said = []
    for number, side in enumerate(rows, start=1):
        say({"stage": f"Asking model {number} of 2", "progress": 0.2 + 0.3 * number})
        with quiet_autogluon():
            loaded = load(Path(request[f"{side}model"]))
            model = Model(loaded.predictor, loaded.features, loaded.problem_type, "", request["target"])
            said.append(pairing.ask(model, rows[side].loc[places]))
            loaded.predictor.unpersist()
            del loaded, model
    say({"stage": "Drawing resamples", "progress": 0.9})
    return dict(pairing.pair(*said))


if __name__ == "__main__":
    main(carry_out)
