"""The agent at the real shop and its authorization server: refused, deputized, buying, and interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from demo.client import Agent, SampleHuman
from deputize import OAuthRefused, Secret
from deputize.errors import Remedy
from deputize.evidence import Money
from deputize.tokens.store import MemoryStore
from tests.conftest import HANGS, ROOT, console_at, serving
from tests.unit.client.fakes import SHIRT, agent_at, log_in

TOOL = "listMcpShopInventory"


@pytest.fixture
def agent(base_url: str, tmp_path: Path) -> Agent:
    agent = agent_at(base_url, tmp_path / "agent")
    log_in(agent, spending=Money(6000))
    agent.recorder.take()
    return agent


def test_a_refused_purchase_is_one_exchange_with_its_challenge(base_url: str, tmp_path: Path) -> None:
    outcome = agent_at(base_url, tmp_path).call("buyMcpShopItem", SHIRT, token="none")
    (exchange,) = outcome.exchanges
    assert (exchange.method, exchange.status, outcome.status) == ("POST", 401, 401)
    sent = {name.lower(): value for name, value in exchange.request_headers}
    assert (sent["mcp-method"], sent["mcp-name"]) == ("tools/call", "buyMcpShopItem")
    assert "authorization" not in sent
    assert outcome.challenge is not None and outcome.challenge.scheme == "Bearer"
    assert outcome.challenge.get("resource_metadata") == f"{base_url}/.well-known/oauth-protected-resource/mcp"
    assert outcome.decision is not None and outcome.decision.rule == "token.missing"
    assert outcome.text.startswith("Refused by the token gate")


def test_at_the_open_door_anybody_buys(base_url: str, tmp_path: Path) -> None:
    outcome = agent_at(base_url, tmp_path).call("buyMcpShopItem", SHIRT, door="open", token="none")
    assert outcome.allowed and outcome.order is not None
    assert (outcome.order.user, outcome.order.balance) == (None, None)


def test_a_deputized_agent_buys_in_one_exchange_and_the_balance_runs_down(agent: Agent) -> None:
    outcome = agent.call("buyMcpShopItem", SHIRT)
    assert outcome.allowed and outcome.order is not None
    assert outcome.order.price == Money(2500)
    assert outcome.order.balance == Money(3500)
    assert outcome.order.spending_limit == Money(6000)
    assert [exchange.status for exchange in outcome.exchanges] == [200]
    assert {limit.name for limit in outcome.limits} == {"rate", "purchases", "spending"}
    assert agent.recorder.take() == outcome.exchanges


def test_a_tool_beyond_the_scope_is_refused_with_what_it_takes(agent: Agent) -> None:
    outcome = agent.call("setDemoMode", {"mode": "banned"})
    assert outcome.status == 403
    assert outcome.challenge is not None
    assert (outcome.challenge.get("error"), outcome.challenge.get("scope")) == ("insufficient_scope", "demo:mode")


def test_the_chain_is_the_humans_the_agents_and_verified(agent: Agent) -> None:
    chain = agent.chain(agent.token(), "bought a shirt")
    assert (chain.human, chain.action) == ("alice@example.com", "bought a shirt")
    assert chain.agent.startswith("agent_") and chain.session.startswith("session_")
    assert chain.source.startswith("token claims, verified against key kid=")
    assert chain.spending_limit == Money(6000)
    assert chain.convention.startswith("RFC 8693")


def test_a_token_made_for_elsewhere_is_seen_to_be(agent: Agent, base_url: str) -> None:
    view = agent.view(agent.token(), audience="https://other.example/mcp")
    assert any("https://other.example/mcp" in problem for problem in view.problems)
    assert agent.view(agent.token()).problems == ()


def test_every_tool_is_listed_with_its_scope(agent: Agent) -> None:
    outcome = agent.tools()
    scopes = {tool.name: tool.scope for tool in outcome.tools}
    assert outcome.status == 200
    assert scopes["buyMcpShopItem"] == "shop:buy"
    assert len(scopes) == 7


def test_a_token_that_our_clock_thinks_good_is_renewed_where_the_shop_says_expired(agent: Agent, base_url: str) -> None:
    short = agent.refresh(requested_expires_in=1)
    # As after a clock that was set back: by our clock it lasts for another hour.
    agent.store.put("agent", replace(short, expires_at=time.time() + 3600))
    time.sleep(3.1)
    refused = agent.call(TOOL, {}, token=Secret(short.access_token))
    assert refused.decision is not None and refused.decision.rule == "token.expired"
    assert agent.call(TOOL, {}, refresh=False).status == 401
    assert agent.call(TOOL, {}).status == 200
    held = agent.stored()
    assert held is not None and held.access_token != short.access_token


def test_a_wrong_clock_at_the_server_is_noticed_and_no_reason_to_log_in_again(tmp_path: Path) -> None:
    with serving(tmp_path / "s.sqlite3", clock=lambda: time.time() + 7200) as url:
        agent = agent_at(url, tmp_path)
        log_in(agent)
        agent.recorder.take()
        assert agent.call(TOOL, {}).status == 200
        # No refresh, no login: our own clock counts. The shop's own nonce stands in for it in the proof (RFC 9449, 9).
        assert [one.status for one in agent.recorder.exchanges] == [401, 200]
        assert 'error="use_dpop_nonce"' in str(agent.recorder.exchanges[0].response_headers)


def test_the_skew_is_the_servers_date_against_our_clock(agent: Agent) -> None:
    assert agent.skew is not None and abs(agent.skew) < 2.0


def test_nothing_stored_is_a_refusal_that_says_what_to_do(base_url: str, tmp_path: Path) -> None:
    with pytest.raises(OAuthRefused) as caught:
        agent_at(base_url, tmp_path).call(TOOL, {})
    assert (caught.value.exit_code, caught.value.oauth_error) == (4, "not_logged_in")
    assert caught.value.remedy == Remedy("log_in")


def test_a_resource_that_the_authorization_server_does_not_know_is_refused_in_oauths_words(
    base_url: str, tmp_path: Path
) -> None:
    with pytest.raises(OAuthRefused) as caught:
        agent_at(base_url, tmp_path).start_login(["shop:read"], resources=["https://other.example/mcp"])
    assert caught.value.oauth_error == "invalid_target"


INTERRUPTED = """
import sys
from pathlib import Path
from demo.client import Agent
from deputize import TokenStore
url, folder = sys.argv[1:]
agent = Agent(url, store=TokenStore.open(Path(folder), server=url, use_keyring=False), timeout=600)
print("calling", flush=True)
try:
    agent.call("listMcpShopInventory", {}, token="none")
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise SystemExit(130)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_ends_a_call_at_once_and_silently(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-c", INTERRUPTED, url, str(tmp_path)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
        )
        silent.settimeout(HANGS)
        try:
            line, _ = silent.accept()
            with line:
                assert line.recv(16)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=HANGS)  # the call itself would take ten minutes
        finally:
            process.kill()
            process.wait()
    assert (out, err, process.returncode) == ("calling\ninterrupted\n", "", 130)


def test_importing_the_agent_loads_nothing_heavy() -> None:
    heavy = ("mcp", "httpx2", "joserfc", "keyring", "anyio", "pydantic", "starlette")
    code = (
        "import sys, demo.client, demo.client.agent, demo.client.human.console, demo.client.human.sample_human; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANGS, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_shop_by_any_of_its_names_lets_an_agent_log_in_buy_and_be_revoked(base_url: str, host: str) -> None:
    server = base_url.replace("127.0.0.1", host)
    agent = Agent(server, store=MemoryStore())
    log_in(agent, spending=Money(6000))
    token = agent.token()
    assert agent.view(token).problems == ()
    assert agent.call("buyMcpShopItem", SHIRT).status == 200
    console = console_at(server, MemoryStore())
    console.sign_in(SampleHuman("alice@example.com"))
    (session,) = [one for one in console.sessions() if one.agent]
    console.revoke("session", session.id)
    assert agent.call(TOOL, {}).status == 401
    assert any(entry.order_id for entry in console.audit())
