"""A running local server with its WorkOS API, the SDK pointed at it, and the humans who sign in there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent, CallOutcome, SampleHuman
from demo.client.human.console import console_identity
from demo.client.workos.agents import AgentIdentity, AgentPass
from demo.client.workos.environment import Environment
from demo.client.workos.tenant import Tenant, WorkOSRefused
from deputize import MemoryStore, StoredToken
from deputize.evidence import Money
from tests.conftest import CONSOLE_KEYS, HANGS, serving

AGENT_SCOPES = ("openid", "shop:read", "shop:buy", "orders:read", "audit:read", "offline_access")
CEILING = ("shop:read", "shop:buy")
BUY = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}


class Clock:
    """Our own time, and how far a test has turned it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class World:
    """One local server, and what is known of it from outside."""

    base: str
    state: Path
    clock: Clock

    @property
    def shop(self) -> str:
        return f"{self.base}/mcp"

    def tenant(self, **changes: str) -> Tenant:
        return Tenant(replace(Environment.of_local(self.base, self.state), **changes))

    def agent(
        self, human: str = "alice@example.com", resource: str | None = None, *, client_id: str | None = "demo-agent"
    ) -> Agent:
        """An agent that a sample human has deputized for the shop, or for another resource.

        Args:
            client_id: which client it is; None for the one that its metadata document makes it.
        """
        document = f"{self.base}/client.json" if client_id is None else None
        agent = Agent(self.base, store=MemoryStore(), client_id=client_id, metadata_url=document)
        log_in(agent, human, AGENT_SCOPES, resource, Money(6000) if resource is None else None)
        return agent

    def console(self, human: str = "alice@example.com") -> StoredToken:
        """The token of a human's own console: no agent is in it."""
        agent = Agent(self.base, store=MemoryStore(), identity=console_identity(CONSOLE_KEYS[self.base]))
        return log_in(agent, human, ("openid", "sessions:manage", "offline_access"), f"{self.base}/account", None)

    def buy(self, agent: Agent) -> CallOutcome:
        outcome = agent.call("buyMcpShopItem", BUY)
        assert outcome.allowed, outcome.text
        return outcome


def claim(agent: Agent, name: str) -> str:
    """What the agent's token says, checked against the authorization server's keys."""
    found = agent.view(agent.token()).claim(name)
    assert found is not None
    return found


def log_in(
    agent: Agent, human: str, scopes: tuple[str, ...], resource: str | None, spending: Money | None
) -> StoredToken:
    login = agent.start_login(scopes, resources=None if resource is None else (resource,), spending=spending)
    where = login.code.verification_uri_complete or login.code.verification_uri
    SampleHuman(human).decide(where, login.code.user_code, approve=True)
    return agent.finish_login(replace(login, code=replace(login.code, interval=0.2)), timeout=HANGS)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The local server with fresh data and a clock that tests turn."""
    clock = Clock()
    with serving(tmp_path / "server.sqlite3", clock=clock) as url:
        yield World(url, tmp_path, clock)


@pytest.fixture
def tenant(world: World) -> Tenant:
    """The local server's environment, opened with the SDK."""
    return world.tenant()


@pytest.fixture
def identity(tenant: Tenant) -> AgentIdentity:
    return AgentIdentity.ensure(tenant, name="Shirt Agent", permissions=CEILING)


def why(identity: AgentIdentity, held: AgentPass) -> str:
    told = identity.validate(held.access_token)
    return "" if told.valid else told.why


def refused_with(code: str, status: int, call: Any, *arguments: Any, **named: Any) -> None:
    with pytest.raises(WorkOSRefused) as refused:
        call(*arguments, **named)
    assert (refused.value.status, refused.value.code) == (status, code), refused.value.why
