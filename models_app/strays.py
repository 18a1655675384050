"""Blobs that no metadata speaks of: found, said in the log, and removed once they are old enough.

They come from what no order of steps can exclude: a request to the blob store that arrives after the deletion of
what it belongs to, or a process that died between two steps of an account's closing. The containers are listed page
by page and compared in batches, so memory does not grow with them.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from django.conf import settings
from django.utils import timezone

from datasets import services as datasets
from models_app import batches_repository, jobs_repository, repository
from storage import mongo_users, sweeping
from storage.blobs import BlobInfo, get_blobs
from storage.paths import batch_of, owner_of, version_of

logger = logging.getLogger(__name__)

_BATCH: Final = 500
_NAMED_IN_LOG: Final = 5

Batch = tuple[BlobInfo, ...]


def sweep_strays() -> int:
    """Go through both containers once; returns how many blobs were removed."""
    blobs = get_blobs()
    before = timezone.now() - timedelta(hours=settings.STRAY_BLOB_HOURS)
    parts: list[tuple[str, Callable[[Batch], list[BlobInfo]]]] = [
        (blobs.datasets_container, _without_dataset),
        (blobs.models_container, _without_model),
    ]
    return sweeping.each(
        parts, lambda part: _sweep_container(*part, before=before), what="looking for blobs without metadata"
    )


def _sweep_container(container: str, strays_of: Callable[[Batch], list[BlobInfo]], *, before: datetime) -> int:
    def sweep(batch: Batch) -> int:
        strays = strays_of(batch)
        return _remove(container, strays, before) if strays else 0

    listed = get_blobs().list_prefix(container, "")
    return sweeping.each(_batches(listed), sweep, what="removing blobs without metadata")


def _batches(listed: Iterator[BlobInfo]) -> Iterator[Batch]:
    while batch := tuple(islice(listed, _BATCH)):
        yield batch


def _remove(container: str, strays: list[BlobInfo], before: datetime) -> int:
    """Delete what is old, and belongs to somebody this database knows: with the database of another installation
    everything would look like a stray."""
    owners = {blob.name: owner[0] for blob in strays if (owner := owner_of(blob.name)) is not None}
    known = mongo_users.known(user_ids=set(owners.values()))
    old = [blob.name for blob in strays if owners.get(blob.name) in known and blob.last_modified < before]
    kept = len(strays) - len(old)
    logger.warning(
        "%s blobs in %s have no metadata, %s of them are left alone for now: %s",
        len(strays),
        container,
        kept,
        ", ".join(blob.name for blob in strays[:_NAMED_IN_LOG]) + (" …" if len(strays) > _NAMED_IN_LOG else ""),
    )
    return len(get_blobs().delete_blobs(container, old))


def _without_dataset(batch: Batch) -> list[BlobInfo]:
    owners = {blob.name: owner_of(blob.name) for blob in batch}
    stored = datasets.existing(keys={owner for owner in owners.values() if owner is not None})
    return [blob for blob in batch if owners[blob.name] not in stored]


def _without_model(batch: Batch) -> list[BlobInfo]:
    """By version: a further one that was never stored lies in the folder of a model that exists.

    A blob whose name says no version belongs to its model as a whole.
    """
    owners = {blob.name: owner_of(blob.name) for blob in batch}
    model_ids = {owner[1] for owner in owners.values() if owner is not None}
    # Jobs first: one that succeeds in between has its version among the models then.
    versions = jobs_repository.versions_with_blobs(model_ids=model_ids)
    versions |= repository.stored_versions(model_ids=model_ids)
    # What belongs to a predicted file is nobody's once that is forgotten, whatever has become of the version.
    of_batch = {blob.name: batch_of(blob.name) for blob in batch}
    batches = batches_repository.existing(batch_ids={each for each in of_batch.values() if each is not None})
    folders = {(user_id, model_id) for user_id, model_id, _ in versions}

    def is_known(blob: BlobInfo) -> bool:
        owner, version = owners[blob.name], version_of(blob.name)
        if owner is None or of_batch[blob.name] not in {None, *batches}:
            return False
        return owner in folders if version is None else (*owner, version) in versions

    return [blob for blob in batch if not is_known(blob)]
