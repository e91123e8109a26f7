"""The agent's own token: kept, renewed when it is due, by one process at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from deputize.errors import Remedy
from deputize.evidence import Money
from deputize.http.connection import Connection
from deputize.http.errors import OAuthRefused, not_logged_in
from deputize.oauth.dpop import ProofKey
from deputize.oauth.hand_on import Handed, exchange
from deputize.oauth.token_endpoint import ClientAnswer, ask, refused
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.store import Store
from deputize.tokens.stored import StoredToken, read_token_response

MARGIN = 5.0
"""Seconds before its expiry from which a stored access token is renewed rather than used."""
HANDING_ON_MARGIN = 60.0
"""The same where it is handed on: what is made from it ends no later than it does."""

_LOG_IN_ABOVE: Final = "log in the agent that handed on, and have it hand on again"


class Credentials:
    """The token in one slot of a store.

    Args:
        connection: to the server; refreshes go over it, and its recorder learns which texts are secrets.
        owner: whose token it is, for messages.
        unknown_at: called with the issuer that does not know the client any more.
    """

    def __init__(
        self, connection: Connection, store: Store, slot: str, owner: str, unknown_at: Callable[[str], None]
    ) -> None:
        self._unknown_at = unknown_at
        self._connection = connection
        self._store = store
        self._slot = slot
        self._owner = owner

    def stored(self) -> StoredToken | None:
        """The stored token as it is, expired or not."""
        token = self._store.get(self._slot)
        if token is not None:
            self._guard(token)
        return token

    def keep(self, token: StoredToken) -> None:
        """Store a token; a renewal of the one before that is under way elsewhere is waited for, and gives way."""
        with self._store.refreshing(self._slot):
            self._put(token)

    def forget(self) -> None:
        """Store none."""
        with self._store.refreshing(self._slot):
            self._store.delete(self._slot)

    def token(self, margin: float = MARGIN) -> StoredToken:
        """The stored token, renewed first when it ends within `margin` seconds.

        Raises:
            AuthorizationRefused: nothing is stored, or the authorization server does not renew it.
            ServerUnreachable: the authorization server does not answer.
        """
        token = self._wanted()
        if token.expires_at - margin > time.time():
            return token
        with self._store.refreshing(self._slot):
            # Another process may have renewed it while this one waited for its turn.
            token = self._wanted()
            if token.expires_at - margin > time.time():
                return token
            return self._renew(token, keep=True)

    def refresh(
        self,
        *,
        resource: str | None = None,
        requested_expires_in: int | None = None,
        keep: bool = True,
        instead_of: str | None = None,
    ) -> StoredToken:
        """Renew now.

        Args:
            resource: for another resource of those granted (RFC 8707 section 2.2).
            requested_expires_in: a shorter life in seconds, where the authorization server knows the parameter.
            keep: False leaves the stored access token in place; the rotated refresh token is kept in any case.
            instead_of: an access token found to be useless; one that another process has put in its place will do.

        Raises:
            as `token`.
        """
        with self._store.refreshing(self._slot):
            token = self._wanted()
            if instead_of is not None and token.access_token != instead_of:
                return token
            return self._renew(token, keep=keep, resource=resource, requested_expires_in=requested_expires_in)

    def refuses(self, token: StoredToken, resource: str) -> bool:
        """Whether the authorization server of a token has refused to renew it for another resource."""
        return self._store.at(token.issuer).kept(self._refused(resource)) is not None

    def _refused(self, resource: str) -> str:
        return f"refused {self._slot} {resource}"

    def _renew(
        self, token: StoredToken, *, keep: bool, resource: str | None = None, requested_expires_in: int | None = None
    ) -> StoredToken:
        """A fresh access token, and the refresh token that replaces the one just used (RFC 6749 section 6); of what was
        handed on, the same once more."""
        if token.handed_on_by is not None:
            return self._handed_again(token, token.handed_on_by)
        if token.refresh_token is None:
            raise OAuthRefused(
                "the token cannot be refreshed",
                oauth_error="not_logged_in",
                why="no refresh token came with it: offline_access was not granted",
                do="log in",
                remedy=Remedy("log_in"),
            )
        target = resource or token.resource
        form = [("grant_type", "refresh_token"), ("refresh_token", token.refresh_token)]
        form += [("resource", target)] if target else []
        form += [("requested_expires_in", str(requested_expires_in))] if requested_expires_in is not None else []
        key = ProofKey.from_json(token.dpop_key) if token.dpop_key else None
        answer = self._ask(token, token.token_endpoint, form, key)
        if not answer.granted or answer.json is None:
            error = refused(answer, f"{token.issuer} does not renew this login", "log in", remedy=Remedy("log_in"))
            code = error.oauth_error if isinstance(error, OAuthRefused) else None
            if code == "invalid_client":
                self._unknown_at(token.issuer)
            if code == "invalid_target" and resource is not None:
                self._store.at(token.issuer).keep(self._refused(resource), code)
            raise error
        fresh = read_token_response(answer.json, received_at=time.time(), asked=token, resource=target)
        self._put(fresh if keep else replace(token, refresh_token=fresh.refresh_token))
        self._guard(fresh)
        return fresh

    def hand_on(self, slot: str, name: str, *, scopes: Sequence[str], spending: Money | None = None) -> StoredToken:
        """Hand a part of what the stored token grants on to a sub-agent (RFC 8693), and keep its token in `slot`.

        One that is there already keeps its key, and so is the same sub-agent.

        Args:
            name: what the sub-agent calls itself.
            scopes: some of those that the stored token has.
            spending: no more than it may spend; None where the sub-agent does not buy.

        Raises:
            AuthorizationRefused: nothing is stored, or the authorization server does not hand on so much.
            ServerUnreachable: the authorization server does not answer.
        """
        below = Credentials(self._connection, self._store, slot, name, self._unknown_at)
        with self._store.refreshing(slot):
            held = below.stored()
            known = held.dpop_key if held is not None and held.handed_on_by == self._slot else None
            key = ProofKey.generate() if known is None else ProofKey.from_json(known)
            return below._take(self, self._slot, Handed(name, key, tuple(dict.fromkeys(scopes)), spending))

    def _handed_again(self, token: StoredToken, slot: str) -> StoredToken:
        """The same as was handed on before, of the agent above: for as long as that one has it."""
        above = Credentials(self._connection, self._store, slot, self._owner, self._unknown_at)
        if token.dpop_key is None or above.stored() is None:
            raise OAuthRefused(
                f"{self._owner} has nothing any more",
                oauth_error="not_logged_in",
                why="what was handed on to it has ended, and the agent that did has no token any more",
                do=_LOG_IN_ABOVE,
                remedy=Remedy("log_in"),
            )
        again = Handed(self._owner, ProofKey.from_json(token.dpop_key), token.scope, token.spending_limit)
        try:
            return self._take(above, slot, again)
        except OAuthRefused as refused:
            if refused.remedy is not None and refused.remedy.action == "log_in":
                # It is not this one that a human lets in.
                refused.do = _LOG_IN_ABOVE
            raise

    def _take(self, above: Credentials, slot: str, handed: Handed) -> StoredToken:
        """Exchange the token of the agent above for one of this slot's, and keep it."""
        parent = above.token(HANDING_ON_MARGIN)
        server = self._connection.endpoint()
        self._connection.recorder.guard(handed.key.to_json())
        made = self._connection.http(lambda http: exchange(http, parent, handed, server=server))
        fresh = replace(made, handed_on_by=slot)
        self._put(fresh)
        return fresh

    def redeem(self, token: StoredToken, client_id: str) -> tuple[int, str]:
        """Try a refresh token as a public client: (HTTP status, OAuth error code, empty where there is none). The key
        that it is bound to is the own client's alone."""
        form = [("grant_type", "refresh_token"), ("refresh_token", token.refresh_token or "")]
        key = ProofKey.from_json(token.dpop_key) if token.dpop_key and client_id == token.client_id else None
        answer = self._ask(replace(token, identity=ClientIdentity(client_id)), token.token_endpoint, form, key)
        return answer.status, answer.oauth_error

    def revoke(self, token: StoredToken, endpoint: str) -> str | None:
        """Revoke the login (RFC 7009 section 2.1): None where the server confirmed it, else what it answered."""
        hint = "access_token" if token.refresh_token is None else "refresh_token"
        form = [("token", token.refresh_token or token.access_token), ("token_type_hint", hint)]
        answer = self._ask(token, endpoint, form)
        if answer.oauth_error == "invalid_request" and token.client.method != "client_secret_post":
            # MCP's Python SDK wants `client_secret` in this form whatever the client's method is. An empty parameter
            # says no more than none does (RFC 6749 section 3.2), so that no credential is sent twice.
            answer = self._ask(token, endpoint, [*form, ("client_secret", "")])
        if answer.status == 200:
            return None
        code = f"{answer.oauth_error}: " if answer.oauth_error else ""
        said = f" ({code}{answer.oauth_why})" if answer.json is not None else ""
        return f"its revocation endpoint answered HTTP {answer.status}{said}"

    def _ask(
        self, token: StoredToken, endpoint: str, form: list[tuple[str, str]], key: ProofKey | None = None
    ) -> ClientAnswer:
        server = self._connection.endpoint()
        return self._connection.http(
            lambda http: ask(http, endpoint, form, server=server, issuer=token.issuer, identity=token.client, key=key)
        )

    def _put(self, token: StoredToken) -> None:
        self._guard(token)
        self._store.put(self._slot, token)

    def _wanted(self) -> StoredToken:
        token = self.stored()
        if token is None:
            raise not_logged_in(self._owner)
        return token

    def _guard(self, token: StoredToken) -> None:
        self._connection.recorder.guard(*token.secrets)
