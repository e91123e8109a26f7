"""A look at a server and its authorization server that changes nothing: what they publish, how they answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from demo.client.capabilities.revisions import Asked, ask_revisions
from demo.errors import advice
from deputize.errors import EnvironmentNotReady, ExplainedError, ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, Challenge, Exchange, ResourceMetadata
from deputize.http.errors import NoConnection, TimedOut
from deputize.http.fetch import Answer, fetch
from deputize.http.origins import origin
from deputize.net import is_loopback

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import ToolsOutcome
    from deputize.tokens.stored import StoredToken

T = TypeVar("T")

OURS = "machine-identity-demo"
"""What the bundled server calls itself at `/health` (docs/wire.md)."""


@dataclass(frozen=True)
class Failure:
    """A look that saw nothing. `answered`: something is there, and it is not what was looked for."""

    what: str
    why: str
    answered: bool
    do: str = ""
    """What helps, where the fault is on this machine."""
    error: ExplainedError | None = None
    """The same as it was raised."""


@dataclass(frozen=True)
class Survey:
    """What was seen. Where something is None it was not seen; `failures` says why, by what was asked."""

    endpoint: str
    anonymous: ToolsOutcome | None = None
    """`tools/list` at the endpoint without a token."""
    open_door: ToolsOutcome | None = None
    """`tools/list` at the door that is meant to have no auth, where that is another URL than the endpoint."""
    listed: ToolsOutcome | None = None
    """`tools/list` with the stored token, where one is stored and has not expired."""
    challenge: Challenge | None = None
    """What the endpoint's refusal says; without a refusal an empty one. Followed as far as there is metadata."""
    health: dict[str, Any] | None = None
    issuer_health: dict[str, Any] | None = None
    """`/health` of the authorization server, where both are on this machine and it is another server."""
    audit: Answer | None = None
    jwks: Answer | None = None
    token: StoredToken | None = None
    revisions: tuple[Asked, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def resource(self) -> ResourceMetadata | None:
        """The protected resource metadata (RFC 9728)."""
        return self.challenge.resource if self.challenge else None

    @property
    def authorization_server(self) -> AuthorizationServerMetadata | None:
        """The authorization server metadata (RFC 8414 or OpenID Connect discovery)."""
        return self.challenge.authorization_server if self.challenge else None

    @property
    def requires_token(self) -> bool | None:
        """Whether the endpoint refuses who comes without a token; None where it says neither yes nor no."""
        status = self.anonymous.status if self.anonymous else None
        return True if status == 401 else False if status == 200 else None

    @property
    def deciding(self) -> ToolsOutcome | None:
        """The first answer that says what its gates decided, as the shop's do (docs/wire.md)."""
        seen = (self.anonymous, self.listed, self.open_door)
        return next((one for one in seen if one is not None and _marks(one)), None)

    @property
    def decision_marks(self) -> str:
        """In what that answer says it; empty where none does."""
        return ", ".join(_marks(self.deciding)) if self.deciding is not None else ""

    @property
    def reports_decisions(self) -> bool:
        """Whether its answers say what its gates decided."""
        return self.deciding is not None

    @property
    def ours(self) -> bool:
        """Whether this is the bundled shop with the bundled authorization server, both on this machine: one server,
        or the shop as a Worker beside it.

        One that says so by name is held to it, also where its metadata is gone or wrong; only another authorization
        server makes it another's.
        """
        here = origin(self.endpoint)
        trusted = (
            self.authorization_server.issuer
            if self.authorization_server and self.authorization_server.problem is None
            else None
        )
        bundled = trusted is None or origin(trusted) == here or _is_ours(self.issuer_health)
        return _is_ours(self.health) and here is not None and is_loopback(here[1]) and bundled

    @property
    def tools(self) -> ToolsOutcome | None:
        """The tools as they were seen: with the token, else at the endpoint itself, else at the open door."""
        seen = (self.listed, self.anonymous, self.open_door)
        return next((one for one in seen if one is not None and one.status == 200), None)

    def failure(self, what: str) -> str:
        """Why `what` was not seen; empty where it was."""
        return next((one.why for one in self.failures if one.what == what), "")

    def fix(self, what: str) -> str:
        """What helps where the fault is on this machine; empty where it is not."""
        return next((one.do for one in self.failures if one.what == what), "")

    def error(self, what: str) -> ExplainedError | None:
        """What was raised where `what` was not seen; None where it was."""
        return next((one.error for one in self.failures if one.what == what), None)

    def absent(self, what: str) -> bool:
        """Whether something answered in the place of `what`, so that it is not there; False where nobody knows."""
        return any(one.answered for one in self.failures if one.what == what)


def _is_ours(health: dict[str, Any] | None) -> bool:
    return (health or {}).get("name") == OURS


def says_it_is_ours(agent: Agent) -> bool:
    """Whether the agent's server calls itself the bundled shop at `/health`: one GET, and no more is looked at.

    Raises:
        ServerUnreachable: nothing answers.
    """
    looking = _Looking(agent)
    health = looking.fetch("health", f"{_base(agent)}/health")
    if health is None and not looking.failures[-1].answered:
        raise ServerUnreachable(f"{agent.server} cannot be reached", why=looking.failures[-1].why, do="check --server")
    return _is_ours(_found(health))


def _base(agent: Agent) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(agent.endpoint()))


