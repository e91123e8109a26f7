"""Who the agent is at one authorization server, and how it proves that at the token endpoint (RFC 6749 section 2.3)."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Literal, Self
from urllib.parse import quote

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
METHODS: tuple[AuthMethod, ...] = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
"""`token_endpoint_auth_method` values that this client knows (RFC 7591 section 2, OpenID Connect Core section 9)."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
"""Life of a client assertion: it is used at once."""

Source = Literal["pre-registered", "client ID metadata document", "dynamic registration"]


@dataclass(frozen=True)
class ClientIdentity:
    """A client identifier and what proves it. `repr` hides the secrets.

    Args:
        client_id: as the authorization server knows it (RFC 6749 section 2.2); a URL for a client ID metadata document.
        secret: the client secret, None for a public client.
        private_key: a PEM private key for `private_key_jwt` (RFC 7523 section 2.2).
        algorithm: of that key, e.g. "ES256".
        method: how it authenticates at the token endpoint.
        issuer: the only authorization server that this identity is shown to; None for an identifier that is no secret
            anywhere.
        redirect_uri: the redirect URI that was registered, port and all; None where any loopback port will do.
        scopes: what it was registered to ask for; empty where nothing was said.
        grants: the grant types it was registered for; empty where nothing was said.
        other_method: what to try where `method` is refused, since nobody said which it was registered for; None for
            nothing.
        secret_until: when the secret ends, POSIX seconds; None for never (RFC 7591 section 3.2.1).
        source: where it comes from.
    """

    client_id: str
    secret: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    algorithm: str = "ES256"
    method: AuthMethod = "none"
    issuer: str | None = None
    redirect_uri: str | None = None
    scopes: tuple[str, ...] = ()
    secret_until: float | None = None
    grants: tuple[str, ...] = ()
    other_method: AuthMethod | None = None
    source: Source = "pre-registered"

    def authenticate(self, form: list[tuple[str, str]], *, audience: str) -> tuple[list[tuple[str, str]], str | None]:
        """The form with what proves the client, and an `Authorization` header's value where it goes there.

        Args:
            audience: the authorization server's issuer, for a client assertion (RFC 7523 section 3).
        """
        named = [*form, ("client_id", self.client_id)]
        if self.method == "client_secret_basic" and self.secret is not None:
            # Both halves are form-encoded first (RFC 6749 section 2.3.1); a space as %20, which those read too that
            # decode percent-encoding only. The form names the client all the same: the authenticator of MCP's Python
            # SDK looks it up by that before it reads the header, and an identifier alone is no second authentication
            # (RFC 6749 section 2.3).
            pair = f"{quote(self.client_id, safe='')}:{quote(self.secret, safe='')}"
            return named, f"Basic {base64.b64encode(pair.encode()).decode()}"
        if self.method == "client_secret_post" and self.secret is not None:
            return [*named, ("client_secret", self.secret)], None
        if self.method == "private_key_jwt" and self.private_key is not None:
            asserted = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", self._assertion(audience))]
            return [*named, *asserted], None
        return named, None

    def otherwise(self) -> Self | None:
        """The same client by its other method, None where it has none."""
        return None if self.other_method is None else replace(self, method=self.other_method, other_method=None)

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return tuple(one for one in (self.secret, self.private_key) if one)

    def to_json(self) -> str:
        """For the store."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Back from the store.

        Raises:
            ValueError: it is not what `to_json` wrote.
        """
        try:
            given = json.loads(text)
            known = {f.name: given[f.name] for f in fields(cls) if f.name in given}
            lists = {name: tuple(known.get(name) or ()) for name in ("scopes", "grants")}
            found = cls(**known | lists)
        except (TypeError, RecursionError) as error:
            raise ValueError(f"not a client identity: {error}") from None
        if not isinstance(found.client_id, str) or not found.client_id or found.method not in METHODS:
            raise ValueError("not a client identity")
        return found

    def _assertion(self, audience: str) -> str:
        from joserfc import jwk, jwt

        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        assert self.private_key is not None
        kinds: dict[str, type[jwk.ECKey | jwk.RSAKey | jwk.OKPKey]] = {
            "ES": jwk.ECKey,
            "RS": jwk.RSAKey,
            "PS": jwk.RSAKey,
        }
        key = kinds.get(self.algorithm[:2], jwk.OKPKey).import_key(self.private_key)
        return jwt.encode({"alg": self.algorithm}, claims, key, algorithms=[self.algorithm])
