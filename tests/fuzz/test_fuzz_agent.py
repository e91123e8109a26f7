"""The agent reads what servers send: challenges, metadata, token responses, MCP replies, events, redirects; and files.

Whatever they send, it raises no other error than the one that it names, and nothing that a terminal obeys gets through.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import unicodedata
from typing import Any

import pytest
from hypothesis import strategies as st
from joserfc import jwk

from demo.client.human.consent_page import Page
from demo.client.mcp import outcome, reading, reply
from deputize.errors import ExplainedError
from deputize.http import redaction, sanitizing
from deputize.http.errors import OAuthRefused
from deputize.http.exchange import HttpExchange, events, parse_object
from deputize.http.fetch import Answer, joined, own_words, retry_seconds
from deputize.http.origins import origin, refused_url
from deputize.http.recorder import Recorder
from deputize.oauth import challenge, metadata
from deputize.oauth.loopback import Listener
from deputize.tokens import claims, stored
from deputize.tokens.claim_meanings import parties
from deputize.tokens.identity import ClientIdentity
from tests.conftest import HANGS
from tests.fuzz.given import DEEP, JSONS, TEXTS, Parser, changed, damaged, documents, only

SERVER, ISSUER = "https://shop.example/mcp", "https://as.example"
CHALLENGE = (
    'Bearer realm="shop", error="invalid_token", error_description="It \\"expired\\"", scope="shop:read shop:buy",'
    ' resource_metadata="https://shop.example/.well-known/oauth-protected-resource/mcp", Basic YWJj'
)
RESOURCE = {
    "resource": SERVER,
    "authorization_servers": ["https://as.example"],
    "scopes_supported": ["shop:read"],
    "resource_name": "A shop",
    "dpop_signing_alg_values_supported": ["ES256"],
}
AUTHORIZATION_SERVER = {
    "issuer": "https://as.example",
    "token_endpoint": "https://as.example/token",
    "authorization_endpoint": "https://as.example/authorize",
    "device_authorization_endpoint": "https://as.example/device",
    "jwks_uri": "https://as.example/jwks",
    "grant_types_supported": ["authorization_code"],
    "code_challenge_methods_supported": ["S256"],
    "protected_resources": [SERVER],
    "authorization_response_iss_parameter_supported": True,
}
DETAILS = [{"type": "shop_spending", "limit": {"amount": 6000, "currency": "USD"}, "locations": [SERVER]}]
TOKEN = {
    "access_token": "abc.def.ghi",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "shop:read shop:buy",
    "refresh_token": "r1",
    "authorization_details": DETAILS,
}
DECISION = {
    "audit_id": "audit_1",
    "at": 1.5,
    "verdict": "deny",
    "gate": "scope",
    "rule": "scope.insufficient",
    "reason": "no",
    "remedy": "ask",
    "tool": "buy",
    "user": "user_1",
}
LIMITS = [
    {"name": "rate", "used": 1, "limit": 10, "unit": "calls", "window": 10.0, "resets_at": 5.0},
    {"name": "spending", "used": 1, "limit": 10, "unit": "USD"},
]
ORDER = {
    "id": "order_1",
    "item": "T-shirt",
    "size": "M",
    "company": "ACME",
    "price": {"amount": 2500, "currency": "USD"},
    "at": 1.5,
    "user": "user_1",
    "agent": "agent_1",
    "consent": "consent_1",
    "replayed": False,
    "cancelled": False,
    "balance": {"amount": 1, "currency": "USD"},
    "spendingLimit": {"amount": 1, "currency": "USD"},
    "mailingAddress": "1 Main St",
}
RESULT = {
    "jsonrpc": "2.0",
    "id": 7,
    "result": {
        "content": [{"type": "text", "text": "hello"}, {"type": "image", "data": "eA==", "mimeType": "image/png"}],
        "structuredContent": {"order": ORDER, "orders": [ORDER]},
        "isError": False,
        "_meta": {"demo/decision": DECISION, "demo/limits": LIMITS},
    },
}
TOOL = {"name": "buy", "title": "Buy", "description": "Buys.", "inputSchema": {"type": "object", "properties": {}}}
TOOLS = {"jsonrpc": "2.0", "id": 7, "result": {"tools": [TOOL], "nextCursor": "x"}}
ERROR = {"jsonrpc": "2.0", "id": 7, "error": {"code": -32003, "message": "no", "data": {"decision": DECISION}}}
PAGE = (
    '<!doctype html><html><body data-show="client">Agent<form action="/consent" method="post"><input name="csrf"'
    ' value="x" type="hidden"><input name="limit" data-show="limit" data-unit="USD" value="60.00"><button'
    ' name="decision" value="approve">Yes</button></form><b data-show="scope" data-scope="shop:buy">buy</b></body>'
)
CLAIMS = {
    "iss": "https://as.example",
    "sub": "user_1",
    "aud": [SERVER],
    "exp": 2000000000,
    "iat": 1,
    "act": {"sub": "agent_1"},
    "scope": "shop:read",
    "cnf": {"jkt": "x" * 43},
    "authorization_details": DETAILS,
}
IDENTITY = ClientIdentity("client_1", issuer="https://as.example")


def shown_safely(text: str) -> None:
    """Nothing that a terminal obeys (C0, C1) or that hides or turns what follows it, but for line ends."""
    assert not [one for one in text if unicodedata.category(one) == "Cc" and one not in "\n\t"]
    assert not [one for one in text if one in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]


def answer(body: bytes) -> Answer:
    text = body.decode("utf-8", "replace")
    return Answer(200, {}, text, parse_object(text), SERVER)


def holds_challenge(line: str) -> None:
    challenge.parse_challenges(line)
    found = challenge.read_challenge(401, [line])
    if found is not None:
        shown_safely(found.scheme + "".join(name + value for name, value in found.parameters))
        challenge.scopes_of(found)
        for url in metadata.resource_urls(SERVER, found.get("resource_metadata")):
            refused_url(url, server=SERVER)


def holds_resource(body: bytes) -> None:
    if (given := answer(body).json) is not None:
        read = metadata._resource(answer(body), given, SERVER)
        shown_safely(read.resource + (read.name or "") + "".join(read.authorization_servers))
        for issuer in read.authorization_servers:
            origin(issuer)
            if origin(issuer) is not None:
                metadata.server_urls(issuer)
        metadata.own_name(read.resource, "http://127.0.0.1:1/mcp")


def holds_authorization_server(body: bytes) -> None:
    if (given := answer(body).json) is not None:
        read = metadata._server(answer(body), given, "https://as.example", SERVER)
        shown_safely(read.issuer + read.token_endpoint + (read.problem or ""))


@only(OAuthRefused)
def holds_token(body: bytes) -> None:
    if (given := parse_object(body)) is not None:
        token = stored.read_token_response(
            given, received_at=1e9, issuer="i", token_endpoint="t", identity=IDENTITY, resource=SERVER, scope=("a",)
        )
        shown_safely(str(token) + "".join(token.scope))
        assert token.expires_at < 1e12
        _ = token.spending_limit
        assert stored.StoredToken.from_json(token.to_json()) == token


@only(ExplainedError)
def holds_reply(given: tuple[int, str, bytes]) -> None:
    status, kind, body = given
    cause = object()
    exchange = HttpExchange(
        method="POST",
        url=SERVER,
        request_headers=(),
        request_body=b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}',
        started_at=0.0,
        cause=cause,
    )
    exchange.status = status
    exchange.response_headers = (("content-type", kind), ("www-authenticate", CHALLENGE))
    exchange.response_body += body
    exchange.end()
    recorder = Recorder()
    got = reply.final([exchange], cause, SERVER, 1.0)
    said = outcome.call_outcome("buy", got, recorder)
    shown_safely(said.text)
    outcome.refused(said)
    outcome.expired(said)
    outcome.tools_outcome([got], recorder)


def holds_values(value: Any) -> None:
    reading.read_decision(value)
    reading.read_limits(value)
    reading.read_order(value)
    reading.read_orders(value)
    reading.read_tools(value if isinstance(value, dict) else None)
    reading.mirroring(value if isinstance(value, dict) else None)
    reading.misdeclared(value if isinstance(value, dict) else None)
    stored.number(value)
    stored.duration(value)
    stored.money(value)


def holds_text(text: str) -> None:
    shown_safely(sanitizing.safe_text(text))
    assert "\n" not in sanitizing.safe_text(text, one_line=True)
    assert len(own_words(text, None)) < 1000
    redaction.mask_text(text)
    redaction.mask_url(text)
    redaction.mask_header("authorization", text)
    retry_seconds(text, "", 0.0)
    retry_seconds("1", text, 0.0)
    joined(SERVER, text)
    origin(text)
    refused_url(text, server=SERVER)
    metadata.resource_problem(text, SERVER)


def holds_stream(body: bytes) -> None:
    for event in events(body.decode("utf-8", "replace")):
        assert isinstance(event.message, dict)


def holds_jwt(token: str) -> None:
    found = claims.view(token, jwks=None, jwks_url=None, issuer=ISSUER, audience=SERVER, now=1e9)
    for one in found.claims:
        shown_safely(one.name + one.value)


def compact(value: Any) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = {"alg": "ES256", "typ": "at+jwt", "kid": "a"}
    return f"{part(json.dumps(head).encode())}.{part(json.dumps(value).encode())}.{part(b'x' * 64)}"


def holds_keys(body: bytes) -> None:
    if (given := parse_object(body)) is not None:
        with contextlib.suppress(ValueError):
            claims.verify_signature(compact(CLAIMS), given)
        view = claims.view(compact(CLAIMS), jwks=given, jwks_url="u", issuer=ISSUER, audience=SERVER, now=1e9)
        assert view.signature is None  # nobody signed it


def holds_claims(value: Any) -> None:
    if isinstance(value, dict):
        parties(value)


def latin(data: bytes) -> str:
    return data.decode("latin-1")


@only(ValueError)
def holds_stored(body: bytes) -> None:
    stored.StoredToken.from_json(body.decode("utf-8", "replace"))


@only(ValueError)
def holds_identity(body: bytes) -> None:
    ClientIdentity.from_json(body.decode("utf-8", "replace"))


def holds_page(body: bytes) -> None:
    page = Page(body.decode("utf-8", "replace"))
    page.button("decision", "approve")
    page.all("scope")


KEY = jwk.ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)
KEPT = stored.read_token_response(
    TOKEN, received_at=1e9, issuer="i", token_endpoint="t", identity=IDENTITY, resource=SERVER, scope=("a",)
)
EVENTS = b"event: message\nid: 1\ndata: " + json.dumps(RESULT).encode() + b"\n\n: ping\n\ndata: {}\r\n\r\n"
REPLIES = st.tuples(
    st.sampled_from([200, 202, 204, 301, 400, 401, 403, 404, 405, 406, 429, 500, 503]),
    st.sampled_from(["application/json", "text/event-stream", "text/html", "", "\x1b[2J"]),
    st.one_of(documents(RESULT), documents(TOOLS), documents(ERROR), damaged(EVENTS)),
)
TOKENS = st.one_of(changed(CLAIMS).map(compact), damaged(compact(CLAIMS).encode()).map(latin))
VALUES = st.one_of(JSONS, *map(changed, (DECISION, LIMITS, ORDER, [ORDER], TOOLS["result"])))
PARSERS = [
    Parser("a challenge", st.one_of(damaged(CHALLENGE.encode()).map(latin), TEXTS), holds_challenge),
    Parser("resource metadata", documents(RESOURCE), holds_resource),
    Parser("authorization server metadata", documents(AUTHORIZATION_SERVER), holds_authorization_server),
    Parser("a token response", documents(TOKEN), holds_token),
    Parser("an MCP reply", REPLIES, holds_reply, examples=150),
    Parser("decisions, limits, orders, tools", VALUES, holds_values),
    Parser("any text", st.one_of(st.text(), TEXTS), holds_text),
    Parser("a stream of events", st.one_of(damaged(EVENTS), st.binary(max_size=80)), holds_stream),
    Parser("a token", TOKENS, holds_jwt),
    Parser("a key set", documents({"keys": [KEY]}), holds_keys),
    Parser("claims", changed(CLAIMS), holds_claims),
    Parser("a stored token", documents(json.loads(KEPT.to_json())), holds_stored),
    Parser("a stored identity", documents(json.loads(IDENTITY.to_json())), holds_identity),
    Parser("a consent page", st.one_of(damaged(PAGE.encode()), st.binary(max_size=80)), holds_page),
]


@pytest.mark.parametrize("parser", PARSERS, ids=str)
def test_nothing_that_a_server_sends_is_a_surprise(parser: Parser) -> None:
    parser.briefly()


@pytest.mark.long
@pytest.mark.parametrize("parser", PARSERS, ids=str)
def test_nothing_that_a_server_sends_is_a_surprise_at_length(parser: Parser) -> None:
    parser.at_length()


TARGETS = st.one_of(
    damaged(b"/callback?code=abc&state=right&iss=https%3A%2F%2Fas.example"),
    st.sampled_from(
        [
            b"http://[/callback?state=right",
            b"//[x/callback",
            b"*",
            b"/callback?" + b"a&" * 2000,
            b"/callback?state=\xff",
        ]
    ),
).map(lambda one: one.translate(None, b" \r\n\t\x0b\x0c") or b"/")


def redirected(port: int, target: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS) as connection:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nconnection: close\r\n\r\n" % port)
        got = b""
        while more := connection.recv(65536):
            got += more
    return got


def test_no_redirect_leaves_a_browser_without_an_answer_or_takes_the_login_away() -> None:
    listener = Listener()
    listener.expect("the state")
    port = int(listener.redirect_uri.rsplit(":", 1)[1].partition("/")[0])
    try:
        listener.conclude(True, "Done", "Done.")  # no page waits

        def holds(target: bytes) -> None:
            got = redirected(port, target)
            assert got.startswith(b"HTTP/1.") and len(got) < 4096
            assert listener.found is None

        Parser("a redirect", TARGETS, holds).briefly()
        assert redirected(port, b"/callback?code=abc&state=the%20state").startswith(b"HTTP/1.0 200")
    finally:
        listener.close()


def test_what_is_nested_beyond_reason_is_no_object() -> None:
    assert [parse_object(one) for one in DEEP] == [None, None]
