"""A refusal says which error it is, why in the server's own words, and the one thing that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.client import Agent
from demo.client.mcp.outcome import refused
from deputize.oauth.step_up import Obtain
from tests.conftest import HANGS
from tests.unit.client.fakes import Reply, Request, Script, Shop, agent_at, granted


def logged_in(shop: Shop, folder: Path, scope: str = "shop:read") -> Agent:
    shop.polls(granted(scope=scope))
    agent = agent_at(shop.fake.base, folder)
    agent.finish_login(agent.start_login(scope.split()), timeout=HANGS)
    return agent


def challenged(status: int, parameters: str, **more: object) -> Reply:
    return Reply(status, headers=(("www-authenticate", f"Bearer {parameters}"),), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "error", "words", "do"),
    [
        (
            challenged(403, 'error="insufficient_scope", scope="shop:buy"', json={"detail": "buyers only"}),
            "insufficient_scope",
            "buyers only",
            "--step-up",
        ),
        (
            challenged(403, 'error="insufficient_scope", error_description="takes more"'),
            "insufficient_scope",
            "takes more",
            "--step-up",
        ),
        (Reply(403, body=b"<html><title>Blocked by the firewall</title>"), "http_403", "Blocked by", "operator"),
        (
            challenged(401, 'error="invalid_token", error_description="revoked"'),
            "invalid_token",
            "revoked",
            "demo login",
        ),
        (Reply(429, headers=(("retry-after", "30"),)), "http_429", "HTTP 429", "try again in 30 s"),
        (Reply(503, body=b"down for maintenance"), "http_503", "down for maintenance", "try again in a moment"),
    ],
)
def test_a_refusal_with_a_token_says_error_words_and_next_step(
    shop: Shop, tmp_path: Path, answer: Reply, error: str, words: str, do: str
) -> None:
    agent = logged_in(shop, tmp_path)
    shop.fake.on["/mcp"] = answer
    for seen in (agent.call("buy", {}, refresh=False), agent.tools()):
        why = refused(seen)
        assert why is not None
        assert (why.error, words in why.description) == (error, True)
        assert do in why.do or (do == "--step-up" and why.do.startswith("demo login"))
    assert why.to_dict().keys() == {"error", "description", "do"}


def test_after_a_step_up_nobody_is_sent_to_step_up(shop: Shop, tmp_path: Path) -> None:
    agent = logged_in(shop, tmp_path)
    shop.fake.on["/mcp"] = challenged(403, 'error="insufficient_scope", scope="shop:buy"')
    why = refused(agent.call("buy", {}), stepped_up=True)
    assert why is not None and "--step-up" not in why.do and "shop:buy" in why.do


@pytest.mark.parametrize("parameters", ['error="invalid_token", error_description="no token"', 'realm="x"'])
def test_without_a_token_no_token_is_called_bad(shop: Shop, tmp_path: Path, parameters: str) -> None:
    shop.fake.on["/mcp"] = challenged(401, parameters)
    seen = agent_at(shop.fake.base, tmp_path).call("buy", {}, token="none")
    why = refused(seen)
    assert seen.challenge is not None and seen.challenge.anonymous
    assert why is not None and (why.error, why.do) == ("no_token", "demo login")
    with_one = logged_in(shop, tmp_path).call("buy", {}, refresh=False)
    assert with_one.challenge is not None and not with_one.challenge.anonymous


@pytest.mark.parametrize("named", [True, False])
def test_a_step_up_without_a_scope_asks_for_what_the_metadata_lists(shop: Shop, tmp_path: Path, named: bool) -> None:
    shop.resource["scopes_supported"] = ["shop:read", "shop:buy"] if named else ["shop:read"]
    agent = logged_in(shop, tmp_path)
    asked: list[tuple[str, ...]] = []
    called: list[Request] = []

    def buy(request: Request) -> Reply:
        called.append(request)
        if len(called) == 1:
            return challenged(403, 'error="insufficient_scope"')
        return Reply(json={"jsonrpc": "2.0", "id": request.json["id"], "result": {"content": []}})

    def obtain(scopes: tuple[str, ...]) -> object:
        asked.append(scopes)
        return agent.token()

    script: Script = buy
    shop.fake.on["/mcp"] = script
    human: Obtain = obtain  # type: ignore[assignment]
    outcome = agent.call("buy", {}, obtain=human)
    assert asked == ([("shop:read", "shop:buy")] if named else []), "the human is asked only for what would change it"
    assert outcome.status == (200 if named else 403)
