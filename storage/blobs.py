"""Datasets and models in Azure Blob Storage: the one place that talks to it.

Everything streams. Azure's exceptions end here: callers see StorageNotConfigured, StorageUnavailable,
BlobMissing and Conflict. A call that returns an iterator has already made its first request, so a missing blob
is known before a page has sent its headers.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import (
    BlobClient,
    BlobProperties,
    BlobSasPermissions,
    BlobServiceClient,
    LinearRetry,
    UserDelegationKey,
    generate_blob_sas,
)
from django.utils.http import content_disposition_header

from smartml.errors import BlobMissing, Conflict, StorageNotConfigured
from storage import paths
from storage.blobs_errors import error_code, translate, translated
from storage.blobs_update import update_blob
from storage.blobs_writer import BlobWriter, Stored
from storage.credentials import AuthKind, AzureSettings, PromptCredential, make_credential

__all__ = ["AzureBlobStorage", "BlobInfo", "BlobWriter", "Removed", "Stored", "get_blobs", "reset_blobs"]

_Item = TypeVar("_Item")
_CHUNK_BYTES = 4 * 2**20
_CONNECT_SECONDS = 3
_READ_SECONDS = 10
# Signed links start a little in the past: clocks of two machines differ.
_CLOCK_SKEW = timedelta(minutes=5)
_DELEGATION_KEY_LIFE = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """What is known of a blob without reading it. ``size`` in bytes; ``url`` carries no signature."""

    name: str
    size: int
    etag: str
    url: str
    last_modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A receipt: the blobs that were deleted, and how many are still listed under the prefix (0 is the proof)."""

    count: int
    names: tuple[str, ...]
    prefix: str
    remaining: int


@dataclass(frozen=True, slots=True)
class _Connection:
    """A client and its credential; belongs to the process that made it."""

    pid: int
    service: BlobServiceClient
    credential: PromptCredential | dict[str, str]

    def close(self) -> None:
        self.service.close()
        if isinstance(self.credential, PromptCredential):
            self.credential.close()


