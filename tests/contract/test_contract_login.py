"""The whole way, as the talk goes it: refused, the challenge followed, a human asked on the pages, bought."""

from __future__ import annotations

from pathlib import Path

from demo.client.agent import Agent
from demo.client.human.sample_human import SampleHuman
from deputize.evidence import Money
from deputize.tokens.claims import take_apart
from deputize.tokens.store import TokenStore
from tests.contract.shop import SHIRT, Shop

SCOPES = ("openid", "shop:read", "shop:buy")


def test_the_agent_finds_the_auth_server_is_deputized_and_buys(shop: Shop, tmp_path: Path) -> None:
    agent = Agent(shop.base, store=TokenStore.open(tmp_path, server=shop.base), client_id=None)
    refused = agent.call("buyMcpShopItem", SHIRT, token="none")
    assert (refused.status, refused.decision and refused.decision.rule) == (401, "token.missing")
    assert refused.challenge is not None
    found = agent.discover(refused.challenge)
    assert found.resource is not None
    assert found.authorization_server is not None
    assert (found.resource.problem, found.authorization_server.problem) == (None, None)
    assert (found.resource.resource, found.authorization_server.issuer) == (shop.resource, shop.issuer.url)
    login = agent.start_login(SCOPES, spending=Money(6000))
    page = SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
    assert page.limit == "60.00 USD"
    token = agent.finish_login(login)
    jwt = take_apart(token.access_token)
    assert jwt is not None
    assert jwt.claims["aud"] == shop.resource
    assert [tool.name for tool in agent.tools().tools][:2] == ["listMcpShopInventory", "buyMcpShopItem"]
    bought = agent.call("buyMcpShopItem", {**SHIRT, "idempotencyKey": "contract"})
    assert bought.status == 200
    assert bought.order is not None
    assert (bought.order.user, bought.order.balance) == ("user_alice", Money(3500))
    assert bought.order.agent == jwt.claims["act"]["sub"]
    assert bought.order.consent == jwt.claims["consent_id"]
