"""A host that can send no authorization details: the shop has the authorization server ask the human, by MCP's own way
(2026-07-28, elicitation, URL mode), and takes no other answer than theirs there. At both shops."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from demo.client import Agent, SampleHuman
from demo.client.mcp.elicitation import Elicit, ElicitationRequest
from deputize import MemoryStore
from deputize.evidence import Money
from deputize.oauth.dpop import ProofKey
from tests.contract.process import ShopProcess
from tests.contract.shop import BUY, META, SHIRT, Shop, opened, refusal
from tests.unit.test_asking_by_the_host import decide

TAKES_URLS = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}
ASKED = "/oauth2/purchases"


@pytest.fixture
def shop(process: ShopProcess) -> Iterator[Shop]:
    process.start(APPROVE_ABOVE="2000", RATE_CALLS="1000")
    with opened(process.name, process.base, process.issuer) as shop:
        yield shop


def host(shop: Shop, elicit: Elicit | None) -> Agent:
    """An agent that answers what a server asks, and knows nothing of authorization details."""
    agent = Agent(shop.base, store=MemoryStore(), elicit=elicit)
    login = agent.start_login(("openid", "shop:buy", "offline_access"), spending=Money(10_000))
    SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
    agent.finish_login(login)
    return agent


def test_the_answer_on_the_page_is_the_one_that_counts(shop: Shop) -> None:
    asked: list[ElicitationRequest] = []
    says = iter(["approve", "approve", "deny", "nothing"])

    def elicit(request: ElicitationRequest) -> dict[str, Any] | None:
        asked.append(request)
        assert request.url is not None and request.url.startswith(f"{shop.issuer.url}/device/consent?purchase=")
        answer = next(says)
        if answer != "nothing":
            assert decide(request.url, "approve", "grace@example.com").status_code == 409, "not somebody else's"
            assert decide(request.url, answer).status_code == 200
        return None if answer == "nothing" else {}

    agent = host(shop, elicit)
    first, second = (agent.call(BUY, SHIRT) for _ in range(2))
    assert first.order is not None and second.order is not None and first.order.id != second.order.id
    assert len({one.url for one in asked}) == 2, "each purchase is asked for by itself"
    # The human says no on the page, or does not open it: the refusal stands.
    other = host(shop, elicit)
    for _ in range(2):
        refused = other.call(BUY, SHIRT)
        assert (refused.status, refused.decision and refused.decision.rule) == (403, "limits.approval")
        assert refused.order is None


def test_a_confirmation_in_the_hosts_own_window_is_none(shop: Shop) -> None:
    token, key = bound(host(shop, None))
    for more in ({}, {"inputResponses": {"approval": {"action": "accept"}}}):
        answer = call(shop, token, key, **more)
        assert answer.status_code == 200
        result = answer.json()["result"]
        assert (result["resultType"], "structuredContent" in result) == ("input_required", False)
        (request,) = result["inputRequests"].values()
        assert (request["method"], request["params"]["mode"]) == ("elicitation/create", "url")
        assert result["_meta"]["demo/decision"]["rule"] == "limits.approval"
        assert answer.headers["demo-audit-id"] == result["_meta"]["demo/decision"]["audit_id"]
    # Who does not open the page, or opens none, is refused with what to do.
    declined = call(shop, token, key, inputResponses={"approval": {"action": "decline"}})
    assert refusal(declined)["rule"] == refusal(call(shop, token, key, urls=False))["rule"] == "limits.approval"


def test_who_went_away_finds_the_approval_and_a_thief_is_not_waited_for(shop: Shop) -> None:
    token, key = bound(host(shop, None))
    asked = call(shop, token, key).json()["result"]
    shop.issuer.switch.asked.clear()
    thief = call(shop, token, None, requestState=asked["requestState"])
    assert (thief.status_code, ASKED in shop.issuer.switch.asked) == (401, False)
    (request,) = asked["inputRequests"].values()
    assert decide(request["params"]["url"], "approve").status_code == 200
    bought = call(shop, token, key, requestState=asked["requestState"]).json()["result"]
    assert bought["structuredContent"]["order"]["replayed"] is False
    again = call(shop, token, key).json()["result"]
    assert again["resultType"] == "input_required", "used is used"


@pytest.mark.long
def test_a_few_calls_of_an_agent_wait_for_its_human_and_no_more(shop: Shop) -> None:
    token, key = bound(host(shop, None))
    state = call(shop, token, key).json()["result"]["requestState"]
    shop.issuer.switch.asked.clear()
    with ThreadPoolExecutor(8) as hands:
        answers = list(hands.map(lambda _: call(shop, token, key, requestState=state), range(8)))
    assert {one.json()["result"]["resultType"] for one in answers} == {"input_required"}
    # Each asks once; who waits looks once a second, for ten.
    assert 8 < shop.issuer.switch.asked.count(ASKED) <= 8 + 4 * 11


def bound(agent: Agent) -> tuple[str, ProofKey]:
    held = agent.token()
    return held.access_token, ProofKey.from_json(str(held.dpop_key))


def call(shop: Shop, token: str, key: ProofKey | None, *, urls: bool = True, **more: Any) -> Any:
    """The purchase by hand; without the key, by who has copied the token."""
    url = f"{shop.base}/mcp"
    proven = {} if key is None else {"dpop": key.proof("POST", url, token=token)}
    meta = {**META, **(TAKES_URLS if urls else {})}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    params = {"name": BUY, "arguments": SHIRT, "_meta": meta, **more}
    headers = {
        "authorization": f"{'Bearer' if key is None else 'DPoP'} {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": BUY,
        **proven,
    }
    return shop.http.post(url, json={**body, "params": params}, headers=headers, timeout=60)
