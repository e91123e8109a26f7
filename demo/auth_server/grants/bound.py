"""Tokens that are bound to a key of the client's (RFC 9449): the proof of it that a request brings, and what it is
worth where something was bound before."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidGrantError

from demo.proofs import ALGORITHMS, REMEMBERED_SECONDS, Fault, Proof, ProofRefused, Received, check, sent

from ..context import Context
from ..requests import FormRequest

WORDS: Final[Mapping[Fault | str, str]] = {
    "missing": "the DPoP header is missing",
    "several": "there is more than one DPoP header",
    "malformed": f"the proof is no JWT of RFC 9449 section 4.2, signed with {ALGORITHMS[0]}",
    "signature": "the proof is not signed with the key that it names",
    "method": "the proof was made for another HTTP method",
    "url": "the proof was made for another URL",
    "time": "the proof was made too long ago, or ahead of this server's clock: put this nonce into it",
    "nonce": "the nonce in the proof is none of this server's that is still good: use this one",
    "token": "the proof was made for another access token",
    "replayed": "the proof was used before: make one for each request",
    "key": "the proof is of another key than the token is bound to",
}


class InvalidProofError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """A proof that proves nothing (RFC 9449 section 5)."""

    error = "invalid_dpop_proof"


class UseNonceError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """A proof that has to have a nonce of ours in it (RFC 9449 section 8)."""

    error = "use_dpop_nonce"

    def __init__(self, description: str, nonce: str) -> None:
        super().__init__(description)
        self._nonce = nonce

    def get_headers(self) -> list[tuple[str, str]]:
        """Authlib's headers, and the nonce."""
        return [*super().get_headers(), ("DPoP-Nonce", self._nonce)]


def prove(context: Context, connection: sqlite3.Connection, request: FormRequest) -> None:
    """See which key the client proves, where it sends a proof: `request.proof` is set.

    Nothing is written yet: anybody may send proofs. What gets a token uses its proof up (`remember`), in the same
    transaction; what gets none is worth nothing a second time.

    Raises:
        InvalidProofError, UseNonceError: the proof proves nothing.
    """
    given = sent(request.headers.getlist("dpop"))
    if not given:
        return
    path = request.uri.removeprefix(context.issuer)
    urls = {request.uri, context.origin(request.headers.get("host", "")) + path}
    try:
        proof = check(Received(given, "POST", urls), now=context.now(), nonces=context.nonces)
    except ProofRefused as refused:
        if refused.wants_nonce:
            raise UseNonceError(WORDS[refused.fault], context.nonces.issue(context.now())) from None
        raise InvalidProofError(WORDS[refused.fault]) from None
    if connection.execute("SELECT 1 FROM oauth_proofs WHERE id = ?", (proof.id,)).fetchone() is not None:
        raise InvalidProofError(WORDS["replayed"])
    request.proof = proof


def remember(connection: sqlite3.Connection, proof: Proof, now: float) -> bool:
    """Note a proof as used; whether it is the first time. Forgotten a minute after it was accepted last."""
    connection.execute("DELETE FROM oauth_proofs WHERE until < ?", (now - REMEMBERED_SECONDS,))
    noted = connection.execute(
        "INSERT INTO oauth_proofs (id, until) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (proof.id, proof.until)
    )
    return noted.rowcount > 0


def require_key(request: FormRequest, key: str, what: str) -> None:
    """See that a request proves the key that something is bound to.

    Raises:
        InvalidProofError: it proves none.
        InvalidGrantError: it proves another.
    """
    if request.proof is None:
        raise InvalidProofError(f"{what} is bound to a key: send a proof of it in the DPoP header")
    if request.proof.key != key:
        raise InvalidGrantError(f"{what} is bound to another key")
