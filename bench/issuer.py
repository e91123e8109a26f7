"""An authorization server for a bench: what a resource server reads of one (RFC 8414, RFC 7517), and a hand that signs.

It logs nobody in. A bench wants thousands of humans with a token each, and a login is not what it measures.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from joserfc import jwk, jwt

EMAIL: Final = "bench@example.com"
"""Every human's address: what the shop's allowlist has to hold for all of them to pass."""
SCOPES: Final = "openid shop:read orders:read shop:buy user:read"
LIFE: Final = 3600
"""Seconds that a token is good for: longer than a bench may take."""


@dataclass(frozen=True)
class Issuer:
    """The running authorization server: its URL and its key."""

    url: str
    key: jwk.ECKey

    def token(self, name: str, resource: str, *, cents: int) -> str:
        """An RFC 9068 access token: the human `name`, through one agent, one session, one consent.

        Args:
            resource: the shop that it is for (RFC 8707).
            cents: the consent's spending limit (RFC 9396).
        """
        now = int(time.time())
        limit = {"amount": cents, "currency": "USD"}
        claims = {
            "iss": self.url,
            "sub": f"user_{name}",
            "email": EMAIL,
            "aud": resource,
            "client_id": "bench-agent",
            "act": {"sub": f"agent_{name}"},
            "sid": f"session_{name}",
            "consent_id": f"consent_{name}",
            "scope": SCOPES,
            "authorization_details": [
                {"type": "shop_spending", "actions": ["buy"], "locations": [resource], "limit": limit}
            ],
            "jti": f"token_{name}",
            "iat": now,
            "exp": now + LIFE,
        }
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}, claims, self.key)


@contextlib.contextmanager
def serving() -> Iterator[Issuer]:
    """Serve metadata and keys on loopback, at a free port, for as long as the block."""
    key = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    documents: dict[str, bytes] = {}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = documents.get(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # The first asks for all calls in flight at once.

    with Server(("127.0.0.1", 0), Answers) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        metadata = {"issuer": url, "jwks_uri": f"{url}/keys"}
        documents["/.well-known/oauth-authorization-server"] = json.dumps(metadata).encode()
        documents["/keys"] = json.dumps({"keys": [key.as_dict(private=False)]}).encode()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Issuer(url, key)
        finally:
            server.shutdown()
