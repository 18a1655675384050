"""Kaggle's own client (kagglesdk), fenced in: whose credentials, how long, how much, and what its failures mean.

The SDK by itself looks for a token in the environment and in files of the server's home directory, follows
redirects, and waits for ever. Here it has its credential from us alone, goes nowhere else with it, and every call
has an end. No address of a redirect and no vendor's message leaves this module: such addresses carry signatures.

Takes half a second to import: import it inside functions.
"""

import ipaddress
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings
from django.core.cache import caches
from django.template.defaultfilters import date
from django.utils import timezone
from kagglesdk.common.types.http_redirect import HttpRedirect
from kagglesdk.datasets.services.dataset_api_service import DatasetApiClient
from kagglesdk.datasets.types.dataset_api_service import (
    ApiDownloadDatasetRequest,
    ApiGetDatasetMetadataRequest,
    ApiGetDatasetRequest,
    ApiListDatasetFilesRequest,
    ApiListDatasetsRequest,
)
from kagglesdk.kaggle_env import KaggleEnv, get_endpoint
from kagglesdk.kaggle_http_client import KaggleHttpClient
from urllib3.exceptions import HTTPError as Urllib3Error

from accounts.kaggle_credentials import Credential
from datasets.kaggle_errors import KaggleUnavailable, NotAllowed, Paused, TokenRefused
from datasets.kaggle_records import DatasetRef, FileRef, Found, KaggleDataset, KaggleFile, Listing
from smartml.errors import InvalidInput, NotFound, SmartMLError

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
# A whole answer that is no file: a page waits for it.
CALL_SECONDS: Final = 20.0
# Between two pieces of a file.
FILE_READ_SECONDS: Final = 30.0
PAGE_SIZE: Final = 20
FILES_PAGE_SIZE: Final = 50
_MAX_ANSWER: Final = 8 * 2**20
_MAX_REDIRECTS: Final = 5
_PAUSE_SECONDS: Final = 60
_LONGEST_PAUSE: Final = 24 * 3600
_PIECE: Final = 64 * 2**10
_AGENT: Final = "smart-ml-assistant"


class Client:
    """Kaggle with one credential. A context manager: it keeps connections."""

    def __init__(self, credential: Credential) -> None:
        self._http = _FencedHttp(credential)
        self._api = DatasetApiClient(self._http)
        # Its own session: nothing of the credential is in it.
        self._files = requests.Session()
        self._files.headers["User-Agent"] = _AGENT

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.__exit__(kind, error, trace)
        self._files.close()

    def search(self, text: str, *, token: str | None = None) -> Listing[Found]:
        """Datasets that match, the hottest first."""
        request = ApiListDatasetsRequest()
        request.search = text
        request.page_size = PAGE_SIZE
        request.page_token = token
        with _readable():
            answer = self._api.list_datasets(request)
            items = tuple(_found(item) for item in answer.datasets or () if DatasetRef.find(item.ref))
            return Listing(items=items, next_token=answer.next_page_token or None)

    def dataset(self, ref: DatasetRef) -> KaggleDataset:
        """A dataset's facts."""
        request = ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = ref.owner, ref.slug
        with _about(ref), _readable():
            answer = self._api.get_dataset(request)
            return KaggleDataset(
                ref=ref,
                title=answer.title or ref.text,
                subtitle=answer.subtitle or "",
                license_name=answer.license_name or self._licenses(ref),
                size=answer.total_bytes or None,
                updated_at=_aware(answer.last_updated),
                version=answer.current_version_number or None,
            )

    def _licenses(self, ref: DatasetRef) -> str:
        request = ApiGetDatasetMetadataRequest()
        request.owner_slug, request.dataset_slug = ref.owner, ref.slug
        info = self._api.get_dataset_metadata(request).info
        return ", ".join(found.name for found in (info.licenses if info else ()) if found.name)

    def files(self, ref: DatasetRef, *, version: int | None, token: str | None = None) -> Listing[KaggleFile]:
        """The files of one version, or of the newest."""
        request = ApiListDatasetFilesRequest()
        request.owner_slug, request.dataset_slug = ref.owner, ref.slug
        request.dataset_version_number = version
        request.page_size = FILES_PAGE_SIZE
        request.page_token = token
        with _about(ref), _readable():
            answer = self._api.list_dataset_files(request)
            if answer.error_message:
                raise NotFound("Kaggle cannot list the files of this dataset.", hint=_SEARCH_AGAIN)
            items = tuple(
                KaggleFile(name=f.name, size=f.total_bytes or None, created_at=_aware(f.creation_date))
                for f in answer.dataset_files or ()
                if f.name
            )
            return Listing(items=items, next_token=answer.next_page_token or None)

    def open_file(self, ref: FileRef, *, headers: dict[str, str] | None = None) -> requests.Response:
        """Begin to receive a file: an answer of status 200, 206 or 416 whose body has not been read. Close it.

        Kaggle answers with the address of the file, which holds for minutes: asked anew for every attempt.
        """
        request = ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug = ref.dataset.owner, ref.dataset.slug
        request.file_name = ref.name
        request.dataset_version_number = ref.version
        with _about(ref.dataset):
            answer: requests.Response = self._api.download_dataset(request)
        hops = 0
        while answer.is_redirect:
            answer.close()
            hops += 1
            if hops > _MAX_REDIRECTS:
                raise KaggleUnavailable("Kaggle sent the import from one address to the next without an end.")
            answer = self._get(_safe_target(answer), headers or {})
        if hops and answer.status_code not in (200, 206, 416):
            answer.close()
            logger.warning("Kaggle's file store answered %s.", answer.status_code)
            raise KaggleUnavailable("Kaggle's file store does not send the file.")
        return answer

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        with _reached():
            # `identity`: an offset into a compressed transfer is none into the file.
            request = requests.Request("GET", url, headers={"Accept-Encoding": "identity", **headers})
            known = self._files.merge_environment_settings(url, {}, True, None, None)
            return self._files.send(
                request.prepare(), timeout=(CONNECT_SECONDS, FILE_READ_SECONDS), allow_redirects=False, **known
            )


