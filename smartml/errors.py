"""The one tree of errors that people may see.

Every layer raises these; ``smartml.middleware`` renders them as a page, a fragment or JSON. A leaf module:
it imports nothing of the project, so anybody may import it.
"""

import errno
import traceback
from collections.abc import Mapping

_LOGGED_FRAMES = 8
_FULL = (errno.ENOSPC, errno.EDQUOT)


class SmartMLError(Exception):
    """A failure that a person can read: what is wrong, and what to do next.

    :param message: one sentence for people, without a secret or a vendor's words.
    :param hint: the next step, one sentence.
    :param fields: messages by form field, when the fault belongs to one or several.
    """

    status = 500
    code = "error"
    default_hint = "Try again; if it happens again, tell the operator the request id."

    def __init__(self, message: str, *, hint: str | None = None, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.fields: dict[str, str] = dict(fields or {})

    def as_dict(self) -> dict[str, object]:
        """The ``error`` object of a JSON answer: code, message, hint, fields."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "fields": self.fields}


class InvalidInput(SmartMLError):
    """What the person sent cannot be used; name the field it belongs to."""

    status = 422
    code = "invalid_input"
    default_hint = "Correct it and send it again."


class InvalidTable(InvalidInput):
    """A file that is not a table the app can read."""

    code = "invalid_table"
    default_hint = "Save it as CSV with a header row and upload it again."


class InvalidTarget(InvalidInput):
    """A target column that nothing can be learned from."""

    code = "invalid_target"
    default_hint = "Choose another target column."


class TooLarge(SmartMLError):
    """More bytes than the limit allows."""

    status = 413
    code = "too_large"
    default_hint = "Send a smaller file, or ask the operator to raise the limit."


class NotFound(SmartMLError):
    """Nothing here for this person: absent, deleted, or somebody else's (never told apart)."""

    status = 404
    code = "not_found"
    default_hint = "Go back to the list and choose from there."


class Forbidden(SmartMLError):
    """A page of a kind this person's account does not have."""

    status = 403
    code = "forbidden"
    default_hint = "Sign in with an account that may do this."


class Conflict(SmartMLError):
    """The thing is in a state in which this cannot be done."""

    status = 409
    code = "conflict"
    default_hint = "Reload the page to see its current state."


class AccountClosing(Conflict):
    """The account is being deleted: nothing more is stored for it."""

    code = "account_closing"
    default_hint = "Use another account, or make a new one."


class TooManyRequests(SmartMLError):
    """Too many attempts in a short time.

    :param retry_seconds: when it is worth trying again, if that is known.
    """

    status = 429
    code = "too_many_requests"
    default_hint = "Wait a few minutes and try again."

    def __init__(self, message: str, *, hint: str | None = None, retry_seconds: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


class ServiceUnavailable(SmartMLError):
    """A service the app stands on does not answer."""

    status = 503
    code = "service_unavailable"
    default_hint = "It usually comes back by itself; try again in a minute."


class MetadataUnavailable(ServiceUnavailable):
    """MongoDB does not answer."""

    code = "metadata_unavailable"


class StorageUnavailable(ServiceUnavailable):
    """Azure Blob Storage does not answer or refuses the credentials."""

    code = "storage_unavailable"


class StorageNotConfigured(ServiceUnavailable):
    """No Azure settings: the app runs, dataset and model operations do not."""

    code = "storage_not_configured"
    default_hint = "Set AZURE_STORAGE_ENABLED and AZURE_ACCOUNT_URL (see .env.example) and restart."


class DiskFull(ServiceUnavailable):
    """The server's own disk, or its share of it, has no room left."""

    code = "disk_full"
    default_hint = "Tell the operator; nothing of it is left, so try again when there is room."

    def __init__(self, message: str = "This stopped because the server's disk is full.") -> None:
        super().__init__(message)


class BlobMissing(SmartMLError):
    """Metadata names a blob that is not there."""

    status = 410
    code = "blob_missing"
    default_hint = "Delete this entry and upload the file again."


class IntegrityError(SmartMLError):
    """Bytes that do not match the checksum recorded when they were stored."""

    code = "integrity_error"
    default_hint = "Do not use this file. Train the model again."


class TrainingFailed(SmartMLError):
    """A training run that ended without a model, with its reason."""

    code = "training_failed"
    default_hint = "Change the settings and train again."


class JobCancelled(SmartMLError):
    """Raised inside a job when its owner has cancelled it."""

    status = 409
    code = "cancelled"
    default_hint = ""


class VersionMismatch(SmartMLError):
    """A model made with library versions that differ from the installed ones."""

    status = 409
    code = "version_mismatch"
    default_hint = "Train the model again with the libraries installed now."


def trace_without_values(error: BaseException) -> str:
    """Types and places of an error and its causes, for a log: no message, because libraries that read data quote
    cells in theirs ("could not convert string to float: 'Alice Smith'")."""
    lines = []
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)[-_LOGGED_FRAMES:]
        places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        lines.append(f"{type(seen).__module__}.{type(seen).__qualname__} at {places or 'no place'}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n  caused by ".join(lines)


def means_disk_full(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that the disk or somebody's share of it is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and _says_full(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _says_full(error: OSError) -> bool:
    if error.errno is None:  # of copying many files: the texts of all that went wrong
        return any(f"[Errno {number}]" in str(error) for number in _FULL)
    return error.errno in _FULL
