"""The same POST sent twice makes one thing: what an ``Idempotency-Key`` stands for.

Kept in the SQL database, which every web process sees, for a day. What is kept is the id of what the request makes,
chosen before anything is made, and digests that tell whether a second request is the same: no body, no answer. The
thing itself is asked for its state, so that the answer to a repeated request is never out of date. Two requests at
one moment are told apart where the thing is stored: an id exists once.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from accounts.models import IdempotencyKey
from smartml.errors import Conflict, InvalidInput, SmartMLError, TooManyRequests
from storage.ids import new_id

KEPT_FOR: Final = timedelta(hours=24)


class KeyReused(InvalidInput):
    """The key belongs to another request."""

    code = "idempotency_key_reused"
    default_hint = "Send another key with another request."

    def __init__(self) -> None:
        message = "This Idempotency-Key was sent before, with another request."
        super().__init__(message, fields={"Idempotency-Key": message})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """``resource_id`` is what this request makes, or has made. ``body_digest`` is that of an earlier one that was
    stored completely; ``is_repeated`` says that there was an earlier one at all."""

    resource_id: str
    is_repeated: bool = False
    body_digest: str = ""
    user_id: str = ""
    key_digest: str = ""
    request_digest: str = ""


def claim(*, user_id: str, key: str | None, request_digest: str) -> Claim:
    """The id of what a request makes: a fresh one, or that of an earlier request with the same key.

    :raises KeyReused: the earlier request was another one.
    """
    if key is None:
        return Claim(resource_id=new_id())
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()
    key_digest = digest(key.encode())
    row, is_new = IdempotencyKey.objects.get_or_create(
        user_id=user_id,
        key_digest=key_digest,
        defaults={"request_digest": request_digest, "resource_id": new_id()},
    )
    if row.request_digest != request_digest:
        raise KeyReused
    return Claim(
        resource_id=row.resource_id,
        is_repeated=not is_new,
        body_digest=row.body_digest,
        user_id=user_id,
        key_digest=key_digest,
        request_digest=request_digest,
    )


def complete(claim: Claim, *, body_digest: str) -> None:
    """The thing is made, from a body that is known only now."""
    if claim.key_digest:
        # Made again where an earlier request, refused at this moment, has just given the key back.
        IdempotencyKey.objects.update_or_create(
            user_id=claim.user_id,
            key_digest=claim.key_digest,
            defaults={
                "request_digest": claim.request_digest,
                "resource_id": claim.resource_id,
                "body_digest": body_digest,
            },
        )


def give_back(claim: Claim, error: SmartMLError) -> None:
    """Nothing was made: the key is free again when the request was refused for what it is.

    After a failure on our side the outcome may be unknown; and what stands in the way just now (409, 429) may be
    another request with this very key. Then the key goes on standing for this request.
    """
    passing = error.status >= 500 or error.status in (Conflict.status, TooManyRequests.status)
    if claim.key_digest and not claim.is_repeated and not passing:
        IdempotencyKey.objects.filter(
            user_id=claim.user_id, key_digest=claim.key_digest, resource_id=claim.resource_id, body_digest=""
        ).delete()


def digest(*parts: bytes) -> str:
    """One digest of several parts, none of which holds the end of another."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()
