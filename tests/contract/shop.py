"""A shop as any client sees it: a base URL, and what may be asked there. Nothing of it knows which shop it is."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from demo.shop.catalog import RULES
from tests.conftest import HANGS
from tests.contract.issuer import Grant, Issuer

MODERN = {"mcp-protocol-version": "2026-07-28", "accept": "application/json, text/event-stream"}
BUY = "buyMcpShopItem"
SHIRT = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}
PREFIX = "io.modelcontextprotocol/"
META = {
    f"{PREFIX}protocolVersion": "2026-07-28",
    f"{PREFIX}clientInfo": {"name": "contract", "version": "1"},
    f"{PREFIX}clientCapabilities": {},
}


@dataclass(frozen=True)
class Shop:
    """One shop under test. `name` is for the reports and for no condition in a test."""

    name: Literal["local", "worker"]
    base: str
    issuer: Issuer
    http: httpx2.Client = field(repr=False)

    @property
    def resource(self) -> str:
        """Its resource identifier: the URL of the protected door."""
        return f"{self.base}/mcp"

    def grant(self, **wishes: Any) -> Grant:
        """A consent for this shop: see `Issuer.grant`."""
        return self.issuer.grant(self.resource, **wishes)

    def token(self, grant: Grant | None = None, **changes: Any) -> str:
        """A token for this shop: of this grant, or of a new agent's."""
        return self.issuer.token(grant or self.grant(), **changes)

    def post(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        token: str | None,
        path: str = "/mcp",
        **headers: str,
    ) -> httpx2.Response:
        """One JSON-RPC request at MCP 2026-07-28, by hand; `headers` with `_` for `-`."""
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**(params or {}), "_meta": META}}
        sent = {**MODERN, "content-type": "application/json", "mcp-method": method}
        if params and "name" in params:
            sent["mcp-name"] = params["name"]
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.http.post(self.base + path, content=json.dumps(body), headers=sent)

    def call(self, tool: str, arguments: dict[str, Any] | None = None, **options: Any) -> httpx2.Response:
        """One tool call."""
        return self.post("tools/call", {"name": tool, "arguments": arguments or {}}, **options)

    def buy(self, *, token: str | None, key: str | None = None, path: str = "/mcp", **changes: Any) -> httpx2.Response:
        """One purchase."""
        arguments = {**SHIRT, **changes} | ({"idempotencyKey": key} if key is not None else {})
        return self.call(BUY, arguments, token=token, path=path)

    def audit(self, token: str | None, **query: Any) -> httpx2.Response:
        """The audit log as this token may see it."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self.http.get(f"{self.base}/audit", params=query, headers=headers)

    def entries(self, token: str, **query: Any) -> list[dict[str, Any]]:
        """The entries of an audit log that may be read, about requests and revocations, within the limit: what became
        of an order behind a shop that has a warehouse comes when it comes."""
        limit = query.get("limit", 1000)
        answer = self.audit(token, **query | ({"limit": min(1000, limit + 100)} if "limit" in query else {}))
        assert answer.status_code == 200, answer.text
        found = [one for one in answer.json()["entries"] if one["gate"] != "dispatch"]
        return found[:limit] if "after" in query else found[-limit:]

    def by_the_sdk(
        self, tool: str, arguments: dict[str, Any], *, token: str | None, mode: str, path: str = "/mcp"
    ) -> CallToolResult:
        """One tool call through the SDK's own client, at the revision of MCP that `mode` says."""

        async def run() -> CallToolResult:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=HANGS, trust_env=False, verify=False) as http,
                Client(streamable_http_client(self.base + path, http_client=http), mode=mode) as client,
            ):
                result = await client.call_tool(tool, arguments)
                assert isinstance(result, CallToolResult)
                return result

        return asyncio.run(run())


