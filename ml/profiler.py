"""Profiles one table: ``python -m ml.profiler``, a child process without a secret in its environment.

The frame is that of ``ml.task``; this is what it is asked, and what it says on the way::

    {"table": PATH, "types": {column: type}, "formats": {...}}
    ... with "target": COLUMN                 each column against that one, in place of the profile

    {"stage": S, "progress": P}               now and then, P from 0 to 1
    {"columns": [COLUMN, ...]}                columns whose profiles are ready, or better than before
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.column_types import ColumnType, ValueFormat
from ml.profile_records import ColumnProfile, column_as_dict
from ml.task import Say, main


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The result of one request, as it is stored."""
    path = Path(request["table"])
    formats = ValueFormat(**request["formats"])
    types = {name: ColumnType(kind) for name, kind in request["types"].items()}
    if "target" in request:
        from ml.relation import relate

        return {"relation": relate(path, target=request["target"], formats=formats, overrides=types).as_dict()}
    from ml.profile import profile_table

    def on_columns(columns: tuple[ColumnProfile, ...]) -> None:
        say({"columns": [column_as_dict(column) for column in columns]})

    def on_progress(stage: str, progress: float) -> None:
        say({"stage": stage, "progress": progress})

    profile = profile_table(path, formats=formats, overrides=types, on_columns=on_columns, on_progress=on_progress)
    return {"profile": profile.as_dict()}


if __name__ == "__main__":
    main(carry_out)
