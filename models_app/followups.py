"""Follow-up work on a version of a model, outside its training: explained, audited, applied to a table …

It is an activity (:mod:`datasets.activities`): leased, cancelled, taken up once after a crash, swept. A kind of
work is offered once, when the app starts::

    followups.register(ActivityKind.EXPLAIN, explain)

    def explain(work: Followup) -> None:
        with work.opened() as place:                      # a ``model_`` workspace, removed whatever happens
            output = work.run_child("ml.explainer", {...}, place=place)
            work.put("explanations", output.read_bytes())

``place.model`` is the unpacked model, verified; ``place.holdout`` the rows it was judged by (``ml.holdout_rows``),
None for a version from before they were kept. ``run_child`` runs ``python -m MODULE`` as :mod:`datasets.children`
describes it, with ``model``, ``holdout`` and ``output`` (where the result belongs) added to the request. What comes
of it is a blob beside the model, ``{user}/{model}/{stem}-v{n}.json``, which counts as storage of its version and
goes when the model goes; :func:`read` reads it.

A page starts what is missing (:func:`ensure`) and polls while :func:`latest` is not over, so no worker that dies at
the wrong moment matters. Work that fails is not begun again by itself: the page offers it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datasets import activities, children
from datasets.activities import Activity, ActivityKind, ActivityStatus, Progress
from datasets.children import Event
from models_app import batches_repository, files_repository, opening, repository
from models_app.records import Model, ModelStatus, ModelVersion
from smartml.errors import AccountClosing, BlobMissing, NotFound
from storage import patience
from storage.blobs import get_blobs
from storage.workspace import workspace

HOLDOUT: Final = "holdout"
# Stems of what a training stores beside the model.
TRAINED: Final = frozenset({"model", "evaluation", "schema", "figures", "reference", "golden", "report", HOLDOUT})
# The result is stored by then: how long MongoDB may be away before the work fails after all.
COUNT_SECONDS: Final = 30.0
# A model in memory, its libraries and the rows; this ends a child that has gone astray.
MEMORY_BYTES: Final = 6 << 30


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace with the model in it. ``holdout``: a Parquet file of ``ml.holdout_rows``."""

    scratch: Path
    model: Path
    holdout: Path | None


