"""HTTP and JSON-RPC at both doors: methods, bodies, hosts, revisions (MCP 2026-07-28 and those before)."""

from __future__ import annotations

import json

import pytest

from tests.contract.shop import META, PREFIX, Shop, refusal

DOORS = ("/mcp", "/open/mcp")


def authorized(shop: Shop, door: str) -> dict[str, str]:
    return {"authorization": f"Bearer {shop.token()}"} if door == "/mcp" else {}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS"])
def test_only_a_post_is_answered_and_no_stream_stays_open(shop: Shop, door: str, revision: str, verb: str) -> None:
    headers = {"mcp-protocol-version": revision, "accept": "application/json, text/event-stream"}
    answer = shop.http.request(verb, shop.base + door, headers=headers | authorized(shop, door), timeout=5)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == -32600
    assert ("demo-audit-id" in answer.headers) is (door == "/mcp")


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "OPTIONS"])
def test_without_a_token_not_even_the_method_is_told(shop: Shop, verb: str) -> None:
    answer = shop.http.request(verb, f"{shop.base}/mcp", timeout=5)
    assert (answer.status_code, refusal(answer)["rule"]) == (401, "token.missing")


BODIES: list[tuple[bytes, int]] = [
    (b"[]", -32600),
    (b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', -32600),
    (b'"tools/list"', -32600),
    (b"{", -32700),
    (b"", -32700),
    (b'{"id": NaN}', -32700),
    (b"\xff\xfe{\x00}\x00", -32700),
    (b"[" * 100_000, -32700),
]


@pytest.mark.parametrize(("body", "code"), BODIES)
def test_what_is_no_single_message_is_said_only_to_who_passes_the_gates(shop: Shop, body: bytes, code: int) -> None:
    headers = {"content-type": "application/json"}
    answer = shop.http.post(f"{shop.base}/mcp", content=body, headers=headers)
    assert refusal(answer)["rule"] == "token.missing"
    answer = shop.http.post(f"{shop.base}/mcp", content=body, headers=headers | authorized(shop, "/mcp"))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, code, None)
    answer = shop.http.post(f"{shop.base}/open/mcp", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, code, None)


@pytest.mark.parametrize("door", DOORS)
def test_a_body_over_a_mebibyte_is_refused_and_one_of_a_mebibyte_is_read(shop: Shop, door: str) -> None:
    frame = json.dumps({"jsonrpc": "2.0", "method": "x", "params": {"a": ""}}).encode()
    padded = frame.replace(b'""', b'"' + b"a" * (1024 * 1024 + 1 - len(frame)) + b'"')
    for content in (padded, iter([padded])):
        assert shop.http.post(f"{shop.base}{door}", content=content).status_code == 413
    assert shop.http.post(f"{shop.base}{door}", content=padded[:-4] + b'"}}').status_code != 413


def test_a_second_method_in_the_body_cannot_hide_behind_the_first(shop: Shop) -> None:
    """Duplicate JSON members: what the gates read is what runs."""
    raw = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call",'
        b'"params":{"name":"listMcpShopInventory","name":"buyMcpShopItem","arguments":{}}}'
    )
    token = shop.token(shop.grant(scope=("shop:read",)))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    assert refusal(shop.http.post(f"{shop.base}/mcp", content=raw, headers=headers))["rule"] == "scope.insufficient"


@pytest.mark.parametrize("path", ["/mcp", "/open/mcp", "/audit", "/.well-known/oauth-protected-resource/mcp"])
def test_a_foreign_host_and_a_foreign_origin_are_turned_away(shop: Shop, path: str) -> None:
    method = "POST" if path.endswith("/mcp") and "well-known" not in path else "GET"
    answer = shop.http.request(method, shop.base + path, headers={"host": "shop.example"})
    assert answer.status_code == 421
    for foreign in ("https://evil.example", "null"):
        answer = shop.http.request(method, shop.base + path, headers={"origin": foreign})
        assert answer.status_code == 403
    answer = shop.http.request(method, shop.base + path, headers={"origin": shop.base})
    assert answer.status_code not in (403, 421)


@pytest.mark.parametrize("door", DOORS)
def test_a_header_that_says_otherwise_than_the_body_is_a_mismatch(shop: Shop, door: str) -> None:
    token = shop.token() if door == "/mcp" else None
    params = {"name": "listMcpShopInventory", "arguments": {}}
    for headers in ({"mcp_method": "tools/list"}, {"mcp_name": "getUserInfo"}):
        answer = shop.post("tools/call", params, token=token, path=door, **headers)
        assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, -32020, 7)


@pytest.mark.parametrize("door", DOORS)
def test_a_revision_that_is_not_spoken_is_refused_with_those_that_are(shop: Shop, door: str) -> None:
    meta = {**META, f"{PREFIX}protocolVersion": "2099-01-01"}
    body = {"jsonrpc": "2.0", "id": 7, "method": "server/discover", "params": {"_meta": meta}}
    headers = {"mcp-protocol-version": "2099-01-01", "mcp-method": "server/discover", "accept": "application/json"}
    answer = shop.http.post(shop.base + door, json=body, headers=headers | authorized(shop, door))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["data"]["requested"]) == (400, -32022, "2099-01-01")
    assert "2026-07-28" in error["data"]["supported"]
    token = shop.token() if door == "/mcp" else None
    discovered = shop.post("server/discover", token=token, path=door).json()["result"]
    assert "2026-07-28" in discovered["supportedVersions"]
    assert "tools" in discovered["capabilities"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "no/such/method"])
def test_a_method_that_is_not_there_at_this_revision_is_not_found(shop: Shop, door: str, method: str) -> None:
    answer = shop.post(method, {}, token=shop.token() if door == "/mcp" else None, path=door)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (404, -32601, 7)


@pytest.mark.parametrize("door", DOORS)
def test_there_is_no_prompt_and_no_resource_and_what_is_listed_is_the_askers_alone(shop: Shop, door: str) -> None:
    token = shop.token() if door == "/mcp" else None
    for method, name in (
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ):
        found = shop.post(method, token=token, path=door).json()["result"]
        assert (found["cacheScope"], found["ttlMs"]) == ("private", 0)
        assert len(found[name]) == (7 if name == "tools" else 0)
    answer = shop.post("prompts/get", {"name": "steal"}, token=token, path=door)
    # No page of the contract says which HTTP status that has: the Python SDK's server says 400, the TypeScript one 200.
    assert answer.json()["error"] == {"code": -32602, "message": "Unknown prompt: steal"}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("revision", ["2025-11-25", "2025-06-18"])
def test_an_earlier_revision_begins_with_a_handshake_and_needs_no_session(shop: Shop, door: str, revision: str) -> None:
    headers = {"accept": "application/json, text/event-stream", **authorized(shop, door)}
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    answer = shop.http.post(shop.base + door, json=hello, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["result"]["protocolVersion"] == revision
    assert "mcp-session-id" not in answer.headers
    headers["mcp-protocol-version"] = revision
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert shop.http.post(shop.base + door, json=ready, headers=headers).status_code == 202
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    found = shop.http.post(shop.base + door, json=listing, headers=headers).json()["result"]["tools"]
    assert len(found) == 7


def test_the_server_tells_who_it_is(shop: Shop) -> None:
    answer = shop.http.get(f"{shop.base}/health")
    assert answer.status_code == 200
    about = answer.json()
    assert about["name"]
    assert about["version"]
    assert about["instance"]
