"""A call is one trace, over processes: agent, bridge, shop, authorization server; a refused one, too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.local_server import local
from tests.conftest import ROOT, Command
from tests.unit.tracing.collector import Collector, Seen, collector

HOST_TRACE = "0af7651916cd43dd8448eb211c80319c"
ADDRESS = "17 Analytical Row"


class Traced(Command):
    """The command, traced as OpenTelemetry's own variables say."""

    def __init__(self, state: Path, url: str) -> None:
        super().__init__(state, apart=True)
        self.url = url

    def environment(self) -> dict[str, str]:
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a-collectors-key"}
        return super().environment() | more


@pytest.fixture(scope="module")
def seen() -> Iterator[Collector]:
    with collector() as one:
        yield one


@pytest.fixture(scope="module")
def demo(seen: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    command = Traced(tmp_path_factory.mktemp("traced") / "state", seen.url)
    log_in(command)
    yield command
    local.stop(command.state)


def log_in(command: Traced) -> None:
    """A new grant."""
    scopes = [part for scope in ("openid", "shop:read", "shop:buy") for part in ("--scope", scope)]
    login = command.process("login", "--as", "alice@example.com", *scopes, "--spend", "60")
    assert login.returncode == 0, login.stderr


def parents(spans: list[Seen]) -> dict[tuple[str, str], tuple[str, str] | None]:
    """Each span's parent, both as (service, name)."""
    by_id = {span.id: (span.service, span.name) for span in spans}
    return {(span.service, span.name): by_id.get(span.parent) for span in spans}


def gates(spans: list[Seen]) -> list[Seen]:
    return [span for span in spans if span.name == "gates"]


def test_a_purchase_is_one_trace_from_the_command_to_the_introspection(demo: Traced, seen: Collector) -> None:
    log_in(demo)  # the authorization server is asked about a grant once
    bought = demo.process(
        "--json", "call", "buyMcpShopItem", "company=Engines", f"mailingAddress={ADDRESS}", "tshirtSize=M"
    )
    order = json.loads(bought.stdout)["result"]["order"]
    spans = seen.trace_with(
        lambda span: span.attributes.get("demo.order_id") == order["id"],
        lambda found: any(span.name == "demo call" for span in found) and len(gates(found)) == 1,
    )
    told = parents(spans)
    tool = "buyMcpShopItem"
    assert told["agent", "demo call"] is None
    assert told["agent", f"execute_tool {tool}"] == ("agent", "demo call")
    assert told["agent", f"MCP send tools/call {tool}"] == ("agent", f"execute_tool {tool}")
    assert told["agent", "POST /mcp"] == ("agent", f"MCP send tools/call {tool}")
    assert told["mcp-shop", "POST /mcp"] == ("agent", "POST /mcp")
    assert told["mcp-shop", f"tools/call {tool}"] == ("agent", f"MCP send tools/call {tool}")
    assert told["mcp-shop", "gates"] == ("mcp-shop", f"tools/call {tool}")
    assert told["mcp-shop", "POST /oauth2/introspect"] == ("mcp-shop", "gates")
    assert told["authorization-server", "POST /oauth2/introspect"] == ("mcp-shop", "POST /oauth2/introspect")
    assert len([span for span in spans if span.name == f"tools/call {tool}"]) == 1  # the SDK's, and not doubled
    (decision,) = gates(spans)
    assert decision.attributes["demo.verdict"] == "allow"
    assert decision.attributes["user.id"] == "user_alice"
    entries = json.loads(demo.process("--json", "audit").stdout)["entries"]
    entry = next(one for one in entries if one["order_id"] == order["id"])
    assert entry["trace_id"] == decision.trace
    of = {"demo.audit_id": "audit_id", "gen_ai.agent.id": "agent", "demo.client": "client", "session.id": "session"}
    for name, field in (of | {"demo.consent": "consent", "demo.rule": "rule"}).items():
        assert decision.attributes[name] == entry[field]


def test_a_refused_call_has_its_span_and_its_rule(demo: Traced, seen: Collector) -> None:
    refused = demo.process("--json", "call", "getUserInfo")
    decision = json.loads(refused.stdout)["decision"]
    spans = seen.trace_with(
        lambda span: span.attributes.get("demo.audit_id") == decision["audit_id"] and span.name == "gates",
        lambda found: {"demo call", "gates", "POST /mcp"} <= {span.name for span in found},
    )
    (gate,) = gates(spans)
    assert (gate.attributes["demo.verdict"], gate.attributes["demo.rule"]) == ("deny", "scope.insufficient")
    assert gate.trace == decision["trace_id"]
    served = next(span for span in spans if span.service == "mcp-shop" and span.name == "POST /mcp")
    assert served.attributes["http.response.status_code"] == 403
    # To refuse is no failure of the shop's; the agent's call failed, and by which rule.
    assert not {"error.type"} & (served.attributes.keys() | gate.attributes.keys())
    called = next(span for span in spans if span.name == "execute_tool getUserInfo")
    assert called.attributes["error.type"] == "scope.insufficient"
    kinds = {"gates": "GUARDRAIL", "execute_tool getUserInfo": None}
    assert {span.name: span.attributes.get("openinference.span.kind") for span in (gate, called)} == kinds


def test_a_bridge_goes_on_in_the_trace_of_its_host(demo: Traced, seen: Collector) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {
            "name": "listMcpShopInventory",
            "arguments": {},
            "_meta": {"traceparent": f"00-{HOST_TRACE}-b7ad6b7169203331-01"},
        },
    }
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "a host", "version": "1"},
        },
    }
    lines = "".join(
        json.dumps(one) + "\n" for one in (hello, {"jsonrpc": "2.0", "method": "notifications/initialized"}, call)
    )
    bridge = subprocess.run(
        [sys.executable, "-m", "demo", "serve", "--stdio"],
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        env=demo.environment(),
        cwd=ROOT,
    )
    assert bridge.returncode == 0, bridge.stderr
    spans = seen.trace_with(
        lambda span: span.trace == HOST_TRACE,
        lambda found: {"mcp-bridge", "mcp-shop"} <= {span.service for span in found} and bool(gates(found)),
    )
    told = parents(spans)
    name = "tools/call listMcpShopInventory"
    assert told["mcp-bridge", name] is None  # its parent is the host's
    assert told["mcp-bridge", f"MCP send {name}"] == ("mcp-bridge", name)
    assert told["mcp-shop", name] == ("mcp-bridge", f"MCP send {name}")
    assert gates(spans)[0].attributes["demo.verdict"] == "allow"


