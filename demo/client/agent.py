"""The agent: calls tools at a shop's two doors, and gets, uses, proves and gives back its authority."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from demo.client import grants, proof
from demo.client.connection import Connection, Door
from demo.client.device import DeviceLogin, OnWait
from demo.client.elicitation import Elicit
from demo.client.mcp_session import Answered, Speaker
from demo.client.oauth.attempts import Attempts, Obtain
from demo.client.oauth.authorizer import Authorizer, LoginWay
from demo.client.oauth.browser import BrowserLogin
from demo.client.oauth.identity import ClientIdentity
from demo.client.oauth.machine import Request
from demo.client.outcome import CallOutcome, ToolsOutcome, call_outcome, expired, tools_outcome
from demo.client.patience import Patience
from demo.client.refusal import OAuthRefused
from demo.client.reply import Reply
from demo.client.store import Store
from demo.client.tokens import SPENDING, Secret, StoredToken
from demo.client.wallet import MARGIN
from demo.client.wire import Recorder
from demo.errors import AuthorityRefused, ServerUnreachable
from demo.evidence import AuthorityMetadata, Chain, Challenge, Money, TokenView

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Seen = TypeVar("Seen", CallOutcome, ToolsOutcome)
Bearer = Literal["stored", "none"] | str | Secret

PAGES = 20
"""Pages of `tools/list` that are read at most."""


class Agent:
    """One agent at one server. Every method is synchronous and bounded by `timeout`.

    Args:
        server: a base URL (its doors are then `/mcp` and `/open/mcp`), or an MCP endpoint's own URL.
        store: where its tokens are kept.
        slot: under which name.
        client_id: which public client it is at the authority (RFC 6749 section 2.2); None to find out, at each
            authority: by our client ID metadata document, or by dynamic registration (RFC 7591).
        identity: the same with a secret, or for one issuer only; it goes before `client_id`.
        metadata_url: where our client ID metadata document is hosted, None where it is not.
        redirect_port: the loopback port that was registered by hand; None for any.
        name: its name as a person should read it.
        timeout: seconds for one method, all of its exchanges together; for each call of a burst.
        elicit: answers what a server asks in mid-call (`ElicitationRequest`); None where there is nobody to ask.
        handshake: begin with `initialize`, as the revisions before 2026-07-28 do, instead of finding out.

    Whatever the wire said is in `recorder`, secrets masked. 401, 403 and 429 are outcomes, not exceptions.
    """

    def __init__(
        self,
        server: str,
        *,
        store: Store,
        slot: str = "agent",
        client_id: str | None = "demo-agent",
        identity: ClientIdentity | None = None,
        metadata_url: str | None = None,
        redirect_port: int | None = None,
        name: str = "Shirt Agent",
        timeout: float = 15.0,
        elicit: Elicit | None = None,
        handshake: bool = False,
    ) -> None:
        self.store = store
        self.slot = slot
        self.name = name
        self._connection = Connection(server, timeout)
        self._speaker = Speaker(self._connection, elicit=elicit, handshake=handshake)
        if identity is None and client_id is not None:
            identity = ClientIdentity(client_id)
        self._client_id = identity.client_id if identity is not None else None
        self.authorizer = Authorizer(
            self._connection,
            store,
            slot=slot,
            name=name,
            knock=lambda: self.tools(token="none"),
            identity=identity,
            metadata_url=metadata_url,
            redirect_port=redirect_port,
        )

    @property
    def client_id(self) -> str | None:
        """Which client it is: as named at the start, else as its stored token was issued to; None before a login."""
        held = self.stored() if self._client_id is None else None
        return held.client_id if held is not None else self._client_id

    @property
    def server(self) -> str:
        """The server's URL, as given."""
        return self._connection.server

    @property
    def timeout(self) -> float:
        """Seconds for one method."""
        return self._connection.timeout

    @property
    def recorder(self) -> Recorder:
        """What was on the wire."""
        return self._connection.recorder

    @property
    def skew(self) -> float | None:
        """The server's clock minus ours in seconds, None before it has answered."""
        return self.recorder.skew

    def endpoint(self, door: Door = "protected") -> str:
        """The MCP URL of a door; a server given with a path of its own is its protected door."""
        return self._connection.endpoint(door)

    def http(self, work: Callable[[httpx2.AsyncClient], Awaitable[T]]) -> T:
        """Do `work` with an HTTP client that this agent's recorder listens to, within `timeout` seconds."""
        return self._connection.http(work)

    # Calling

    def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        door: Door = "protected",
        token: Bearer = "stored",
        refresh: bool = True,
        obtain: Obtain | None = None,
        patience: float = 0.0,
        on_wait: OnWait | None = None,
    ) -> CallOutcome:
        """Call a tool, once.

        Args:
            token: the stored one, none, or this one.
            refresh: whether a stored token near its end, or refused as expired, is renewed; False presents it as it is.
            obtain: gets a token for more scopes where the server asks for it (401, or 403 with `insufficient_scope`;
                MCP 2026-07-28, authorization); the call is then made again, a bounded number of times.
            patience: seconds that may be waited, all waits together, where the server asks to come again (429, 503).
            on_wait: told the seconds left of such a wait and its state, at least four times a second.

        Raises:
            AuthorityRefused: the stored token is wanted and there is none, or it cannot be renewed.
            ServerUnreachable: no answer, or not an MCP server's.
        """
        patient = Patience(patience, on_wait)

        def once(held: StoredToken | Secret | None) -> CallOutcome:
            return patient(lambda: self._calls(tool, arguments, door, held, at_most=1)[-1])

        if obtain is not None:
            return self._insist(once, obtain)
        bearer = self._bearer(token, refresh=refresh)
        outcome = once(bearer)
        if token == "stored" and refresh and isinstance(bearer, StoredToken) and expired(outcome):
            # By our clock it was good for longer: the clock has been set since. Not carried out, so tried again.
            try:
                fresh = self.authorizer.wallet.refresh(instead_of=bearer.access_token)
            except AuthorityRefused:
                return outcome
            outcome = once(fresh)
        return outcome

    def burst(self, tool: str, arguments: dict[str, Any], *, at_most: int) -> tuple[CallOutcome, ...]:
        """Call a tool in one session again and again, until the first call that is not allowed, or `at_most` times.

        Raises:
            as `call`.
        """
        return self._calls(tool, arguments, "protected", self._bearer("stored", refresh=True), at_most=at_most)

    def tools(
        self, door: Door = "protected", token: Bearer = "stored", *, obtain: Obtain | None = None
    ) -> ToolsOutcome:
        """The door's tools, all pages.

        Args:
            obtain: as in `call`.

        Raises:
            as `call`.
        """

        def pages() -> Generator[tuple[Any, Any], Reply, None]:
            from mcp.types import ListToolsRequest, ListToolsResult, PaginatedRequestParams

            cursor: str | None = None
            for _ in range(PAGES):
                request = ListToolsRequest(params=PaginatedRequestParams(cursor=cursor))
                reply = yield request, ListToolsResult
                cursor = (reply.result or {}).get("nextCursor")
                if not isinstance(cursor, str):
                    return

        def once(bearer: StoredToken | Secret | None) -> ToolsOutcome:
            listed = self._speaker.converse(self.endpoint(door), _presented(bearer), pages)
            exchanges = self._connection.show(raw for page in listed for raw in page.raws)
            return tools_outcome([page.reply for page in listed], exchanges, self.recorder)

        return self._insist(once, obtain) if obtain is not None else once(self._bearer(token, refresh=True))

    def _calls(
        self, tool: str, arguments: dict[str, Any], door: Door, bearer: StoredToken | Secret | None, *, at_most: int
    ) -> tuple[CallOutcome, ...]:
        def calls() -> Generator[tuple[Any, Any], Reply, None]:
            from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult

            request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
            for _ in range(at_most):
                reply = yield request, CallToolResult
                if not self._outcome(tool, Answered(reply, ())).allowed:
                    return

        answered = self._speaker.converse(self.endpoint(door), _presented(bearer), calls, at_most=at_most)
        return tuple(self._outcome(tool, one) for one in answered)

    def _outcome(self, tool: str, answered: Answered) -> CallOutcome:
        return call_outcome(tool, answered.reply, self._connection.show(answered.raws), self.recorder)

    def _insist(self, once: Callable[[StoredToken | None], Seen], obtain: Obtain) -> Seen:
        attempts = Attempts(self.authorizer, obtain)
        held = attempts.held()
        outcome = once(held)
        while (held := attempts.after(outcome.status, outcome.challenge, held)) is not None:
            outcome = once(held)
        return outcome

    def _bearer(self, token: Bearer, *, refresh: bool) -> StoredToken | Secret | None:
        if isinstance(token, Secret):
            self.recorder.guard(token.value)
            return token
        if token == "none":
            return None
        if token != "stored":
            raise ValueError("a raw token goes in a Secret, so that it is not shown by accident")
        held = None if refresh else self.stored()
        return held or self.token()

    # Authority

    def discover(self, challenge: Challenge) -> Challenge:
        """Follow a challenge: the resource's metadata (RFC 9728), then its authority's (RFC 8414).

        Raises:
            ServerUnreachable: a place that the server itself names cannot be fetched.
        """
        return self.authorizer.finder.follow(challenge)

    def authority(self) -> AuthorityMetadata:
        """The server's authority: the one of the stored token, else found by asking without one.

        Raises:
            AuthorityRefused: there is none, or its metadata must not be trusted.
            ServerUnreachable: the server or the authority does not answer.
        """
        return self.authorizer.authority()

    def wanted_scopes(self) -> tuple[str, ...]:
        """What a first login asks for at this server: its challenge's scopes, else those in its metadata (RFC 9728).

        Raises:
            as `authority`.
        """
        return self.authorizer.wanted()

    def limits_spending(self) -> bool:
        """Whether the authority knows a spending limit as the shop does (RFC 9396 section 10).

        Raises:
            as `authority`.
        """
        return SPENDING in self.authority().authorization_details_types_supported

    def login_way(self) -> LoginWay:
        """Which flow to log in by, as the authority's metadata has it, and why.

        Raises:
            AuthorityRefused: it offers none that this agent knows.
            ServerUnreachable: as `authority`.
        """
        return self.authorizer.way()

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
        return self.authorizer.start_device(scopes, resources=resources, spending=spending)

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
        return self.authorizer.finish_device(login, on_wait=on_wait, give_up=give_up, timeout=timeout)

    def start_browser_login(
        self, scopes: Sequence[str], *, resources: Sequence[str] | None = None, spending: Money | None = None
    ) -> BrowserLogin:
        """Begin a login in the browser: a listener on this machine, and the URL to open (OAuth 2.1 section 4.1).

        Args:
            as `start_login`. Whoever starts one finishes it, or closes it.

        Raises:
            AuthorityRefused: no code flow with PKCE there, or the agent is no client of the authority.
            EnvironmentNotReady: the one port that was registered is taken.
            ServerUnreachable: no answer.
        """
        return self.authorizer.start_browser(scopes, resources=resources, spending=spending)

    def finish_browser_login(
        self,
        login: BrowserLogin,
        *,
        on_wait: OnWait | None = None,
        give_up: Callable[[], bool] | None = None,
        pasted: Callable[[], str | None] | None = None,
        timeout: float = 600.0,
    ) -> StoredToken:
        """Wait for the browser to come back, fetch the token for its code, and keep it.

        Args:
            on_wait, give_up, timeout: as in `finish_login`.
            pasted: asked as often; the address at which a browser elsewhere ended, when the human has pasted it.

        Raises:
            AuthorityRefused: denied, mixed up (RFC 9207), given up, refused; its `oauth_error` says which.
            ServerUnreachable: the authority does not answer.
        """
        return self.authorizer.finish_browser(login, on_wait=on_wait, give_up=give_up, pasted=pasted, timeout=timeout)

    def login_as_machine(self, request: Request, scopes: Sequence[str] = ()) -> StoredToken:
        """Get a token with no human in it, and keep it (RFC 6749 section 4.4, RFC 7523, RFC 8693).

        Raises:
            AuthorityRefused: the authority refuses.
            ServerUnreachable: it does not answer.
        """
        return self.authorizer.by_machine(request, scopes)

    # Tokens

    def stored(self) -> StoredToken | None:
        """The stored token as it is, expired or not; None when nothing is stored."""
        return self.authorizer.wallet.stored()

    def token(self, margin: float = MARGIN) -> StoredToken:
        """The stored token, renewed first when it ends within `margin` seconds.

        Raises:
            AuthorityRefused: nothing is stored, or the authority does not renew it.
            ServerUnreachable: the authority does not answer.
        """
        return self.authorizer.wallet.token(margin)

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
        return self.authorizer.wallet.refresh(resource=resource, requested_expires_in=requested_expires_in, keep=keep)

    def redeem(self, refresh_token_of: StoredToken, *, client_id: str) -> tuple[int, str]:
        """Try a refresh token as another client: (HTTP status, OAuth error code; empty where it worked)."""
        return self.http(
            lambda http: grants.redeem(http, refresh_token_of, server=self.endpoint(), client_id=client_id)
        )

    def give_back(self, token: StoredToken) -> str | None:
        """Have the authority revoke a token's login (RFC 7009): None when it did, else why it did not.

        Nothing is forgotten here.
        """
        return self.authorizer.give_back(token)

    def logout(self) -> str | None:
        """Revoke the stored token at the authority and forget it: None when it confirmed, else why it did not."""
        token = self.stored()
        why = "there was no token" if token is None else self.give_back(token)
        self.authorizer.wallet.forget()
        return why

    # Proof

    def view(self, token: StoredToken, *, audience: str | None = None) -> TokenView:
        """What the token says, and what of it was checked against the authority's keys (RFC 7517, RFC 9068).

        Args:
            audience: what it should be for; the resource it was asked for by default.
        """
        return proof.view(self._connection, self.authorizer.finder.of(token), token, audience=audience)

    def chain(self, token: StoredToken, action: str | None = None) -> Chain:
        """The delegation chain in a token's claims.

        Raises:
            AuthorityRefused: the token is opaque: only its issuer can say who is in it.
        """
        return proof.chain(token, self.view(token), self.identify(token), client_name=self.name, action=action)

    def userinfo(self, token: StoredToken) -> dict[str, Any]:
        """Who the human is, from the authority (OpenID Connect Core section 5.3).

        A token made for the shop does not open it where audiences are kept apart; then one made for it is asked for.

        Raises:
            AuthorityRefused: the authority has no such endpoint, or does not say.
        """
        authority = self.authorizer.finder.of(token)
        try:
            return proof.userinfo(self._connection, authority, token)
        except OAuthRefused:
            held = self.stored()
            if authority.userinfo_endpoint is None or held is None or held.refresh_token is None:
                raise
            if held.access_token != token.access_token:
                raise
        meant = self.refresh(resource=authority.userinfo_endpoint, keep=False)
        return proof.userinfo(self._connection, authority, meant)

    def identify(self, token: StoredToken) -> dict[str, Any]:
        """`userinfo` where the authority gives it, else what the token itself says of the human (`sub` alone)."""
        try:
            return self.userinfo(token)
        except (AuthorityRefused, ServerUnreachable):
            return proof.subject(token)


def _presented(bearer: StoredToken | Secret | None) -> httpx2.Auth | None:
    if bearer is None:
        return None
    from demo.client.bearer import BearerToken
    from demo.client.oauth.presenting import presented

    return BearerToken(bearer.value) if isinstance(bearer, Secret) else presented(bearer)
