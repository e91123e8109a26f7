"""The token gate and the standing gate against tokens and authorities that lie, hang, rotate and vanish."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from starlette.responses import JSONResponse, Response


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def refused(world: Any, said: Any, token: str | None, rule: str, status: int = 401) -> dict[str, Any]:
    answer = world.call("listMcpShopInventory", token=token)
    assert answer.status_code == status, answer.text
    decision: dict[str, Any] = said(answer)
    assert decision["rule"] == rule
    if status == 401:
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="shop", error="invalid_token", error_description="')
        assert f'resource_metadata="{world.base}/.well-known/oauth-protected-resource/mcp"' in challenge
        assert 'scope="shop:read orders:read shop:buy"' in challenge
    return decision


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def test_a_call_without_a_token_is_challenged_without_an_error_code(world: Any, said: Any) -> None:
    answer = world.buy(token=None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="shop", resource_metadata="{world.base}/.well-known/oauth-protected-resource/mcp", '
        'scope="shop:read orders:read shop:buy"'
    )
    body = answer.json()
    assert body["id"] == 7
    assert body["error"]["data"]["scope"] == "shop:buy"
    assert body["error"]["data"]["limits"] == []
    assert said(answer)["rule"] == "token.missing"
    assert world.authority.asked == []


def test_an_unsigned_token_is_refused(world: Any, said: Any) -> None:
    refused(
        world,
        said,
        f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{encoded(claims_of(world.token()))}.",
        "token.signature",
    )


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(world: Any, said: Any) -> None:
    header = encoded({"alg": "HS256", "typ": "at+jwt", "kid": world.authority.key.kid})
    signed = f"{header}.{world.token().split('.')[1]}"
    for secret in (world.authority.key.as_pem(private=False), world.authority.key.as_der(private=False)):
        mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
        refused(world, said, f"{signed}.{mac}", "token.signature")


def test_a_symmetric_key_in_the_jwks_verifies_nothing(world: Any, said: Any) -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    world.authority.jwks = [world.authority.key.as_dict(private=False), secret.as_dict(private=True)]
    forged = world.authority.sign(claims_of(world.token()), key=secret, alg="HS256", header={"kid": "shared"})
    refused(world, said, forged, "token.signature")


def test_a_token_of_another_key_under_a_known_name_is_refused(world: Any, said: Any) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "first"})
    forged = world.authority.sign(claims_of(world.token()), key=stranger)
    refused(world, said, forged, "token.signature")


def test_a_key_that_the_token_brings_along_is_not_believed(world: Any, said: Any) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "mine"})
    header = {"kid": "mine", "jwk": stranger.as_dict(private=False)}
    forged = world.authority.sign(claims_of(world.token()), key=stranger, header=header)
    refused(world, said, forged, "token.signature")


def test_a_changed_claim_breaks_the_signature(world: Any, said: Any) -> None:
    token = world.token(scope="shop:read")
    head, _, signature = token.split(".")
    more = encoded({**claims_of(token), "scope": "shop:buy"})
    refused(world, said, f"{head}.{more}.{signature}", "token.signature")


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.b", "..", "a.b.c.d.e", "x" * 20000])
def test_what_is_no_jwt_is_malformed(world: Any, said: Any, token: str) -> None:
    refused(world, said, token, "token.malformed")


def test_bearer_and_nothing_after_it_is_malformed(world: Any, said: Any) -> None:
    answer = world.call("listMcpShopInventory", token=None, headers={"authorization": "Bearer"})
    assert said(answer)["rule"] == "token.malformed"


def test_two_authorization_headers_are_malformed(world: Any, said: Any) -> None:
    token = world.token()
    headers = [
        ("authorization", f"Bearer {token}"),
        ("authorization", "Bearer x"),
        ("content-type", "application/json"),
    ]
    answer = world.http.post(f"{world.base}/mcp", content=b"{}", headers=headers)
    assert answer.status_code == 401
    assert said(answer)["rule"] == "token.malformed"


def test_another_scheme_is_no_token_and_the_scheme_has_no_case(world: Any, said: Any) -> None:
    answer = world.http.post(f"{world.base}/mcp", content=b"{}", headers={"authorization": "Basic YTpi"})
    assert said(answer)["rule"] == "token.missing"
    answer = world.call("listMcpShopInventory", token=None, headers={"authorization": f"bEaReR {world.token()}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("absent", ["iss", "sub", "exp"])
def test_a_token_without_a_required_claim_is_malformed(world: Any, said: Any, absent: str) -> None:
    refused(world, said, world.token(**{absent: None}), "token.malformed")


@pytest.mark.parametrize("exp", ["tomorrow", True, -1, 1e300, [1]])
def test_an_expiry_that_is_no_time_is_malformed(world: Any, said: Any, exp: Any) -> None:
    refused(world, said, world.token(exp=exp), "token.malformed")


def test_claims_that_are_no_object_are_malformed(world: Any, said: Any) -> None:
    refused(world, said, world.authority.sign(["iss"]), "token.malformed")


def test_another_issuer_is_refused_even_with_our_key(world: Any, said: Any) -> None:
    refused(world, said, world.token(iss="https://other.example"), "token.issuer")


@pytest.mark.parametrize("aud", ["demo-agent", [], ["https://other.example/mcp"], None])
def test_a_token_for_somebody_else_is_refused(world: Any, said: Any, aud: Any) -> None:
    refused(world, said, world.token(aud=aud), "token.audience")


def test_a_token_for_the_origin_instead_of_the_resource_is_refused(world: Any, said: Any) -> None:
    refused(world, said, world.token(aud=world.base), "token.audience")


def test_one_audience_of_several_is_enough(world: Any) -> None:
    token = world.token(aud=["https://other.example", f"{world.base}/mcp"])
    assert world.call("listMcpShopInventory", token=token).status_code == 200


def test_an_expired_token_is_refused_and_its_user_is_on_record(world: Any, said: Any) -> None:
    decision = refused(world, said, world.token(exp=int(time.time()) - 30), "token.expired")
    assert decision["user"] == "user_alice"
    assert "introspect" not in world.authority.asked


def test_a_token_that_is_not_valid_yet_is_refused(world: Any, said: Any) -> None:
    refused(world, said, world.token(nbf=int(time.time()) + 60), "token.expired")


def test_the_leeway_is_a_second_and_not_a_minute(world: Any, said: Any) -> None:
    token = world.token(exp=int(time.time()) + 60)
    assert world.call("listMcpShopInventory", token=token).status_code == 200
    world.clock.ahead = 62
    refused(world, said, token, "token.expired")


@pytest.mark.parametrize("typ", ["JWT", "id+jwt", "logout+jwt"])
def test_another_kind_of_jwt_is_no_access_token(world: Any, said: Any, typ: str) -> None:
    token = world.authority.sign(claims_of(world.token()), header={"typ": typ})
    refused(world, said, token, "token.type")


def test_the_media_type_spelling_of_an_access_token_is_one(world: Any) -> None:
    token = world.authority.sign(claims_of(world.token()), header={"typ": "application/AT+JWT"})
    assert world.call("listMcpShopInventory", token=token).status_code == 200


def test_an_rs256_authority_is_as_good(world: Any) -> None:
    key = RSAKey.generate_key(2048, {"kid": "rsa"})
    world.authority.jwks = [{"kty": "PQ", "kid": "future"}, key.as_dict(private=False)]
    token = world.authority.sign(claims_of(world.token()), key=key, alg="RS256", header={"kid": "rsa"})
    assert world.call("listMcpShopInventory", token=token).status_code == 200


def test_a_rotated_key_is_found_and_the_old_one_is_forgotten(world: Any, said: Any) -> None:
    old = world.token()
    assert world.call("listMcpShopInventory", token=old).status_code == 200
    world.authority.rotate()
    assert world.call("listMcpShopInventory", token=world.token()).status_code == 200
    refused(world, said, old, "token.signature")


def test_made_up_key_names_do_not_flood_the_authority(world: Any, said: Any) -> None:
    world.call("listMcpShopInventory", token=world.token())
    before = world.authority.asked.count("keys")
    for number in range(8):
        forged = world.authority.sign(claims_of(world.token()), header={"kid": f"made-up-{number}"})
        refused(world, said, forged, "token.signature")
    assert world.authority.asked.count("keys") - before <= 2


@pytest.mark.parametrize("kind", ["session", "agent", "user", "token"])
def test_what_the_human_took_back_is_refused_at_once(world: Any, said: Any, kind: str) -> None:
    token = world.token(jti="jti_revoked")
    assert world.call("listMcpShopInventory", token=token).status_code == 200
    world.authority.revoked["jti_revoked"] = kind
    refused(world, said, token, f"standing.{kind}")


def test_an_authority_that_gives_no_reason_is_taken_at_its_word(world: Any, said: Any) -> None:
    world.authority.answer = lambda: _json({"active": False})
    refused(world, said, world.token(), "standing.token")


async def _json(body: Any, status: int = 200) -> Response:
    return JSONResponse(body, status_code=status)


async def _slow() -> Response:
    await asyncio.sleep(1.5)
    return JSONResponse({"active": True})


@pytest.mark.parametrize(
    "answer",
    [
        lambda: _json([]),
        lambda: _json({"active": "yes"}),
        lambda: _json({"active": 1}),
        lambda: _json({}),
        lambda: _json({"active": True}, 500),
        lambda: _json({"active": True, "sub": "user_mallory"}),
        lambda: _json({"active": True, "jti": "another"}),
        lambda: _json({"active": True, "padding": "x" * 300_000}),
        _slow,
    ],
)
def test_an_answer_that_is_no_clear_yes_lets_nobody_in(world: Any, said: Any, answer: Any) -> None:
    world.authority.answer = answer
    response = world.call("listMcpShopInventory", token=world.token())
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "www-authenticate" not in response.headers
    assert said(response)["rule"] == "standing.unknown"


def test_a_captive_portal_is_no_authority(world: Any, said: Any, html: Any) -> None:
    world.authority.answer = html
    refused(world, said, world.token(), "standing.unknown", 503)


def test_an_authority_that_does_not_know_the_shop_lets_nobody_in(world: Any, said: Any) -> None:
    world.authority.credentials = ("shop", "another secret")
    refused(world, said, world.token(), "standing.unknown", 503)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"jwks_uri": None},
        {"introspection_endpoint": None},
        {"introspection_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "http://127.0.0.1:1/keys"},
    ],
)
def test_metadata_that_is_not_the_issuers_is_not_used(world: Any, said: Any, changes: dict[str, Any]) -> None:
    world.authority.metadata_changes = changes
    refused(world, said, world.token(), "standing.unknown", 503)


def test_an_authority_that_is_gone_lets_nobody_in(open_world: Any, said: Any) -> None:
    world = open_world(issuer="http://127.0.0.1:1")
    refused(world, said, world.token(iss="http://127.0.0.1:1"), "standing.unknown", 503)


def test_every_request_is_asked_about(world: Any) -> None:
    token = world.token()
    for _ in range(3):
        world.call("listMcpShopInventory", token=token)
    assert world.authority.asked == ["metadata", "keys", "introspect", "introspect", "introspect"]
