"""Token revocation (RFC 7009): a client hands a token in, and its whole session ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint as AuthlibRevocationEndpoint

from ..clients.client import Client
from ..clients.metadata import ENDPOINT_AUTH_METHODS
from ..grants.access_token import read_access_token
from ..state.refresh_tokens import find_refresh_token
from ..state.sessions import Session, find_session
from ..state.standing import revoke_session
from .requests import FormRequest

if TYPE_CHECKING:
    from ..context import Authority


class TokenOfSession:
    """A token, as far as its revocation is concerned."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def check_client(self, client: Client) -> bool:
        """Whether it was issued to `client`; Authlib answers `invalid_grant` where not (section 2.1)."""
        return self.session.client_id == client.client_id


class RevocationEndpoint(AuthlibRevocationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """Revokes the session of a refresh token or an access token, used and expired ones too."""

    CLIENT_AUTH_METHODS = ENDPOINT_AUTH_METHODS

    def check_params(self, request: FormRequest, client: Client) -> None:
        """Only `token` counts: a hint that we do not know is ignored (section 2.2), as we need none."""
        request.refuse_repeated()
        if "token" not in request.form:
            raise InvalidRequestError("token is missing")

    def query_token(self, token_string: str, token_type_hint: str | None) -> TokenOfSession | None:
        """The token with its session, or None, which is answered with 200 as well (section 2.2)."""
        authority: Authority = self.server.authority
        with authority.store.transaction() as connection:
            refresh_token = find_refresh_token(connection, token_string)
            if refresh_token is not None:
                return TokenOfSession(refresh_token.session)
            claims = read_access_token(authority, token_string)
            session = None if claims is None else find_session(connection, str(claims.get("sid")))
        return None if session is None else TokenOfSession(session)

    def revoke_token(self, token: TokenOfSession, request: FormRequest) -> None:
        """End the session."""
        authority: Authority = self.server.authority
        with authority.store.transaction() as connection:
            revoke_session(connection, token.session.id, kind="token", by=request.client.client_id, now=authority.now())
