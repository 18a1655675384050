"""A program's stand-in: requests with a token of the API."""

import json
from datetime import timedelta

from django.test import Client

from accounts import api_tokens
from accounts.api_tokens import Scope
from accounts.models import User

BASE = "/api/v1"


class Program:
    """Sends requests in the name of ``user`` with these rights."""

    def __init__(self, user: User, *scopes: Scope, valid_for=timedelta(days=1)) -> None:
        scopes = scopes or tuple(Scope)
        self.token, self.secret = api_tokens.make(
            user_id=user.id, name="program", scopes=scopes, valid_for=valid_for
        )
        self.client = Client()

    def send(self, method: str, path: str, body=None, *, kind="application/json", key=None, headers=None):
        content = json.dumps(body) if kind == "application/json" and not isinstance(body, bytes) else body
        headers = {"Authorization": f"Bearer {self.secret}", **(headers or {})}
        if key is not None:
            headers["Idempotency-Key"] = key
        url = path if path.startswith("/api") else BASE + path
        content = content if body is not None else b""
        # Django's client says nothing of an empty body.
        return self.client.generic(method, url, content, kind, headers=headers, CONTENT_TYPE=kind)

    def get(self, path, **more):
        return self.send("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.send("POST", path, body, **more)

    def delete(self, path, **more):
        return self.send("DELETE", path, **more)

    def upload(self, content: bytes, file_name="cities.csv", *, kind="text/csv", more="", **extra):
        return self.post(f"/datasets?file_name={file_name}{more}", content, kind=kind, **extra)


def error_of(answer, status: int) -> dict:
    """The error of an answer, which must be of this status and shape."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"].startswith("application/json")
    assert "no-store" in answer["Cache-Control"]
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert set(error) == {"code", "message", "hint", "fields"}
    assert error["message"]
    return error
