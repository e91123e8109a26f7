"""Seen from outside the two shops are one: the same spans, with the same attributes, at a collector of OTLP."""

from __future__ import annotations

from tests.contract.process import ShopProcess
from tests.contract.shop import BUY, SHIRT, opened, order_of, refusal
from tests.unit.tracing.collector import Seen, collector

CALLER = "00f067aa0ba902b7"
OF_A_DECISION = {
    "demo.verdict": "verdict",
    "demo.gate": "gate",
    "demo.rule": "rule",
    "demo.door": "door",
    "demo.audit_id": "audit_id",
    "demo.client": "client",
    "demo.consent": "consent",
    "user.id": "user",
    "session.id": "session",
    "gen_ai.agent.id": "agent",
    "gen_ai.tool.name": "tool",
}


def test_both_shops_send_the_same_spans_of_a_purchase_and_of_a_refusal(process: ShopProcess) -> None:
    with collector() as seen:
        process.start(OTEL_EXPORTER_OTLP_ENDPOINT=seen.url, OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20key")
        with opened(process.name, process.base, process.issuer) as shop:
            bought, refused = "a" * 32, "b" * 32
            token, poor = shop.token(), shop.token(shop.grant(scope=("openid", "shop:read")))
            order = order_of(shop.call(BUY, SHIRT, token=token, traceparent=f"00-{bought}-{CALLER}-01"))
            denied = refusal(shop.call(BUY, SHIRT, token=poor, traceparent=f"00-{refused}-{CALLER}-01"))
            (entry,) = (one for one in shop.entries(token) if one["order_id"] == order["id"])
            for trace, decision, status in ((bought, entry, 200), (refused, denied, 403)):
                spans = seen.trace_with(lambda span, trace=trace: span.trace == trace, _complete)
                (served,) = (span for span in spans if span.parent == CALLER and span.name == "POST /mcp")
                assert served.attributes == {
                    "http.request.method": "POST",
                    "http.route": "/mcp",
                    "http.response.status_code": status,
                }
                (gates,) = (span for span in spans if span.name == "gates")
                expected = {name: decision[field] for name, field in OF_A_DECISION.items()}
                expected["openinference.span.kind"] = "GUARDRAIL"
                if decision["order_id"] is not None:
                    expected["demo.order_id"] = order["id"]
                assert gates.attributes == expected
                (asked,) = (span for span in spans if span.name == "POST /oauth2/introspect")
                assert asked.parent == gates.id
                assert asked.attributes == {
                    "http.request.method": "POST",
                    "url.template": "/oauth2/introspect",
                    "http.response.status_code": 200,
                }
                assert {span.service for span in spans} == {"mcp-shop"}
            assert seen.keys == {"a key"}


def _complete(spans: list[Seen]) -> bool:
    return {"POST /mcp", "gates", "POST /oauth2/introspect"} <= {span.name for span in spans}
