"""The token gate and the standing gate against tokens and authorities that lie, hang, rotate and vanish."""

from __future__ import annotations

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


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(world: Any, said: Any) -> None:
    header = encoded({"alg": "HS256", "typ": "at+jwt", "kid": world.auth_server.key.kid})
    signed = f"{header}.{world.token().split('.')[1]}"
    for secret in (world.auth_server.key.as_pem(private=False), world.auth_server.key.as_der(private=False)):
        mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
        refused(world, said, f"{signed}.{mac}", "token.signature")


def test_a_symmetric_key_in_the_jwks_verifies_nothing(world: Any, said: Any) -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    world.auth_server.jwks = [world.auth_server.key.as_dict(private=False), secret.as_dict(private=True)]
    forged = world.auth_server.sign(claims_of(world.token()), key=secret, alg="HS256", header={"kid": "shared"})
    refused(world, said, forged, "token.signature")


def test_a_token_of_another_key_under_a_known_name_is_refused(world: Any, said: Any) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "first"})
    forged = world.auth_server.sign(claims_of(world.token()), key=stranger)
    refused(world, said, forged, "token.signature")


def test_a_key_that_the_token_brings_along_is_not_believed(world: Any, said: Any) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "mine"})
    header = {"kid": "mine", "jwk": stranger.as_dict(private=False)}
    forged = world.auth_server.sign(claims_of(world.token()), key=stranger, header=header)
    refused(world, said, forged, "token.signature")


def test_claims_that_are_no_object_are_malformed(world: Any, said: Any) -> None:
    refused(world, said, world.auth_server.sign(["iss"]), "token.malformed")


def test_an_expired_token_is_refused_and_its_user_is_on_record(world: Any, said: Any) -> None:
    decision = refused(world, said, world.token(exp=int(time.time()) - 30), "token.expired")
    assert decision["user"] == "user_alice"
    assert "introspect" not in world.auth_server.asked


def test_an_rs256_auth_server_is_as_good(world: Any) -> None:
    key = RSAKey.generate_key(2048, {"kid": "rsa"})
    world.auth_server.jwks = [{"kty": "PQ", "kid": "future"}, key.as_dict(private=False)]
    token = world.auth_server.sign(claims_of(world.token()), key=key, alg="RS256", header={"kid": "rsa"})
    assert world.call("listMcpShopInventory", token=token).status_code == 200


async def _json(body: Any, status: int = 200) -> Response:
    return JSONResponse(body, status_code=status)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: _json([]),
        lambda: _json({"active": 1}),
        lambda: _json({}),
        lambda: _json({"active": True, "sub": "user_mallory"}),
        lambda: _json({"active": True, "jti": "another"}),
    ],
)
def test_an_answer_that_is_no_clear_yes_lets_nobody_in(world: Any, said: Any, answer: Any) -> None:
    world.auth_server.answer = answer
    response = world.call("listMcpShopInventory", token=world.token())
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "www-authenticate" not in response.headers
    assert said(response)["rule"] == "standing.unknown"


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks_uri": None},
        {"introspection_endpoint": None},
        {"introspection_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "http://127.0.0.1:1/keys"},
    ],
)
def test_metadata_that_is_not_the_issuers_is_not_used(world: Any, said: Any, changes: dict[str, Any]) -> None:
    world.auth_server.metadata_changes = changes
    refused(world, said, world.token(), "standing.unknown", 503)


@pytest.mark.parametrize(("path", "with_token", "status"), [("/mcp", False, 401), ("/open/mcp", True, 200)])
def test_without_a_token_and_at_the_open_door_even_with_one_nothing_is_asked(
    world: Any, path: str, with_token: bool, status: int
) -> None:
    token = world.token() if with_token else None
    assert world.call("getUserInfo", token=token, path=path).status_code == status
    assert world.auth_server.asked == []


def test_every_request_is_asked_about(world: Any) -> None:
    token = world.token()
    for _ in range(3):
        world.call("listMcpShopInventory", token=token)
    assert world.auth_server.asked == ["metadata", "keys", "introspect", "introspect", "introspect"]
