"""Who plays: the agents and the humans of one performance at one server, made when first needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from demo.settings.client import ClientSettings
from demo.settings.tools import ToolMap
from demo.settings.workos import WorkOSSettings
from talk.humans import AGENT, Humans, claim
from talk.playing.kind import SUB_AGENTS
from talk.playing.other_server import OtherServer
from talk.server import TalkServer

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.workos.agents import AgentIdentity, AgentPass
    from demo.deploy.local_worker import LocalWorker
    from deputize.evidence import Exchange
    from deputize.tokens.store import TokenStore
    from deputize.tokens.stored import StoredToken


class Cast:
    """The actors at one server.

    Args:
        server, state, is_local, port, worker, world: of `TalkServer`.
        tools: what another server calls the shop's verbs.
        client: who the agent is at an authorization server where it was registered by hand.
        edge: where the shop may run as a Worker: "auto", "local" (never deployed), "off" (only described).
        workos: which WorkOS environment stands behind a server that is not the local one.
        login: a login of the user's own that is used, and must be there afterwards; else tokens are kept in `state`.
    """

    def __init__(
        self,
        server: str,
        state: Path,
        *,
        is_local: bool,
        port: int,
        tools: ToolMap | None = None,
        client: ClientSettings | None = None,
        edge: str = "auto",
        worker: LocalWorker | None = None,
        workos: WorkOSSettings | None = None,
        login: TokenStore | None = None,
        world: str | None = None,
    ) -> None:
        self._client, workos = client or ClientSettings(), workos or WorkOSSettings()
        self.server = TalkServer(
            server, state, is_local=is_local, port=port, worker=worker, login=login, workos=workos.used, world=world
        )
        self.humans = Humans(self.server, self._client, workos)
        self.edge = edge
        self.repository: str | None = None
        """Where the code of this talk is, for the closing link; None: where the beat itself says."""
        self.passes: dict[str, tuple[AgentIdentity, AgentPass]] = {}
        """What agents hold by WorkOS, by their blueprints' names: in memory alone, and gone with this process."""
        self.spent: dict[str, tuple[StoredToken, float]] = {}
        """Refresh tokens that were used, by slot, with when (monotonic seconds): the `reuse` step uses one again. In
        memory alone, too."""
        self._tools = tools or ToolMap()
        self._other: OtherServer | None = None
        self._agents: dict[str, Agent] = {}
        self._beat: ExitStack | None = None
        self._lent = login is not None

    @property
    def other(self) -> OtherServer | None:
        """What another server has and has not; None at the bundled one, which has everything or is broken."""
        if self.server.ours:
            return None
        if self._other is None:
            self._other = OtherServer(
                self.server.seen(), self.agent(), self._tools, no_console=self.humans.no_console, lent=self._lent
            )
        return self._other

    @property
    def tools(self) -> ToolMap:
        """What the server at hand calls the shop's verbs."""
        return ToolMap() if self.server.ours else self._tools

    def door(self, door: str) -> str:
        """Which of the server's doors is meant by the talk's."""
        # Where nobody is asked for a token, the one door there is stands for both; the protected one is itself.
        return door if door != "open" or self.other is None else self.other.door(door)

    def agent(self, who: str = AGENT) -> Agent:
        """The agent called `who`; for "nobody" it is the same software, and no token goes along."""
        slot = AGENT if who == "nobody" else who
        if slot == "console":
            return self.humans.console().agent
        if slot not in self._agents:
            self._agents[slot] = self._made(slot)
            if self._beat is not None:
                self._beat.enter_context(self._agents[slot].one_session())
        return self._agents[slot]

    def software(self) -> dict[str, str]:
        """What the software of the agents, and of the human's console, is called, by its client id."""
        # A sub-agent has the client of the agent above it, and is no software of its own.
        agents = [one for slot, one in self._agents.items() if slot not in SUB_AGENTS]
        acting = [*agents, *self.humans.agents()]
        return {one.client_id: one.name for one in acting if one.client_id}

    def sub_agents(self) -> dict[str, str]:
        """What the talk's sub-agents are called, by the ids that their stored tokens have for them: also those that
        another process of this run handed on to."""
        from deputize.tokens import claims

        found: dict[str, str] = {}
        for slot in SUB_AGENTS:
            token = self.server.store.get(slot)
            jwt = claims.take_apart(token.access_token) if token is not None else None
            act = jwt.claims.get("act") if jwt is not None else None
            if isinstance(act, dict) and isinstance(act.get("sub"), str):
                found[act["sub"]] = _name_of(slot)
        return found

    @property
    def skew(self) -> float | None:
        """The server's clock minus ours in seconds; None before it has answered an agent."""
        return max((agent.skew for agent in self._agents.values() if agent.skew is not None), key=abs, default=None)

    def granted_by(self) -> dict[str, str]:
        """The address of the human who gave the agent its grant, by the id that its token has for them."""
        grantor = self.humans.grantor
        subject = claim(self.agent().stored(), "sub") if grantor is not None else None
        return {subject: grantor} if subject is not None and grantor is not None else {}

    @contextmanager
    def one_session(self) -> Iterator[None]:
        """While it lasts each agent keeps its MCP session, at a server that has any: what a beat has done there with
        one call is there for its next."""
        with ExitStack() as self._beat:
            for agent in self._agents.values():
                self._beat.enter_context(agent.one_session())
            try:
                yield
            finally:
                self._beat = None

    def _made(self, slot: str) -> Agent:
        from demo.client.agent import Agent

        client = self._client
        name = _name_of(slot)
        if self.server.ours and client.id is None:
            return Agent(self.server.url, store=self.server.store, slot=slot, memory=self.server.memory, name=name)
        identity = None
        if client.id is not None:
            from deputize.tokens.identity import ClientIdentity

            secret = client.secret(os.environ)
            method: Literal["none", "client_secret_basic"] = "none" if secret is None else "client_secret_basic"
            identity = ClientIdentity(client.id, secret=secret, method=method, issuer=client.issuer)
        return Agent(
            self.server.url,
            store=self.server.store,
            slot=slot,
            client_id=None,
            identity=identity,
            metadata_url=client.metadata_url,
            redirect_port=client.redirect_port,
            resource=client.resource,
            memory=self.server.memory,
            name=name,
        )

    def consent(self, who: str = AGENT) -> str | None:
        """The consent behind an agent's stored token, as the token claims it; None without one."""
        return claim(self.agent(who).stored(), "consent_id")

    def take_exchanges(self) -> list[Exchange]:
        """What the actors put on the wire since the last time this was asked, oldest first."""
        recorders = [*(agent.recorder for agent in self._agents.values()), *self.humans.recorders()]
        taken = [exchange for recorder in recorders for exchange in recorder.take()]
        return sorted(taken, key=lambda exchange: exchange.started_at)


def _name_of(slot: str) -> str:
    """What the agent calls itself whose token is in this slot."""
    return slot.capitalize() if slot in SUB_AGENTS else "Shirt Agent"
