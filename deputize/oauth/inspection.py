"""What a token says and what of it holds, the delegation chain in it, and who the human is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deputize.errors import AuthorizationRefused, Remedy, ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, Chain, TokenView
from deputize.http.connection import Connection
from deputize.http.errors import OAuthRefused
from deputize.http.fetch import fetch
from deputize.http.sanitizing import safe_text
from deputize.oauth import introspection
from deputize.oauth.authorizer import Authorizer
from deputize.oauth.dpop import ProofKey
from deputize.tokens import claims
from deputize.tokens.claim_meanings import above, parties
from deputize.tokens.stored import StoredToken, number


class Inspector:
    """What can be shown of one agent's tokens; each by the authorization server that issued it, and by no other.

    Args:
        connection: to the server; the authorization server is asked over it, too.
        authorizer: the authorizer of this agent.
        client_name: the software's name, as a person should read it.
    """

    def __init__(self, connection: Connection, authorizer: Authorizer, client_name: str) -> None:
        self._connection = connection
        self._authorizer = authorizer
        self._client_name = client_name

    def view(self, token: StoredToken, *, audience: str | None = None) -> TokenView:
        """What a token says, and what of it was checked against the authorization server's keys, fetched now (RFC
        7517, RFC 9068).

        What is opaque cannot be checked: its authorization server is asked about it, where it lets itself be asked.

        Args:
            audience: what it should be for; the resource it was asked for by default.

        Raises:
            AuthorizationRefused: the authorization server that issued it cannot be found.
            ServerUnreachable: it does not answer.
        """
        metadata = self._authorizer.discovery.of(token)
        keys, why = self._keys(metadata, token)
        seen = claims.view(
            token.access_token,
            issuer=token.issuer,
            audience=audience or token.resource,
            jwks=keys,
            jwks_url=metadata.jwks_uri,
            no_keys=why,
            expires_at=token.expires_at if token.end_told else None,
            scopes=token.scope,
        )
        seen = replace(seen, holder=token.holder)
        named, key = seen.claim("cnf.jkt"), token.dpop_key
        if named is not None and (key is None or ProofKey.from_json(key).thumbprint != named):
            seen = replace(seen, problems=(*seen.problems, "it is bound to a key that this agent has not"))
        return introspection.ask(self._connection, metadata, token, seen) if seen.kind == "opaque" else seen

    def active(self, token: StoredToken) -> bool | None:
        """Whether the authorization server says that it is active (RFC 7662); None where it does not say."""
        try:
            return introspection.active(self._connection, self._authorizer.discovery.of(token), token)
        except (AuthorizationRefused, ServerUnreachable):
            return None

    def chain(
        self,
        token: StoredToken,
        action: str | None = None,
        *,
        seen: TokenView | None = None,
        person: Mapping[str, Any] | None = None,
    ) -> Chain:
        """The delegation chain in a token's claims.

        Args:
            action: what was done with it.
            seen: the token as `view` saw it, where that is at hand.
            person: what `userinfo` told of the human, where that is at hand.

        Raises:
            AuthorizationRefused: the token is opaque: only its issuer can say who is in it.
            ServerUnreachable: as `view`.
        """
        jwt = claims.take_apart(token.access_token)
        if jwt is None:
            raise OAuthRefused(
                "this token says nothing about who is in it",
                oauth_error="unsupported",
                why="it is opaque: only its issuer can read it (RFC 7662)",
                do="ask its issuer (RFC 7662)",
                remedy=Remedy("read_token"),
            )
        seen = seen if seen is not None else self.view(token)
        told = person if person is not None else self.identify(token)
        who, email = parties(jwt.claims), told.get("email")
        verified = f"verified against {seen.signature}" if seen.signature else "not verified"
        return Chain(
            human=safe_text(email if isinstance(email, str) and email else who.human, one_line=True),
            human_id=safe_text(who.human, one_line=True),
            agent=safe_text(who.agent, one_line=True),
            client=self._client_name if seen.claim("client_id") == token.client_id else seen.claim("client_id") or "",
            session="" if who.consent_claim == "sid" else seen.claim("sid") or "",
            consent=seen.claim(who.consent_claim) or "",
            action=action,
            token_id=seen.claim("jti") or "",
            scopes=seen.scopes,
            spending_limit=token.spending_limit,
            at=number(jwt.claims.get("auth_time")),
            source=f"token claims, {verified}",
            convention=who.convention,
            handed_on_by=tuple(safe_text(one, one_line=True) for one in above(jwt.claims)),
        )

    def userinfo(self, token: StoredToken) -> dict[str, Any]:
        """Who the human is, by the authorization server's word (OpenID Connect Core section 5.3).

        A token made for the shop does not open it where audiences are kept apart. One made for it is asked for only
        where the authorization server names the endpoint among the resources that its tokens may be for (RFC 9728
        section 4): a refresh token is worth more than a name, and one that is tried in vain may end the whole grant.

        Raises:
            AuthorizationRefused: the authorization server has no such endpoint, or does not say; or `openid` was not
                granted.
            ServerUnreachable: it does not answer.
        """
        metadata = self._authorizer.discovery.of(token)
        endpoint = _endpoint(metadata, token)
        try:
            return self._userinfo(token, endpoint)
        except OAuthRefused:
            held = self._authorizer.credentials.stored()
            if held is None or held.refresh_token is None or held.access_token != token.access_token:
                raise
            if endpoint not in metadata.protected_resources or self._authorizer.credentials.refuses(held, endpoint):
                raise
        return self._userinfo(self._authorizer.credentials.refresh(resource=endpoint, keep=False), endpoint)

    def identify(self, token: StoredToken) -> dict[str, Any]:
        """`userinfo` where it is given, else what the token itself says of the human (`sub` alone)."""
        try:
            return self.userinfo(token)
        except (AuthorizationRefused, ServerUnreachable):
            jwt = claims.take_apart(token.access_token)
            return {"sub": safe_text(parties(jwt.claims).human, one_line=True)} if jwt else {}

    def _userinfo(self, token: StoredToken, endpoint: str) -> dict[str, Any]:
        server = self._connection.endpoint()
        return self._connection.http(lambda http: introspection.userinfo(http, token, endpoint, server=server))

    def _keys(
        self, metadata: AuthorizationServerMetadata, token: StoredToken
    ) -> tuple[dict[str, Any] | None, str | None]:
        """The authorization server's keys, or why there are none; none are asked for where the token is no JWT."""
        uri = metadata.jwks_uri
        if uri is None or claims.take_apart(token.access_token) is None:
            return None, None
        try:
            answer = self._connection.http(lambda http: fetch(http, "GET", uri, server=self._connection.endpoint()))
        except ServerUnreachable as error:
            return None, error.what
        return answer.json if answer.status == 200 else None, f"{uri} answered HTTP {answer.status} and no keys"


def _endpoint(metadata: AuthorizationServerMetadata, token: StoredToken) -> str:
    if metadata.userinfo_endpoint is None:
        raise OAuthRefused(
            "the authorization server has no userinfo endpoint",
            oauth_error="unsupported",
            why="it is an OAuth server without OpenID Connect",
            do="read the token instead",
            remedy=Remedy("read_token"),
        )
    if "openid" not in token.scope:
        raise OAuthRefused(
            "the token does not open the userinfo endpoint",
            oauth_error="unsupported",
            why="it was granted without the scope openid (OpenID Connect Core section 5.3)",
            do="log in for the scope openid, beside those that it has",
            remedy=Remedy("log_in", scopes=(*token.scope, "openid")),
        )
    return metadata.userinfo_endpoint
