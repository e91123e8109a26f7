"""The subject token of an exchange (RFC 8693 section 2.1): on whose behalf, and through whom, the new one will be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError

from ..context import Context
from ..requests import FormRequest
from ..state.sessions import Session, find_session, session_revocation
from .bound import InvalidProofError
from .money import SHOP_SPENDING
from .tokens import actors, bound_to, read_access_token

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
"""Section 3."""


@dataclass(frozen=True)
class SubjectToken:
    """An access token of ours that holds, of who sent it.

    Args:
        through: who acts by it, then each agent above; empty for the human's own console.
        key: the thumbprint of the key that it is bound to; None of a bearer token.
    """

    claims: dict[str, Any]
    session: Session
    through: tuple[str, ...]
    key: str | None

    @property
    def scope(self) -> frozenset[str]:
        """What it is good for; its session may be good for more."""
        return frozenset(self.claims["scope"].split())

    @property
    def details(self) -> tuple[dict[str, Any], ...]:
        """Its authorization details."""
        return tuple(self.claims.get("authorization_details", ()))

    @property
    def limits(self) -> tuple[dict[str, Any], ...]:
        """The spending limits that it is under: its own, and each above it."""
        return tuple(detail for detail in self.details if detail.get("type") == SHOP_SPENDING)


def read_subject_token(context: Context, request: FormRequest, *, held: bool = True) -> SubjectToken:
    """The subject token of a request.

    Args:
        held: whether it has to be its holder's, who proves the key where it is bound to one.

    Raises:
        InvalidRequestError: there is none, or one that is no access token of ours, has expired, is of what was revoked,
            or is bound to another key (section 2.2.2: what is wrong with a subject token is `invalid_request`).
        InvalidProofError: it is bound to a key of which no proof came: a copy of it is of no use here either.
    """
    form = request.form
    if "subject_token" not in form or form.get("subject_token_type") != ACCESS_TOKEN:
        raise InvalidRequestError(f"subject_token, of subject_token_type {ACCESS_TOKEN}, is needed")
    claims = read_access_token(context, form["subject_token"])
    if claims is None:
        raise InvalidRequestError("subject_token is no access token of this server")
    if context.now() >= claims["exp"]:
        raise InvalidRequestError("subject_token has expired")
    key, through = bound_to(claims), actors(claims)
    if held and key is not None and request.proof is None:
        raise InvalidProofError("subject_token is bound to a key: send a proof of it in the DPoP header")
    if held and key is not None and request.key != key:
        raise InvalidRequestError("subject_token is bound to another key")
    with context.store.transaction() as connection:
        session = find_session(connection, str(claims.get("sid")))
        revoked = None if session is None else session_revocation(connection, session, through)
    if session is None:
        raise InvalidRequestError("subject_token is of no session that is known here")
    if revoked is not None:
        raise InvalidRequestError(f"subject_token is of no use: its {revoked.kind} was revoked")
    return SubjectToken(claims, session, through, key)