@dataclass(frozen=True, slots=True)
class Followup:
    """What a handler is given: the version, and how to say how far it is and hear when to stop."""

    model: Model
    version: ModelVersion
    activity: Activity
    progress: Progress

    @contextmanager
    def opened(self) -> Iterator[Place]:
        """The model, verified and unpacked, and its rows, in a workspace of their own."""
        with workspace("model") as scratch:
            self.progress.report(stage="Fetching the model", progress=0.02)
            directory = opening.fetch(model=self.model, version=self.version, scratch=scratch)
            self.progress.check()
            yield Place(scratch, directory, self._holdout(scratch / "holdout.parquet"))

    def _holdout(self, path: Path) -> Path | None:
        blobs = get_blobs()
        name = blobs.model_file(self.model.user_id, self.model.id, self.version.version, HOLDOUT, "parquet")
        try:
            blobs.download_to(blobs.models_container, name, path)
        except BlobMissing:
            return None
        return path

    def run_child(
        self,
        module: str,
        request: Mapping[str, Any],
        *,
        place: Place,
        what: str = "worked with the model",
        on_event: Callable[[Event], None] | None = None,
    ) -> Path:
        """The file that ``python -m module`` has written. Its ``{"stage", "progress"}`` are shown as they come."""
        output = place.scratch / "result.json"

        def hear(event: Event) -> None:
            if "stage" in event:
                self.progress.report(stage=event["stage"], progress=0.05 + 0.9 * event["progress"])
            if on_event is not None:
                on_event(event)

        children.run(
            module,
            {
                **request,
                "model": str(place.model),
                "holdout": None if place.holdout is None else str(place.holdout),
                "output": str(output),
            },
            scratch=place.scratch,
            memory_bytes=MEMORY_BYTES,
            on_event=hear,
            check=self.progress.check,
            what=what,
        )
        return output

    def put(self, stem: str, data: bytes, *, ext: str = "json") -> None:
        """Keep a result, in the place of a former one, and count it; none of a model that is going, whichever comes
        second."""
        self.progress.check()
        if stem in TRAINED:
            # Its size is in that of the version already; it cannot be told any more once it is replaced.
            self._count(stem, ext, size=len(data), instead_of=self._size(stem, ext))
        get_blobs().put_model_file(**self._place, stem=stem, ext=ext, data=data)
        try:
            if not self._count(stem, ext, size=len(data)):
                raise NotFound("The model was deleted meanwhile.")
        except (NotFound, AccountClosing):
            get_blobs().delete_model_file(**self._place, stem=stem, ext=ext)
            raise

    def get(self, stem: str, *, ext: str = "json") -> bytes | None:
        """What lies beside the version; None when there is nothing of this name."""
        return get_blobs().get_model_file(**self._place, stem=stem, ext=ext)

    def remove(self, stem: str, *, ext: str = "json") -> None:
        """Take a former result away, if there is one."""
        get_blobs().delete_model_file(**self._place, stem=stem, ext=ext)
        self._count(stem, ext, size=0)

    @property
    def _place(self) -> dict[str, Any]:
        return {"user_id": self.model.user_id, "model_id": self.model.id, "version": self.version.version}

    def _size(self, stem: str, ext: str) -> int:
        blobs = get_blobs()
        name = blobs.model_file(self.model.user_id, self.model.id, self.version.version, stem, ext)
        found = blobs.info(blobs.models_container, name)
        return 0 if found is None else found.size

    def _count(self, stem: str, ext: str, *, size: int, instead_of: int = 0) -> bool:
        def count() -> bool:
            return files_repository.count(**self._place, name=f"{stem}.{ext}", size=size, instead_of=instead_of)

        return patience.insist(count, seconds=COUNT_SECONDS, pause=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkState:
    """What a page shows in the place of a result that is not there: the newest work on it, if there is any."""

    activity: Activity | None = None

    @property
    def is_running(self) -> bool:
        return self.activity is not None and not self.activity.status.is_over

    @property
    def percent(self) -> int:
        """How much of the work is done."""
        return 0 if self.activity is None else round(100 * self.activity.progress)

    @property
    def is_stopped(self) -> bool:
        """It ended without a result; nothing happens before somebody asks for it again."""
        return self.activity is not None and self.activity.status in _STOPPED


_STOPPED: Final = frozenset({ActivityStatus.FAILED, ActivityStatus.CANCELLED})

Handler = Callable[[Followup], None]


def register(kind: ActivityKind, handler: Handler, *, undo: Callable[[Activity], object] | None = None) -> None:
    """Have ``handler`` do the work of this kind; it may run again after a worker has died. ``undo`` removes what an
    attempt without success has left, if it leaves anything: a workspace and a child go by themselves."""

    def run(activity: Activity, progress: Progress) -> None:
        model, version = _find(activity)
        handler(Followup(model, version, activity, progress))

    activities.register(kind, run, undo=undo)


def _find(activity: Activity) -> tuple[Model, ModelVersion]:
    model = repository.get(model_id=activity.model_id, user_id=activity.user_id)
    version = None if model is None else model.get_version(activity.version)
    if model is None or version is None or model.status is not ModelStatus.READY:
        raise NotFound("The model was deleted meanwhile.")
    return model, version


def start(*, model: Model, version: int, kind: ActivityKind, subject: str = "") -> Activity:
    """Have it done; the same work that is not over yet is returned instead."""
    return activities.start(user_id=model.user_id, model_id=model.id, version=version, kind=kind, subject=subject)


def latest(*, model: Model, version: int, kind: ActivityKind, subject: str | None = None) -> Activity | None:
    """The newest work of this kind on a version."""
    return activities.latest_of_model(
        user_id=model.user_id, model_id=model.id, version=version, kind=kind, subject=subject
    )


def ensure(*, model: Model, version: int, kind: ActivityKind, subject: str = "") -> Activity:
    """For a page that finds no result: the newest work, or new work where none waits, runs or has failed."""
    found = latest(model=model, version=version, kind=kind, subject=subject)
    if found is None or found.status is ActivityStatus.SUCCEEDED:
        return start(model=model, version=version, kind=kind, subject=subject)
    return found


def cancel_latest(*, model: Model, version: int, kind: ActivityKind) -> None:
    """End the newest work of this kind on a version, if there is any."""
    found = latest(model=model, version=version, kind=kind)
    if found is not None:
        cancel(user_id=model.user_id, activity_id=found.id)


def cancel(*, user_id: str, activity_id: str) -> Activity:
    """Cancel what waits at once and tell what runs; what is over stays as it is."""
    return activities.request_cancel(user_id=user_id, activity_id=activity_id)


def read(*, model: Model, version: int, stem: str) -> dict[str, Any] | None:
    """The JSON document that some work has put beside a version; None when there is none."""
    data = get_blobs().get_model_file(
        user_id=model.user_id, model_id=model.id, version=version, stem=stem, ext="json"
    )
    document: dict[str, Any] | None = None if data is None else json.loads(data)
    return document


def stop_model(*, user_id: str, model_id: str, version: int | None = None) -> None:
    """The model, or one version of it, is being deleted: whatever waits or runs on it is cancelled."""
    activities.stop_for_model(user_id=user_id, model_id=model_id, version=version)


def forget_model(*, model_id: str, version: int | None = None) -> None:
    """The model, or one version of it, is gone, and so is all work on it."""
    activities.forget_model(model_id=model_id, version=version)
    batches_repository.forget_model(model_id=model_id, version=version)