class _FencedHttp(KaggleHttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's transport with our credential, time limits and errors."""

    def __init__(self, credential: Credential) -> None:
        super().__init__(env=KaggleEnv.PROD, user_agent=_AGENT)
        self._endpoint = base_url()
        self._credential = credential

    def _try_fill_auth(self) -> None:
        # The SDK's own would prefer a token of the server's environment or home directory.
        known = self._credential
        if known.username:
            self._session.auth = (known.username, known.secret)
        else:
            self._session.auth = KaggleHttpClient.BearerAuth(known.secret)
        self._signed_in = True

    def call(self, service_name: str, request_name: str, request: Any, response_type: Any) -> Any:
        self._await_turn()
        give_up = time.monotonic() + CALL_SECONDS
        with _reached():
            self._init_session()
            prepared = self._prepare_request(service_name, request_name, request)
            known = self._session.merge_environment_settings(prepared.url, {}, True, None, None)
            answer = self._session.send(
                prepared, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False, **known
            )
        if response_type is HttpRedirect and (answer.is_redirect or _is_file(answer)):
            return answer
        with answer:
            content = _json(_body(answer, give_up))
            self._judge(answer, content, request_name)
        if response_type is HttpRedirect:
            raise KaggleUnavailable("Kaggle sent no file.")
        return response_type.from_dict(content)

    def _judge(self, answer: requests.Response, content: Any, request_name: str) -> None:
        """Raise what a refusal means. Kaggle says it in the status, or in the body of an answer with status 200."""
        code = content.get("code") if isinstance(content, dict) else None
        status = answer.status_code if answer.status_code >= 300 else code if isinstance(code, int) else 200
        if status < 300:
            if not isinstance(content, dict):
                raise KaggleUnavailable("Kaggle's answer could not be read.")
            return
        logger.warning("Kaggle answered %s to %s.", status, request_name)
        if status == 429:
            raise self._paused(answer)
        raise _refusal(status, is_server=self._credential.is_server)

    # --- Pauses that Kaggle asks for --------------------------------------------------------------------------
    @property
    def _pause_key(self) -> str:
        return f"kaggle-pause:{self._credential.fingerprint}"

    def _paused(self, answer: requests.Response) -> Paused:
        seconds = _retry_after(answer.headers.get("Retry-After", ""))
        caches["limits"].set(self._pause_key, time.time() + seconds, seconds)
        return _pause(seconds)

    def _await_turn(self) -> None:
        """Kaggle is not asked before the time it named is over, however often somebody clicks."""
        until = caches["limits"].get(self._pause_key)
        left = int(until - time.time()) + 1 if until else 0
        if left > 0:
            raise _pause(left)


def base_url() -> str:
    """Where Kaggle is asked.

    :raises KaggleUnavailable: the setting leads to an address without encryption on another machine.
    """
    url: str = settings.KAGGLE_BASE_URL.rstrip("/") or get_endpoint(KaggleEnv.PROD)
    if not _is_encrypted(url) and not _is_loopback(url):
        raise KaggleUnavailable("KAGGLE_BASE_URL is not encrypted.", hint="Tell the operator: it must be https.")
    return url


def _is_encrypted(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname == "localhost"


def _safe_target(answer: requests.Response) -> str:
    """Where a redirect leads: https, or this machine when Kaggle itself is a stand-in on it."""
    try:
        target = urljoin(answer.url or "", answer.headers["Location"])
        if _is_encrypted(target) or (_is_loopback(target) and _is_loopback(base_url())):
            return target
    except ValueError:
        pass
    raise KaggleUnavailable("Kaggle sent the import to an address that is not encrypted, so it was not followed.")


def _is_file(answer: requests.Response) -> bool:
    return answer.status_code == 200 and "json" not in answer.headers.get("Content-Type", "")


def _body(answer: requests.Response, give_up: float) -> bytes:
    """The whole answer, unless it is too long or too slow."""
    content = bytearray()
    with _reached():
        for piece in answer.iter_content(_PIECE):
            content += piece
            if len(content) > _MAX_ANSWER or time.monotonic() > give_up:
                raise KaggleUnavailable("Kaggle's answer took too long.")
    return bytes(content)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@contextmanager
def _reached() -> Iterator[None]:
    """A connection that fails, without the address it failed for."""
    try:
        yield
    except (requests.RequestException, Urllib3Error, OSError) as error:
        logger.warning("Kaggle could not be reached: %s", type(error).__name__)
        if isinstance(error, requests.Timeout):
            raise KaggleUnavailable("Kaggle did not answer in time.") from None
        raise KaggleUnavailable("Kaggle cannot be reached.") from None
    except ValueError:  # an address in a redirect that is none
        raise KaggleUnavailable("Kaggle's answer could not be read.") from None


@contextmanager
def _readable() -> Iterator[None]:
    """An answer of another form than the SDK knows."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("An answer of Kaggle's could not be read: %s", type(error).__name__)
        raise KaggleUnavailable("Kaggle's answer could not be read.") from None


@contextmanager
def _about(ref: DatasetRef) -> Iterator[None]:
    """A refusal that knows which dataset was asked for."""
    try:
        yield
    except NotAllowed:
        raise NotAllowed(ref.page_url) from None


_SEARCH_AGAIN: Final = "Search for it again; it may have another name now, or be private."


def _refusal(status: int, *, is_server: bool) -> SmartMLError:
    if status == 401:
        return TokenRefused(is_server=is_server)
    if status == 403:
        return NotAllowed()
    if status == 404:
        return NotFound("Kaggle has no such dataset or file.", hint=_SEARCH_AGAIN)
    if status >= 500:
        return KaggleUnavailable("Kaggle has a fault of its own just now.")
    if status >= 400:
        return InvalidInput("Kaggle does not understand this request.", hint="Begin again with a search.")
    return KaggleUnavailable("Kaggle's answer could not be read.")


def _retry_after(text: str) -> int:
    """Seconds to wait, from seconds or from a date."""
    try:
        seconds = int(text)
    except ValueError:
        try:
            seconds = int((parsedate_to_datetime(text) - timezone.now()).total_seconds()) + 1
        except (ValueError, TypeError):
            seconds = _PAUSE_SECONDS
    return min(max(seconds, 1), _LONGEST_PAUSE)


def _pause(seconds: int) -> Paused:
    again = date(datetime.fromtimestamp(time.time() + seconds, UTC), "H:i:s" if seconds < 600 else "j F H:i")
    length = f"{seconds} second{'s' * (seconds != 1)}" if seconds < 120 else f"{round(seconds / 60)} minutes"
    return Paused(
        f"Kaggle asks for a pause of {length}.", hint=f"Try again after {again} UTC.", retry_seconds=seconds
    )


def _found(item: Any) -> Found:
    ref = DatasetRef.find(item.ref)
    assert ref is not None
    return Found(
        ref=ref,
        title=item.title or ref.text,
        size=item.total_bytes or None,
        updated_at=_aware(item.last_updated),
        license_name=item.license_name or "",
    )


def _aware(moment: datetime | None) -> datetime | None:
    """Kaggle's times are UTC and say nothing of it."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
