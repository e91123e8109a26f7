"""The agent's own token: kept, renewed when it is due, by one process at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from demo.client.http.connection import Connection
from demo.client.http.errors import OAuthRefused, not_logged_in
from demo.client.oauth import grants
from demo.client.tokens.store import Store
from demo.client.tokens.stored import StoredToken

MARGIN = 5.0
"""Seconds before its expiry from which a stored access token is renewed rather than used."""


class Wallet:
    """The token in one slot of a store.

    Args:
        connection: to the server; refreshes go over it, and its recorder learns which texts are secrets.
        owner: whose token it is, for messages.
        unknown_at: told the issuer that does not know the client any more.
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
            AuthorityRefused: nothing is stored, or the authority does not renew it.
            ServerUnreachable: the authority does not answer.
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
            requested_expires_in: a shorter life in seconds, where the authority knows the parameter.
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
        try:
            fresh = self._connection.http(
                lambda http: grants.refresh(
                    http,
                    token,
                    server=self._connection.endpoint(),
                    resource=resource,
                    requested_expires_in=requested_expires_in,
                )
            )
        except OAuthRefused as error:
            if error.oauth_error == "invalid_client":
                self._unknown_at(token.issuer)
            if error.oauth_error == "invalid_target" and resource is not None:
                self._store.at(token.issuer).keep(self._refused(resource), "invalid_target")
            raise
        self._put(fresh if keep else replace(token, refresh_token=fresh.refresh_token))
        self._guard(fresh)
        return fresh

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
