"""Token exchange (RFC 8693): an access token of this server for another one. What for is `requested_token_type`'s to
say; each kind is a module of its own, with its line in `EXCHANGES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from authlib.oauth2.rfc6749 import BaseGrant, InvalidRequestError, TokenEndpointMixin, UnauthorizedClientError

from ..clients.metadata import TOKEN_EXCHANGE
from ..requests import FormRequest
from .server import Grant, OAuthServer
from .sub_agents import hand_on
from .subject_token import ACCESS_TOKEN, SubjectToken, read_subject_token
from .transaction import TXN_TOKEN, for_one_purchase

Exchange = Callable[[OAuthServer, FormRequest, SubjectToken], dict[str, Any]]
"""Makes the token response (section 2.2.1). The subject token holds, and who sent it has its key, but for
`OF_SOMEBODY_ELSE`; whether this client may exchange it for what it asks for is for this function to see. Raises
OAuth2Error."""

EXCHANGES: Final[Mapping[str, Exchange]] = {ACCESS_TOKEN: hand_on, TXN_TOKEN: for_one_purchase}
"""By `requested_token_type` (section 2.1)."""
OF_SOMEBODY_ELSE: Final = frozenset({TXN_TOKEN})
"""Those that are made for the resource server, which was shown the subject token, and has not its key."""


class TokenExchangeGrant(Grant, BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # Authlib ships no types
    """Reads the subject token, and has the kind of exchange that is asked for make the answer.

    The token endpoint holds one transaction around all of it: what is revoked meanwhile is revoked before or after.
    """

    GRANT_TYPE = TOKEN_EXCHANGE

    def validate_token_request(self) -> None:
        """See that the client may exchange tokens at all, and for what this server has.

        Raises:
            UnauthorizedClientError: the client did not register this grant, or it is for the resource server alone.
            InvalidRequestError: another kind of token is wanted.
        """
        self.request.client = self.authenticate_token_endpoint_client()
        if not self.request.client.check_grant_type(TOKEN_EXCHANGE):
            raise UnauthorizedClientError("this client did not register the token exchange grant")
        wanted = self.request.form.get("requested_token_type", ACCESS_TOKEN)
        if wanted not in EXCHANGES:
            raise InvalidRequestError(f"requested_token_type is one of: {', '.join(EXCHANGES)}")
        shop, _ = self.server.context.config.resource_server
        if wanted in OF_SOMEBODY_ELSE and self.request.client.client_id != shop:
            # Before the token is looked at: a copy of it would tell whether its session still stands.
            raise UnauthorizedClientError("such tokens are for the resource server that was shown subject_token")
        self._exchange = EXCHANGES[wanted]
        self._held = wanted not in OF_SOMEBODY_ELSE

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """The new token. Nothing of an exchange is refreshed: who holds the subject token exchanges it again."""
        subject = read_subject_token(self.server.context, self.request, held=self._held)
        self.check_token_wishes(subject.session)
        return 200, self._exchange(self.server, self.request, subject), self.TOKEN_RESPONSE_HEADER
