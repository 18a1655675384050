"""What the Kaggle templates show, computed where it can be typed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.urls import reverse
from django.utils import timezone

from accounts import tickets
from datasets import kaggle_services as services
from datasets.activity_records import Activity, ActivityStatus
from datasets.kaggle_errors import NoToken
from datasets.kaggle_records import DatasetRef, FileRef, KaggleFile
from datasets.records import Dataset, DatasetStatus
from smartml.errors import NotFound, SmartMLError

POLL_SECONDS: Final = 2
_LABELS: Final = {
    ActivityStatus.QUEUED: ("Waiting", "yellow"),
    ActivityStatus.RUNNING: ("Importing", "blue"),
    ActivityStatus.SUCCEEDED: ("Arrived", "green"),
    ActivityStatus.FAILED: ("Failed", "red"),
    ActivityStatus.CANCELLED: ("Cancelled", "secondary"),
}
Context = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A file of the list: ``refusal`` says why it cannot be imported, and ``ticket`` is empty then."""

    file: KaggleFile
    refusal: str
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportView:
    """An import as its page and the list of running ones show it; ``percent`` is None while nobody knows it."""

    activity: Activity
    ref: FileRef
    label: str
    colour: str
    percent: int | None
    elapsed: float
    result: Dataset | None
    result_url: str

    @property
    def is_over(self) -> bool:
        return self.activity.status.is_over

    @property
    def poll_seconds(self) -> int | None:
        return None if self.is_over else POLL_SECONDS


def search_context(*, user_id: str, text: str, token: str | None) -> Context:
    """Results, or ``no_token``, or ``failure`` in their place."""
    context: Context = {"text": text, "asked": bool(text)}
    try:
        context["is_server_token"] = services.credential_of(user_id=user_id).is_server
        if text:
            context["page"] = services.search(user_id=user_id, text=text, token=token)
    except NoToken as error:
        context["no_token"] = error
    except SmartMLError as error:
        context["failure"] = error
    return context


def dataset_context(*, user_id: str, ref: DatasetRef, version: int | None, token: str | None) -> Context:
    """A dataset's facts and one page of its files, or ``no_token``, or ``failure`` in their place.

    :raises NotFound: Kaggle has no such dataset.
    """
    context: Context = {"ref": ref, "token": token or ""}
    try:
        context["kaggle"] = found = services.dataset(user_id=user_id, ref=ref)
        # The pages of one list are of one version, and so is what is imported from them.
        context["version"] = version = version or found.version
        listing = services.files(user_id=user_id, ref=ref, version=version, token=token)
        context["rows"] = tuple(_row(user_id, file) for file in listing.items)
        context["next_token"] = listing.next_token
    except NoToken as error:
        context["no_token"] = error
    except NotFound:
        raise
    except SmartMLError as error:
        context["failure"] = error
    return context


def _row(user_id: str, file: KaggleFile) -> FileRow:
    refusal = services.refusal(file)
    ticket = "" if refusal else tickets.issue(user_id=user_id, purpose="kaggle")
    return FileRow(file=file, refusal=refusal, ticket=ticket)


def present_import(activity: Activity) -> ImportView:
    """An import with what has become of it."""
    label, colour = _LABELS[activity.status]
    result = services.imported(activity=activity) if activity.status is ActivityStatus.SUCCEEDED else None
    end = activity.finished_at or timezone.now()
    known = activity.total_bytes > 0 or activity.progress > 0
    return ImportView(
        activity=activity,
        ref=FileRef.parse(activity.subject),
        label=label,
        colour=colour,
        percent=round(activity.progress * 100) if known else None,
        elapsed=max((end - activity.created_at).total_seconds(), 0.0),
        result=result,
        result_url=_url_of(result),
    )


def imports_context(activities: Iterable[Activity]) -> Context:
    """The list of imports; it polls as long as one of them is not over."""
    views = [present_import(activity) for activity in activities]
    return {"imports": views, "is_importing": any(not view.is_over for view in views)}


def _url_of(dataset: Dataset | None) -> str:
    """Where a dataset is looked at; empty when there is none to look at."""
    if dataset is None or dataset.status not in (DatasetStatus.STAGED, DatasetStatus.READY):
        return ""
    name = "datasets:detail" if dataset.status is DatasetStatus.READY else "datasets:preview"
    return reverse(name, args=[dataset.id])
