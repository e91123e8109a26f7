"""A host that can send no authorization details: the shop has the authorization server ask the human, by MCP's own way
(2026-07-28, elicitation, URL mode), and takes no other answer than theirs there."""

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


def test_a_human_approves_on_the_page_that_the_host_opens(base: str) -> None:
    asked: list[ElicitationRequest] = []

    def elicit(request: ElicitationRequest) -> dict[str, Any]:
        asked.append(request)
        assert request.url is not None
        assert decide(request.url, "approve").status_code == 200
        return {}

    agent = host(base, elicit)
    outcome = agent.call("buyMcpShopItem", BUY)
    assert outcome.allowed and outcome.order is not None and len(asked) == 1, outcome.text
    assert asked[0].url is not None and asked[0].url.startswith(f"{base}/device/consent?purchase=")
    # It was for one purchase: the next one is asked for again, on another page.
    assert agent.call("buyMcpShopItem", BUY).allowed
    assert len({one.url for one in asked}) == 2


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


def test_somebody_else_answers_nothing_on_that_page(base: str) -> None:
    def elicit(request: ElicitationRequest) -> dict[str, Any]:
        assert request.url is not None
        assert decide(request.url, "approve", "grace@example.com").status_code == 409
        decide(request.url, "deny", "grace@example.com")
        assert decide(request.url, "approve").status_code == 200
        return {}

    assert host(base, elicit).call("buyMcpShopItem", BUY).allowed


def test_a_host_that_opens_no_pages_is_refused_with_what_to_do(base: str) -> None:
    outcome = host(base, None).call("buyMcpShopItem", BUY)
    assert (outcome.status, outcome.decision and outcome.decision.rule) == (403, "limits.approval")


def test_a_host_that_went_away_finds_the_approval_when_it_calls_again(base: str) -> None:
    urls: list[str] = []

    def leave(request: ElicitationRequest) -> None:
        urls.append(request.url or "")

    agent = host(base, leave)
    assert not agent.call("buyMcpShopItem", BUY).allowed
    decide(urls[0], "approve")
    assert agent.call("buyMcpShopItem", BUY).allowed


def test_nobody_but_a_resource_server_has_a_human_asked(base: str) -> None:
    agent = host(base, None)
    body = {"token": agent.token().access_token, "scope": "shop:buy", "detail": {}}
    assert httpx2.post(f"{base}/oauth2/purchases", json=body, trust_env=False).status_code == 401
