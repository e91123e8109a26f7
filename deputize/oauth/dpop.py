"""Proof of possession: DPoP proofs (RFC 9449), made with a key that never leaves the agent."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

ALGORITHM = "ES256"


class ProofKey:
    """One agent's DPoP key, and the nonces that servers have handed it (RFC 9449 sections 8 and 9)."""

    def __init__(self, key: Any) -> None:
        self._key = key
        self._nonces: dict[str, str] = {}

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        from joserfc import jwk

        return cls(jwk.ECKey.generate_key("P-256", private=True))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Back from the store.

        Raises:
            ValueError: it is no private EC key.
        """
        from joserfc import jwk
        from joserfc.errors import JoseError

        try:
            key = jwk.ECKey.import_key(json.loads(text))
            if not key.is_private:
                raise ValueError("not a private key")
        except (JoseError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"not a DPoP key: {error}") from None
        return cls(key)

    def to_json(self) -> str:
        """For the store: the private JWK (RFC 7517), a secret."""
        return json.dumps(self._key.as_dict(private=True))

    @property
    def thumbprint(self) -> str:
        """Of its public half (RFC 7638), by which a token names it (`cnf.jkt`, RFC 9449 section 6.1)."""
        found: str = self._key.thumbprint()
        return found

    def proof(self, method: str, url: str, *, token: str | None = None) -> str:
        """A fresh proof for one request (RFC 9449 section 4.2).

        Args:
            method: of the HTTP request.
            url: its target; query and fragment are left out of `htu`.
            token: the access token that goes with it, for `ath`; None at the token endpoint.
        """
        from joserfc import jwt

        parts = urlsplit(url)
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
            "iat": int(time.time()),
        }
        if token is not None:
            digest = hashlib.sha256(token.encode("ascii")).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (nonce := self._nonces.get(parts.netloc)) is not None:
            claims["nonce"] = nonce
        header = {"typ": "dpop+jwt", "alg": ALGORITHM, "jwk": self._key.as_dict(private=False)}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def actor_token(self, audience: str, name: str) -> str:
        """Who acts by this key, for an exchange of another agent's token (RFC 8693 section 2.1): it has no end, since
        it opens nothing.

        Args:
            audience: the authorization server's issuer.
            name: what the holder of the key calls itself.
        """
        from joserfc import jwt

        claims = {"sub": self.thumbprint, "aud": audience, "name": name}
        header = {"typ": "actor+jwt", "alg": ALGORITHM, "jwk": self._key.as_dict(private=False)}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def heard(self, url: str, nonce: str | None) -> bool:
        """Remember a server's `DPoP-Nonce`; whether it is a new one, so that trying again makes sense."""
        place = urlsplit(url).netloc
        if not nonce or self._nonces.get(place) == nonce:
            return False
        self._nonces[place] = nonce
        return True
