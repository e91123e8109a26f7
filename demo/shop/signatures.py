"""The signatures that were found good lately: an agent comes again and again with the same token.

To verify one takes longer than all the gates together. What is kept says only that a key signed these bytes, which
stays true; whether the key is still the authorization server's, and the claims good enough, is asked each time.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc.jwk import ECKey, RSAKey

from demo.shop.facts import TokenFacts

MOST: Final = 4096
"""Tokens that are kept, the last used; some ten megabytes."""


@dataclass(frozen=True)
class Signed:
    """A token whose signature `key` made, taken apart. Nobody writes into it."""

    kid: str | None
    key: ECKey | RSAKey
    header: dict[str, Any]
    claims: dict[str, Any]
    told: dict[Any, TokenFacts] = field(default_factory=dict)
    """What it says to each resource, as it was read."""


class Signatures:
    """Tokens by their digest, so that nobody finds one here to use it."""

    def __init__(self, most: int = MOST) -> None:
        self._kept: OrderedDict[bytes, Signed] = OrderedDict()
        self._most = most

    def find(self, token: str) -> Signed | None:
        """The very same token as it was found good; its key may have been withdrawn since."""
        digest = _digest(token)
        found = self._kept.get(digest)
        if found is not None:
            self._kept.move_to_end(digest)
        return found

    def keep(self, token: str, signed: Signed) -> None:
        """Keep what was verified just now."""
        self._kept[_digest(token)] = signed
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()
