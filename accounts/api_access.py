"""Who may use the API: the token of a request, its right to do this, and how often."""

from typing import Final

from django.http import HttpRequest
from ninja.security import HttpBearer

from accounts import api_tokens, throttle
from accounts.api_tokens import Scope, Token
from smartml.errors import Forbidden, InvalidInput, SmartMLError


class ApiRequest(HttpRequest):
    """A request that has passed :class:`TokenAuth`."""

    auth: Token


class TokenRequired(SmartMLError):
    """No token, or none that opens anything. A session of a browser is not asked for."""

    status = 401
    code = "token_required"
    default_hint = "Send the header `Authorization: Bearer YOUR-TOKEN`; tokens are made on the account page."


class TokenInvalid(TokenRequired):
    """Never made, revoked, or of a person who has left: not told apart."""

    code = "token_invalid"
    default_hint = "Check that all of it was copied, or make another on the account page."


class TokenExpired(TokenRequired):
    code = "token_expired"
    default_hint = "Make another on the account page."


class ScopeMissing(Forbidden):
    code = "scope_missing"
    default_hint = "Make a token with this right on the account page."


class UnsupportedMediaType(InvalidInput):
    """The body is in a format that this address does not read."""

    status = 415
    code = "unsupported_media_type"


class TokenAuth(HttpBearer):
    """Lets a request with a token of this scope through. Nothing else counts: no cookie, no password."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Token:
        kind, _, secret = str(request.headers.get("Authorization", "")).strip().partition(" ")
        if kind.lower() != self.openapi_scheme or not secret:
            raise TokenRequired("This address needs a token.")
        return self.authenticate(request, secret.strip())

    def authenticate(self, request: HttpRequest, token: str) -> Token:
        """The token of this secret.

        :raises TokenRequired: it opens nothing.
        :raises ScopeMissing: it may not do this.
        :raises TooManyRequests: it was used too often in this minute.
        """
        found = api_tokens.find(token)
        if found is None:
            throttle.spend(request, throttle.WRONG_TOKEN, account="")
            raise TokenInvalid("There is no such token.")
        if found.is_expired:
            raise TokenExpired(f"The token “{found.name}” has expired.")
        throttle.spend_request(token_id=found.id)
        api_tokens.note_use(found)
        if self.scope not in found.scopes:
            raise ScopeMissing(f"The token “{found.name}” may not {_DOES[self.scope]}.")
        return found


_DOES: Final = {
    Scope.READ: "read (`read`)",
    Scope.WRITE: "change anything (`write`)",
    Scope.PREDICT: "ask for predictions (`predict`)",
}
MAY_READ, MAY_WRITE, MAY_PREDICT = (TokenAuth(scope) for scope in Scope)