def _marks(answer: ToolsOutcome) -> list[str]:
    header = any(exchange.header("Demo-Audit-Id") for exchange in answer.exchanges)
    return [name for name, there in (("Demo-Audit-Id", header), ("decision", answer.decision is not None)) if there]


def survey(agent: Agent, *, revisions: bool = True, keys: bool = True) -> Survey:
    """Look at the agent's server. Each look is bounded by the agent's timeout, and a look that fails is noted.

    Nothing is registered, no tool is called, no token is renewed: the requests are `tools/list`, GETs of published
    documents and, with `revisions`, the first message of each revision of MCP.

    Args:
        revisions: whether each revision is asked for.
        keys: whether the authorization server's keys are fetched (RFC 7517).
    """
    looking = _Looking(agent)
    before = len(agent.recorder.exchanges)
    anonymous = looking.at("endpoint", lambda: agent.tools(token="none"))
    if anonymous is None:
        # Nobody there, or no MCP server: each further look would only wait as long again.
        return Survey(endpoint=agent.endpoint(), failures=tuple(looking.failures))
    door = None
    if agent.endpoint("open") != agent.endpoint():
        door = looking.at("open door", lambda: agent.tools(door="open", token="none"))
    stored = agent.stored()
    token = stored if stored is not None and stored.expires_at > time.time() else None
    listed = looking.at("tools", lambda: agent.tools(token=token)) if token is not None else None
    found = anonymous.challenge or Challenge(anonymous.status or 0, "", ())
    challenge = looking.at("metadata", lambda: agent.discover(found)) or found
    base = _base(agent)
    health = looking.fetch("health", f"{base}/health")
    audit = looking.fetch("audit", f"{base}/audit?limit=1")
    metadata = challenge.authorization_server
    uri = metadata.jwks_uri if metadata and metadata.problem is None else None
    beside = _beside(agent.endpoint(), metadata)
    issuer_health = looking.fetch("issuer", f"{beside}/health") if beside is not None else None
    jwks = looking.fetch("jwks", uri) if uri and keys else None
    asked: tuple[Asked, ...] = ()
    if revisions:
        from deputize.oauth.token_auth import presented  # it loads the HTTP library

        shut = anonymous.status != 200 and token is None and door is not None and door.status == 200
        url = agent.endpoint("open" if shut else "protected")
        auth = presented(token) if token is not None and not shut else None
        asked = looking.at("revisions", lambda: agent.http(lambda http: ask_revisions(http, url, auth))) or ()
    return Survey(
        endpoint=agent.endpoint(),
        anonymous=anonymous,
        open_door=door,
        listed=listed,
        challenge=challenge,
        health=_found(health),
        issuer_health=_found(issuer_health),
        audit=audit,
        jwks=jwks,
        token=token,
        revisions=asked,
        exchanges=tuple(agent.recorder.exchanges[before:]),
        failures=tuple(looking.failures),
    )


def _beside(endpoint: str, metadata: AuthorizationServerMetadata | None) -> str | None:
    """The origin of an authorization server on this machine beside a server on it; no other is asked who it is."""
    if metadata is None or metadata.problem is not None:
        return None
    here, there = origin(endpoint), origin(metadata.issuer)
    if here is None or there is None or here == there or not (is_loopback(here[1]) and is_loopback(there[1])):
        return None
    return "{0.scheme}://{0.netloc}".format(urlsplit(metadata.issuer))


def _found(answer: Answer | None) -> dict[str, Any] | None:
    return answer.json if answer is not None and answer.status == 200 else None


class _Looking:
    """Looks, and notes what could not be seen."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.failures: list[Failure] = []

    def at(self, what: str, look: Callable[[], T]) -> T | None:
        """What `look` sees, None where it cannot; only what is the wire's fault is forgiven."""
        try:
            return look()
        except ExplainedError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            here = isinstance(error, EnvironmentNotReady)
            answered = not here and not isinstance(error, TimedOut | NoConnection)
            self.failures.append(Failure(what, why, answered, advice(error) if here else "", error))
            return None

    def fetch(self, what: str, url: str) -> Answer | None:
        """A GET without a token, None where no answer came."""
        server = self._agent.endpoint()
        return self.at(what, lambda: self._agent.http(lambda http: fetch(http, "GET", url, server=server)))
