"""The other gates, their order, and the body that passes through them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from demo.shop import policy


def test_a_human_who_is_not_on_the_allowlist_is_refused_whatever_they_consented_to(world: Any, said: Any) -> None:
    for answer in (
        world.call("listMcpShopInventory", token=world.token(sub="user_mallory")),
        world.post("tools/list", token=world.token(sub="user_mallory")),
    ):
        assert answer.status_code == 403
        assert "www-authenticate" not in answer.headers
        decision = said(answer)
        assert (decision["rule"], decision["username"]) == ("allowlist.user", "mallory@example.org")


def test_a_missing_scope_is_told_by_name(world: Any, said: Any) -> None:
    answer = world.buy(token=world.token(scope="openid shop:read"))
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="shop:buy"' in challenge
    assert "resource_metadata=" in challenge
    decision = said(answer)
    assert decision["reason"] == "This agent holds shop:read; buyMcpShopItem needs shop:buy."
    assert decision["remedy"] == "Ask the human for shop:buy (step up), then call again."
    assert [limit["name"] for limit in answer.json()["error"]["data"]["limits"]] == ["rate", "purchases", "spending"]


@pytest.mark.parametrize(
    ("tool", "scope", "arguments"),
    [
        ("listMcpShopInventory", "shop:read", {}),
        ("listMcpShopOrders", "orders:read", {}),
        ("getUserInfo", "user:read", {}),
        ("setDemoMode", "demo:mode", {"mode": "normal"}),
        ("clearDemoMode", "demo:mode", {}),
        ("prettyPlease", "shop:read", {}),
        ("buyMcpShopItem", "shop:buy", {"company": "A", "mailingAddress": "B", "tshirtSize": "S"}),
    ],
)
def test_each_tool_needs_its_scope_and_no_other(
    world: Any, said: Any, tool: str, scope: str, arguments: dict[str, Any]
) -> None:
    every = {"shop:read", "orders:read", "user:read", "demo:mode", "shop:buy", "audit:read", "openid"}
    answer = world.call(tool, arguments, token=world.token(scope=" ".join(every - {scope})))
    assert (answer.status_code, said(answer)["rule"]) == (403, "scope.insufficient")
    answer = world.call(tool, arguments, token=world.token(scope=scope))
    assert answer.status_code == 200
    assert answer.json()["result"]["isError"] is False


def test_the_listing_says_which_scope_each_tool_needs(world: Any) -> None:
    tools = world.post("tools/list", token=world.token(scope="openid")).json()["result"]["tools"]
    assert {tool["name"]: tool["_meta"]["demo/scope"] for tool in tools} == {
        "listMcpShopInventory": "shop:read",
        "buyMcpShopItem": "shop:buy",
        "listMcpShopOrders": "orders:read",
        "getUserInfo": "user:read",
        "setDemoMode": "demo:mode",
        "clearDemoMode": "demo:mode",
        "prettyPlease": "shop:read",
    }
    assert all(tool["outputSchema"]["type"] == "object" for tool in tools)


def test_the_eleventh_call_in_ten_seconds_waits(world: Any, said: Any) -> None:
    token = world.token()
    for number in range(10):
        answer = world.call("getUserInfo", token=token)
        assert answer.status_code == 200
        assert answer.json()["result"]["_meta"]["demo/limits"][0]["used"] == number + 1
    answer = world.call("getUserInfo", token=token)
    assert answer.status_code == 429
    assert said(answer)["rule"] == "limits.rate"
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    rate = answer.json()["error"]["data"]["limits"][0]
    assert (rate["name"], rate["used"], rate["limit"], rate["window"]) == ("rate", 10, 10, 10.0)
    other = world.token(act={"sub": "agent_other"})
    assert world.call("getUserInfo", token=other).status_code == 200
    assert world.post("tools/list", token=token).status_code == 200
    world.clock.ahead = 10.5
    assert world.call("getUserInfo", token=token).status_code == 200


def test_a_restart_does_not_forget_the_rate(world: Any, said: Any) -> None:
    token = world.token()
    for _ in range(10):
        world.call("getUserInfo", token=token)
    world.restart()
    assert said(world.call("getUserInfo", token=token))["rule"] == "limits.rate"


def test_a_new_session_of_the_same_agent_shares_its_rate(world: Any, said: Any) -> None:
    for number in range(10):
        world.call("getUserInfo", token=world.token(sid=f"session_{number}", consent_id=f"consent_{number}"))
    assert said(world.call("getUserInfo", token=world.token(sid="new", consent_id="new")))["rule"] == "limits.rate"


def test_a_banned_user_may_only_say_please(world: Any, said: Any) -> None:
    token = world.token()
    answer = world.call("setDemoMode", {"mode": "banned"}, token=token)
    assert answer.json()["result"]["structuredContent"] == {"user": "user_alice", "mode": "banned"}
    for tool in ("listMcpShopInventory", "getUserInfo", "clearDemoMode", "no such tool"):
        answer = world.call(tool, token=token)
        assert answer.status_code == 403
        assert "www-authenticate" not in answer.headers
        assert said(answer)["rule"] == "standing.banned"
    world.restart()
    assert said(world.buy(token=token))["rule"] == "standing.banned"
    assert world.call("getUserInfo", token=world.token(sub="user_grace")).status_code == 200
    answer = world.call("prettyPlease", token=token)
    assert answer.json()["result"]["structuredContent"]["mode"] == "normal"
    assert world.call("getUserInfo", token=token).json()["result"]["structuredContent"]["mode"] == "normal"


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
def test_a_banned_users_agent_finds_its_way_back_with_any_client(world: Any, mode: str) -> None:
    token = world.token()
    banned = world.with_client("setDemoMode", {"mode": "banned"}, token=token, mode=mode)
    assert banned.structured_content == {"user": "user_alice", "mode": "banned"}
    back = world.with_client("prettyPlease", {}, token=token, mode=mode)
    assert back.structured_content["mode"] == "normal"
    assert back.meta is not None
    assert back.meta["demo/decision"]["rule"] == "allowed"


def test_the_first_gate_that_objects_speaks(world: Any, said: Any) -> None:
    """One request that every gate would refuse, mended gate by gate."""
    world.call("setDemoMode", {"mode": "banned"}, token=world.token(sub="user_mallory"))
    hopeless = {
        "sub": "user_mallory",
        "scope": "openid",
        "authorization_details": None,
        "jti": "jti_hopeless",
        "aud": "elsewhere",
        "iss": "https://other.example",
    }
    world.authority.revoked["jti_hopeless"] = "session"
    rules = []

    def attempt(**mended: Any) -> None:
        hopeless.update(mended)
        rules.append(said(world.buy(token=world.token(**hopeless)))["rule"])

    attempt()
    attempt(iss=world.authority.issuer)
    attempt(aud=f"{world.base}/mcp")
    attempt(jti="jti_fine")
    attempt(sub="user_alice")
    attempt(scope="shop:buy")
    assert rules == [
        "token.issuer",
        "token.audience",
        "standing.session",
        "allowlist.user",
        "scope.insufficient",
        "limits.consent",
    ]


def test_a_ban_speaks_before_the_allowlist_and_the_rate_before_the_quota(open_world: Any, said: Any) -> None:
    world = open_world(rate_calls=3)
    world.call("setDemoMode", {"mode": "banned"}, token=world.token())
    world.restart(allowlist=())
    assert said(world.buy(token=world.token()))["rule"] == "standing.banned"
    world.restart(allowlist=("ALICE@example.com",))
    world.call("prettyPlease", token=world.token())
    world.buy(token=world.token(authorization_details=None))
    assert said(world.buy(token=world.token(authorization_details=None)))["rule"] == "limits.rate"


def test_calls_that_an_earlier_gate_refused_do_not_count(world: Any) -> None:
    for _ in range(12):
        assert world.buy(token=world.token(scope="shop:read")).status_code == 403
    assert world.call("getUserInfo", token=world.token()).status_code == 200


@pytest.mark.parametrize("method", ["tools/list", "server/discover", "resources/list", "no/such/method"])
def test_every_method_passes_the_first_three_gates(world: Any, said: Any, method: str) -> None:
    assert said(world.post(method, token=None))["rule"] == "token.missing"
    answer = world.post(method, token=world.token())
    assert "decision" not in answer.text
    assert answer.headers["demo-audit-id"].startswith("audit_")


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "OPTIONS"])
def test_every_http_method_passes_the_first_three_gates(world: Any, said: Any, verb: str) -> None:
    answer = world.http.request(verb, f"{world.base}/mcp")
    assert answer.status_code == 401
    assert said(answer)["rule"] == "token.missing"


def test_the_body_and_not_the_header_names_the_tool(world: Any, said: Any) -> None:
    token = world.token(scope="shop:read")
    answer = world.call(
        "buyMcpShopItem",
        {"company": "A", "mailingAddress": "B", "tshirtSize": "S"},
        token=token,
        headers={"mcp-name": "listMcpShopInventory"},
    )
    assert said(answer)["rule"] == "scope.insufficient"


def test_a_second_method_in_the_body_cannot_hide_behind_the_first(world: Any, said: Any) -> None:
    """Duplicate JSON members: what the gates read is what the server behind them gets."""
    raw = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call",'
        b'"params":{"name":"listMcpShopInventory","name":"buyMcpShopItem","arguments":{}}}'
    )
    headers = {"authorization": f"Bearer {world.token(scope='shop:read')}", "content-type": "application/json"}
    answer = world.http.post(f"{world.base}/mcp", content=raw, headers=headers)
    assert said(answer)["rule"] == "scope.insufficient"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', -32600),
        (b'"tools/list"', -32600),
        (b"{", -32700),
        (b"", -32700),
        (b'{"id": NaN}', -32700),
        (b"\xff\xfe{\x00}\x00", -32700),
        (b"[" * 100_000, -32700),
    ],
)
def test_what_is_no_single_message_is_refused(world: Any, said: Any, body: bytes, code: int) -> None:
    headers = {"content-type": "application/json"}
    assert said(world.http.post(f"{world.base}/mcp", content=body, headers=headers))["rule"] == "token.missing"
    headers["authorization"] = f"Bearer {world.token()}"
    answer = world.http.post(f"{world.base}/mcp", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, code, None)


@pytest.mark.parametrize("path", ["/mcp", "/open/mcp"])
def test_a_body_over_a_mebibyte_is_refused(world: Any, path: str) -> None:
    exact = json.dumps({"jsonrpc": "2.0", "method": "x", "params": {"a": ""}}).encode()
    padded = exact.replace(b'""', b'"' + b"a" * (1024 * 1024 + 1 - len(exact)) + b'"')
    for content in (padded, iter([padded])):
        answer = world.http.post(f"{world.base}{path}", content=content)
        assert answer.status_code == 413
    assert world.http.post(f"{world.base}{path}", content=padded[:-4] + b'"}}').status_code != 413


def test_text_in_any_script_survives_the_gates(world: Any) -> None:
    answer = world.buy(token=world.token(), company="Žluťoučký 株式会社 🐎", mailingAddress="улица 1")
    assert answer.json()["result"]["structuredContent"]["order"]["company"] == "Žluťoučký 株式会社 🐎"


def test_an_unknown_tool_is_an_error_that_names_it(world: Any) -> None:
    result = world.call("stealShirt", token=world.token()).json()["result"]
    assert result["isError"] is True
    assert "stealShirt" in result["content"][0]["text"]
    assert result["_meta"]["demo/decision"]["tool"] == "stealShirt"


def test_a_tools_name_cannot_write_into_a_terminal(world: Any, said: Any) -> None:
    name = "\x1b[31mred\x1b[0m" + "x" * 500
    headers = {"authorization": f"Bearer {world.token()}", "content-type": "application/json"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}}
    world.http.post(f"{world.base}/mcp", json=body, headers=headers)
    tool = world.audit(world.token())[-1]["tool"]
    assert len(tool) <= 60
    assert tool.isprintable()


def test_the_metadata_says_where_authority_comes_from(world: Any) -> None:
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
        document = world.http.get(world.base + path).json()
        assert document["resource"] == f"{world.base}/mcp"
        assert document["authorization_servers"] == [world.authority.issuer]
        assert "shop:buy" in document["scopes_supported"]
        assert document["bearer_methods_supported"] == ["header"]


@pytest.mark.parametrize(
    ("gate", "claims", "rule"),
    [
        ("check_token", {"aud": "elsewhere"}, "token.audience"),
        ("check_standing", {"sub": "user_grace"}, "standing.banned"),
        ("check_allowlist", {"sub": "user_mallory"}, "allowlist.user"),
        ("check_scope", {"scope": "openid"}, "scope.insufficient"),
        ("check_rate", {"act": {"sub": "agent_busy"}}, "limits.rate"),
    ],
)
def test_without_a_gate_what_it_refuses_comes_in(
    open_world: Any, said: Any, monkeypatch: pytest.MonkeyPatch, gate: str, claims: dict[str, Any], rule: str
) -> None:
    """No gate is there twice, and none of the tests above would pass without the gate that it is about."""
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
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert found.stdout.strip() == "[]"
