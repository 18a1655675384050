"""The work behind :mod:`datasets.profiles`, on the ``light`` queue: the file is normalised into a workspace, a
child process without secrets looks at it, and what it says is stored beside the file."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from datasets import activities, children, overrides, previews, profiles, repository
from datasets.activities import Activity, ActivityKind, Progress
from datasets.children import Event
from datasets.profiles import Types
from datasets.records import Dataset, DatasetStatus
from smartml.errors import NotFound
from storage.blobs import get_blobs

MODULE: Final = "ml.profiler"
# The profile itself stays far below; this ends a child that has gone astray.
MEMORY_BYTES: Final = 1 << 30
PART_SECONDS: Final = 2.0
_STAGES: Final = {
    "sample": "Taking a sample",
    "columns": "Looking at each column",
    "rows": "Looking for rows that repeat",
    "relations": "Comparing the columns with each other",
}
# How much of the way reading the file is; the child goes the rest.
_READING: Final = 0.3


def register() -> None:
    """Offer both kinds of work. Called once, when the app starts."""
    activities.register(ActivityKind.PROFILE, make_profile, undo=forget_part)
    activities.register(ActivityKind.RELATION, make_relation)


def make_profile(activity: Activity, progress: Progress) -> None:
    """Profile every column; the columns that are ready are stored now and then, the whole at the end."""
    dataset = _dataset(activity)
    with previews.normalised(dataset=dataset, on_bytes=_reading(dataset, progress)) as path:
        types: Types | None = None
        # Types that were chosen meanwhile cost a second look, but not a second reading.
        while types != (now := overrides.types_of(dataset=dataset)):
            types = now
            part = _Part(dataset, types)
            _look(dataset, path, types, progress, on_columns=part.add)
            _store(activity, profiles.PROFILE, path)
    forget_part(activity)


def make_relation(activity: Activity, progress: Progress) -> None:
    """Hold every column against the target that the activity is about."""
    dataset, target = _dataset(activity), activity.subject
    with previews.normalised(dataset=dataset, on_bytes=_reading(dataset, progress)) as path:
        types: Types | None = None
        while types != (now := overrides.types_of(dataset=dataset)):
            types = now
            progress.report(stage="Holding each column against the target", progress=_READING)
            _look(dataset, path, types, progress, target=target)
            _store(activity, profiles.relation_name(target), path)


def forget_part(activity: Activity) -> None:
    """Remove the columns of a profile that is complete, or that will not be."""
    get_blobs().delete_derived(user_id=activity.user_id, dataset_id=activity.dataset_id, name=profiles.PART)


def _dataset(activity: Activity) -> Dataset:
    dataset = repository.get(dataset_id=activity.dataset_id, user_id=activity.user_id)
    if dataset is None or dataset.status != DatasetStatus.READY:
        raise NotFound("The dataset was deleted meanwhile.")
    return dataset


def _reading(dataset: Dataset, progress: Progress) -> Callable[[int], None]:
    total = max(dataset.file_size, 1)

    def on_bytes(read: int) -> None:
        progress.report(
            stage="Reading the file", progress=_READING * read / total, done_bytes=read, total_bytes=total
        )

    return on_bytes


def _look(
    dataset: Dataset,
    path: Path,
    types: Types,
    progress: Progress,
    *,
    target: str | None = None,
    on_columns: Callable[[list[dict[str, Any]]], None] | None = None,
) -> None:
    """Let a child look at the normalised file; what it finds is in the file beside it."""
    request = {
        "table": str(path),
        "types": types,
        "formats": asdict(previews.formats_of(dataset=dataset)),
        "output": str(_output(path)),
        "header": profiles.header(dataset=dataset, types=types),
    } | ({} if target is None else {"target": target})

    def on_event(event: Event) -> None:
        if "columns" in event and on_columns is not None:
            on_columns(event["columns"])
        if "stage" in event:
            progress.report(stage=_STAGES[event["stage"]], progress=_READING + (1 - _READING) * event["progress"])

    children.run(
        MODULE,
        request,
        scratch=path.parent,
        memory_bytes=MEMORY_BYTES,
        on_event=on_event,
        check=progress.check,
    )


def _output(path: Path) -> Path:
    return path.with_suffix(".result.json")


def _store(activity: Activity, name: str, path: Path) -> None:
    """Keep the result, unless the dataset is going: whichever comes second, this or that, leaves nothing."""
    blob = {"user_id": activity.user_id, "dataset_id": activity.dataset_id, "name": name}
    get_blobs().put_derived(**blob, data=_output(path).read_bytes())
    try:
        _dataset(activity)
    except NotFound:
        get_blobs().delete_derived(**blob)
        raise


class _Part:
    """The columns that are ready, stored every few seconds."""

    def __init__(self, dataset: Dataset, types: Types) -> None:
        self._dataset = dataset
        self._header = profiles.header(dataset=dataset, types=types)
        self._columns: dict[str, dict[str, Any]] = {}
        self._stored = 0.0

    def add(self, columns: list[dict[str, Any]]) -> None:
        # Of a large file each column comes twice: from a sample first, then from all rows.
        self._columns |= {column["name"]: column for column in columns}
        if time.monotonic() - self._stored < PART_SECONDS:
            return
        data = json.dumps({**self._header, "columns": list(self._columns.values())}, ensure_ascii=False).encode()
        get_blobs().put_derived(
            user_id=self._dataset.user_id, dataset_id=self._dataset.id, name=profiles.PART, data=data
        )
        self._stored = time.monotonic()
