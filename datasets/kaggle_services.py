"""What a person can do with Kaggle: search, look at a dataset, begin an import, watch it and cancel it."""

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.template.defaultfilters import filesizeformat

from accounts import kaggle_credentials
from accounts.kaggle_credentials import Credential
from datasets import activities, repository
from datasets.activity_records import Activity, ActivityKind
from datasets.file_names import names_for
from datasets.ingest import refuse_size
from datasets.kaggle_errors import NoToken
from datasets.kaggle_records import DatasetRef, FileRef, Found, KaggleDataset, KaggleFile, Listing
from datasets.records import Dataset
from smartml.errors import InvalidInput, NotFound

T = TypeVar("T")

# What Kaggle has just answered is not asked again: Back, reload, and the import that follows a look.
_KEEP_SECONDS: Final = 120
# Where to look for a file whose page of the list is not known.
_MAX_PAGES: Final = 20
LONGEST_SEARCH: Final = 200
LONGEST_PAGE_TOKEN: Final = 2_000


def credential_of(*, user_id: str) -> Credential:
    """What this person's requests are signed with; :class:`NoToken` when there is nothing."""
    credential = kaggle_credentials.credential_for(user_id=user_id)
    if credential is None:
        raise NoToken
    return credential


def search(*, user_id: str, text: str, token: str | None = None) -> Listing[Found]:
    """One page of the datasets that match."""
    from datasets.kaggle_client import Client

    credential = credential_of(user_id=user_id)

    def ask() -> Listing[Found]:
        with Client(credential) as client:
            return client.search(text, token=token)

    return _remembered(user_id, credential, ("search", text, token or ""), ask)


def dataset(*, user_id: str, ref: DatasetRef) -> KaggleDataset:
    """The facts of a dataset."""
    from datasets.kaggle_client import Client

    credential = credential_of(user_id=user_id)

    def ask() -> KaggleDataset:
        with Client(credential) as client:
            return client.dataset(ref)

    return _remembered(user_id, credential, ("dataset", ref.text), ask)


def files(*, user_id: str, ref: DatasetRef, version: int | None, token: str | None = None) -> Listing[KaggleFile]:
    """One page of a dataset's files."""
    from datasets.kaggle_client import Client

    credential = credential_of(user_id=user_id)

    def ask() -> Listing[KaggleFile]:
        with Client(credential) as client:
            return client.files(ref, version=version, token=token)

    return _remembered(user_id, credential, ("files", ref.text, str(version), token or ""), ask)


def refusal(file: KaggleFile) -> str:
    """Why this file cannot be imported, as far as its name and size tell; empty when it can be tried."""
    if not file.is_nameable:
        return "Its name cannot be kept."
    try:
        names_for(file.name)
    except InvalidInput as error:
        return error.message
    if file.size is not None and file.size > settings.MAX_UPLOAD_BYTES:
        return f"Larger than the limit of {filesizeformat(settings.MAX_UPLOAD_BYTES)}."
    return ""


def begin_import(
    *, user_id: str, dataset_id: str, ref: DatasetRef, version: int | None, name: str, token: str | None = None
) -> Activity:
    """Queue the import of one file; ``token`` is the page of the list that showed it. The same ``dataset_id`` again
    returns what is being done, or was done, already.

    :raises NotFound: the dataset has no such file.
    :raises TooLarge: it is larger than the limit, so it is not begun.
    :raises InvalidInput: a kind of file that is not read.
    """
    done = activities.latest(user_id=user_id, dataset_id=dataset_id, kind=ActivityKind.KAGGLE)
    if done is not None:
        return done
    file = _find(user_id=user_id, ref=ref, version=version, name=name, token=token)
    if file.size is not None and file.size > settings.MAX_UPLOAD_BYTES:
        raise refuse_size(file.size)
    problem = refusal(file)
    if problem:
        raise InvalidInput(problem, fields={"file": problem}, hint="Choose another file.")
    subject = FileRef(dataset=ref, name=file.name, version=version).text
    return activities.start(user_id=user_id, dataset_id=dataset_id, kind=ActivityKind.KAGGLE, subject=subject)


def get_import(*, user_id: str, activity_id: str) -> Activity:
    """An import of this person, else :class:`NotFound`."""
    activity = activities.get(user_id=user_id, activity_id=activity_id)
    if activity.kind is not ActivityKind.KAGGLE:
        raise NotFound("There is no such import.")
    return activity


def cancel_import(*, user_id: str, activity_id: str) -> Activity:
    """Stop an import within seconds; nothing of it is kept. One that is over stays as it is."""
    activity = get_import(user_id=user_id, activity_id=activity_id)
    return activities.request_cancel(user_id=user_id, activity_id=activity.id)


def running_imports(*, user_id: str) -> tuple[Activity, ...]:
    """Imports that wait or run, the newest first."""
    return activities.active_of_user(user_id=user_id, kind=ActivityKind.KAGGLE)


def imported(*, activity: Activity) -> Dataset | None:
    """What an import has brought; None when it is gone, or has brought nothing."""
    return repository.get(dataset_id=activity.dataset_id, user_id=activity.user_id)


def _find(*, user_id: str, ref: DatasetRef, version: int | None, name: str, token: str | None) -> KaggleFile:
    """The file as Kaggle lists it: what a form says about it is not believed."""
    pages = [token, None] if token else [None]
    for start in pages:
        asked = 0
        while asked < _MAX_PAGES:
            listing = files(user_id=user_id, ref=ref, version=version, token=start)
            for file in listing.items:
                if file.name == name:
                    return file
            asked, start = asked + 1, listing.next_token
            if start is None:
                break
    raise NotFound("This dataset has no such file.", hint="Open the dataset again; it may have changed.")


def _remembered(user_id: str, credential: Credential, asked: tuple[str, ...], ask: Callable[[], T]) -> T:
    """The answer of a moment ago, for this person with this credential: private datasets are nobody else's."""
    spelled = "\0".join((user_id, credential.fingerprint, *asked))
    key = f"kaggle:{hashlib.sha256(spelled.encode()).hexdigest()}"
    known: T | None = cache.get(key)
    if known is None:
        known = ask()
        cache.set(key, known, _KEEP_SECONDS)
    return known
