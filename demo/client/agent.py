"""The agent: logs in, calls tools at a shop's two doors, shows what its tokens say, and logs out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from demo import tracing
from demo.client.mcp.calling import Bearer, Patience, calls, check_arguments, pages
from demo.client.mcp.elicitation import Elicit
from demo.client.mcp.outcome import CallOutcome, ToolsOutcome, expired, tools_outcome
from demo.client.mcp.session import Session
from demo.errors import advice
from deputize.errors import AuthorizationRefused, ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, Chain, Challenge, GrantStanding, Money, TokenView
from deputize.http.bounded import OnWait
from deputize.http.connection import Connection, Door
from deputize.http.errors import GrantNotAllowed
from deputize.http.known_servers import Memory
from deputize.http.recorder import Recorder
from deputize.oauth.authorizer import Authorizer
from deputize.oauth.credentials import MARGIN
from deputize.oauth.device_flow import DEVICE, DeviceLogin
from deputize.oauth.flows import ChosenFlow
from deputize.oauth.inspection import Inspector
from deputize.oauth.login_flow import HumanFlow, Login
from deputize.oauth.step_up import Approve, Obtain, StepUp
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.store import Store
from deputize.tokens.stored import SPENDING, Secret, StoredToken

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
L = TypeVar("L", bound=Login)


class Agent:
    """One agent at one server. Every method is synchronous and bounded by `timeout`.

    Args:
        server: a base URL (its doors are then `/mcp` and `/open/mcp`), or an MCP endpoint's own URL.
        store: where its tokens are kept.
        slot: under which name.
        client_id: which public client it is at the authorization server (RFC 6749 section 2.2); None to find out, at
            each authorization server: by our client ID metadata document, or by dynamic registration (RFC 7591).
        identity: the same with a secret, or for one issuer only; it goes before `client_id`.
        metadata_url: where our client ID metadata document is hosted, None where it is not.
        redirect_port: the loopback port that is pre-registered; None for any.
        resource: what its tokens are asked for (RFC 8707); None for what the server's metadata names, "none" for an
            authorization server that refuses the parameter.
        name: its name as a person should read it.
        timeout: seconds for one method, all of its exchanges together; for each call of a burst.
        elicit: answers what a server asks in mid-call (`ElicitationRequest`); None where there is nobody to ask.
        handshake: begin with `initialize`, as the revisions before 2026-07-28 do, instead of finding out.
        memory: where what is learned of the server's revision is kept for other processes; None for nowhere.

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
        resource: str | None = None,
        name: str = "Shirt Agent",
        timeout: float = 15.0,
        elicit: Elicit | None = None,
        handshake: bool = False,
        memory: Memory | None = None,
    ) -> None:
        self.store = store
        self.slot = slot
        self.name = name
        self._connection = Connection(server, timeout)
        if identity is None and client_id is not None:
            identity = ClientIdentity(client_id)
        self._client_id = identity.client_id if identity is not None else None
        self.authorizer = Authorizer(
            self._connection,
            store,
            slot=slot,
            name=name,
            ask=lambda: self.tools(token="none"),
            identity=identity,
            metadata_url=metadata_url,
            redirect_port=redirect_port,
            resource=resource,
        )
        self._session = Session(self._connection.recorder, timeout, elicit=elicit, handshake=handshake, memory=memory)
        self._inspector = Inspector(self._connection, self.authorizer, name)

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
        return self.recorder.skew(self.server)

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
        approve: Approve | None = None,
        patience: float = 0.0,
        on_wait: OnWait | None = None,
    ) -> CallOutcome:
        """Call a tool, once.

        Args:
            token: the stored one, none, or this one.
            refresh: whether a stored token near its end, or refused as expired, is renewed; False presents it as it is.
            obtain: gets a token for more scopes where the server asks for it (401, or 403 with `insufficient_scope`;
                MCP 2026-07-28, authorization); the call is then made again, a bounded number of times.
            approve: gets a token for this one call where the server wants a human to approve the very call (403 with
                `insufficient_authorization`); the call is then made again, once.
            patience: seconds that may be waited, all waits together, where the server asks to come again (429, 503).
            on_wait: called with the seconds left of such a wait and its state, at least four times a second.

        Raises:
            AuthorizationRefused: the stored token is wanted and there is none, or it cannot be renewed.
            EnvironmentNotReady: something on this machine keeps the request from being sent.
            ServerUnreachable: no answer, or not an MCP server's.
            UsageError: an argument cannot be sent.
        """
        check_arguments(tool, arguments)
        waits = Patience(patience, on_wait)
        step_up = None if obtain is None and approve is None else StepUp(self.authorizer, obtain, approve)
        bearer = self._bearer(token, refresh=refresh) if step_up is None or token != "stored" else step_up.held()
        renewable = token == "stored" and refresh
        with tracing.executing(tool) as span:
            while True:
                outcomes: list[CallOutcome] = []
                self._session.converse(self.endpoint(door), calls(tool, arguments, outcomes, self.recorder), bearer)
                (outcome,) = outcomes
                if waits.waited(outcome):
                    continue
                again: StoredToken | None = None
                if step_up is not None:
                    again = step_up.after(
                        outcome.status, outcome.challenge, bearer if isinstance(bearer, StoredToken) else None
                    )
                elif renewable and isinstance(bearer, StoredToken) and expired(outcome):
                    # By our clock it was good for longer: the clock was set since. Not carried out, so tried again.
                    renewable = False
                    with suppress(AuthorizationRefused):
                        again = self.authorizer.credentials.refresh(instead_of=bearer.access_token)
                if again is None:
                    span.add({"http.response.status_code": outcome.status})
                    if outcome.decision is not None:
                        span.add(tracing.about(outcome.decision))
                    if not outcome.allowed:
                        span.add({"error.type": outcome.failure})
                    return outcome
                bearer = again

    def burst(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        at_most: int,
        on_answer: Callable[[CallOutcome], None] | None = None,
    ) -> tuple[CallOutcome, ...]:
        """Call a tool in one session again and again, until the first call that is not allowed, or `at_most` times.

        Args:
            on_answer: told of each outcome as it comes; the next call waits until it returns.

        Raises:
            as `call`.
        """
        check_arguments(tool, arguments)
        outcomes: list[CallOutcome] = []
        requests = calls(tool, arguments, outcomes, self.recorder, at_most=at_most, on_answer=on_answer)
        self._session.converse(self.endpoint(), requests, self._bearer("stored", refresh=True), at_most=at_most)
        return tuple(outcomes)

    def tools(
        self, door: Door = "protected", token: Bearer = "stored", *, obtain: Obtain | None = None
    ) -> ToolsOutcome:
        """The door's tools, all pages.

        Args:
            obtain: as in `call`.

        Raises:
            as `call`.
        """
        step_up = None if obtain is None else StepUp(self.authorizer, obtain)
        bearer = self._bearer(token, refresh=True) if step_up is None else step_up.held()
        while True:
            outcome = tools_outcome(self._session.converse(self.endpoint(door), pages(), bearer), self.recorder)
            if step_up is None:
                return outcome
            again = step_up.after(
                outcome.status, outcome.challenge, bearer if isinstance(bearer, StoredToken) else None
            )
            if again is None:
                return outcome
            bearer = again

    def one_session(self) -> AbstractContextManager[None]:
        """While it lasts, a server that keeps state in the session sees one of it (`Session.one_session`)."""
        return self._session.one_session()

    def _bearer(self, token: Bearer, *, refresh: bool) -> StoredToken | Secret | None:
        if isinstance(token, Secret):
            self.recorder.guard(token.value)
            return token
        if isinstance(token, StoredToken):
            self.recorder.guard(*token.secrets)
            return token
        if token == "none":
            return None
        if token != "stored":
            raise ValueError("a raw token goes in a Secret, so that it is not shown by accident")
        held = None if refresh else self.authorizer.credentials.stored()
        return held or self.authorizer.credentials.token()

    # Authorization

    def discover(self, challenge: Challenge) -> Challenge:
        """Follow a challenge: the resource's metadata (RFC 9728), then its authorization server's (RFC 8414).

        Raises:
            ServerUnreachable: a place that the server itself names cannot be fetched.
        """
        return self.authorizer.discovery.follow(challenge)

    def authorization_server(self) -> AuthorizationServerMetadata:
        """The authorization server: the issuer of the stored token, else found by asking without one.

        Raises:
            AuthorizationRefused: there is none, or its metadata must not be trusted.
            ServerUnreachable: the server or the authorization server does not answer.
        """
        return self.authorizer.authorization_server()

    def wanted_scopes(self) -> tuple[str, ...]:
        """What a first login asks for at this server: its challenge's scopes, else those in its metadata (RFC 9728).

        Raises:
            as `authorization_server`.
        """
        return self.authorizer.wanted()

    def limits_spending(self) -> bool:
        """Whether the authorization server knows a spending limit as the shop does (RFC 9396 section 10).

        Raises:
            as `authorization_server`.
        """
        return SPENDING in self.authorization_server().authorization_details_types_supported

    def choose_flow(self) -> ChosenFlow:
        """Which flow to log in by, and why (`Authorizer.choose_flow`)."""
        return self.authorizer.choose_flow()

    def choose_other(self, flow: HumanFlow[Login], refused: GrantNotAllowed) -> ChosenFlow | None:
        """Another flow where one is refused to this client (`Authorizer.choose_other`)."""
        return self.authorizer.choose_other(flow, refused)

    @overload
    def start_login(
        self,
        scopes: Sequence[str],
        *,
        resources: Sequence[str] | None = None,
        spending: Money | None = None,
        details: Sequence[dict[str, Any]] = (),
        bound: bool = True,
    ) -> DeviceLogin: ...

    @overload
    def start_login(
        self,
        scopes: Sequence[str],
        flow: HumanFlow[L],
        *,
        resources: Sequence[str] | None = None,
        spending: Money | None = None,
        details: Sequence[dict[str, Any]] = (),
        bound: bool = True,
    ) -> L: ...

    def start_login(
        self,
        scopes: Sequence[str],
        flow: HumanFlow[Login] = DEVICE,
        *,
        resources: Sequence[str] | None = None,
        spending: Money | None = None,
        details: Sequence[dict[str, Any]] = (),
        bound: bool = True,
    ) -> Login:
        """Begin a login, by the device flow unless another is named (`Authorizer.start`)."""
        return self.authorizer.start(flow, scopes, resources=resources, spending=spending, details=details, bound=bound)

    def finish_login(
        self,
        login: Login,
        *,
        on_wait: OnWait | None = None,
        give_up: Callable[[], bool] | None = None,
        pasted: Callable[[], str | None] | None = None,
        expected: str | None = None,
        keep: bool = True,
        timeout: float = 600.0,
    ) -> StoredToken:
        """Wait until the human has decided, and keep the token (`Authorizer.finish`)."""
        return self.authorizer.finish(
            login, on_wait=on_wait, give_up=give_up, pasted=pasted, expected=expected, keep=keep, timeout=timeout
        )

    def hand_on(
        self, name: str, *, scopes: Sequence[str], spending: Money | None = None, slot: str | None = None
    ) -> Agent:
        """Hand a part of what this agent has on to a sub-agent, which has a key and a slot of its own
        (`Credentials.hand_on`).

        Args:
            slot: in which its token is kept; by default one that is named after both.

        Raises:
            as `token`; AuthorizationRefused where it is more than this agent has, too.
        """
        slot = slot or f"{self.slot}/{name}"
        token = self.authorizer.credentials.hand_on(slot, name, scopes=scopes, spending=spending)
        return self._below(name, slot, token)

    def sub_agent(self, name: str) -> Agent | None:
        """The sub-agent of this name; None where nothing was handed on to it."""
        slot = f"{self.slot}/{name}"
        token = self.store.get(slot)
        return None if token is None else self._below(name, slot, token)

    def _below(self, name: str, slot: str, token: StoredToken) -> Agent:
        return Agent(self.server, store=self.store, slot=slot, identity=token.client, name=name, timeout=self.timeout)

    # Tokens

    def stored(self) -> StoredToken | None:
        """The stored token as it is, expired or not; None when nothing is stored."""
        return self.authorizer.credentials.stored()

    def token(self, margin: float = MARGIN) -> StoredToken:
        """The stored token, renewed first when it ends within `margin` seconds.

        Raises:
            AuthorizationRefused: nothing is stored, or the authorization server does not renew it.
            ServerUnreachable: the authorization server does not answer.
        """
        return self.authorizer.credentials.token(margin)

    def refresh(
        self, *, resource: str | None = None, requested_expires_in: int | None = None, keep: bool = True
    ) -> StoredToken:
        """Renew now.

        Args:
            resource: for another resource of those granted (RFC 8707 section 2.2).
            requested_expires_in: a shorter life in seconds, where the authorization server knows the parameter.
            keep: False leaves the stored access token in place; the rotated refresh token is kept in any case.

        Raises:
            as `token`.
        """
        return self.authorizer.credentials.refresh(
            resource=resource, requested_expires_in=requested_expires_in, keep=keep
        )

    def redeem(self, refresh_token_of: StoredToken, *, client_id: str) -> tuple[int, str]:
        """Try a refresh token as another client: (HTTP status, OAuth error code; empty where it worked)."""
        return self.authorizer.credentials.redeem(refresh_token_of, client_id)

    def revoke(self, token: StoredToken) -> str | None:
        """Have the authorization server revoke a token's login (RFC 7009): None when it did, else why it did not.

        Nothing is forgotten here.
        """
        return self.authorizer.revoke(token)

    def logout(self) -> str | None:
        """Revoke the stored token at the authorization server: None when it confirmed, else why it did not.

        The token is forgotten here, and what the agent has registered there, too.
        """
        token = self.stored()
        why = "there was no token" if token is None else self.revoke(token)
        self.authorizer.credentials.forget()
        if token is not None:
            self.authorizer.registrations.forget_at(token.issuer)
        self.authorizer.registrations.forget_all()
        return why

    # Inspection

    def view(self, token: StoredToken, *, audience: str | None = None) -> TokenView:
        """What a token says, and what of it holds (`Inspector.view`)."""
        return self._inspector.view(token, audience=audience)

    def standing(self, token: StoredToken) -> GrantStanding:
        """Whether the grant behind a token stands, by the server's answer to `tools/list` with this very token; where
        it is refused without a word of which gate did, its authorization server is asked, too (RFC 7662).

        A server that does not answer settles nothing, and raises nothing.
        """
        from demo.client.mcp.standing import read_standing  # few programs ask

        endpoint = self.endpoint()
        try:
            found = read_standing(self.tools(token=token), endpoint)
        except ServerUnreachable as error:
            return GrantStanding(None, f"tools/list at {endpoint}", "no answer", error.what, advice(error))
        if found.stands is False and not found.revoked and self._inspector.active(token) is False:
            told = "its authorization server says that the token is not active (RFC 7662)"
            return replace(found, answer=f"{found.answer}; introspection: not active", reason=told, revoked=True)
        return found

    def chain(
        self,
        token: StoredToken,
        action: str | None = None,
        *,
        seen: TokenView | None = None,
        person: Mapping[str, Any] | None = None,
    ) -> Chain:
        """The delegation chain in a token's claims (`Inspector.chain`)."""
        return self._inspector.chain(token, action, seen=seen, person=person)

    def userinfo(self, token: StoredToken) -> dict[str, Any]:
        """Who the human is, from the authorization server (`Inspector.userinfo`)."""
        return self._inspector.userinfo(token)

    def identify(self, token: StoredToken) -> dict[str, Any]:
        """Who the human is, as far as anybody tells (`Inspector.identify`)."""
        return self._inspector.identify(token)
