"""The gates where the contract does not reach: without one of them, and across a restart."""

from __future__ import annotations

from typing import Any

import pytest

from demo.shop import policy
from tests.conftest import HANGS


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
def test_a_banned_agent_finds_its_way_back_with_any_client(world: Any, mode: str) -> None:
    token = world.token()
    banned = world.with_client("setDemoMode", {"mode": "banned"}, token=token, mode=mode)
    assert banned.structured_content == {"user": "user_alice", "mode": "banned"}
    back = world.with_client("prettyPlease", {}, token=token, mode=mode)
    assert back.structured_content["mode"] == "normal"
    assert back.meta is not None
    assert back.meta["demo/decision"]["rule"] == "allowed"


def test_a_ban_speaks_before_the_allowlist_and_the_rate_before_the_quota(open_world: Any, said: Any) -> None:
    world = open_world(rate_calls=3)
    world.call("setDemoMode", {"mode": "banned"}, token=world.token())
    world.restart(allowlist=())
    assert said(world.buy(token=world.token()))["rule"] == "standing.banned"
    world.restart(allowlist=("ALICE@example.com",))
    world.call("prettyPlease", token=world.token())
    world.buy(token=world.token(authorization_details=None))
    assert said(world.buy(token=world.token(authorization_details=None)))["rule"] == "limits.rate"


def test_text_in_any_script_survives_the_gates(world: Any) -> None:
    answer = world.buy(token=world.token(), company="Žluťoučký 株式会社 🐎", mailingAddress="улица 1")
    assert answer.json()["result"]["structuredContent"]["order"]["company"] == "Žluťoučký 株式会社 🐎"


@pytest.mark.parametrize(
    ("gate", "claims", "rule"),
    [
        ("check_token", {"aud": "elsewhere"}, "token.audience"),
        ("check_standing", {"sub": "user_grace", "act": {"sub": "agent_of_grace"}}, "standing.banned"),
        ("check_allowlist", {"sub": "user_mallory"}, "allowlist.user"),
        ("check_scope", {"scope": "openid"}, "scope.insufficient"),
        ("check_rate", {"act": {"sub": "agent_busy"}}, "limits.rate"),
    ],
)
def test_without_a_gate_what_it_refuses_comes_in(
    open_world: Any, said: Any, monkeypatch: pytest.MonkeyPatch, gate: str, claims: dict[str, Any], rule: str
) -> None:
    """No gate is there twice, and no test of the contract would pass without the gate that it is about."""
    world = open_world(rate_calls=2)
    grace = {"sub": "user_grace", "act": {"sub": "agent_of_grace"}}
    world.call("setDemoMode", {"mode": "banned"}, token=world.token(**grace))
    for _ in range(2):
        world.call("getUserInfo", token=world.token(act={"sub": "agent_busy"}))
    claims = {"act": {"sub": "agent_idle"}, **claims}
    assert said(world.call("getUserInfo", token=world.token(**claims)))["rule"] == rule
    monkeypatch.setattr(policy, gate, lambda *_: None)
    assert world.call("getUserInfo", token=world.token(**claims)).status_code == 200


def test_the_settings_are_light_to_import() -> None:
    import subprocess
    import sys

    heavy = ("mcp", "starlette", "joserfc", "httpx2", "limits", "uvicorn")
    code = f"import sys, demo.shop.config; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANGS, check=True)
    assert found.stdout.strip() == "[]"
