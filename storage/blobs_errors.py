"""The border between Azure's exceptions and ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from smartml.errors import BlobMissing, Conflict, SmartMLError, StorageUnavailable


def error_code(error: HttpResponseError) -> str:
    """Azure's own word for what went wrong, or an empty string."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def translate(error: AzureError) -> SmartMLError:
    """The error people see. Names neither account nor path: those are in the log's traceback."""
    if isinstance(error, ResourceModifiedError):
        return BlobMissing("The file in blob storage is no longer the one that was recorded.")
    if isinstance(error, ResourceNotFoundError):
        if error_code(error) == "ContainerNotFound":
            return StorageUnavailable(
                "A container is missing in blob storage.",
                hint="The operator has to create the containers named in the AZURE_* settings.",
            )
        return BlobMissing("The file is no longer in blob storage.")
    if isinstance(error, ResourceExistsError):
        return Conflict("There is already a file of that name in blob storage.")
    if isinstance(error, ClientAuthenticationError) or (
        isinstance(error, HttpResponseError) and error.status_code in {401, 403}
    ):
        return StorageUnavailable(
            "Blob storage refused the app's credentials.",
            hint="The operator has to give the app's identity the role Storage Blob Data Contributor.",
        )
    if isinstance(error, HttpResponseError) and error.status_code:
        return StorageUnavailable(f"Blob storage answered with an error (status {error.status_code}).")
    return StorageUnavailable("Blob storage does not answer.")


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in place of Azure's."""
    try:
        yield
    except AzureError as error:
        raise translate(error) from error