class AzureBlobStorage:
    """Streams in and out, deletes by prefix, knows the paths. Safe to share between threads and across forks."""

    def __init__(self, settings: AzureSettings) -> None:
        self.datasets_container = settings.datasets_container
        self.models_container = settings.models_container
        self._settings = settings
        self._connection: _Connection | None = None
        self._delegation_key: UserDelegationKey | None = None
        self._delegation_key_until = datetime.min.replace(tzinfo=UTC)

    # --- Connection ------------------------------------------------------------------------------------------
    @property
    def configuration_fault(self) -> str | None:
        """Why every operation would raise StorageNotConfigured, or None."""
        return self._settings.fault()

    def close(self) -> None:
        """Give the connections back; the next operation makes new ones."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.pid == os.getpid():
            connection.close()

    def _connected(self) -> _Connection:
        connection = self._connection
        # A forked process must not share sockets with its parent.
        if connection is not None and connection.pid == os.getpid():
            return connection
        fault = self._settings.fault()
        if fault is not None:
            raise StorageNotConfigured(f"Blob storage is not configured, so this cannot be done. {fault}")
        credential = make_credential(self._settings)
        service = BlobServiceClient(
            self._settings.account_url,
            credential=credential,
            # Pauses of 0 to 2 s: a restart is outlived, an absent service is said in seconds.
            retry_policy=LinearRetry(backoff=1, random_jitter_range=1, retry_total=3, retry_read=1),
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_single_get_size=_CHUNK_BYTES,
            max_chunk_get_size=_CHUNK_BYTES,
        )
        self._connection = connection = _Connection(os.getpid(), service, credential)
        return connection

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._connected().service.get_blob_client(container, name)

    def ensure_containers(self) -> None:
        """Create the two containers when they are not there."""
        service = self._connected().service
        for container in (self.datasets_container, self.models_container):
            with translated():
                try:
                    service.create_container(container)
                except ResourceExistsError:
                    continue

    def check(self) -> None:
        """Whether storage answers, takes the credentials and has both containers; in seconds, without retries.

        Raises StorageUnavailable or StorageNotConfigured.
        """
        service = self._connected().service
        for container in (self.datasets_container, self.models_container):
            with translated():
                service.get_container_client(container).get_container_properties(retry_total=0, read_timeout=5)

    # --- Writing ---------------------------------------------------------------------------------------------
    def open_writer(self, container: str, name: str) -> BlobWriter:
        """A create-only writer. Raises Conflict at once when the name is taken."""
        blob = self._blob(container, name)
        with translated():
            if blob.exists():
                raise Conflict("There is already a file of that name in blob storage.")
        return BlobWriter(blob)

    def upload_bytes(self, container: str, name: str, data: bytes) -> Stored:
        """Store ``data`` as a new blob. Raises Conflict."""
        with self.open_writer(container, name) as writer:
            writer.write(data)
            return writer.commit()

    def upload_file(self, container: str, name: str, path: Path) -> Stored:
        """Store the file at ``path`` as a new blob, streaming. Raises Conflict."""
        with path.open("rb") as source, self.open_writer(container, name) as writer:
            while piece := source.read(_CHUNK_BYTES):
                writer.write(piece)
            return writer.commit()

    # --- Reading ---------------------------------------------------------------------------------------------
    def iter_chunks(self, container: str, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        """The blob's bytes in pieces of a few MiB.

        :param etag: read only this very version. Raises BlobMissing when the blob is absent or another.
        """
        with translated():
            # Later pieces are asked for under the etag of the first, so a blob can never change half-way.
            chunks = self._blob(container, name).download_blob(**_only(etag)).chunks()
        return _translated_each(chunks)

    def download_to(self, container: str, name: str, path: Path) -> str:
        """Write the blob to ``path`` and return its SHA-256; no file is left when it fails."""
        digest = hashlib.sha256()
        chunks = self.iter_chunks(container, name)
        try:
            with path.open("wb") as target:
                for chunk in chunks:
                    digest.update(chunk)
                    target.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return digest.hexdigest()

    def read_range(
        self, container: str, name: str, *, offset: int = 0, length: int, etag: str | None = None
    ) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer at the end of the blob, none behind it.

        :param etag: read only this very version. Raises BlobMissing when the blob is absent or another.
        """
        if length <= 0:
            return b""
        blob = self._blob(container, name)
        with translated():
            try:
                data: bytes = blob.download_blob(offset=offset, length=length, **_only(etag)).readall()
                return data
            except HttpResponseError as error:
                if error.status_code == 416 or error_code(error) == "InvalidRange":
                    return b""
                raise

    def info(self, container: str, name: str) -> BlobInfo | None:
        """Size, etag, URL and time; None when there is no such blob."""
        blob = self._blob(container, name)
        with translated():
            try:
                properties = blob.get_blob_properties()
            except ResourceNotFoundError as error:
                if isinstance(translate(error), BlobMissing):
                    return None
                raise
        return _as_info(properties, blob.url)

    def list_prefix(self, container: str, prefix: str) -> Iterator[BlobInfo]:
        """Every blob whose name starts with ``prefix``, in order of name."""
        client = self._connected().service.get_container_client(container)
        found = _translated_each(client.list_blobs(name_starts_with=prefix))
        return (_as_info(p, client.get_blob_client(p.name).url) for p in found)

    def signed_url(self, container: str, name: str, *, expires_in: timedelta, download_name: str) -> str:
        """A link that lets anybody read this blob until it expires, saved as ``download_name``.

        Signed with a user delegation key (at most 7 days), or with the emulator's account key.
        """
        blob = self._blob(container, name)
        now = datetime.now(UTC)
        signature = generate_blob_sas(
            account_name=str(blob.account_name),
            container_name=container,
            blob_name=name,
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCK_SKEW,
            expiry=now + expires_in,
            content_disposition=content_disposition_header(True, download_name),
            protocol="http,https" if self._settings.kind is AuthKind.EMULATOR else "https",
            **self._signing_key(now, now + expires_in),
        )
        return f"{blob.url}?{signature}"

    def _signing_key(self, now: datetime, until: datetime) -> dict[str, Any]:
        connection = self._connected()
        if isinstance(connection.credential, dict):
            return {"account_key": connection.credential["account_key"]}
        if self._delegation_key is None or self._delegation_key_until < until:
            key_until = max(until, now + _DELEGATION_KEY_LIFE)
            with translated():
                key = connection.service.get_user_delegation_key(now - _CLOCK_SKEW, key_until)
            self._delegation_key, self._delegation_key_until = key, key_until
        return {"user_delegation_key": self._delegation_key}

    # --- Deleting --------------------------------------------------------------------------------------------
    def delete_prefix(self, container: str, prefix: str) -> Removed:
        """Delete every blob under ``prefix``: a folder (``u/d/``) or one version's stem (``u/m/model-v1.``).

        Idempotent: what is already gone is not counted. Any other prefix is a ValueError.
        """
        if not paths.is_deletable_prefix(prefix):
            raise ValueError(f"Refusing to delete by the prefix {prefix!r}.")
        names = [blob.name for blob in self.list_prefix(container, prefix)]
        deleted = self.delete_blobs(container, names)
        remaining = sum(1 for _ in self.list_prefix(container, prefix))
        return Removed(count=len(deleted), names=deleted, prefix=prefix, remaining=remaining)

    def delete_blobs(self, container: str, names: list[str]) -> tuple[str, ...]:
        """Delete exactly these; returns those that were there."""
        deleted: list[str] = []
        for name in names:
            with translated():
                try:
                    self._blob(container, name).delete_blob(delete_snapshots="include")
                except ResourceNotFoundError:
                    continue
            deleted.append(name)
        return tuple(deleted)

    # --- The vocabulary of datasets and models ----------------------------------------------------------------
    batch_file = staticmethod(paths.batch_file)
    dataset_blob = staticmethod(paths.dataset_blob)
    dataset_prefix = staticmethod(paths.dataset_prefix)
    derived_blob = staticmethod(paths.derived_blob)
    model_blob = staticmethod(paths.model_blob)
    model_file = staticmethod(paths.model_file)
    model_prefix = staticmethod(paths.model_prefix)

    def upload_dataset(self, *, user_id: str, dataset_id: str, file_name: str) -> BlobWriter:
        """A writer for the dataset's file."""
        return self.open_writer(self.datasets_container, paths.dataset_blob(user_id, dataset_id, file_name))

    def download_dataset(self, *, user_id: str, dataset_id: str, file_name: str, path: Path) -> str:
        """Write the dataset's file to ``path``; returns its SHA-256."""
        return self.download_to(self.datasets_container, paths.dataset_blob(user_id, dataset_id, file_name), path)

    def delete_dataset(self, *, user_id: str, dataset_id: str) -> Removed:
        """Delete every blob of the dataset."""
        return self.delete_prefix(self.datasets_container, paths.dataset_prefix(user_id, dataset_id))

    def put_derived(self, *, user_id: str, dataset_id: str, name: str, data: bytes) -> None:
        """Store something small that was made from a dataset's rows, in the place of a former one."""
        blob = self._blob(self.datasets_container, paths.derived_blob(user_id, dataset_id, name))
        with translated():
            blob.upload_blob(data, overwrite=True)

    def get_derived(self, *, user_id: str, dataset_id: str, name: str) -> bytes | None:
        """What ``put_derived`` has stored; None when there is nothing of this name."""
        try:
            return b"".join(self.iter_derived(user_id=user_id, dataset_id=dataset_id, name=name))
        except BlobMissing:
            return None

    def open_derived_writer(self, *, user_id: str, dataset_id: str, name: str) -> BlobWriter:
        """A create-only writer for something large that is made from a dataset's rows. Raises Conflict."""
        return self.open_writer(self.datasets_container, paths.derived_blob(user_id, dataset_id, name))

    def iter_derived(self, *, user_id: str, dataset_id: str, name: str) -> Iterator[bytes]:
        """The bytes of a derived blob in pieces. Raises BlobMissing."""
        return self.iter_chunks(self.datasets_container, paths.derived_blob(user_id, dataset_id, name))

    def update_derived(
        self, *, user_id: str, dataset_id: str, name: str, change: Callable[[bytes | None], bytes]
    ) -> bytes:
        """Replace something small by what ``change`` makes of it (None: nothing yet), whoever else does so."""
        return update_blob(
            self._blob(self.datasets_container, paths.derived_blob(user_id, dataset_id, name)), change
        )

    def delete_derived(self, *, user_id: str, dataset_id: str, name: str) -> bool:
        """Whether there was something of this name to delete."""
        return bool(self.delete_blobs(self.datasets_container, [paths.derived_blob(user_id, dataset_id, name)]))

    def upload_model(self, *, user_id: str, model_id: str, version: int, path: Path) -> Stored:
        """Store the zip at ``path`` as this version. Raises Conflict: a version is never overwritten."""
        return self.upload_file(self.models_container, paths.model_blob(user_id, model_id, version), path)

    def download_model(self, *, user_id: str, model_id: str, version: int, path: Path) -> str:
        """Write this version's zip to ``path``; returns its SHA-256."""
        return self.download_to(self.models_container, paths.model_blob(user_id, model_id, version), path)

    def put_model_file(
        self, *, user_id: str, model_id: str, version: int, stem: str, ext: str, data: bytes
    ) -> None:
        """Store what was computed from a version later, in the place of a former result."""
        blob = self._blob(self.models_container, paths.model_file(user_id, model_id, version, stem, ext))
        with translated():
            blob.upload_blob(data, overwrite=True)

    def get_model_file(self, *, user_id: str, model_id: str, version: int, stem: str, ext: str) -> bytes | None:
        """What lies beside a version; None when there is nothing of this name."""
        name = paths.model_file(user_id, model_id, version, stem, ext)
        try:
            return b"".join(self.iter_chunks(self.models_container, name))
        except BlobMissing:
            return None

    def delete_model_file(self, *, user_id: str, model_id: str, version: int, stem: str, ext: str) -> bool:
        """Whether there was something of this name to delete."""
        name = paths.model_file(user_id, model_id, version, stem, ext)
        return bool(self.delete_blobs(self.models_container, [name]))

    def delete_model(self, *, user_id: str, model_id: str) -> Removed:
        """Delete every version of the model and what lies beside them."""
        return self.delete_prefix(self.models_container, paths.model_prefix(user_id, model_id))

    def delete_everything_of(self, *, user_id: str) -> Removed:
        """Delete whatever lies under the person's folder, in both containers."""
        prefix = paths.user_prefix(user_id)
        parts = [
            self.delete_prefix(container, prefix) for container in (self.datasets_container, self.models_container)
        ]
        names = tuple(name for part in parts for name in part.names)
        return Removed(count=len(names), names=names, prefix=prefix, remaining=sum(p.remaining for p in parts))

    def delete_model_version(self, *, user_id: str, model_id: str, version: int) -> Removed:
        """Delete the zip and the other files of one version; the other versions stay."""
        folder = paths.model_prefix(user_id, model_id)

        def of_version() -> list[str]:
            listed = self.list_prefix(self.models_container, folder)
            return [blob.name for blob in listed if paths.belongs_to_version(blob.name, version)]

        deleted = self.delete_blobs(self.models_container, of_version())
        return Removed(
            count=len(deleted), names=deleted, prefix=f"{folder}*-v{version}.*", remaining=len(of_version())
        )


def _only(etag: str | None) -> dict[str, Any]:
    """The condition that a blob is this very version."""
    return {} if etag is None else {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _translated_each(items: Iterator[_Item]) -> Iterator[_Item]:
    """``items`` with Azure's exceptions translated wherever they occur."""
    while True:
        with translated():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def _as_info(properties: BlobProperties, url: str) -> BlobInfo:
    # The header of one blob quotes the etag, a listing does not: one form for both, the one conditions take.
    etag = '"' + str(properties.etag).strip('"') + '"'
    return BlobInfo(
        name=str(properties.name),
        size=int(properties.size),
        etag=etag,
        url=url,
        last_modified=properties.last_modified,
    )


_by_settings: dict[AzureSettings, AzureBlobStorage] = {}


def get_blobs() -> AzureBlobStorage:
    """The process's storage, from the settings. Never fails: without settings every operation does."""
    settings = AzureSettings.from_django()
    return _by_settings.setdefault(settings, AzureBlobStorage(settings))


def reset_blobs() -> None:
    """Close and forget the clients made so far (for tests that change the settings)."""
    while _by_settings:
        _by_settings.popitem()[1].close()
