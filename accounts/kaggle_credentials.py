"""Kaggle tokens: a person's own, encrypted at rest, or the server's.

A token is written once and never shown again. It is encrypted (Fernet) with the first key of
``KAGGLE_CREDENTIALS_KEY``; the others still decrypt, so that a key can be replaced without anybody storing a token
again (``manage.py rotate_credentials`` encrypts all of them with the first). The owner's id is part of what is
encrypted: a row moved to somebody else's account opens nothing.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils import timezone

from accounts.models import KaggleToken
from smartml.errors import Conflict, InvalidInput, ServiceUnavailable

logger = logging.getLogger(__name__)

# Kaggle's keys have 32 characters, its tokens more. Shorter ones are no secret of which four may be shown.
SHORTEST = 20
LONGEST = 2_000
LONGEST_NAME = 100
_SHOWN = 4


class StoringRefused(ServiceUnavailable):
    """There is no key to encrypt a token with."""

    code = "kaggle_storing_refused"
    default_hint = "Ask the operator to set KAGGLE_CREDENTIALS_KEY."


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a request to Kaggle is signed with: a token alone, or a user name with its key."""

    secret: str = field(repr=False)
    username: str | None = None
    is_server: bool = False

    @property
    def fingerprint(self) -> str:
        """Tells credentials apart, in names of cache entries, without telling what they are."""
        return hashlib.sha256(f"{self.username}\0{self.secret}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """What may be known of a stored token."""

    ending: str
    stored_at: datetime


def keys_fault() -> str | None:
    """Why ``KAGGLE_CREDENTIALS_KEY`` cannot be used; None when it can, or is not set. Never quotes a key."""
    for position, key in enumerate(settings.KAGGLE_CREDENTIALS_KEY, start=1):
        try:
            Fernet(key)
        except ValueError:
            return f"KAGGLE_CREDENTIALS_KEY: key {position} is not 32 bytes in URL-safe base64."
    return None


def can_store() -> bool:
    """Whether people can store tokens of their own."""
    return bool(settings.KAGGLE_CREDENTIALS_KEY) and keys_fault() is None


def store(*, user_id: str, secret: str, username: str = "") -> StoredToken:
    """Keep a token, in the place of a former one.

    :raises StoringRefused: there is no key to encrypt it with.
    :raises InvalidInput: it cannot be a token.
    """
    cleaned, name = secret.strip(), username.strip()
    if not SHORTEST <= len(cleaned) <= LONGEST or not cleaned.isascii() or not cleaned.isprintable():
        message = "This does not look like a Kaggle token: copy it once more, all of it."
        raise InvalidInput(message, fields={"token": message})
    if len(name) > LONGEST_NAME or not name.isascii() or not name.isprintable() or ":" in name:
        message = "This does not look like a Kaggle user name."
        raise InvalidInput(message, fields={"username": message})
    payload = json.dumps({"user_id": user_id, "username": name, "secret": cleaned}).encode()
    token = StoredToken(ending=cleaned[-_SHOWN:], stored_at=timezone.now())
    KaggleToken.objects.update_or_create(
        user_id=user_id,
        defaults={
            "ciphertext": _cipher().encrypt(payload).decode("ascii"),
            "ending": token.ending,
            "stored_at": token.stored_at,
        },
    )
    return token


def stored(*, user_id: str) -> StoredToken | None:
    """What may be shown of a person's own token."""
    row = KaggleToken.objects.filter(user_id=user_id).first()
    return StoredToken(ending=row.ending, stored_at=row.stored_at) if row else None


def remove(*, user_id: str) -> bool:
    """Forget a person's token; whether there was one."""
    return bool(KaggleToken.objects.filter(user_id=user_id).delete()[0])


def remove_of_closing(user_id: str) -> None:
    """The cleanup of an account that is being closed."""
    remove(user_id=user_id)


def credential_for(*, user_id: str) -> Credential | None:
    """The person's own token, else the server's, else None.

    :raises Conflict: the person's own can no longer be decrypted. The server's is not used in its place: whoever
        stored a token wants Kaggle to see that one.
    """
    row = KaggleToken.objects.filter(user_id=user_id).first()
    return _opened(row) if row else server_credential()


def server_credential() -> Credential | None:
    """The token of the settings, for everybody without one of their own."""
    if settings.KAGGLE_API_TOKEN:
        return Credential(secret=settings.KAGGLE_API_TOKEN, is_server=True)
    if settings.KAGGLE_USERNAME and settings.KAGGLE_KEY:
        return Credential(username=settings.KAGGLE_USERNAME, secret=settings.KAGGLE_KEY, is_server=True)
    return None


def rotate_all() -> tuple[int, int]:
    """Encrypt every stored token with the first key; how many were, and how many could not be decrypted."""
    cipher = _cipher()
    done = lost = 0
    for row in KaggleToken.objects.iterator():
        try:
            fresh = cipher.rotate(row.ciphertext).decode("ascii")
        except InvalidToken:
            lost += 1
            continue
        # Only what has been read: its owner may be storing another one just now.
        done += KaggleToken.objects.filter(pk=row.pk, ciphertext=row.ciphertext).update(ciphertext=fresh)
    return done, lost


def _cipher() -> MultiFernet:
    if not can_store():
        raise StoringRefused("This server cannot store Kaggle tokens: it has no key to encrypt them with.")
    return MultiFernet([Fernet(key) for key in settings.KAGGLE_CREDENTIALS_KEY])


def _opened(row: KaggleToken) -> Credential:
    unreadable = Conflict(
        "Your stored Kaggle token can no longer be decrypted.",
        hint="Store it again on your account page, or remove it there.",
    )
    if not can_store():
        raise unreadable
    try:
        payload = json.loads(_cipher().decrypt(row.ciphertext))
    except InvalidToken:
        logger.warning("The Kaggle token of %s cannot be decrypted with KAGGLE_CREDENTIALS_KEY.", row.pk)
        raise unreadable from None
    if payload["user_id"] != row.pk:
        logger.error("The Kaggle token of %s was made for another account.", row.pk)
        raise unreadable
    return Credential(secret=payload["secret"], username=payload["username"] or None)
