"""A shop, an agent that has logged in, and a model's endpoint, all on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from demo.client import Agent
from demo.client.human.sample_human import SampleHuman
from deputize.evidence import Money
from deputize.tokens.store import MemoryStore
from deputize.tokens.stored import StoredToken
from tests.conftest import ROOT, serving
from tests.unit.model.endpoints import Fake, faking

SCOPES = ("openid", "shop:read", "shop:buy", "offline_access")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real local server, one for a file, with limits that a file of tests does not use up."""
    state = tmp_path_factory.mktemp("server")
    policy = (ROOT / "demo" / "policy.toml").read_text("utf-8").replace("calls = 10 ", "calls = 1000 ")
    (state / "policy.toml").write_text(policy.replace("consent = 2", "consent = 9"), "utf-8")
    with serving(state / "server.sqlite3", policy_folder=state) as url:
        yield url


@pytest.fixture(scope="module")
def agent(server: str) -> Agent:
    """An agent that has logged in, and may spend more than a file of tests does."""
    one = Agent(server, store=MemoryStore().at(server))
    log_in(one, SCOPES, Money(50_000))
    return one


@pytest.fixture
def fresh_agent(server: str) -> Agent:
    """An agent that has not logged in."""
    return Agent(server, store=MemoryStore().at(server))


@pytest.fixture
def endpoint() -> Iterator[Fake]:
    """A model's endpoint."""
    with faking() as fake:
        yield fake


def log_in(
    agent: Agent, scopes: tuple[str, ...], spending: Money | None = None, *, approve: bool = True
) -> StoredToken:
    """The sample human's answer to a login; by default with two shirts' worth of money."""
    login = agent.start_login(scopes, spending=spending or Money(6000))
    SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, approve)
    # Nobody need wait the interval out for an answer that is there.
    return agent.finish_login(replace(login, code=replace(login.code, interval=0.05)))
