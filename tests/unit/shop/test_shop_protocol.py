"""What MCP asks of any server, at both doors and both revisions, as far as it is the shop's to keep: the methods it
has and has not, the codes of what it refuses, and schemas that its own results fit."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

DOORS = ["/open/mcp", "/mcp"]
BUYING = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}


def ask(world: Any, door: str, method: str, params: dict[str, Any] | None = None, **options: Any) -> httpx2.Response:
    """One request at MCP 2026-07-28, with a token where the door wants one."""
    token = None if door == "/open/mcp" else world.token()
    answer: httpx2.Response = world.post(method, params, token=token, path=door, **options)
    return answer


def ask_earlier(world: Any, door: str, method: str, params: dict[str, Any]) -> httpx2.Response:
    """One request at MCP 2025-11-25."""
    headers = {"mcp-protocol-version": "2025-11-25", "accept": "application/json, text/event-stream"}
    if door == "/mcp":
        headers["authorization"] = f"Bearer {world.token()}"
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer: httpx2.Response = world.http.post(world.base + door, json=body, headers=headers)
    return answer


@pytest.mark.parametrize("door", DOORS)
def test_a_prompt_that_does_not_exist_is_the_askers_mistake_and_no_failure_of_the_shop(world: Any, door: str) -> None:
    answer = ask(world, door, "prompts/get", {"name": "steal"})
    assert (answer.status_code, answer.json()["error"]) == (400, {"code": -32602, "message": "Unknown prompt: steal"})
    earlier = ask_earlier(world, door, "prompts/get", {"name": "steal"})
    assert earlier.json()["error"] == {"code": -32602, "message": "Unknown prompt: steal"}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_only_a_post_is_answered_and_no_stream_stays_open(world: Any, door: str, revision: str, method: str) -> None:
    headers = {"mcp-protocol-version": revision, "accept": "application/json, text/event-stream"}
    if door == "/mcp":
        headers["authorization"] = f"Bearer {world.token()}"
    answer = world.http.request(method, world.base + door, headers=headers, timeout=5)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == -32600
    assert ("demo-audit-id" in answer.headers) is (door == "/mcp")


def test_without_a_token_not_even_the_method_is_told(world: Any, said: Any) -> None:
    answer = world.http.get(f"{world.base}/mcp", timeout=5)
    assert (answer.status_code, said(answer)["rule"]) == (401, "token.missing")


@pytest.mark.parametrize("door", DOORS)
def test_a_header_that_says_otherwise_than_the_body_is_a_mismatch(world: Any, door: str) -> None:
    for headers in ({"mcp-method": "tools/list"}, {"mcp-name": "getUserInfo"}):
        answer = ask(world, door, "tools/call", {"name": "listMcpShopInventory", "arguments": {}}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, -32020, 7)


@pytest.mark.parametrize("door", DOORS)
def test_a_revision_that_the_shop_does_not_speak_is_refused_with_those_it_does(world: Any, door: str) -> None:
    headers = {"mcp-protocol-version": "2099-01-01", "mcp-method": "server/discover", "accept": "application/json"}
    if door == "/mcp":
        headers["authorization"] = f"Bearer {world.token()}"
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2099-01-01", f"{prefix}clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 7, "method": "server/discover", "params": {"_meta": meta}}
    answer = world.http.post(world.base + door, json=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["data"]["requested"]) == (400, -32022, "2099-01-01")
    assert "2026-07-28" in error["data"]["supported"]
    discovered = ask(world, door, "server/discover").json()["result"]
    assert "2026-07-28" in discovered["supportedVersions"]
    assert "tools" in discovered["capabilities"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "no/such/method"])
def test_a_method_that_is_not_there_at_this_revision_is_not_found(world: Any, door: str, method: str) -> None:
    answer = ask(world, door, method, {})
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (404, -32601, 7)


@pytest.mark.parametrize("door", DOORS)
def test_what_is_listed_may_be_kept_by_nobody_but_the_asker(world: Any, door: str) -> None:
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
        result = ask(world, door, method).json()["result"]
        assert (result["cacheScope"], type(result["ttlMs"])) == ("private", int)
        assert result["ttlMs"] >= 0


@pytest.mark.parametrize("door", DOORS)
def test_every_tool_has_schemas_of_2020_12_that_its_own_results_fit(world: Any, door: str) -> None:
    tools = {tool["name"]: tool for tool in ask(world, door, "tools/list").json()["result"]["tools"]}
    assert len(tools) == 7
    for name, tool in tools.items():
        Draft202012Validator.check_schema(tool["inputSchema"])
        Draft202012Validator.check_schema(tool["outputSchema"])
        arguments = {"buyMcpShopItem": BUYING, "setDemoMode": {"mode": "normal"}}.get(name, {})
        Draft202012Validator(tool["inputSchema"]).validate(arguments)
        result = ask(world, door, "tools/call", {"name": name, "arguments": arguments}).json()["result"]
        if door == "/open/mcp" and name == "setDemoMode":
            assert result["isError"] is True  # there is nobody to ban
            continue
        Draft202012Validator(tool["outputSchema"]).validate(result["structuredContent"])
