"""Who has copied a token, and not its key, is waited for by nobody (RFC 9449 section 11); and an agent has no more
calls wait for its human than a few (CWE-770).

The shop waits before its gates are asked, so that what is decided is decided once. Each attack is also made on a shop
that leaves out just what stops it, and succeeds there.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest

from demo.client import Agent, SampleHuman
from demo.policy_file import NAME, SHIPPED
from demo.shop import asking
from demo.shop.admission import Admission
from demo.shop.gatehouse import Gatehouse
from deputize.evidence import Money
from deputize.oauth.dpop import ProofKey
from deputize.tokens.store import MemoryStore
from tests.conftest import HANGS, serving

BUY = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}
MOST = asking.MOST_WAITING
TAKES_URLS = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}


@dataclass
class Scene:
    """An agent, and the question that its human has not answered yet."""

    base: str
    agent: Agent
    state: str = ""

    def call(self, *, mine: bool, state: str | None = None) -> httpx2.Response:
        """The call that comes again, by the agent itself or by who copied its token."""
        token = self.agent.token()
        key = ProofKey.from_json(str(token.dpop_key))
        proof = key.proof("POST", f"{self.base}/mcp", token=token.access_token)
        bound = {"authorization": f"DPoP {token.access_token}", "dpop": proof}
        headers = bound if mine else {"authorization": f"Bearer {token.access_token}"}
        headers |= {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "buyMcpShopItem",
        }
        meta = TAKES_URLS | {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "a client", "version": "1"},
        }
        params: dict[str, Any] = {"name": "buyMcpShopItem", "arguments": BUY, "_meta": meta}
        params |= {} if state is None else {"requestState": state}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return httpx2.post(f"{self.base}/mcp", json=body, headers=headers, timeout=HANGS, trust_env=False)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(asking, "WAIT_SECONDS", 2.0)
    monkeypatch.setattr(asking, "LOOK_SECONDS", 0.05)
    (tmp_path / NAME).write_text(
        SHIPPED.text.replace("above = 5000", "above = 2000").replace("calls = 10 ", "calls = 99 ")
    )
    with serving(tmp_path / "server.sqlite3", policy_folder=tmp_path) as base:
        agent = Agent(base, store=MemoryStore())
        login = agent.start_login(("openid", "shop:buy", "offline_access"), spending=Money(6000))
        SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
        agent.finish_login(login)
        found = Scene(base, agent)
        asked = found.call(mine=True).json()["result"]
        assert asked["resultType"] == "input_required"
        found.state = asked["requestState"]
        yield found


def _gates_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(asking, "policy", SimpleNamespace(check_token=lambda case: None))


@pytest.mark.parametrize("weak", [False, True])
def test_nobody_waits_for_a_thief(scene: Scene, weak: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    honest = Gatehouse.ask_to_approve

    async def watched(*given: Any, **named: Any) -> Any:
        looked.append(given)
        return await honest(*given, **named)

    monkeypatch.setattr(Gatehouse, "ask_to_approve", watched)
    if weak:
        _gates_are_not_asked(monkeypatch)
    assert scene.call(mine=False, state=scene.state).status_code == 401
    assert bool(looked) is weak
    looked.clear()
    assert scene.call(mine=True, state=scene.state).status_code == 200
    assert len(looked) > 1, "for the agent itself the shop looks again and again"


@pytest.mark.parametrize("weak", [False, True])
def test_a_few_calls_of_an_agent_wait_and_no_more(scene: Scene, weak: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, answered = [0, 0], []

    async def watched(admission: Admission, state: str) -> None:
        at_once[0] += 1
        at_once[1] = max(at_once)
        with anyio.move_on_after(HANGS / 3):
            while at_once[1] <= MOST and len(answered) < 8 - MOST:
                await anyio.sleep(0.02)
        at_once[0] -= 1

    monkeypatch.setattr(asking, "_wait", watched)
    if weak:
        monkeypatch.setattr(asking, "MOST_WAITING", 1000)
    with ThreadPoolExecutor(8) as hands:
        list(hands.map(lambda _: answered.append(scene.call(mine=True, state=scene.state)), range(8)))
    assert at_once[1] > MOST if weak else (at_once[1] == MOST)
