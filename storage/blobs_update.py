"""Changing a small blob that others may be changing at the same moment."""

from collections.abc import Callable
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from smartml.errors import Conflict
from storage.blobs_errors import translated

_ATTEMPTS: Final = 20


def update_blob(blob: BlobClient, change: Callable[[bytes | None], bytes]) -> bytes:
    """Store ``change(content)`` (None: there is no such blob) unless it was changed in between; then again.

    :raises Conflict: others were quicker every time.
    """
    for _ in range(_ATTEMPTS):
        with translated():
            content, condition = _read(blob)
            changed = change(content)
            try:
                blob.upload_blob(changed, **condition)
            except (ResourceExistsError, ResourceModifiedError):
                continue
            return changed
    raise Conflict("Somebody else is changing this at the same moment.")


def _read(blob: BlobClient) -> tuple[bytes | None, dict[str, Any]]:
    """What is stored, and the condition under which it may be replaced."""
    try:
        found = blob.download_blob()
    except ResourceNotFoundError:
        return None, {"overwrite": False}
    condition = {"etag": found.properties.etag, "match_condition": MatchConditions.IfNotModified}
    return found.readall(), {"overwrite": True, **condition}
