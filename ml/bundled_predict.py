"""Predict the rows of a CSV file with the model beside this file, or from a program.

python predict.py rows.csv > answers.csv

from predict import predict
for answer in predict([{"age": 31, "city": "Rome"}]):
    print(answer.prediction, answer.findings)
"""

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))

from ml import portable  # noqa: E402

__all__ = ["load", "predict"]


@cache
def load() -> portable.PortableModel:
    """The model in memory; its files are checked before they are opened. Loaded once."""
    return portable.load(HERE)


def predict(rows: Sequence[Mapping[str, Any]] | Any, *, strict: bool = False) -> tuple[portable.Prediction, ...]:
    """An answer for each row, a dictionary by column; or for each row of a frame of pandas.

    ``strict``: ``smartml.errors.InvalidInput`` for rows with anything odd, instead of an answer that says so.
    """
    return load().predict(rows, strict=strict)


if __name__ == "__main__":
    sys.exit(portable.main(HERE))
