"""What a login flow is: an object that names its grant types and its client authentication, and begins a login."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from deputize.evidence import AuthorizationServerMetadata, Money
from deputize.http.bounded import OnWait
from deputize.http.errors import OAuthRefused
from deputize.oauth import token_endpoint
from deputize.oauth.dpop import ProofKey
from deputize.oauth.token_endpoint import ClientAnswer
from deputize.tokens import id_token
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.stored import StoredToken, read_token_response, spending_detail

if TYPE_CHECKING:
    import httpx2

    from deputize.oauth.loopback import Listener


@dataclass(frozen=True)
class LoginRequest:
    """What a login asks for, at which authorization server, and as which client.

    Args:
        metadata: the authorization server's.
        server: the MCP server on whose behalf it is.
        identity: the client that asks; the token is issued to it.
        name: the agent's name, for the human.
        scopes: what to ask for; none means whatever is granted by default.
        resources: what the token is for (RFC 8707); the first one becomes the first token's audience.
        spending: a limit to ask for (RFC 9396), None for none.
        details: other authorization details to ask for (RFC 9396), as a server's challenge had them.
        key: what the token is to be bound to (RFC 9449), None for a bearer token.
        listener: where the browser comes back to, for the flow that redirects.
    """

    metadata: AuthorizationServerMetadata
    server: str
    identity: ClientIdentity
    name: str
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    spending: Money | None = None
    details: tuple[dict[str, Any], ...] = ()
    key: ProofKey | None = field(default=None, repr=False)
    listener: Listener | None = field(default=None, repr=False)

    @property
    def resource(self) -> str | None:
        """What the first token is for."""
        return self.resources[0] if self.resources else None

    @property
    def authorization_details(self) -> str | None:
        """The parameter of this name (RFC 9396 section 2), as JSON; None where nothing is asked for in detail."""
        asked = list(self.details)
        if self.spending is not None and self.resource is not None:
            asked.insert(0, spending_detail(self.spending, self.resource))
        return json.dumps(asked) if asked else None

    async def ask_token(self, http: httpx2.AsyncClient, form: list[tuple[str, str]]) -> ClientAnswer:
        """Send a grant to the token endpoint; the resource is named again there (RFC 8707 section 2.2).

        Raises:
            ServerUnreachable: it does not answer.
        """
        named = [*form, ("resource", self.resource)] if self.resource else form
        return await token_endpoint.ask(
            http,
            self.metadata.token_endpoint,
            named,
            server=self.server,
            issuer=self.metadata.issuer,
            identity=self.identity,
            key=self.key,
        )

    def token(self, answer: ClientAnswer) -> StoredToken:
        """The token in a token response.

        Raises:
            OAuthRefused: it holds none that this client can use.
        """
        return read_token_response(
            answer.json or {},
            received_at=time.time(),
            issuer=self.metadata.issuer,
            token_endpoint=self.metadata.token_endpoint,
            identity=answer.identity,
            resource=self.resource,
            scope=self.scopes,
            dpop_key=self.key.to_json() if self.key else None,
            human=id_token.names(answer.json or {}, issuer=self.metadata.issuer, client_id=answer.identity.client_id),
        )


class LoginPending(OAuthRefused):
    """Nobody waits for this login any more, and the human has not decided: it stands until it expires.

    Its `remedy` has the page and the code. Who asks again in time joins it.
    """


@dataclass(frozen=True)
class Waiting:
    """How a login that is under way is waited for.

    Args:
        seconds: how long at most, beside the login's own life.
        on_wait: called several times a second with the seconds left, and a word for the state: "pending", "slow_down",
            "no_answer", or "not_ours" after a paste that is something else.
        give_up: asked as often; True ends the wait.
        pasted: asked as often; the authorization response's URL, when the human has pasted it.
        guard: takes each secret that turns up, so that it is shown nowhere.
        pause: waits so many seconds or longer between two polls, for who has reason to ask less often than it may; None
            for just so long.
    """

    seconds: float
    on_wait: OnWait | None
    give_up: Callable[[], bool] | None
    pasted: Callable[[], str | None] | None
    guard: Callable[..., None]
    pause: Callable[[float], Awaitable[None]] | None = None


@dataclass(frozen=True, kw_only=True)
class Login(ABC):
    """A login under way: what to show to the human, and what it takes to fetch the token afterwards."""

    asked: LoginRequest

    @property
    @abstractmethod
    def flow(self) -> HumanFlow[Login]:
        """The flow that it was begun by."""

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""

    @property
    def identity(self) -> ClientIdentity:
        """The client that asks."""
        return self.asked.identity

    @property
    def resource(self) -> str | None:
        """What the token will be for."""
        return self.asked.resource

    @abstractmethod
    async def finish(self, http: httpx2.AsyncClient, waiting: Waiting) -> StoredToken:
        """Wait until the human has decided, and fetch the token.

        Raises:
            OAuthRefused: denied, expired, given up, or refused; its `oauth_error` says which.
            ServerUnreachable: what answers is not the authorization server.
        """

    def conclude(self, error: BaseException | None) -> None:
        """Say how it ended where somebody waits for that, None for well, and close it."""
        self.close()

    def close(self) -> None:
        """Stop: nobody waits for this login any more."""
        if self.asked.listener is not None:
            self.asked.listener.close()


L = TypeVar("L", bound=Login, covariant=True)


class LoginFlow:
    """One flow; `.flows` lists them."""

    name: ClassVar[str]
    """Its word: in the store, and in a `Remedy`."""
    grant_types: ClassVar[tuple[str, ...]]
    """What the client registers for, the grant that the flow begins with first (RFC 7591 section 2)."""
    confidential: ClassVar[bool] = False
    """Whether the client must authenticate with credentials of its own; else it is a public one where it can be."""

    @property
    def redirects(self) -> bool:
        """Whether a browser is sent back to a redirect URI."""
        return "authorization_code" in self.grant_types

    @property
    def extension(self) -> bool:
        """Whether its grant is an extension (RFC 6749 section 4.5), which many servers do not give to everybody."""
        return ":" in self.grant_types[0]


class HumanFlow(LoginFlow, ABC, Generic[L]):
    """A flow in which a human decides."""

    label: ClassVar[str]
    """How it is called in a sentence, with the standard that defines it."""

    @abstractmethod
    def problem(self, metadata: AuthorizationServerMetadata) -> str | None:
        """Why it cannot be used at an authorization server, by its metadata; None where it can."""

    def doubt(self, metadata: AuthorizationServerMetadata) -> str | None:
        """Why another flow is better there, where there is one; None where nothing speaks against this one."""
        return None

    @abstractmethod
    async def begin(self, http: httpx2.AsyncClient, asked: LoginRequest) -> L:
        """Begin a login.

        Raises:
            OAuthRefused: the authorization server refuses, or its answer cannot be used.
            ServerUnreachable: it does not answer.
        """
