"""Types that a person has chosen for columns, against what the rules of :mod:`ml.column_types` find.

They name columns, so they are kept with the rows: a blob beside them, ``derived/types.json``, read anew each time
it is needed, because a model must never be trained on a choice that has been taken back.
"""

import json
from functools import partial
from typing import Final

from datasets.records import Dataset
from ml.column_types import ColumnType
from storage.blobs import get_blobs

NAME: Final = "types.json"


def types_of(*, dataset: Dataset) -> dict[str, ColumnType]:
    """The chosen types by column; a column that is not named has the type that was found."""
    return _parse(get_blobs().get_derived(user_id=dataset.user_id, dataset_id=dataset.id, name=NAME))


def set_type(*, dataset: Dataset, column: str, type: ColumnType | None) -> dict[str, ColumnType]:
    """Choose the type of a column of the table, or with None go back to the one that was found; returns all that
    are chosen. Two choices at the same moment are both kept."""
    stored = get_blobs().update_derived(
        user_id=dataset.user_id, dataset_id=dataset.id, name=NAME, change=partial(_changed, column, type)
    )
    return _parse(stored)


def _changed(column: str, type: ColumnType | None, stored: bytes | None) -> bytes:
    types = _parse(stored)
    types.pop(column, None)
    if type is not None:
        types[column] = type
    return json.dumps(types, ensure_ascii=False, sort_keys=True).encode()


def _parse(stored: bytes | None) -> dict[str, ColumnType]:
    return {} if stored is None else {name: ColumnType(kind) for name, kind in json.loads(stored).items()}
