"""The agent: calls tools at a shop's two doors, and gets, uses, proves and gives back its authority."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from demo.client import bounded, claims, device, discovery, grants
from demo.client.convention import parties
from demo.client.device import DeviceLogin, OnWait
from demo.client.outcome import CallOutcome, Reply, ToolsOutcome, call_outcome, tools_outcome
from demo.client.refusal import OAuthRefused, no_answer, not_logged_in
from demo.client.safe_text import safe_text
from demo.client.store import TokenStore
from demo.client.tokens import Secret, StoredToken, number
from demo.client.wire import Raw, Recorder, connect
from demo.errors import AuthorityRefused, ServerUnreachable
from demo.evidence import AuthorityMetadata, Chain, Challenge, Money, TokenView

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Door = Literal["protected", "open"] | str
MARGIN = 5.0
"""Seconds before its expiry from which a stored access token is renewed rather than used."""

PAGES = 20
"""Pages of `tools/list` that are read at most."""


class Agent:
    """One agent at one server. Every method is synchronous and bounded by `timeout`.

    Args:
        server: a base URL (its doors are then `/mcp` and `/open/mcp`), or an MCP endpoint's own URL.
        store: where its tokens are kept.
        slot: under which name.
        client_id: which client it is at the authority (RFC 6749 section 2.2).
        name: its name as a person should read it.
        timeout: seconds for one method, all of its exchanges together.

    Whatever the wire said is in `recorder`, secrets masked. 401, 403 and 429 are outcomes, not exceptions.
    """

    def __init__(
        self,
        server: str,
        *,
        store: TokenStore,
        slot: str = "agent",
        client_id: str = "demo-agent",
        name: str = "Shirt Agent",
        timeout: float = 15.0,
    ) -> None:
        self.server = server.rstrip("/")
        self.store = store
        self.slot = slot
        self.client_id = client_id
        self.name = name
        self.timeout = timeout
        self.recorder = Recorder()
        self._mode: str | None = None
        self._authority: AuthorityMetadata | None = None
        self._resource: str | None = None
        self._scopes: tuple[str, ...] = ()

    @property
    def skew(self) -> float | None:
        """The server's clock minus ours in seconds, None before it has answered."""
        return self.recorder.skew

    def endpoint(self, door: Door = "protected") -> str:
        """The MCP URL of a door; a server given with a path of its own is its protected door."""
        parts = urlsplit(self.server)
        if door == "open":
            return f"{parts.scheme}://{parts.netloc}/open/mcp"
        return self.server if parts.path else f"{self.server}/mcp"

    # Calling

    def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        door: Door = "protected",
        token: Literal["stored", "none"] | str | Secret = "stored",
        refresh: bool = True,
    ) -> CallOutcome:
        """Call a tool, once.

        Args:
            token: the stored one, none, or this one.
            refresh: whether a stored token near its end is renewed first; False presents it as it is.

        Raises:
            AuthorityRefused: the stored token is wanted and there is none, or it cannot be renewed.
            ServerUnreachable: no answer, or not an MCP server's.
        """
        return self._calls(tool, arguments, door, token, refresh, at_most=1)[-1]

    def burst(self, tool: str, arguments: dict[str, Any], *, at_most: int) -> tuple[CallOutcome, ...]:
        """Call a tool in one session again and again, until the first call that is not allowed, or `at_most` times.

        Raises:
            as `call`.
        """
        return self._calls(tool, arguments, "protected", "stored", True, at_most=at_most)

    def tools(
        self, door: Door = "protected", token: Literal["stored", "none"] | str | Secret = "stored"
    ) -> ToolsOutcome:
        """The door's tools, all pages.

        Raises:
            as `call`.
        """
        url, bearer = self.endpoint(door), self._bearer(token, refresh=True)
        pages, raws = self._bounded(url, lambda: self._in_session(url, bearer, self._list))
        return tools_outcome(pages, tuple(self.recorder.show(raw) for raw in raws))

    def _calls(
        self, tool: str, arguments: dict[str, Any], door: Door, token: str | Secret, refresh: bool, *, at_most: int
    ) -> tuple[CallOutcome, ...]:
        url, bearer = self.endpoint(door), self._bearer(token, refresh=refresh)

        async def calls(client: Any, url: str) -> tuple[list[Reply], list[Raw]]:
            from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult

            from demo.client.mcp_session import ask

            request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
            replies: list[Reply] = []
            raws: list[Raw] = []
            for _ in range(at_most):
                reply, raw = await ask(client, self.recorder, url, request, CallToolResult, self.timeout)
                replies.append(reply)
                raws += raw
                if reply.raw.status != 200 or reply.result is None:
                    break
            return replies, raws

        replies, raws = self._bounded(url, lambda: self._in_session(url, bearer, calls), at_most)
        outcomes = [call_outcome(tool, reply, (self.recorder.show(reply.raw),), self.recorder) for reply in replies]
        # All that went over the wire on the way, a handshake for example, belongs to the last.
        outcomes[-1] = replace(
            outcomes[-1], exchanges=tuple(self.recorder.show(raw) for raw in raws[len(replies) - 1 :])
        )
        return tuple(outcomes)

    async def _list(self, client: Any, url: str) -> tuple[list[Reply], list[Raw]]:
        from mcp.types import ListToolsRequest, ListToolsResult, PaginatedRequestParams

        from demo.client.mcp_session import ask

        pages: list[Reply] = []
        raws: list[Raw] = []
        cursor: str | None = None
        for _ in range(PAGES):
            request = ListToolsRequest(params=PaginatedRequestParams(cursor=cursor))
            reply, raw = await ask(client, self.recorder, url, request, ListToolsResult, self.timeout)
            pages.append(reply)
            raws += raw
            cursor = (reply.result or {}).get("nextCursor")
            if not isinstance(cursor, str):
                break
        return pages, raws

    async def _in_session(
        self, url: str, bearer: str | None, work: Callable[[Any, str], Awaitable[tuple[list[Reply], list[Raw]]]]
    ) -> tuple[list[Reply], list[Raw]]:
        """Do `work` in the revision that the server knows; where that is not known yet, the newest is tried first."""
        from demo.client.mcp_session import MODERN, OLDER, refuses_revision, session

        async def attempt(mode: str) -> tuple[list[Reply], list[Raw]]:
            with self.recorder.collect() as whole:
                async with session(self.recorder, url, bearer, mode=mode, seconds=self.timeout) as client:
                    if client is None:
                        from demo.client.outcome import final

                        return [final(whole, url, self.timeout)], list(whole)
                    replies, _ = await work(client, url)
            return replies, list(whole)

        if self._mode is not None:
            return await attempt(self._mode)
        try:
            replies, raws = await attempt(MODERN)
            if not refuses_revision(replies[-1]):
                if replies[-1].result is not None:
                    self._mode = MODERN
                return replies, raws
            refused: ServerUnreachable | None = None
        except ServerUnreachable as error:
            refused = error
        try:
            replies, raws = await attempt(OLDER)
        except ServerUnreachable:
            # Where neither revision gets an answer, what the first attempt met is the better story.
            raise refused or no_answer(url, self.timeout) from None
        if replies[-1].result is not None:
            self._mode = OLDER
        return replies, raws

    # Authority

    def discover(self, challenge: Challenge) -> Challenge:
        """Follow a challenge: the resource's metadata (RFC 9728), then its authority's (RFC 8414).

        Raises:
            ServerUnreachable: a place that the server itself names cannot be fetched.
        """
        url = self.endpoint()

        async def follow(http: httpx2.AsyncClient) -> Challenge:
            resource = await discovery.find_resource(http, url, challenge.get("resource_metadata"))
            parts = urlsplit(url)
            # Without RFC 9728 metadata the 2025-03-26 revision had the server's own origin be the authority.
            issuer = f"{parts.scheme}://{parts.netloc}"
            if resource is not None and resource.authorization_servers:
                issuer = resource.authorization_servers[0]
            authority = await discovery.find_authority(http, issuer, server=url)
            return replace(challenge, resource=resource, authority=authority)

        found = self.http(follow)
        usable = found.authority is not None and found.authority.problem is None
        if usable and (found.resource is None or found.resource.problem is None):
            self._authority = found.authority
            self._resource = found.resource.resource if found.resource else None
            self._scopes = found.resource.scopes_supported if found.resource else ()
        return found

    def authority(self) -> AuthorityMetadata:
        """The server's authority: the one of the stored token, else found by asking without one.

        Raises:
            AuthorityRefused: there is none, or its metadata must not be trusted.
            ServerUnreachable: the server or the authority does not answer.
        """
        if self._authority is not None:
            return self._authority
        if (held := self.stored()) is not None:
            url = self.endpoint()
            found = self.http(lambda http: discovery.find_authority(http, held.issuer, server=url))
            if found is not None and found.problem is None:
                self._authority = found
                self._resource = held.resource
                return found
        outcome = self.tools(token="none")
        if outcome.challenge is None:
            raise OAuthRefused(
                f"{self.endpoint()} asks for no authority",
                oauth_error="unsupported",
                why=f"it answered HTTP {outcome.status} without a challenge (RFC 6750 section 3)",
                do="call its tools without a token: demo call TOOL",
            )
        challenge = self.discover(outcome.challenge)
        if self._authority is not None:
            return self._authority
        problem = (challenge.resource and challenge.resource.problem) or (
            challenge.authority and challenge.authority.problem
        )
        raise OAuthRefused(
            "this server names no authority to log in at",
            oauth_error="unsupported",
            why=problem or "neither its RFC 9728 metadata nor RFC 8414 metadata of its origin can be found",
            do="ask whoever runs it, or check --server",
        )

    def start_login(
        self, scopes: Sequence[str], *, resources: Sequence[str] | None = None, spending: Money | None = None
    ) -> DeviceLogin:
        """Ask the authority for a device code (RFC 8628 section 3.1).

        Args:
            scopes: what to ask for.
            resources: what the token is for (RFC 8707); the shop by default.
            spending: a limit to ask for (RFC 9396).

        Raises:
            AuthorityRefused: no device flow there, or the request is refused.
            ServerUnreachable: no answer.
        """
        authority = self.authority()
        wanted = tuple(resources) if resources is not None else (self._resource or self.endpoint(),)
        login = self.http(
            lambda http: device.ask(
                http,
                authority,
                server=self.endpoint(),
                client_id=self.client_id,
                name=self.name,
                scopes=scopes,
                resources=wanted,
                spending=spending,
            )
        )
        self.recorder.guard(login.device_code)
        return login

    def finish_login(
        self,
        login: DeviceLogin,
        *,
        on_wait: OnWait | None = None,
        give_up: Callable[[], bool] | None = None,
        timeout: float = 600.0,
    ) -> StoredToken:
        """Poll until the human has decided, and keep the tokens.

        Args:
            on_wait: told the seconds left and a state, at least four times a second.
            give_up: asked as often; True ends the wait.
            timeout: seconds to wait at most, beside the code's own life.

        Raises:
            AuthorityRefused: denied, expired, given up, refused; its `oauth_error` says which.
            ServerUnreachable: what answers is not the authority.
        """

        async def poll() -> StoredToken:
            async with connect(self.recorder, seconds=self.timeout) as http:
                return await device.wait(http, login, on_wait=on_wait, give_up=give_up, seconds=timeout)

        token = bounded.run(poll, None, lambda: no_answer(login.token_endpoint, timeout))
        self._guard(token)
        self.store.put(self.slot, token)
        return token

    # Tokens

    def stored(self) -> StoredToken | None:
        """The stored token as it is, expired or not; None when nothing is stored."""
        token = self.store.get(self.slot)
        if token is not None:
            self._guard(token)
        return token

    def token(self, margin: float = MARGIN) -> StoredToken:
        """The stored token, renewed first when it ends within `margin` seconds.

        Raises:
            AuthorityRefused: nothing is stored, or the authority does not renew it.
        """
        token = self.stored()
        if token is None:
            raise not_logged_in(self.name)
        if token.expires_at - margin > time.time():
            return token
        with self.store.refreshing(self.slot):
            # Another process may have renewed it while this one waited for its turn.
            token = self.stored() or token
            if token.expires_at - margin > time.time():
                return token
            return self._renew(token, keep=True)

    def refresh(
        self, *, resource: str | None = None, requested_expires_in: int | None = None, keep: bool = True
    ) -> StoredToken:
        """Renew now.

        Args:
            resource: for another resource of those granted (RFC 8707 section 2.2).
            requested_expires_in: a shorter life in seconds, where the authority knows the parameter.
            keep: False leaves the stored access token in place; the rotated refresh token is kept in any case.

        Raises:
            as `token`.
        """
        with self.store.refreshing(self.slot):
            token = self.stored()
            if token is None:
                raise not_logged_in(self.name)
            return self._renew(token, keep=keep, resource=resource, requested_expires_in=requested_expires_in)

    def _renew(
        self, token: StoredToken, *, keep: bool, resource: str | None = None, requested_expires_in: int | None = None
    ) -> StoredToken:
        fresh = self.http(
            lambda http: grants.refresh(
                http, token, server=self.endpoint(), resource=resource, requested_expires_in=requested_expires_in
            )
        )
        self._guard(fresh)
        self.store.put(self.slot, fresh if keep else replace(token, refresh_token=fresh.refresh_token))
        return fresh

    def redeem(self, refresh_token_of: StoredToken, *, client_id: str) -> tuple[int, str]:
        """Try a refresh token as another client: (HTTP status, OAuth error code; empty where it worked)."""
        return self.http(
            lambda http: grants.redeem(http, refresh_token_of, server=self.endpoint(), client_id=client_id)
        )

    def give_back(self, token: StoredToken) -> bool:
        """Have the authority revoke a token's login (RFC 7009); whether it confirmed. Nothing is forgotten here."""
        try:
            endpoint = self.authority().revocation_endpoint
            if endpoint is None:
                return False
            return self.http(lambda http: grants.revoke(http, token, endpoint, server=self.endpoint()))
        except (AuthorityRefused, ServerUnreachable):
            return False

    def logout(self) -> bool:
        """Revoke the stored token at the authority and forget it; whether the authority confirmed."""
        token = self.stored()
        confirmed = token is not None and self.give_back(token)
        self.store.delete(self.slot)
        return confirmed

    # Proof

    def view(self, token: StoredToken, *, audience: str | None = None) -> TokenView:
        """What the token says, and what of it was checked against the authority's keys (RFC 7517, RFC 9068).

        Args:
            audience: what it should be for; the resource it was asked for by default.
        """
        authority = self.authority()
        keys, why = None, None
        if authority.jwks_uri is not None and claims.take_apart(token.access_token) is not None:
            uri = authority.jwks_uri
            from demo.client.fetch import fetch

            try:
                answer = self.http(lambda http: fetch(http, "GET", uri, server=self.endpoint()))
                keys = answer.json
                why = None if keys else f"{uri} answered HTTP {answer.status} and no keys"
            except ServerUnreachable as error:
                why = error.what
        return claims.view(
            token.access_token,
            issuer=token.issuer,
            audience=audience or token.resource,
            jwks=keys,
            jwks_url=authority.jwks_uri,
            no_keys=why,
            expires_at=token.expires_at,
            scopes=token.scope,
        )

    def chain(self, token: StoredToken, action: str | None = None) -> Chain:
        """The delegation chain in a token's claims.

        Raises:
            AuthorityRefused: the token is opaque: only its issuer can say who is in it.
        """
        jwt = claims.take_apart(token.access_token)
        if jwt is None:
            raise OAuthRefused(
                "this token says nothing about who is in it",
                oauth_error="unsupported",
                why="it is opaque: only its issuer can read it (RFC 7662)",
                do="demo token",
            )
        view = self.view(token)
        who = parties(jwt.claims)
        checked = f"token claims, verified against {view.signature}" if view.signature else "token claims, not verified"
        return Chain(
            human=safe_text(str(self.identify(token).get("email") or who.human), one_line=True),
            human_id=safe_text(who.human, one_line=True),
            agent=safe_text(who.agent, one_line=True),
            client=self.name if view.claim("client_id") == self.client_id else view.claim("client_id") or "",
            session=view.claim("sid") or "",
            consent=view.claim("consent_id") or "",
            action=action,
            token_id=view.claim("jti") or "",
            scopes=view.scopes,
            spending_limit=token.spending_limit,
            at=number(jwt.claims.get("auth_time")),
            source=checked,
            convention=who.convention,
        )

    def userinfo(self, token: StoredToken) -> dict[str, Any]:
        """Who the human is, from the authority (OpenID Connect Core section 5.3).

        A token made for the shop does not open it where audiences are kept apart; then one made for it is asked for.

        Raises:
            AuthorityRefused: the authority has no such endpoint, or does not say.
        """
        endpoint = self.authority().userinfo_endpoint
        if endpoint is None:
            raise OAuthRefused(
                "the authority has no userinfo endpoint",
                oauth_error="unsupported",
                do="read the token instead: demo token",
            )
        try:
            return self.http(lambda http: grants.userinfo(http, token, endpoint, server=self.endpoint()))
        except OAuthRefused:
            held = self.stored()
            if held is None or held.refresh_token is None or held.access_token != token.access_token:
                raise
        meant = self.refresh(resource=endpoint, keep=False)
        return self.http(lambda http: grants.userinfo(http, meant, endpoint, server=self.endpoint()))

    def identify(self, token: StoredToken) -> dict[str, Any]:
        """`userinfo` where the authority gives it, else what the token itself says of the human (`sub` alone)."""
        try:
            return self.userinfo(token)
        except (AuthorityRefused, ServerUnreachable):
            jwt = claims.take_apart(token.access_token)
            return {"sub": parties(jwt.claims).human} if jwt else {}

    # The wire

    def _bearer(self, token: str | Secret, *, refresh: bool) -> str | None:
        if isinstance(token, Secret):
            self.recorder.guard(token.value)
            return token.value
        if token == "none":
            return None
        if refresh:
            return self.token().access_token
        held = self.stored()
        if held is None:
            raise not_logged_in(self.name)
        return held.access_token

    def _guard(self, token: StoredToken) -> None:
        self.recorder.guard(token.access_token, token.refresh_token)

    def http(self, work: Callable[[httpx2.AsyncClient], Awaitable[T]]) -> T:
        """Do `work` with an HTTP client that this agent's recorder listens to, within `timeout` seconds."""

        async def main() -> T:
            async with connect(self.recorder, seconds=self.timeout) as http:
                return await work(http)

        return self._bounded(self.server, main)

    def _bounded(self, url: str, work: Callable[[], Awaitable[T]], times: int = 1) -> T:
        return bounded.run(work, self.timeout * max(1, times), lambda: no_answer(url, self.timeout))
