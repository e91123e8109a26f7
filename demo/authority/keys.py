"""The signing key: one ES256 key (RFC 7518 section 3.4), made at the first start, kept in the state file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from .store import Store

ALGORITHM = "ES256"
LONGEST_TOKEN = 8192
"""Characters. Our own are below 2000; what is longer is not worth parsing."""


class SigningKey:
    """Signs what this authority issues and recognizes it again."""

    def __init__(self, key: jwk.ECKey) -> None:
        self._key = key

    @classmethod
    def load(cls, store: Store, clock: Callable[[], float]) -> SigningKey:
        """The key in `store`, made now when there is none. Two processes at once end with the same one."""
        with store.transaction() as connection:
            row = connection.execute("SELECT jwk FROM authority_keys ORDER BY created_at DESC LIMIT 1").fetchone()
            if row is not None:
                return cls(jwk.ECKey.import_key(json.loads(row["jwk"])))
            key = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
            connection.execute(
                "INSERT INTO authority_keys (kid, jwk, created_at) VALUES (?, ?, ?)",
                (key.kid, json.dumps(key.as_dict(private=True)), clock()),
            )
            return cls(key)

    def jwks(self) -> dict[str, Any]:
        """The public half as a JWK Set (RFC 7517 section 5)."""
        return {"keys": [self._key.as_dict(private=False)]}

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """A signed JWT of these claims, with `typ` and `kid` in its header."""
        return jwt.encode({"alg": ALGORITHM, "typ": typ, "kid": self._key.kid}, claims, self._key)

    def read(self, token: str, *, typ: str) -> dict[str, Any] | None:
        """The claims of a JWT that this key signed with this `typ`, or None. Its expiry is the caller's to judge."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            found = jwt.decode(token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError):
            return None
        return dict(found.claims) if found.header.get("typ") == typ else None
