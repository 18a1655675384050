"""Azure's sign-in on loopback: a certificate, a sign-in server, and an Azurite that takes bearer tokens.

The server answers as Microsoft Entra does to azure-identity's ``ClientSecretCredential`` and, under ``/msi``, as
App Service does to ``ManagedIdentityCredential``. Its refusals quote what they were sent, secret and all: a worse
vendor than the real one, so that the tests notice when a vendor's words reach a person or a log.
"""

import base64
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smartml.local import parts
from smartml.local.machine import HOST, free_port, port_answers
from smartml.local.process import start_together, stop_in_reverse

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "right~Secret.with-odd_characters"
MSI_HEADER = "header-of-this-machine"
TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One self-signed certificate for 127.0.0.1, its own authority."""

    path: Path
    key: Path


@dataclass(slots=True)
class SignIn:
    """A running sign-in server. ``seen`` counts the token requests by outcome, ``resources`` what was asked for."""

    url: str
    seen: dict[str, int] = field(default_factory=lambda: {"granted": 0, "refused": 0})
    resources: list[str] = field(default_factory=list)


def make_certificate(directory: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(path=directory / "loopback.crt", key=directory / "loopback.key")
    made.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


@contextmanager
def sign_in_server(certificate: Certificate) -> Iterator[SignIn]:
    server = ThreadingHTTPServer((HOST, 0), _Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.state = SignIn(url=f"https://{HOST}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def azurite_with_tokens(directory: Path, certificate: Certificate) -> Iterator[str]:
    """An Azurite of its own over HTTPS that checks bearer tokens; yields its account URL."""
    port = free_port()
    plain = parts.azurite(directory, port=port)
    part = replace(
        plain,
        argv=(*plain.argv, "--oauth", "basic", "--cert", str(certificate.path), "--key", str(certificate.key)),
        is_ready=lambda: port_answers(port),
    )
    running = start_together([part], directory)
    try:
        yield parts.azurite_url(port).replace("http:", "https:")
    finally:
        stop_in_reverse(running)


def _token(resource: str) -> str:
    """A token with the claims that Azurite's basic check looks at; nobody checks its signature."""
    now = int(time.time())
    claims = {
        "aud": resource.removesuffix("/"),
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + TOKEN_SECONDS,
        "oid": "an-object",
        "tid": TENANT,
    }
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "RS256", "typ": "JWT"}, claims)
    ]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> SignIn:
        return self.server.state

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            base = f"{self.state.url}/{TENANT}"
            return self._answer(
                200,
                {
                    "issuer": f"{base}/v2.0",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                },
            )
        if url.path == "/msi/token":
            if self.headers.get("X-IDENTITY-HEADER") != MSI_HEADER:
                return self._refuse({"error": "unauthorized", "message": f"header {dict(self.headers)}"})
            return self._grant(query["resource"], expires_on=str(int(time.time()) + TOKEN_SECONDS))
        return self._answer(404, {"error": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if self.path != f"/{TENANT}/oauth2/v2.0/token":
            return self._answer(404, {"error": "not_found"})
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            description = f"AADSTS7000215: Invalid client secret provided. You sent {body} {form}"
            return self._refuse({"error": "invalid_client", "error_description": description})
        return self._grant(form["scope"].removesuffix("/.default"), expires_in=TOKEN_SECONDS)

    def _grant(self, resource: str, **more: object) -> None:
        self.state.seen["granted"] += 1
        self.state.resources.append(resource)
        self._answer(200, {"token_type": "Bearer", "access_token": _token(resource), "resource": resource, **more})

    def _refuse(self, answer: dict[str, str]) -> None:
        self.state.seen["refused"] += 1
        self._answer(401, answer)

    def _answer(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""
