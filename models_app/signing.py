"""Who vouches for a stored model: an HMAC over which version it is and which bytes it has.

MongoDB says which SHA-256 a zip must have, so whoever can write to MongoDB and to the blob store could put any
file, and the code in its pickles, in a model's place. The signature needs a key that is in neither. It is bound to
the model's id and version, so the file of one cannot stand for another.

The key (``MODEL_SIGNING_KEY``) is where nothing is unpickled: in the web processes and the workers, which verify
(:mod:`models_app.opening`), and not in their children. A training's process therefore asks its worker to sign
(:class:`Signer`, :func:`asking`), which signs nothing but the version that this training is for.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from django.conf import settings

from models_app.records import Model, ModelVersion
from smartml.errors import IntegrityError, ServiceUnavailable

logger = logging.getLogger(__name__)

Sign = Callable[[str], str]

# Names what the key is for: keys derived for another purpose from the same secret are other keys.
_PURPOSE: Final = b"smartml: signature of a model's zip, 1"
_SHA256: Final = re.compile(rb"[0-9a-f]{64}")
_ANSWER_SECONDS: Final = 30.0


def sign(*, model_id: str, version: int, sha256: str) -> str:
    """The signature of a version whose zip has this SHA-256, in hexadecimal."""
    return _signature(settings.MODEL_SIGNING_KEY or settings.SECRET_KEY, model_id, version, sha256)


def verify(*, model: Model, version: ModelVersion) -> None:
    """Whether this app has recorded the version's SHA-256. Compare the file with that afterwards.

    :raises IntegrityError: another has, or the version has no signature and needs one.
    """
    if version.zip_hmac is None:
        if settings.MODEL_SIGNATURES_REQUIRED:
            raise IntegrityError(
                "This version was stored before models were signed, and here only signed ones are opened.",
                hint="Train it again, or ask the operator to sign the older versions.",
            )
        logger.warning("Model %s v%s has no signature; its SHA-256 alone is checked.", model.id, version.version)
        return
    if is_signed(model_id=model.id, version=version.version, sha256=version.zip_sha256, signature=version.zip_hmac):
        return
    logger.error("Model %s v%s: its signature is not of this app's keys.", model.id, version.version)
    raise IntegrityError(
        "The signature of this model does not match: its file or its record was changed after training, or the "
        "server's signing key was replaced.",
        hint="Do not use this model. Train it again, or ask the operator for the former key.",
    )


def is_signed(*, model_id: str, version: int, sha256: str, signature: str) -> bool:
    """Whether the signature was made with the present key or an older one that still counts."""
    return any(hmac.compare_digest(_signature(key, model_id, version, sha256), signature) for key in _materials())


def _materials() -> Iterable[str]:
    """What keys are derived from, the present one first."""
    yield settings.MODEL_SIGNING_KEY or settings.SECRET_KEY
    yield from settings.MODEL_SIGNING_KEY_FALLBACKS


def _signature(material: str, model_id: str, version: int, sha256: str) -> str:
    key = hmac.digest(_PURPOSE, material.encode(), hashlib.sha256)
    said = f"{model_id}\n{version}\n{sha256.lower()}".encode()
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that unpickles: with a ``SECRET_KEY`` (there are no settings without) that is
    nobody's. Set to nothing rather than left out, or the keys would be read from ``.env``."""
    nobodys = {"SECRET_KEY": secrets.token_urlsafe(50), "MODEL_SIGNING_KEY": "", "MODEL_SIGNING_KEY_FALLBACKS": ""}
    return {**environment, **nobodys}


class Signer:
    """Signs one version for a child process, which gets ``fd`` and calls :func:`asking` with it.

    A thread answers; it ends with the context.
    """

    def __init__(self, *, model_id: str, version: int) -> None:
        self._model_id = model_id
        self._version = version
        self._ours, self._theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._answer, daemon=True, name="signer")

    @property
    def fd(self) -> int:
        return self._theirs.fileno()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the child has closed its side
            self._ours.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._ours.close()
        self._theirs.close()

    def _answer(self) -> None:
        while (asked := _receive(self._ours)) is not None:
            if not _SHA256.fullmatch(asked):
                logger.error("A training of model %s asked to sign what is no SHA-256.", self._model_id)
                return
            signature = sign(model_id=self._model_id, version=self._version, sha256=asked.decode())
            with suppress(OSError):
                self._ours.sendall(signature.encode())


def asking(fd: int) -> Sign:
    """``sign(sha256)`` of the child process: asks the worker that holds the other end of ``fd``.

    :raises ServiceUnavailable: (the function) no answer.
    """
    # Not for what the libraries start.
    os.set_inheritable(fd, False)

    def ask(sha256: str) -> str:
        try:
            with socket.socket(fileno=os.dup(fd)) as channel:
                channel.settimeout(_ANSWER_SECONDS)
                channel.sendall(sha256.encode())
                answer = _receive(channel)
        except OSError:
            answer = None
        if answer is None:
            raise ServiceUnavailable("The worker of this training does not answer.")
        return answer.decode()

    return ask


def _receive(channel: socket.socket) -> bytes | None:
    """64 characters; None when the other side has closed."""
    received = b""
    while len(received) < 64:
        piece = channel.recv(64 - len(received))
        if not piece:
            return None
        received += piece
    return received
