"""Who plays: the agents, the human's console and the sample humans of one performance, made when first needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from demo import local
from demo.errors import DemoError

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.console import Console
    from demo.client.sample_human import SampleHuman
    from demo.client.store import TokenStore
    from demo.evidence import Exchange

HUMAN = "alice@example.com"
"""The sample account in whose name the talk's agent acts."""


class NotHere(DemoError):
    """A step that this server cannot do: the beat is skipped with the reason, not failed."""


class Cast:
    """The actors at one server.

    Args:
        server: the server's base URL, or any MCP endpoint's.
        state: the folder where tokens go when there is no keyring, and the local server's data.
        is_local: whether `server` is the bundled one of this state, which can be restarted and has sample accounts.
        port: where the local server listens when it is started again.
    """

    def __init__(self, server: str, state: Path, *, is_local: bool, port: int) -> None:
        self.server = server
        self.state = state
        self.is_local = is_local
        self._port = port
        self._agents: dict[str, Agent] = {}
        self._console: Console | None = None
        self._store: TokenStore | None = None

    @property
    def store(self) -> TokenStore:
        """Where this server's tokens are kept."""
        if self._store is None:
            from demo.client.store import TokenStore

            self._store = TokenStore.open(self.state, server=self.server)
        return self._store

    def agent(self, who: str = "agent") -> Agent:
        """The agent called `who`; nobody's agent is the same software without a token."""
        slot = "agent" if who == "nobody" else who
        if slot == "console":
            return self.console().agent
        if slot not in self._agents:
            from demo.client.agent import Agent

            self._agents[slot] = Agent(self.server, store=self.store, slot=slot)
        return self._agents[slot]

    def human(self, account: str = HUMAN) -> SampleHuman:
        """The sample human with this account, who decides by driving the authority's own pages."""
        self._only_local("sample humans sign in at the bundled authority only")
        from demo.client.sample_human import SampleHuman

        return SampleHuman(account)

    def console(self) -> Console:
        """The human's own console, signed in."""
        if self._console is None:
            self._only_local("the human's console speaks to the bundled authority only")
            from demo.client.console import Console

            console = Console(self.server, store=self.store)
            if not console.signed_in():
                console.sign_in(self.human())
            self._console = console
        return self._console

    def consent(self) -> str | None:
        """The consent behind the agent's stored token, as the token claims it; None without one."""
        from demo.client import claims

        token = self.agent().stored()
        jwt = claims.take_apart(token.access_token) if token else None
        consent = jwt.claims.get("consent_id") if jwt else None
        return consent if isinstance(consent, str) else None

    def take_exchanges(self) -> list[Exchange]:
        """What the actors put on the wire since the last time this was asked, oldest first."""
        actors = [*self._agents.values(), *([self._console.agent] if self._console else [])]
        taken = [exchange for agent in actors for exchange in agent.recorder.take()]
        return sorted(taken, key=lambda exchange: exchange.started_at)

    def restart(self, waiting: local.Waiting) -> tuple[local.LocalServer, local.LocalServer]:
        """Stop and start the local server. Returns it as it was, and as it is."""
        self._only_local("only the bundled server can be restarted from here")
        before = local.find(self.state)
        if before is None:
            before, _ = local.ensure(self.state, port=self._port, waiting=waiting)
        local.stop(self.state, waiting=waiting)
        after, _ = local.ensure(self.state, port=self._port, waiting=waiting)
        return before, after

    def _only_local(self, why: str) -> None:
        if not self.is_local:
            raise NotHere("this server cannot do this step", why=why)
