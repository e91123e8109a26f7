"""The signing keys: ES256 (RFC 7518 section 3.4), the first made at the first start, all kept in the state file.

The newest signs. One that was rotated out stays published, and is recognized, until whatever it signed has expired.
They are read at each use, so that a key made by another process counts from then on without a restart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from .store import Store

ALGORITHM = "ES256"
LONGEST_TOKEN = 8192
"""Characters. Our own are below 2000; what is longer is not worth parsing."""
PUBLISHED_SECONDS: Final = 3600.0
"""How long a key stays published after the next one was made. Nothing that we sign lives longer (an agent token of
WorkOS's kind may live an hour)."""

_PUBLISHED = """
SELECT kid, jwk FROM (SELECT kid, jwk, row_number() OVER newest AS place, lag(created_at) OVER newest AS replaced_at
    FROM oauth_keys WINDOW newest AS (ORDER BY created_at DESC, rowid DESC))
WHERE replaced_at IS NULL OR replaced_at > ? ORDER BY place
"""


class SigningKeys:
    """Sign what this server issues and recognize it again."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, jwk.ECKey] = {}

    @classmethod
    def load(cls, store: Store, clock: Callable[[], float]) -> SigningKeys:
        """The keys in `store`, the first made now when there is none. Two processes at once end with the same one."""
        keys = cls(store, clock)
        with store.transaction():
            if not keys._published():
                keys.rotate()
        return keys

    def rotate(self, *, withdraw: bool = False) -> None:
        """Make a new key, which signs from now on.

        Args:
            withdraw: the old ones go at once, as they must where one was stolen: what they signed is not ours any more.
        """
        key = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        with self._store.transaction() as connection:
            if withdraw:
                connection.execute("DELETE FROM oauth_keys")
            connection.execute(
                "INSERT INTO oauth_keys (kid, jwk, created_at) VALUES (?, ?, ?)",
                (key.kid, json.dumps(key.as_dict(private=True)), self._clock()),
            )

    def jwks(self) -> dict[str, Any]:
        """The public halves as a JWK Set (RFC 7517 section 5), the newest first."""
        return {"keys": [key.as_dict(private=False) for key in self._published()]}

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """A signed JWT of these claims, with `typ` and `kid` in its header."""
        key = self._published()[0]
        return jwt.encode({"alg": ALGORITHM, "typ": typ, "kid": key.kid}, claims, key)

    def read(self, token: str, *, typ: str) -> dict[str, Any] | None:
        """The claims of a JWT that one of these keys signed with this `typ`, or None. Its expiry is the caller's to
        judge."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            kid = jws.extract_compact(token.encode()).headers().get("kid")
            key = next((one for one in self._published() if one.kid == kid), None)
            if key is None:
                return None
            found = jwt.decode(token, key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, RecursionError):
            return None
        return dict(found.claims) if found.header.get("typ") == typ else None

    def _published(self) -> list[jwk.ECKey]:
        with self._store.transaction(write=False) as connection:
            rows = connection.execute(_PUBLISHED, (self._clock() - PUBLISHED_SECONDS,)).fetchall()
        # A key does not change under its name (its thumbprint), so that only new ones are imported.
        known = self._known
        found = {row["kid"]: known.get(row["kid"]) or jwk.ECKey.import_key(json.loads(row["jwk"])) for row in rows}
        self._known = found
        return list(found.values())
