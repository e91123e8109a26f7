"""A host that can send no authorization details: the shop has the authorization server ask the human, by MCP's own way
(2026-07-28, elicitation, URL mode), and takes no other answer than theirs there. What it does otherwise, at both shops:
`tests/contract/test_contract_asking.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.client import Agent, SampleHuman
from demo.client.mcp.elicitation import Elicit, ElicitationRequest
from deputize import MemoryStore
from deputize.evidence import Money
from tests.conftest import serving
from tests.unit.auth_server.conftest import Browser

BUY = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    from demo.policy_file import NAME, SHIPPED

    (tmp_path / NAME).write_text(SHIPPED.text.replace("above = 5000", "above = 2000"))
    with serving(tmp_path / "server.sqlite3", policy_folder=tmp_path) as url:
        yield url


def host(base: str, elicit: Elicit | None) -> Agent:
    """An agent that answers what a server asks, and knows nothing of authorization details."""
    agent = Agent(base, store=MemoryStore(), elicit=elicit)
    login = agent.start_login(("openid", "shop:buy", "offline_access"), spending=Money(6000))
    SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
    agent.finish_login(login)
    return agent


def decide(url: str, decision: str, account: str = "alice@example.com") -> httpx2.Response:
    """Open the page that the server named, sign in, and decide."""
    browser = Browser(url.partition("/device")[0])
    browser.get(url.removeprefix(url.partition("/device")[0]))
    browser.submit("/device/sign-in", account=account)
    assert browser.forms.shown["price-in-words"] == ["twenty-five dollars"]
    return browser.submit("/device/consent", decision=decision)


@pytest.mark.parametrize("answer", ["the page says no", "the window says yes"])
def test_only_the_answer_on_the_page_counts(base: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A confirmation in the host's own window is none (draft-klrc-aiagent-auth section 10.7)."""
    from demo.client.mcp import elicitation
    from demo.shop import asking

    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(elicitation, "ROUNDS", 2)

    def elicit(request: ElicitationRequest) -> dict[str, Any]:
        assert request.url is not None
        if answer == "the page says no":
            decide(request.url, "deny")
        return {}

    outcome = host(base, elicit).call("buyMcpShopItem", BUY)
    assert not outcome.allowed and outcome.order is None


def test_nobody_but_a_resource_server_has_a_human_asked(base: str) -> None:
    agent = host(base, None)
    body = {"token": agent.token().access_token, "scope": "shop:buy", "detail": {}}
    assert httpx2.post(f"{base}/oauth2/purchases", json=body, trust_env=False).status_code == 401
