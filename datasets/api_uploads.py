"""The body of a request as a file: straight into storage, in flat memory."""

import hashlib
from collections.abc import Iterator
from typing import Final

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError

from accounts.api_access import UnsupportedMediaType
from datasets.ingest import SeveralTables, begin_ingest, named_tables, refuse_size
from datasets.records import Dataset
from smartml.errors import InvalidInput

MEDIA_TYPES: Final = (
    "application/octet-stream",
    "text/csv",
    "text/tab-separated-values",
    "text/plain",
    "application/gzip",
    "application/zip",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.apache.parquet",
)
_CHUNK: Final = 256 * 2**10


class LengthRequired(InvalidInput):
    status = 411
    code = "length_required"
    default_hint = "Send the file with a Content-Length header, not in chunks."


def check_headers(request: HttpRequest) -> int:
    """The length of the body, before any of it is read.

    :raises SmartMLError: it is no file as such, of unknown length, or too large.
    """
    if request.content_type and request.content_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(
            "The body must be the file itself.",
            hint="Send its bytes as application/octet-stream or text/csv, not as a form.",
        )
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if "Transfer-Encoding" in request.headers or not length.isdecimal():
        raise LengthRequired("The length of the file must be known before it is sent.")
    if int(length) > settings.MAX_UPLOAD_BYTES:
        raise refuse_size(int(length))
    return int(length)


def receive(
    request: HttpRequest,
    *,
    user_id: str,
    dataset_id: str,
    file_name: str,
    name: str | None,
    table: str | None,
    length: int,
) -> tuple[Dataset, str]:
    """Store the body as a dataset, which is ready at once; returns it with the body's digest. ``table``: which one
    of a file that holds several.

    Whatever goes wrong, neither blob nor metadata is left.
    """
    digest = hashlib.sha256()
    with begin_ingest(user_id=user_id, dataset_id=dataset_id, file_name=file_name, name=name) as ingest:
        for chunk in chunks(request, length):
            digest.update(chunk)
            ingest.write(chunk)
        try:
            return ingest.commit(member=table), digest.hexdigest()
        except SeveralTables as several:
            message = f"This file holds {len(several.names):,} tables: {named_tables(several.names)}."
            hint = "Say which one with `table`, and send the file again."
            raise InvalidInput(message, fields={"table": message}, hint=hint) from None


def digest_of(request: HttpRequest, *, length: int) -> str:
    """The digest of a body that is not stored again."""
    digest = hashlib.sha256()
    for chunk in chunks(request, length):
        digest.update(chunk)
    return digest.hexdigest()


def chunks(request: HttpRequest, length: int) -> Iterator[bytes]:
    """The body piece by piece.

    :raises InvalidInput: it ends too early.
    """
    left = length
    try:
        while left and (chunk := request.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
    except UnreadablePostError:
        left = left or 1
    if left:
        message = "The upload broke off before the end of the file, so nothing was stored."
        raise InvalidInput(message, fields={"file": message}, hint="Send the file again.")
