"""The shop and the authorization server read what anybody sends: headers, tokens, JSON-RPC, forms, events, documents.

Whatever comes, the answer is one that the wire's description has, bounded, and no error that nobody foresaw. Every
route is asked, whoever adds one.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from joserfc import jws

from bench import agents
from bench.load import tool_call
from demo.auth_server.clients.document_fetch import Document, DocumentRefused, fresh_seconds
from demo.auth_server.clients.documents import described
from demo.auth_server.clients.uris import form_source, redirect_uri_objection, resource_objection
from demo.auth_server.context import AuthorizationServerConfig, Context
from demo.auth_server.grants.tokens import sign_access_token
from demo.auth_server.requests import Rate
from demo.auth_server.state.keys import SigningKeys
from demo.auth_server.state.sessions import find_session, open_session
from demo.local_server import world
from demo.local_server.app import create_app
from demo.proofs import ProofRefused, Received, check, digest, encoded
from demo.shop import events
from tests.conftest import serving
from tests.fuzz.given import JSONS, TEXTS, Parser, as_json, changed, damaged, documents, only
from tests.fuzz.wire import FORM, JSON, Asked, forms, holds, line, target, text_lines
from tests.unit import test_proofs as proofs

AGENTS = 400
WISH = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M", "idempotencyKey": "k1"}
CLIENT = {
    "client_name": "A client",
    "redirect_uris": ["https://a.example/cb", "http://127.0.0.1:1/cb"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "application_type": "native",
    "scope": "openid shop:buy",
}
FIELDS = ["name", "id", "slug", "event", "action", "occurred_at", "actor", "targets", "session_id", "uri"]
FIELDS += ["organization_id", "limit", "range_start", "range_end", "token", "agent_id", "scopes", "metadata"]
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@dataclass
class World:
    """A server, and what somebody could have who means no good: tokens of agents and of a console, good credentials."""

    base: str
    folder: Path
    tokens: Iterator[str]
    console: str
    claims: dict[str, Any]
    keys: SigningKeys
    shop_credentials: bytes
    api_key: str
    routes: list[tuple[str, str]]

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def bearer(self) -> tuple[bytes, bytes]:
        return b"authorization", f"Bearer {next(self.tokens)}".encode()

    def signed(self, claims: Any, typ: str) -> bytes:
        """What the authorization server itself could have signed."""
        key = self.keys._published()[0]
        return jws.serialize_compact({"alg": "ES256", "typ": typ, "kid": key.kid}, as_json(claims), key).encode()

    def mcp(self, headers: dict[str, bytes], body: bytes, path: bytes = b"/mcp") -> Asked:
        usual = {name: value.encode() for name, value in tool_call("", "", "listMcpShopInventory").headers.items()}
        usual = {name: value for name, value in usual.items() if name not in ("authorization", "mcp-name")}
        named = {**usual, **headers}
        return Asked("POST", path, tuple((name.encode(), value) for name, value in named.items()), body)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    patch = pytest.MonkeyPatch()
    patch.setattr(Rate, "hit", lambda *_: None)  # who waits a minute tries nothing
    folder = tmp_path_factory.mktemp("fuzzed")
    spare = create_app("http://127.0.0.1:1", tmp_path_factory.mktemp("spare") / world.DATABASE)
    routes = [
        (method, route.path)
        for route in spare.app.routes  # type: ignore[attr-defined]  # Starlette's
        for method in sorted(getattr(route, "methods", None) or ("POST",))
        if method != "HEAD"
    ]
    with serving(folder / world.DATABASE) as base:
        tokens = agents.tokens(base, folder, AGENTS, cents=10**9)
        settled = AuthorizationServerConfig(
            base, folder / world.DATABASE, (f"{base}/mcp",), resource_server=("shop", "")
        )
        context = Context(settled)
        scope = ("sessions:manage", "audit:read")
        with context.store.transaction() as connection:
            opened = open_session(
                connection,
                sub="user_grace",
                client_id="demo-console",
                delegated=False,
                scope=scope,
                resources=(f"{base}/account",),
                authorization_details=(),
                auth_time=time.time(),
                now=time.time(),
            )
            session = find_session(connection, opened)
        assert session is not None
        console = sign_access_token(context, session, audience=f"{base}/account", scope=scope, seconds=3600)
        found = world.credentials(folder)
        assert found is not None
        payload = tokens[0].split(".")[1]
        yield World(
            base,
            folder,
            itertools.cycle(tokens),
            console,
            json.loads(base64.urlsafe_b64decode(payload + "==")),
            context.keys,
            b"Basic " + base64.b64encode(":".join(quote(part, safe="") for part in found).encode()),
            json.loads((folder / "workos.json").read_text("utf-8"))["api_key"],
            routes,
        )
        context.store.close()
    patch.undo()


def call(tool: str, arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tool_call("", "", tool).body)
    found["params"]["arguments"] = arguments
    return found


def of_shop(here: World) -> dict[str, SearchStrategy[Asked]]:
    """What is sent to the shop."""
    buy, look = call("buyMcpShopItem", WISH), call("listMcpShopInventory", {})
    good = as_json(look)
    event = {
        "iss": here.base,
        "aud": f"{here.base}/mcp",
        "jti": "event_1",
        "iat": int(time.time()),
        "sub_id": {"format": "complex", "session": {"format": "opaque", "id": "session_of_nobody"}},
        "events": {events.SESSION_REVOKED: {"event_timestamp": int(time.time())}},
    }
    named = [
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "accept",
        "content-type",
        "mcp-session-id",
        "origin",
        "dpop",
    ]
    headers = st.dictionaries(st.sampled_from(named), text_lines(b"2026-07-28"), max_size=3)
    pushed = ((b"content-type", f"application/{events.TYPE}".encode()),)
    console = ((b"authorization", f"Bearer {here.console}".encode()), (b"content-type", JSON))
    return {
        "a body": st.one_of(documents(look), documents(buy)).map(
            lambda body: here.mcp({"authorization": here.bearer()[1]}, body)
        ),
        "a body at the open door": st.one_of(documents(look), documents(buy)).map(
            lambda body: here.mcp({}, body, b"/open/mcp")
        ),
        "arguments": changed(WISH).map(
            lambda given: here.mcp({"authorization": here.bearer()[1]}, as_json(call("buyMcpShopItem", given)))
        ),
        "headers": headers.map(lambda given: here.mcp({"authorization": here.bearer()[1], **given}, good)),
        "a bearer header": text_lines(here.bearer()[1]).map(lambda given: here.mcp({"authorization": given}, good)),
        "signed claims": st.tuples(changed(here.claims), st.sampled_from(["at+jwt", "JWT", "AT+JWT"])).map(
            lambda given: here.mcp({"authorization": b"Bearer " + here.signed(*given)}, good)
        ),
        "an event": st.one_of(
            changed(event).map(lambda claims: here.signed(claims, events.TYPE)),
            damaged(here.signed(event, events.TYPE)),
            st.binary(max_size=40),
        ).map(lambda body: Asked("POST", b"/events", pushed, body)),
        "a query of the audit log": forms({"after": "audit_1", "limit": "5"}).map(
            lambda query: Asked("GET", b"/audit?" + target(query), (here.bearer(),))
        ),
        "a door": documents({"door": "protected", "stock": 100}).map(
            lambda body: Asked("POST", b"/account/door", console, body)
        ),
    }


def of_authorization_server(here: World) -> dict[str, SearchStrategy[Asked]]:
    """What is sent to the authorization server."""
    details = [
        {
            "type": "shop_spending",
            "actions": ["buy"],
            "locations": [f"{here.base}/mcp"],
            "limit": {"amount": 6000, "currency": "USD"},
        }
    ]
    device = {"client_id": "demo-agent", "scope": "openid shop:buy", "resource": f"{here.base}/mcp"}
    browser = {
        **device,
        "response_type": "code",
        "redirect_uri": "http://127.0.0.1:9/callback",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "s",
        "nonce": "n",
    }
    token = {"grant_type": "refresh_token", "refresh_token": "r", **device, "requested_expires_in": "5"}
    code = {"grant_type": "authorization_code", "code": "c", "code_verifier": "v" * 43, **device}
    basic = (b"authorization", here.shop_credentials)

    def form(path: str, good: dict[str, str], *headers: tuple[bytes, bytes]) -> SearchStrategy[Asked]:
        return forms(good).map(lambda body: Asked("POST", path.encode(), ((b"content-type", FORM), *headers), body))

    def to_json(path: str, good: Any, *headers: tuple[bytes, bytes]) -> SearchStrategy[Asked]:
        return documents(good).map(lambda body: Asked("POST", path.encode(), ((b"content-type", JSON), *headers), body))

    return {
        "a registration": to_json("/oauth2/register", CLIENT),
        "a device request": form(
            "/oauth2/device_authorization", {**device, "authorization_details": json.dumps(details)}
        ),
        "authorization details": documents(details).flatmap(
            lambda given: form(
                "/oauth2/device_authorization", {**device, "authorization_details": given.decode("utf-8", "replace")}
            )
        ),
        "a browser's request": forms(browser).map(lambda query: Asked("GET", b"/oauth2/authorize?" + target(query))),
        "a refresh": form("/oauth2/token", token),
        "a code": form("/oauth2/token", code),
        "a proof": text_lines(here.signed({"jti": "a", "htm": "POST", "htu": here.base, "iat": 1}, "dpop+jwt")).flatmap(
            lambda proof: form("/oauth2/token", token, (b"dpop", proof))
        ),
        "an assertion": form(
            "/oauth2/token",
            {
                "grant_type": "refresh_token",
                "refresh_token": "r",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": here.signed({"iss": "demo-console", "sub": "demo-console"}, "JWT").decode(),
            },
        ),
        "an introspection": form("/oauth2/introspect", {"token": next(here.tokens)}, basic),
        "credentials": text_lines(here.shop_credentials).flatmap(
            lambda given: form("/oauth2/introspect", {"token": "t"}, (b"authorization", given))
        ),
        "a revocation": form("/oauth2/revoke", {"token": "t", "client_id": "demo-agent"}),
        "a user code": form("/device", {"user_code": "ABCD-EFGH", "csrf": "x"}),
        "a sign-in": form("/device/sign-in", {"account": "user_alice", "request": "r", "csrf": "x"}),
        "a consent": form(
            "/device/consent", {"decision": "approve", "limit": "60.00", "may:shop:buy": "on", "csrf": "x"}
        ),
        "what to revoke": to_json(
            "/account/revoke",
            {"kind": "session", "id": "session_1"},
            (b"authorization", f"Bearer {here.console}".encode()),
        ),
    }


def of_every_route(here: World) -> SearchStrategy[Asked]:
    """Any route, with any of the credentials, in its path, query and body what does not belong there."""
    secrets = [
        b"",
        f"Bearer {here.api_key}".encode(),
        f"Bearer {here.api_key}".encode(),
        f"Bearer {here.console}".encode(),
        here.bearer()[1],
        here.shop_credentials,
    ]
    bodies = st.one_of(
        st.tuples(st.just(JSON), JSONS.map(as_json)),
        st.tuples(
            st.just(JSON),
            st.dictionaries(
                st.sampled_from(FIELDS),
                JSONS,
                max_size=5,
            ).map(as_json),
        ),
        st.tuples(st.just(FORM), forms({"token": "t", "client_id": "demo-agent", "scope": "openid"})),
        st.tuples(text_lines(JSON), st.binary(max_size=40)),
    )
    queries = forms({"limit": "5", "after": "x", "order": "asc", "events": "a", "range_start": "2026-01-01T00:00:00Z"})

    def made(given: tuple[tuple[str, str], list[str], bytes, bytes, tuple[bytes, bytes]]) -> Asked:
        (method, route), filled, query, secret, (kind, body) = given
        names = iter(filled)
        path = re.sub(r"\{[^}]+\}", lambda _: quote(next(names, "x").encode("utf-8", "replace"), safe=""), route)
        headers = ((b"content-type", line(kind)), *([(b"authorization", secret)] if secret else []))
        return Asked(method, path.encode() + b"?" + target(query), headers, body)

    return st.tuples(
        st.sampled_from(here.routes), st.lists(TEXTS, min_size=2, max_size=2), queries, st.sampled_from(secrets), bodies
    ).map(made)


@only(DocumentRefused)
def holds_document(given: Any) -> None:
    if isinstance(given, dict):
        described("https://a.example/c.json", Document(given, 0.0), ("authorization_code", "refresh_token"))


def holds_uri(uri: str) -> None:
    resource_objection(uri)
    fresh_seconds(uri)
    if redirect_uri_objection(uri) is None:
        assert ";" not in form_source(uri) and " " not in form_source(uri)  # it stands in a policy's header


PROOF = (
    {"typ": "dpop+jwt", "alg": "ES256", "jwk": proofs.KEY.as_dict(private=False)},
    {"jti": "a", "htm": "POST", "htu": proofs.HERE, "ath": digest(proofs.TOKEN), "iat": proofs.NOW, "nonce": "1.x"},
)


def proof(parts: tuple[Any, Any]) -> str:
    """A proof of this header and these claims, signed by the key that a good one names."""
    signed = ".".join(encoded(as_json(part)) for part in parts)
    return f"{signed}.{encoded(proofs.signature(signed.encode()))}"


@only(ProofRefused)
def holds_proof(text: str) -> None:
    found = check(Received((text,), "POST", (proofs.HERE,)), now=proofs.NOW, nonces=proofs.NONCES, token=proofs.TOKEN)
    assert found.key == proofs.KEY.thumbprint() and found.until <= proofs.NOW + 300


PROOFS = st.one_of(
    st.tuples(changed(PROOF[0]), changed(PROOF[1])).map(proof),
    damaged(proof(PROOF).encode()).map(lambda one: one.decode("latin-1")),
)
DOCUMENT = {**CLIENT, "client_id": "https://a.example/c.json"}
URIS = st.one_of(TEXTS, damaged(b"http://127.0.0.1:9/cb;x?a=b").map(lambda one: one.decode("latin-1")))
PURE = [
    Parser("a client's document", changed(DOCUMENT), holds_document),
    Parser("a URI", URIS, holds_uri),
    Parser("a proof", PROOFS, holds_proof),
]


def parsers(here: World) -> list[Parser]:
    found = [Parser(name, inputs, holds(here.port), examples=20) for name, inputs in of_shop(here).items()]
    found += [
        Parser(name, inputs, holds(here.port), examples=20) for name, inputs in of_authorization_server(here).items()
    ]
    return [*found, Parser("every route", of_every_route(here), holds(here.port), examples=120), *PURE]


def test_nothing_that_is_sent_to_a_server_is_a_surprise(here: World, subtests: pytest.Subtests) -> None:
    for parser in parsers(here):
        with subtests.test(parser.name):
            parser.briefly()


@pytest.mark.long
def test_nothing_that_is_sent_to_a_server_is_a_surprise_at_length(here: World, subtests: pytest.Subtests) -> None:
    for parser in parsers(here):
        with subtests.test(parser.name):
            parser.at_length()


def test_an_error_that_nobody_foresaw_would_be_seen(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same question to a shop that reads a claim as if it were always there."""

    async def careless(token: bytes, *_: object, **__: object) -> tuple[str, str, str]:
        claims = json.loads(base64.urlsafe_b64decode(token.split(b".")[1] + b"=="))
        return claims["jti"], "session", claims["sub_id"]["session"]["id"]

    monkeypatch.setattr(events, "read", careless)
    with pytest.raises(AssertionError, match="500"):
        Parser("an event", of_shop(here)["an event"], holds(here.port), examples=20).briefly()
