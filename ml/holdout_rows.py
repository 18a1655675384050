"""The rows that a version was judged by, kept beside it as Parquet for what is computed later.

All columns as the fit read them, and the target; the index says which row of the table each one was, from 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_ROWS: Final = 20_000
# Of a very wide table fewer rows are kept.
MAX_CELLS: Final = 20_000_000


def write(holdout: DataFrame, places: Any, *, path: Path, seed: int) -> Path:
    """Keep the rows, or a random part of them that the seed draws; in the order of the table."""
    import numpy as np

    frame = holdout.set_axis(places, axis=0)
    most = max(1, min(MAX_ROWS, MAX_CELLS // max(len(frame.columns), 1)))
    if len(frame) > most:
        frame = frame.iloc[np.random.default_rng(seed).choice(len(frame), size=most, replace=False)]
    frame.sort_index().to_parquet(path, engine="pyarrow", index=True)
    return path


def read(path: Path) -> DataFrame:
    """The rows that ``write`` has kept, in their dtypes."""
    import pandas as pd

    return pd.read_parquet(path, engine="pyarrow")
