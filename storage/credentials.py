"""Who the app is to Azure: the settings, what is wrong with them, and the credential made of them.

Three ways, in this order: the Azurite emulator's well-known account when the URL is that of a local emulator;
a service principal when there is a client secret; a managed identity otherwise.
"""

import logging
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError
from azure.identity import ClientSecretCredential, CredentialUnavailableError, ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from smartml.errors import StorageUnavailable

_log = logging.getLogger(__name__)
_EMULATOR_PATH = "/devstoreaccount1"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_AAD_CODE = re.compile(r"\bAADSTS\d{4,10}\b")
# Seconds and attempts: a sign-in endpoint that is away is noticed in seconds, one dropped packet is not.
_TOKEN_TRANSPORT: dict[str, Any] = {
    "connection_timeout": 3,
    "read_timeout": 8,
    "retry_total": 1,
    "retry_backoff_factor": 0.2,
}


class AuthKind(StrEnum):
    EMULATOR = "emulator"
    SERVICE_PRINCIPAL = "service principal"
    MANAGED_IDENTITY = "managed identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSettings:
    """The ``AZURE_*`` settings. The secret is in no ``repr``."""

    enabled: bool
    account_url: str
    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    authority: str = ""
    datasets_container: str = "datasets"
    models_container: str = "models"

    @classmethod
    def from_django(cls) -> "AzureSettings":
        """Read the project's settings."""
        from django.conf import settings

        return cls(
            enabled=settings.AZURE_STORAGE_ENABLED,
            account_url=settings.AZURE_ACCOUNT_URL.rstrip("/"),
            tenant_id=settings.AZURE_TENANT_ID,
            client_id=settings.AZURE_CLIENT_ID,
            client_secret=settings.AZURE_CLIENT_SECRET,
            authority=settings.AZURE_AUTHORITY,
            datasets_container=settings.AZURE_DATASETS_CONTAINER,
            models_container=settings.AZURE_MODELS_CONTAINER,
        )

    @property
    def kind(self) -> AuthKind:
        if self._is_emulator:
            return AuthKind.EMULATOR
        return AuthKind.SERVICE_PRINCIPAL if self.client_secret else AuthKind.MANAGED_IDENTITY

    @property
    def _is_emulator(self) -> bool:
        """Plain HTTP to this machine under the emulator's account; its key is public, so only there."""
        url = urlsplit(self.account_url)
        return url.scheme == "http" and url.hostname in _LOOPBACK and url.path == _EMULATOR_PATH

    def fault(self) -> str | None:
        """One sentence on why these settings cannot work, or None. Looks at the settings only."""
        if not self.enabled:
            return "AZURE_STORAGE_ENABLED is off."
        if not self.account_url:
            return "AZURE_ACCOUNT_URL is not set."
        return self._url_fault() or self._container_fault() or self._principal_fault()

    def _url_fault(self) -> str | None:
        try:
            url = urlsplit(self.account_url)
            _ = url.port
        except ValueError:
            return "AZURE_ACCOUNT_URL is not a URL."
        if url.scheme not in {"http", "https"} or not url.hostname:
            return "AZURE_ACCOUNT_URL must look like https://ACCOUNT.blob.core.windows.net."
        if url.query or url.fragment or url.username or url.password:
            return "AZURE_ACCOUNT_URL must be the account's address alone, without a signature or a password."
        if url.scheme == "http" and not self._is_emulator:
            return "AZURE_ACCOUNT_URL must start with https:// (http is for the emulator on this machine only)."
        return None

    def _container_fault(self) -> str | None:
        names = {
            "AZURE_DATASETS_CONTAINER": self.datasets_container,
            "AZURE_MODELS_CONTAINER": self.models_container,
        }
        for setting, name in names.items():
            if not _CONTAINER.fullmatch(name):
                return f"{setting} must be 3 to 63 lower-case letters, digits and single hyphens."
        if self.datasets_container == self.models_container:
            return "AZURE_DATASETS_CONTAINER and AZURE_MODELS_CONTAINER must differ."
        return None

    def _principal_fault(self) -> str | None:
        if self.kind is not AuthKind.SERVICE_PRINCIPAL:
            return None
        if not self.tenant_id or not self.client_id:
            return "AZURE_CLIENT_SECRET is set, so AZURE_TENANT_ID and AZURE_CLIENT_ID are needed too."
        if not re.fullmatch(r"[A-Za-z0-9.-]+", self.tenant_id):
            return "AZURE_TENANT_ID may hold only letters, digits, dots and hyphens."
        if self.authority and urlsplit(self.authority).scheme != "https":
            return "AZURE_AUTHORITY must start with https://."
        return None


class _Identity(Protocol):
    """What the two credentials of azure-identity have in common."""

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken: ...

    def close(self) -> None: ...


class PromptCredential:
    """A credential whose refusal is final and for people.

    The storage client retries every Azure error, so a wrong secret would be tried again and again for up to a
    minute. An error of our own passes its retry policy at once. The vendor's exception is not chained: it quotes
    the token request's answer.
    """

    def __init__(self, identity: _Identity, kind: AuthKind) -> None:
        self._identity = identity
        self._kind = kind

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """As TokenCredential. Raises StorageUnavailable."""
        refusal: StorageUnavailable
        try:
            return self._identity.get_token(*scopes, **kwargs)
        except CredentialUnavailableError as error:
            self._log(error)
            refusal = StorageUnavailable(
                "This machine has no managed identity to sign in to Azure with.",
                hint="Give it one, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.",
            )
        except AzureError as error:
            code = _AAD_CODE.search(str(error))
            detail = f" ({code.group()})" if code else ""
            self._log(error, detail)
            refusal = StorageUnavailable(
                f"Signing in to Azure with the app's {self._kind} failed{detail}.",
                hint="The operator has to check the AZURE_* settings and that the sign-in address can be reached.",
            )
        raise refusal

    def close(self) -> None:
        self._identity.close()

    def _log(self, error: AzureError, detail: str = "") -> None:
        status = getattr(error, "status_code", None)
        _log.warning(
            "Signing in to Azure with the %s failed: %s, status %s%s",
            self._kind,
            type(error).__name__,
            status,
            detail,
        )


def make_credential(settings: AzureSettings) -> PromptCredential | dict[str, str]:
    """The credential for settings without a fault: a token credential, or the emulator's name and key."""
    if settings.kind is AuthKind.EMULATOR:
        # The SDK knows the emulator's public account; asked through its connection string, it hands it out.
        emulator = BlobServiceClient.from_connection_string("UseDevelopmentStorage=true")
        return {"account_name": _EMULATOR_PATH[1:], "account_key": emulator.credential.account_key}
    identity: _Identity
    if settings.kind is AuthKind.SERVICE_PRINCIPAL:
        authority: dict[str, Any] = {}
        if settings.authority:
            # A sign-in host of one's own is in no public directory of authorities.
            authority = {"authority": settings.authority, "disable_instance_discovery": True}
        identity = ClientSecretCredential(
            settings.tenant_id, settings.client_id, settings.client_secret, **authority, **_TOKEN_TRANSPORT
        )
    else:
        identity = ManagedIdentityCredential(client_id=settings.client_id or None, **_TOKEN_TRANSPORT)
    return PromptCredential(identity, settings.kind)
