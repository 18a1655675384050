"""Personal tokens, with which programs use the API in a person's name.

A token is shown once, when it is made. What is kept is its SHA-256: a token is 256 random bits, so nobody can try
them all, and the slow hashes that passwords need would only make every request slow; and a digest can be looked up
in an index, which a salted one cannot. Its first characters are kept too, for its owner to know it by.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Final

from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiToken
from smartml.errors import InvalidInput, NotFound

MARK: Final = "sml_"
SHOWN: Final = len(MARK) + 8
MOST: Final = 50
LONGEST_NAME: Final = 60
# A token in use all day would otherwise be written at every request.
USED_EVERY: Final = timedelta(minutes=1)
_RANDOM_BYTES: Final = 32
_DIGEST: Final = "(digest)"


class Scope(StrEnum):
    """What a token may do. None contains another."""

    READ = "read"
    WRITE = "write"
    PREDICT = "predict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What may be known of a token."""

    id: int
    user_id: str
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


def make(*, user_id: str, name: str, scopes: Collection[Scope], valid_for: timedelta | None) -> tuple[Token, str]:
    """A new token and, this once, its secret.

    :raises InvalidInput: by field; also when this person has as many as may be.
    """
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > LONGEST_NAME or not cleaned.isprintable():
        message = f"A token's name has 1 to {LONGEST_NAME} characters that can be seen."
        raise InvalidInput(message, fields={"name": message})
    if not scopes:
        message = "Choose at least one thing that the token may do."
        raise InvalidInput(message, fields={"scopes": message})
    if ApiToken.objects.filter(user_id=user_id).count() >= MOST:
        raise InvalidInput(f"You have {MOST} tokens already.", hint="Revoke one that is no longer used.")
    secret = MARK + secrets.token_urlsafe(_RANDOM_BYTES)
    now = timezone.now()
    row = ApiToken.objects.create(
        user_id=user_id,
        name=cleaned,
        prefix=secret[:SHOWN],
        digest=_digest(secret),
        scopes=" ".join(scope.value for scope in Scope if scope in scopes),
        created_at=now,
        expires_at=now + valid_for if valid_for else None,
    )
    return _to_token(row), secret


def listed(*, user_id: str) -> tuple[Token, ...]:
    """A person's tokens, the newest first."""
    return tuple(map(_to_token, ApiToken.objects.filter(user_id=user_id).order_by("-created_at", "-id")))


def revoke(*, user_id: str, token_id: int) -> Token:
    """End a token at once; NotFound when it is gone already or somebody else's."""
    row = ApiToken.objects.filter(user_id=user_id, pk=token_id).first()
    if row is None:
        raise NotFound("There is no such token.", hint="It may have been revoked already.")
    token = _to_token(row)
    row.delete()
    return token


def find(secret: str) -> Token | None:
    """The token of this secret, also an expired one; None when there is none, or its owner has left."""
    sql, parameters = _look_up()
    digest = _digest(secret)
    row = next(iter(ApiToken.objects.raw(sql, [digest if each == _DIGEST else each for each in parameters])), None)
    return _to_token(row) if row else None


@cache
def _look_up() -> tuple[str, tuple[object, ...]]:
    """The query of ``find``, written once: that takes longer than to carry it out, as every request does."""
    return ApiToken.objects.filter(digest=_DIGEST, user__is_active=True).query.sql_with_params()


def note_use(token: Token) -> None:
    """Remember that a token was used just now, at most once a minute."""
    now = timezone.now()
    if token.last_used_at is not None and now - token.last_used_at < USED_EVERY:
        return
    # Once only, when many requests come at one moment.
    unknown = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USED_EVERY)
    ApiToken.objects.filter(unknown, pk=token.id).update(last_used_at=now)


def remove_of_closing(user_id: str) -> None:
    """The cleanup of an account that is being closed."""
    ApiToken.objects.filter(user_id=user_id).delete()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _to_token(row: ApiToken) -> Token:
    return Token(
        id=row.pk,
        user_id=row.user_id,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(map(Scope, row.scopes.split())),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
