"""Bearer tokens at the authority's own resources (RFC 6750): is it ours, for here, standing, and enough?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..context import Authority
from ..grants.access_token import read_access_token
from ..state.accounts import Account, account_by_sub
from ..state.sessions import find_session
from ..state.standing import standing

NO_STORE = {"Cache-Control": "no-store"}


class BearerRefused(Exception):
    """A refusal with its challenge (section 3). Without `error` there was no token at all (section 3.1)."""

    def __init__(self, status: int, error: str = "", description: str = "", scope: str = "") -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
        self.scope = scope

    def response(self) -> Response:
        """The refusal, in header and body."""
        parameters = {"realm": "authority", "error": self.error, "error_description": self.description}
        if self.scope:
            parameters["scope"] = self.scope
        challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)
        body = {
            "error": self.error or "invalid_token",
            "error_description": self.description or "a bearer token is needed",
        }
        return JSONResponse(body, self.status, {"WWW-Authenticate": challenge, **NO_STORE})


def authenticate(authority: Authority, request: Request, *, audience: str, scope: str) -> Account:
    """The human by whose authority this request is made; blocking, call it in a thread.

    Raises:
        BearerRefused: 401 without a token or with one that does not hold here, 403 when its scope is too small.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise BearerRefused(401, scope=scope)
    claims = read_access_token(authority, token.strip())
    if claims is None:
        raise BearerRefused(401, "invalid_token", "this is not an access token of this authority")
    if not isinstance(claims["aud"], str) or authority.canonical(claims["aud"]) != audience:
        raise BearerRefused(401, "invalid_token", f"this token is for another audience, not for {audience}")
    if authority.now() >= claims["exp"]:
        raise BearerRefused(401, "invalid_token", "this token has expired")
    with authority.store.transaction(write=False) as connection:
        session = find_session(connection, claims["sid"])
        revoked = None if session is None else standing(connection, session)
    account = account_by_sub(claims["sub"])
    if session is None or account is None:
        raise BearerRefused(401, "invalid_token", "this authority does not know the session")
    if revoked is not None:
        raise BearerRefused(401, "invalid_token", f"the authority of this {revoked.kind} was taken back")
    if scope not in claims["scope"].split():
        raise BearerRefused(403, "insufficient_scope", f"this needs the scope {scope}", scope)
    return account
