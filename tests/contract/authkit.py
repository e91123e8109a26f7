"""AuthKit as WorkOS documents it, as far as a shop sees it: its metadata, its keys, introspection, and its tokens.

Each shape names its page. What the page does not print is not made up here: no `typ`, no agent, no scope of a shop, no
email address. WorkOS's API is the local authorization server's (`WORKOS_API`), which has the same people.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from demo.auth_server.state.store import new_id
from deputize.net import free_port
from tests.contract.issuer import listening

SCOPES = "openid profile email offline_access"
"""What an agent is granted whatever it asks for: workos.com/docs/reference/workos-connect/authorize, `scope`."""
CLIENT = "client_01JP8BD0CZ401TDF9X54NT5ZEK"
"""A Connect application's client id, as in the examples of these pages."""
ENVIRONMENT = "client_123456789"
"""The environment's: the `aud` of a token that was asked for without a resource (the page "token", "Access token")."""
FIRST_PARTY = ("client_01FIRSTPARTY00000000000000", "a-secret-of-the-shop")
"""A first-party Connect application: it may introspect tokens that public MCP clients of its environment were issued
(workos.com/changelog/token-exchange-for-workos-connect, 10 November 2026)."""


@dataclass
class AuthKit:
    """The running stand-in. `taken` are consents (`sid`) that were removed: introspection says so, the keys cannot."""

    url: str
    key: RSAKey
    taken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A JWT with the header of workos.com/docs/reference/workos-connect/token: `alg` and `kid`, no more."""
        told = {"alg": "RS256", "kid": self.key.kid, **header}
        payload = {name: value for name, value in claims.items() if value is not None}
        return jws.serialize_compact(told, json.dumps(payload), self.key, algorithms=["RS256"])

    def access_token(self, resource: str | None, *, sub: str, header: dict[str, Any] | None = None, **more: Any) -> str:
        """A user's access token: the claims of workos.com/docs/authkit/connect/token-claims, "User token".

        Args:
            resource: as registered (workos.com/docs/authkit/mcp, "MCP resource indicators"); None: none was asked for.
        """
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": resource or ENVIRONMENT,
            "sub": sub,
            "client_id": CLIENT,
            "org_id": "org_conference_shop",
            "sid": new_id("app_consent"),
            "scope": SCOPES,
            "jti": new_id("x").removeprefix("x_").upper(),
            "exp": now + 300,
            "iat": now,
        }
        return self.sign({**claims, **more}, **(header or {}))

    def id_token(self, *, sub: str, email: str, **more: Any) -> str:
        """The ID token of the same login: workos.com/docs/reference/workos-connect/token, "Decoded ID token", and the
        `nonce` that each authorization request must have (workos.com/docs/reference/workos-connect/authorize)."""
        now = int(time.time())
        names = {"name": "Alice Ito", "given_name": "Alice", "family_name": "Ito"}
        claims = {"iss": self.url, "aud": CLIENT, "sub": sub, "email": email, "email_verified": True, **names}
        return self.sign({**claims, "nonce": "4QWsQj7bUUkCXnoC", "exp": now + 300, "iat": now, **more})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        self.asked.append(scope["path"])
        form: dict[str, str] = {}
        if scope["method"] == "POST":
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        status, told = self._answer(scope["path"], form)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    def _answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        match path:
            case "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration":
                return 200, self._metadata()
            case "/oauth2/jwks":
                return 200, {"keys": [{**self.key.as_dict(private=False), "use": "sig", "alg": "RS256"}]}
            case "/oauth2/introspection":
                return self._introspect(form)
        return 404, {"error": "not_found"}

    def _metadata(self) -> dict[str, Any]:
        """workos.com/docs/reference/workos-connect/metadata/oauth-authorization-server. How a client authenticates to
        the introspection endpoint it does not say."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oauth2/authorize",
            "token_endpoint": f"{self.url}/oauth2/token",
            "registration_endpoint": f"{self.url}/oauth2/register",
            "introspection_endpoint": f"{self.url}/oauth2/introspection",
            "device_authorization_endpoint": f"{self.url}/oauth2/device_authorization",
            "jwks_uri": f"{self.url}/oauth2/jwks",
            "scopes_supported": SCOPES.split(),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        }

    def _introspect(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """workos.com/docs/reference/workos-connect/introspection: credentials in the body; no name and no role of
        anybody in the answer."""
        if (form.get("client_id"), form.get("client_secret")) != FIRST_PARTY:
            return 401, {"error": "invalid_client"}
        try:
            claims = json.loads(jws.deserialize_compact(form["token"], self.key, algorithms=["RS256"]).payload)
        except (JoseError, KeyError, ValueError):
            return 200, {"active": False}
        if claims["exp"] <= time.time() or claims.get("sid") in self.taken:
            return 200, {"active": False}
        told = ("client_id", "iss", "aud", "sub", "org_id", "sid", "jti", "exp", "iat")
        shown = {name: claims[name] for name in told if name in claims}
        return 200, {"active": True, **shown, "token_type": "access_token"}


@contextlib.contextmanager
def authkit() -> Iterator[AuthKit]:
    """AuthKit's stand-in on a port of loopback, for as long as the block."""
    port = free_port()
    key = RSAKey.generate_key(2048, {"kid": "sso_oidc_key_pair_01JPXN6KF7NAEAZTFDYESAE0KX"})
    made = AuthKit(f"http://127.0.0.1:{port}", key)
    with listening(made, port):
        yield made