def at_once(count: int, what: Callable[[int], httpx2.Response]) -> list[httpx2.Response]:
    """Do something `count` times at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(what, range(count)))


LEASE_SECONDS = 5.0
"""How long what the authorization server said is relied on at most (docs/wire.md)."""


def until_refused(shop: Shop, token: str) -> None:
    """Wait until nothing is relied on any more that was said before."""
    deadline = time.monotonic() + LEASE_SECONDS + 1.0
    while shop.post("tools/list", token=token).status_code == 200:
        assert time.monotonic() < deadline, "it is relied on for longer"
        time.sleep(0.1)


def refusal(answer: httpx2.Response) -> dict[str, Any]:
    """The decision in a refusal's body, after all that docs/wire.md and shop.toml say of each was checked."""
    body = answer.json()
    assert body["jsonrpc"] == "2.0"
    assert set(body) == {"jsonrpc", "id", "error"}
    told_more = {"authorization_details"} & set(body["error"]["data"])
    assert set(body["error"]["data"]) - told_more == {"decision", "limits", "scope"}
    decision: dict[str, Any] = body["error"]["data"]["decision"]
    assert decision["verdict"] == "deny"
    assert bool(told_more) is (decision["rule"] == "limits.approval")
    assert answer.headers["demo-audit-id"] == decision["audit_id"]
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert body["error"]["code"] == (-32029 if answer.status_code == 429 else -32003)
    assert (
        body["error"]["message"] == f"Refused by the {decision['gate']} gate: {decision['reason']} {decision['remedy']}"
    )
    rule = RULES[decision["rule"]]
    assert (answer.status_code, decision["gate"]) == (rule.status, rule.gate)
    assert wording(decision), "in the words of the shop's data"
    told = challenge_of(answer)
    if rule.challenge is None:
        assert told is None, "another token would not help"
    else:
        assert told is not None
        assert (told["realm"], told.get("error", "token")) == ("shop", rule.challenge)
        assert told.get("error_description", decision["reason"]) == decision["reason"]
        schemes = challenges_of(answer)
        assert set(schemes) == {"Bearer", "DPoP"} or answer.status_code == 403, "either kind of token will do"
        assert schemes.get("DPoP", {}).get("algs", "ES256") == "ES256"
    return decision


def wording(decision: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """In which variant of its rule's words a refusal speaks, and the values in them."""
    for variant, words in RULES[decision["rule"]].words.items():
        pattern, known = "", set[str]()
        for number, part in enumerate(re.split(r"\{(\w+)\}", "\n".join(map(str, words)))):
            pattern += re.escape(part) if number % 2 == 0 else f"(?P={part})" if part in known else f"(?P<{part}>.+)"
            known |= {part} if number % 2 else set()
        if found := re.fullmatch(pattern, f"{decision['reason']}\n{decision['remedy']}"):
            return variant, found.groupdict()
    raise AssertionError(f"no words of {decision['rule']}: {decision['reason']} {decision['remedy']}")


def result(answer: httpx2.Response) -> dict[str, Any]:
    """The result of a tool that ran, after what every such answer has was checked."""
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["result"]
    assert found["_meta"]["demo/decision"]["audit_id"] == answer.headers["demo-audit-id"]
    return found


def structured(answer: httpx2.Response) -> dict[str, Any]:
    """What a tool gave."""
    found = result(answer)
    assert found.get("isError", False) is False, found
    content: dict[str, Any] = found["structuredContent"]
    assert json.loads(found["content"][0]["text"]) == content, "the text says the same for clients without schemas"
    return content


def order_of(answer: httpx2.Response) -> dict[str, Any]:
    """The order that a purchase placed or found."""
    order: dict[str, Any] = structured(answer)["order"]
    return order


def fault_of(answer: httpx2.Response) -> str:
    """What a tool that ran and could not do it says."""
    found = result(answer)
    assert found["isError"] is True, found
    return str(found["content"][0]["text"])


def limits_of(answer: httpx2.Response) -> dict[str, tuple[int, int]]:
    """Used and allowed of each limit, of an allowed or a refused call."""
    body = answer.json()
    listed = body["result"]["_meta"]["demo/limits"] if "result" in body else body["error"]["data"]["limits"]
    return {one["name"]: (one["used"], one["limit"]) for one in listed}


def challenges_of(answer: httpx2.Response) -> dict[str, dict[str, str]]:
    """The parameters of each challenge, by its scheme, in their order (RFC 9110 section 11.6.1)."""
    found: dict[str, dict[str, str]] = {}
    for one in re.split(r", (?=(?:Bearer|DPoP) )", answer.headers.get("www-authenticate", "")):
        scheme, _, rest = one.partition(" ")
        if not scheme:
            continue
        assert scheme in ("Bearer", "DPoP") and scheme not in found, one
        found[scheme] = {}
        for name, value in _parameters(rest):
            assert name not in found[scheme], f"{name} twice in {one}"
            found[scheme][name] = value
    return found


def challenge_of(answer: httpx2.Response) -> dict[str, str] | None:
    """The parameters of the first challenge, of the scheme by which the token came (RFC 6750 section 3, RFC 9449,
    7.1); None where there is none."""
    return next(iter(challenges_of(answer).values()), None)


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    while text:
        name, _, rest = text.partition('="')
        value, quote, text = rest.partition('"')
        assert quote, f"no quoted-string: {rest}"
        yield name.strip(" ,"), value


@contextmanager
def opened(name: Literal["local", "worker"], base: str, issuer: Issuer) -> Iterator[Shop]:
    """A shop with a client to ask it."""
    limits = httpx2.Limits(max_connections=64)
    with httpx2.Client(timeout=HANGS, trust_env=False, verify=False, limits=limits) as http:
        yield Shop(name, base, issuer, http)
