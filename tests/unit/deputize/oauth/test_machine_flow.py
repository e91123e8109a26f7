"""Tokens without a human: keys, assertions and exchanges."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from joserfc import jwk, jwt

from deputize import ClientIdentity, OAuthRefused
from deputize.oauth.machine_flow import IdentityProvider, TokenRequest
from tests.unit.client.fakes import Reply, agent_at, granted, oauth
from tests.unit.deputize.oauth.conftest import AuthServer

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (jwk.ECKey.generate_key("P-256"), "ES256"),
        (jwk.RSAKey.generate_key(2048), "PS256"),
        (jwk.OKPKey.generate_key("Ed25519"), "Ed25519"),
    ],
)
def test_a_key_signs_an_assertion_for_this_authorization_server_alone(
    auth_server: AuthServer, tmp_path: Path, key: jwk.ECKey | jwk.RSAKey | jwk.OKPKey, algorithm: str
) -> None:
    identity = ClientIdentity(
        "robot",
        private_key=key.as_pem(private=True).decode(),
        algorithm=algorithm,
        method="private_key_jwt",
        issuer=auth_server.base,
    )
    agent = agent_at(auth_server.base, tmp_path, identity=identity)
    assert agent.authorizer.by_machine(TokenRequest()).client_id == "robot"
    (form,) = auth_server.forms
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    claims = jwt.decode(form["client_assertion"][0], key, algorithms=[algorithm]).claims
    assert claims["iss"] == claims["sub"] == "robot"
    assert claims["aud"] == auth_server.base
    assert time.time() < claims["exp"] < time.time() + 120
    assert claims["jti"]
    assert form["client_assertion"][0] not in repr(agent.recorder.exchanges)


def test_a_workloads_assertion_is_presented_as_the_grant(auth_server: AuthServer, tmp_path: Path) -> None:
    agent = agent_at(auth_server.base, tmp_path, client_id="workload")
    agent.authorizer.by_machine(TokenRequest(assertion="signed.by.platform"), ("jobs:run",))
    (form,) = auth_server.forms
    assert form["grant_type"] == [JWT_BEARER]
    assert form["assertion"] == ["signed.by.platform"]
    assert form["client_id"] == ["workload"]


def test_an_employers_id_token_is_exchanged_for_an_assertion(auth_server: AuthServer, tmp_path: Path) -> None:
    jag = "urn:ietf:params:oauth:token-type:id-jag"
    auth_server.shop.fake.on["/idp/token"] = Reply(
        json={"access_token": "the.assertion.itself", "issued_token_type": jag, "token_type": "N_A"}
    )
    idp = IdentityProvider(f"{auth_server.base}/idp/token", "https://idp.example", "agent-at-idp", "id.token.of-alice")
    agent = agent_at(auth_server.base, tmp_path, client_id="agent")
    agent.authorizer.by_machine(TokenRequest(idp=idp))
    (exchanged,) = (request.form for request in auth_server.shop.fake.to("/idp/token"))
    assert exchanged["subject_token"] == ["id.token.of-alice"]
    assert exchanged["requested_token_type"] == [jag]
    assert exchanged["audience"] == [auth_server.base]
    assert exchanged["resource"] == [f"{auth_server.base}/mcp"]
    assert auth_server.forms[0]["assertion"] == ["the.assertion.itself"]
    assert "id.token.of-alice" not in repr(agent.recorder.exchanges)


@pytest.mark.parametrize(
    "answer", [oauth("invalid_grant"), Reply(json={"access_token": "x", "issued_token_type": "other"}), Reply(json={})]
)
def test_an_exchange_that_gives_no_assertion_ends_there(auth_server: AuthServer, tmp_path: Path, answer: Reply) -> None:
    auth_server.shop.fake.on["/idp/token"] = answer
    idp = IdentityProvider(f"{auth_server.base}/idp/token", "https://idp.example", "agent-at-idp", "id.token.of-alice")
    with pytest.raises(OAuthRefused, match="exchanges no assertion"):
        agent_at(auth_server.base, tmp_path, client_id="agent").authorizer.by_machine(TokenRequest(idp=idp))
    assert auth_server.forms == []


def test_credentials_that_are_refused_are_told(auth_server: AuthServer, tmp_path: Path) -> None:
    auth_server.shop.polls(oauth("invalid_client", 401))
    with pytest.raises(OAuthRefused) as refused:
        agent_at(auth_server.base, tmp_path, client_id="robot").authorizer.by_machine(TokenRequest())
    assert refused.value.oauth_error == "invalid_client"
    auth_server.shop.polls(granted())