def test_a_models_run_is_one_trace_with_the_purchase_that_it_decided_on(demo: Traced, seen: Collector) -> None:
    run = demo.process("agent", "buy me a shirt, size M")
    assert run.returncode == 0, run.stderr
    spans = seen.trace_with(
        lambda span: span.name == "invoke_agent",
        lambda found: {"demo agent"} <= {span.name for span in found} and len(gates(found)) == 3,
    )
    told = parents(spans)
    assert told["agent", "invoke_agent"] == ("agent", "demo agent")
    assert told["agent", "execute_tool buyMcpShopItem"] == ("agent", "invoke_agent")
    asked = [span for span in spans if span.name.startswith("chat ")]
    assert len(asked) == 3
    assert {told["agent", span.name] for span in asked} == {("agent", "invoke_agent")}
    offered = json.loads(asked[0].attributes["gen_ai.tool.definitions"])
    assert {"type": "function", "name": "buyMcpShopItem"} in offered
    (ran,) = (span for span in spans if span.name == "invoke_agent")
    assert ran.attributes["demo.made_by"] == "script"  # no model was asked, whatever tokens a library counts
    said = b"".join(seen.raw)
    for told in (b"buy me a shirt", b"Buy one conference T-shirt", b"mailingAddress"):
        assert told not in said


def test_no_token_no_argument_and_no_person_is_in_any_span(demo: Traced, seen: Collector) -> None:
    sent = b"".join(seen.raw)
    assert len(seen.spans) > 20
    kept = next(one for one in demo.state.rglob("tokens*") if one.is_file()).read_text("utf-8")
    secrets = {part for part in kept.replace("\\n", '"').split('"') if len(part) > 24 and not part.startswith("http")}
    assert any(part.startswith("eyJ") for part in secrets)
    for told in (*secrets, ADDRESS, "Engines", "alice@example.com", "Alice Ito"):
        assert told.encode() not in sent


def test_a_collectors_key_is_in_no_process_listing(demo: Traced, seen: Collector) -> None:
    server = local.find(demo.state)
    assert server is not None
    assert seen.keys == {"a-collectors-key"}  # of the server's spans as well
    for about in ("environ", "cmdline"):
        assert b"a-collectors-key" not in Path(f"/proc/{server.pid}/{about}").read_bytes()
