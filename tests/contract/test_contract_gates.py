"""Every gate of the protected door: which speaks first, and in exactly which status, headers, rule and words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from demo.shop.catalog import say
from tests.contract.issuer import GRACE, MALLORY, spending
from tests.contract.shop import Shop, at_once, challenge_of, limits_of, refusal, structured, until_refused, wording

READ = "listMcpShopInventory"
SHOPPER = "shop:read orders:read shop:buy"


def metadata_url(shop: Shop) -> str:
    return f"{shop.base}/.well-known/oauth-protected-resource/mcp"


def test_the_metadata_says_where_tokens_come_from(shop: Shop) -> None:
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
        answer = shop.http.get(shop.base + path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json() == {
            "resource": shop.resource,
            "authorization_servers": [shop.issuer.url],
            "jwks_uri": f"{shop.base}/audit/keys",
            "scopes_supported": [
                "shop:read",
                "shop:buy",
                "orders:read",
                "user:read",
                "demo:mode",
                "orders:all",
                "audit:read",
            ],
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "authorization_details_types_supported": ["shop_spending", "shop_purchase"],
            "resource_name": "Conference T-shirt shop",
        }


def test_without_a_token_the_challenge_names_the_way_and_no_error(shop: Shop) -> None:
    answer = shop.call(READ, token=None)
    assert answer.status_code == 401
    # What a shopper needs, so that a client which never steps up can buy after its first login.
    assert challenge_of(answer) == {"realm": "shop", "resource_metadata": metadata_url(shop), "scope": SHOPPER}
    decision = refusal(answer)
    assert (decision["gate"], decision["rule"]) == ("token", "token.missing")
    assert answer.json()["id"] == 7
    assert (decision["user"], decision["agent"], decision["tool"]) == (None, None, READ)


@pytest.mark.parametrize(
    ("tool", "needed", "asked"),
    [
        ("buyMcpShopItem", "shop:buy", "shop:read orders:read shop:buy"),
        ("getUserInfo", "user:read", "shop:read orders:read shop:buy user:read"),
    ],
)
def test_the_challenge_asks_for_what_the_call_needs_beside_what_a_shopper_needs(
    shop: Shop, tool: str, needed: str, asked: str
) -> None:
    answer = shop.call(tool, token=None)
    assert (challenge_of(answer) or {})["scope"] == asked
    assert answer.json()["error"]["data"]["scope"] == needed


@pytest.mark.parametrize("scheme", ["Basic abc", "Bearer", "bearer", "Digest x.y.z", "DPoP", "dpop x.y.z"])
def test_another_scheme_and_an_empty_token_are_no_token_that_can_be_read(shop: Shop, scheme: str) -> None:
    answer = shop.post("tools/list", token=None, authorization=scheme)
    expected = "token.missing" if scheme.startswith(("Basic", "Digest")) else "token.malformed"
    assert (answer.status_code, refusal(answer)["rule"]) == (401, expected)


def test_the_schemes_name_has_no_case(shop: Shop) -> None:
    assert shop.post("tools/list", token=None, authorization=f"bEaReR {shop.token()}").status_code == 200


def another_key(shop: Shop) -> str:
    from joserfc import jws
    from joserfc.jwk import ECKey

    other = ECKey.generate_key("P-256", {"kid": "other"})
    return jws.serialize_compact({"alg": "ES256", "typ": "at+jwt", "kid": "other"}, b"{}", other)


def unsigned(shop: Shop) -> str:
    return "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30."


def forged(shop: Shop) -> str:
    """A good token whose claims were changed after it was signed."""
    head, _, tail = shop.token().split(".")
    return f"{head}.{shop.token().split('.')[1]}.{tail}"


TOKENS: dict[str, tuple[Callable[[Shop], str], str, str, dict[str, str]]] = {
    "rubbish": (lambda _: "rubbish", "malformed", "main", {}),
    "three parts of rubbish": (lambda _: "a.b.c", "malformed", "main", {}),
    "alg none": (unsigned, "signature", "algorithm", {}),
    "another key": (another_key, "signature", "key", {}),
    "forged": (forged, "signature", "main", {}),
    "no sub": (lambda shop: shop.token(sub=None), "malformed", "claim", {}),
    "no exp": (lambda shop: shop.token(exp=None), "malformed", "claim", {}),
    "another issuer": (lambda shop: shop.token(iss="https://other.example"), "issuer", "main", {}),
    "for another resource": (
        lambda shop: shop.token(aud="https://a.example"),
        "audience",
        "main",
        {"audience": "https://a.example"},
    ),
    "for nobody": (lambda shop: shop.token(aud=None), "audience", "nobody", {}),
    "not valid yet": (lambda shop: shop.token(nbf=int(time.time()) + 60), "expired", "not_yet", {}),
    "an ID token": (
        lambda shop: shop.issuer.token(shop.grant(), typ="JWT"),
        "type",
        "main",
        {"objection": "A token of type 'JWT' is no access token."},
    ),
}


@pytest.mark.parametrize("which", list(TOKENS))
def test_a_token_that_is_none_for_here_is_refused_and_told_why(shop: Shop, which: str) -> None:
    make, rule, variant, values = TOKENS[which]
    answer = shop.call(READ, token=make(shop))
    decision = refusal(answer)
    assert (answer.status_code, decision["rule"]) == (401, f"token.{rule}")
    assert wording(decision) == (variant, values)
    assert challenge_of(answer) == {
        "realm": "shop",
        "error": "invalid_token",
        "error_description": decision["reason"],
        "resource_metadata": metadata_url(shop),
        "scope": SHOPPER,
    }


def test_an_expired_token_is_told_how_long(shop: Shop) -> None:
    answer = shop.call(READ, token=shop.token(exp=int(time.time()) - 60))
    decision = refusal(answer)
    assert (answer.status_code, decision["rule"]) == (401, "token.expired")
    assert wording(decision) in [("main", {"seconds": seconds}) for seconds in ("60", "61", "62")]


def test_two_authorization_headers_are_one_too_many(shop: Shop) -> None:
    token = shop.token()
    headers = [("authorization", f"Bearer {token}")] * 2
    answer = shop.http.post(f"{shop.base}/mcp", headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert (answer.status_code, refusal(answer)["rule"]) == (401, "token.malformed")


def test_a_token_for_another_resource_of_this_auth_server_is_none_for_this_one(shop: Shop) -> None:
    other = f"{shop.base}/account"
    answer = shop.call(READ, token=shop.token(aud=other))
    assert refusal(answer)["rule"] == "token.audience"
    both = shop.token(aud=["https://elsewhere.example", shop.resource])
    assert shop.call(READ, token=both).status_code == 200


def test_where_the_auth_server_cannot_be_asked_nobody_is_waved_through(shop: Shop) -> None:
    token = shop.token()
    assert shop.call(READ, token=token).status_code == 200
    with shop.issuer.silence():
        until_refused(shop, token)
        answer = shop.call(READ, token=token)
    decision = refusal(answer)
    assert (answer.status_code, decision["rule"]) == (503, "standing.unknown")
    assert wording(decision)[0] == "main", "it is worth trying again"
    assert int(answer.headers["retry-after"]) >= 1
    assert challenge_of(answer) is None
    assert shop.call(READ, token=token).status_code == 200


@pytest.mark.parametrize("method", ["tools/list", "tools/call"])
def test_who_is_not_on_the_allowlist_is_refused_whatever_they_consented_to(shop: Shop, method: str) -> None:
    params = {"name": READ, "arguments": {}} if method == "tools/call" else {}
    answer = shop.post(method, params, token=shop.token(shop.grant(human=MALLORY)))
    decision = refusal(answer)
    assert (answer.status_code, challenge_of(answer)) == (403, None)
    assert (decision["rule"], decision["username"]) == ("allowlist.user", MALLORY)
    assert wording(decision) == ("main", {"user": MALLORY})


SCOPES = {
    "listMcpShopInventory": "shop:read",
    "listMcpShopOrders": "orders:read",
    "getUserInfo": "user:read",
    "setDemoMode": "demo:mode",
    "clearDemoMode": "demo:mode",
    "prettyPlease": "shop:read",
    "buyMcpShopItem": "shop:buy",
}


@pytest.mark.parametrize("tool", list(SCOPES))
def test_each_tool_needs_its_scope_and_asks_for_it_by_name(shop: Shop, tool: str) -> None:
    scope = SCOPES[tool]
    others = [one for one in dict.fromkeys(SCOPES.values()) if one != scope]
    grant = shop.grant(scope=("openid", *others))
    answer = shop.call(tool, {"mode": "normal"} if tool == "setDemoMode" else {}, token=shop.token(grant))
    decision = refusal(answer)
    assert (answer.status_code, decision["rule"]) == (403, "scope.insufficient")
    assert wording(decision) == ("main", {"held": "other scopes", "tool": tool, "scope": scope})
    assert challenge_of(answer) == {
        "realm": "shop",
        "error": "insufficient_scope",
        "error_description": decision["reason"],
        "scope": scope,
        "resource_metadata": metadata_url(shop),
    }
    assert answer.json()["error"]["data"]["scope"] == scope
    assert set(limits_of(answer)) == {"rate", "purchases", "spending"}
    alone = shop.token(shop.grant(scope=(scope,)))
    arguments = {
        "setDemoMode": {"mode": "normal"},
        "buyMcpShopItem": {"company": "A", "mailingAddress": "B", "tshirtSize": "S"},
    }
    assert structured(shop.call(tool, arguments.get(tool, {}), token=alone))


@pytest.mark.parametrize(
    ("scope", "holds"),
    [(("openid",), "no scope of this shop"), (("openid", "shop:read"), "shop:read")],
)
def test_what_an_agent_holds_is_told_where_it_is_short(shop: Shop, scope: tuple[str, ...], holds: str) -> None:
    answer = shop.buy(token=shop.token(shop.grant(scope=scope)))
    assert wording(refusal(answer))[1]["held"] == holds


def test_a_banned_agent_may_only_say_please(shop: Shop) -> None:
    banned = shop.grant(human=GRACE, software="the banned one")
    token = shop.token(banned)
    assert structured(shop.call("setDemoMode", {"mode": "banned"}, token=token)) == {
        "user": "user_grace",
        "mode": "banned",
    }
    try:
        for tool in (READ, "getUserInfo", "clearDemoMode", "no such tool"):
            answer = shop.call(tool, token=token)
            decision = refusal(answer)
            assert (answer.status_code, challenge_of(answer)) == (403, None)
            assert decision["rule"] == "standing.banned"
            assert "prettyPlease" in decision["remedy"]
        assert shop.post("tools/list", token=token).status_code == 200
        assert shop.audit(token).status_code == 200
        assert shop.call("getUserInfo", token=shop.token()).status_code == 200
        again = shop.token(shop.grant(human=GRACE, software="the banned one"))
        assert refusal(shop.call(READ, token=again))["rule"] == "standing.banned", "the same agent, logged in again"
        other = shop.token(shop.grant(human=GRACE))
        assert structured(shop.call("getUserInfo", token=other))["mode"] == "normal", "her other agents go on"
        assert structured(shop.call("clearDemoMode", token=other))["mode"] == "normal"
        assert refusal(shop.call(READ, token=token))["rule"] == "standing.banned", "no other agent lifts it"
    finally:
        pardon = structured(shop.call("prettyPlease", token=token))
    assert pardon == {"user": "user_grace", "mode": "normal", "message": say("welcome_back")}
    again = structured(shop.call("prettyPlease", token=token))
    assert again["message"] == say("not_banned")
    assert structured(shop.call("getUserInfo", token=token))["mode"] == "normal"


def test_the_first_gate_that_objects_speaks(shop: Shop) -> None:
    """One purchase that every gate would refuse, fixed gate by gate."""
    other = shop.grant(human=MALLORY, scope=("openid",), limit=None)
    shop.issuer.revoke("session", other.session.id, human=MALLORY)
    standing = shop.grant(human=MALLORY, scope=("openid",), limit=None)
    welcome = shop.grant(scope=("openid",), limit=None)
    may_buy = shop.grant(scope=("shop:buy",), limit=None)
    elsewhere = {"aud": "https://elsewhere.example"}
    attempts = [
        shop.token(other, iss="https://other.example", **elsewhere),
        shop.token(other, **elsewhere),
        shop.token(other),
        shop.token(standing),
        shop.token(welcome),
        shop.token(may_buy),
    ]
    assert [refusal(shop.buy(token=token))["rule"] for token in attempts] == [
        "token.issuer",
        "token.audience",
        "standing.session",
        "allowlist.user",
        "scope.insufficient",
        "limits.consent",
    ]


@pytest.mark.parametrize("method", ["tools/list", "server/discover", "resources/list", "no/such/method"])
def test_every_method_passes_the_first_three_gates(shop: Shop, method: str) -> None:
    assert refusal(shop.post(method, token=None))["rule"] == "token.missing"
    answer = shop.post(method, token=shop.token())
    assert "decision" not in answer.text
    assert answer.headers["demo-audit-id"].startswith("audit_")


def test_the_body_and_not_the_header_names_the_tool(shop: Shop) -> None:
    token = shop.token(shop.grant(scope=("shop:read",)))
    params = {"name": "buyMcpShopItem", "arguments": {"company": "A", "mailingAddress": "B", "tshirtSize": "S"}}
    answer = shop.post("tools/call", params, token=token, mcp_name=READ)
    assert refusal(answer)["rule"] == "scope.insufficient"


@pytest.mark.parametrize(
    "details",
    [
        None,
        [],
        {},
        [7],
        "all",
        [spending(None, "SHOP")],
        [spending(10_000, "SHOP", limit=10_000)],
        [spending("10000", "SHOP")],
        [spending(True, "SHOP")],
        [spending(-1, "SHOP")],
        [spending(10_000, "SHOP", type="another")],
        [spending(10_000, "SHOP", actions=["look"])],
        [spending(10_000, "SHOP", actions="buy")],
        [spending(10_000, "https://other.example/mcp")],
        [spending(10_000, "SHOP", limit={"amount": 10_000, "currency": "JPY"})],
        [spending(10_000, "SHOP"), spending("much", "SHOP")],
    ],
)
def test_without_a_limit_that_is_clearly_for_here_nothing_is_spent(shop: Shop, details: Any) -> None:
    if isinstance(details, list):
        details = [_here(shop, one) for one in details]
    answer = shop.buy(token=shop.token(authorization_details=details))
    decision = refusal(answer)
    assert (answer.status_code, challenge_of(answer), decision["rule"]) == (403, None, "limits.consent")


def _here(shop: Shop, detail: Any) -> Any:
    if not isinstance(detail, dict):
        return detail
    return {**detail, "locations": [shop.resource if one == "SHOP" else one for one in detail["locations"]]}


def test_many_refusals_at_once_are_each_on_record(shop: Shop) -> None:
    answers = at_once(12, lambda _: shop.call(READ, token=None))
    ids = {refusal(answer)["audit_id"] for answer in answers}
    assert len(ids) == 12
    reader = shop.token(shop.grant(scope=("audit:read",)))
    assert ids <= {entry["audit_id"] for entry in shop.entries(reader, limit=1000)}
