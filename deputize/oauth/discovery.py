"""Which authorization server a server trusts: found by following its challenge, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from deputize.errors import Remedy, ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, Challenge
from deputize.http.connection import Connection
from deputize.http.errors import CHECK_SERVER, OAuthRefused, overloaded
from deputize.oauth import metadata
from deputize.tokens.stored import StoredToken

if TYPE_CHECKING:
    import httpx2

NAMED = 50
"""Authorization servers that one resource may name; further ones are not looked at."""

SERVERS = 5
"""How many of them are asked at most."""


class Anonymous(Protocol):
    """The MCP server's answer to a request without a token, as far as it matters here."""

    @property
    def status(self) -> int | None:
        """Its HTTP status."""

    @property
    def challenge(self) -> Challenge | None:
        """The challenge in it (RFC 9110 section 11.6.1)."""

    @property
    def text(self) -> str:
        """What it says in its own words."""

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to come again."""


class Discovery:
    """Finds a server's authorization server.

    Args:
        connection: to the server.
        ask: asks the server for something without a token, for its challenge; None to go by its well-known places.
        known_at: whether the agent is a client of the authorization server with this issuer already.
    """

    def __init__(
        self, connection: Connection, ask: Callable[[], Anonymous] | None, known_at: Callable[[str], bool]
    ) -> None:
        self._connection = connection
        self._ask = ask
        self._known_at = known_at
        self._known: AuthorizationServerMetadata | None = None
        self._by_issuer: dict[str, AuthorizationServerMetadata] = {}
        self.resource = connection.endpoint()
        """What a token for this server is asked for (RFC 8707), as the server's own metadata names it."""
        self.dpop = False
        """Whether the server takes tokens bound by DPoP (RFC 9449): its challenge or its metadata says so."""
        self.challenge: Challenge | None = None
        """The challenge that was followed last."""

    def follow(self, challenge: Challenge) -> Challenge:
        """The challenge with the resource's and the authorization server's metadata filled in, as far as they are
        published.

        Raises:
            ServerUnreachable: a place that the server itself names cannot be fetched.
        """
        url = self._connection.endpoint()

        async def follow(http: httpx2.AsyncClient) -> Challenge:
            resource = await metadata.find_resource(http, url, challenge.get("resource_metadata"))
            parts = urlsplit(url)
            # Without RFC 9728 metadata the 2025-03-26 revision had the server's own origin be the authorization server.
            issuers: tuple[str, ...] = (f"{parts.scheme}://{parts.netloc}",)
            if resource is not None and resource.authorization_servers:
                # The client chooses (RFC 9728 section 7.6): one that knows it already, then as the server has them.
                issuers = tuple(dict.fromkeys(resource.authorization_servers))
                if len(issuers) > 1:
                    known_first = sorted(issuers[:NAMED], key=lambda issuer: not self._known_at(issuer))
                    issuers = tuple(known_first[:SERVERS])
            found = await metadata.find_usable(http, issuers, server=url)
            return replace(challenge, resource=resource, authorization_server=found)

        found = self._connection.http(follow)
        self.challenge = found
        self._known = None
        if found.resource is not None and found.resource.problem is None:
            self.resource = found.resource.resource
        self.dpop = found.scheme.lower() == "dpop" or (found.resource is not None and found.resource.dpop)
        if found.resource is None or found.resource.problem is None:
            if found.authorization_server is not None and found.authorization_server.problem is None:
                self._known = found.authorization_server
            elif (
                found.resource is None and found.authorization_server is None and (found.scheme or found.status == 401)
            ):
                self._known = metadata.fallback_server(url)
        return found

    def settled(self, followed: Challenge) -> AuthorizationServerMetadata:
        """The authorization server that a followed challenge leads to.

        Raises:
            AuthorizationRefused: to none that can be trusted.
        """
        if self._known is not None:
            self._by_issuer[self._known.issuer] = self._known
            return self._known
        problem = (followed.resource and followed.resource.problem) or (
            followed.authorization_server and followed.authorization_server.problem
        )
        told = followed.resource.resource if followed.resource is not None else ""
        itself = metadata.own_name(told, self._connection.endpoint()) if problem else None
        named = ", ".join(followed.resource.authorization_servers) if followed.resource is not None else ""
        nobody = f"no metadata (RFC 8414) is published by: {named}" if named else "its metadata names none (RFC 9728)"
        raise OAuthRefused(
            "this server names no authorization server to log in at",
            oauth_error="unsupported",
            why=problem or nobody,
            do=f"use the URL by which it names itself: {itself}"
            if itself
            else "ask its operator, or check the server's URL",
            remedy=Remedy("check_server", server=itself),
        )

    def find(self, held: StoredToken | None) -> AuthorizationServerMetadata:
        """The authorization server: the one that issued the token held, else the one that the server names.

        Raises:
            AuthorizationRefused: there is none, or its metadata must not be trusted.
            ServerUnreachable: the server or the authorization server does not answer.
        """
        if held is not None:
            try:
                return self.of(held)
            except OAuthRefused:
                pass  # it is gone: the server may have moved to another
        return self._known if self._known is not None else self.ask()

    def of(self, token: StoredToken) -> AuthorizationServerMetadata:
        """The authorization server that issued a token, by its own metadata and by nobody else's word.

        What belongs to it, the token, the client's secret, goes there and nowhere else.

        Raises:
            AuthorizationRefused: it publishes no metadata any more, or none that can be trusted.
            ServerUnreachable: it does not answer.
        """
        if token.issuer not in self._by_issuer:
            url = self._connection.endpoint()
            found = self._connection.http(lambda http: metadata.find_server(http, token.issuer, server=url))
            fallback = metadata.fallback_server(url)
            if found is None and (token.issuer, token.token_endpoint) == (fallback.issuer, fallback.token_endpoint):
                found = fallback
            if found is None or found.problem is not None:
                raise OAuthRefused(
                    f"the authorization server that issued this token, {token.issuer}, cannot be found",
                    oauth_error="unsupported",
                    why=(found and found.problem) or "it publishes no metadata (RFC 8414)",
                    do="log in",
                    remedy=Remedy("log_in"),
                )
            self._by_issuer[token.issuer] = found
        return self._by_issuer[token.issuer]

    def ask(self) -> AuthorizationServerMetadata:
        """The authorization server that the server names today, found by asking without a token.

        Raises:
            as `find`.
        """
        if self._ask is None:
            return self.settled(self.follow(Challenge(401, "", ())))
        answer = self._ask()
        url, status = self._connection.endpoint(), answer.status or 0
        if status == 429 or status >= 500:
            raise overloaded(url, status, answer.text, answer.retry_after)
        if answer.challenge is not None or status == 401:
            # Some refuse without a word (RFC 9110 section 15.5.2 demands one): the well-known places may still tell.
            return self.settled(self.follow(answer.challenge or Challenge(401, "", ())))
        # Others let everybody list their tools, and ask for a login when one is called: a server that publishes who
        # may grant access to it (RFC 9728 section 3) wants one, whatever it answers here.
        with suppress(ServerUnreachable):
            followed = self.follow(Challenge(status, "", ()))
            if self._known is not None:
                return self.settled(followed)
        self.challenge = None  # there was none
        if status == 200:
            raise OAuthRefused(
                f"{url} asks for no authorization",
                oauth_error="unsupported",
                why="it lists its tools to everybody, and no authorization server is named in its metadata (RFC 9728)",
                do="call its tools without a token",
                remedy=Remedy("call_without_token"),
            )
        raise OAuthRefused(
            f"{url} refuses, and does not say how to get access",
            oauth_error="unsupported",
            why=f"{answer.text}; no WWW-Authenticate with it (RFC 6750 section 3), and its well-known places name no "
            "authorization server (RFC 9728)",
            do="ask its operator who may call it and from where, or check the server's URL",
            remedy=CHECK_SERVER,
        )
