"""Tokens bound to a key (RFC 9449)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwk, jwt

from demo.client import Agent
from deputize.oauth.dpop import ProofKey
from deputize.oauth.token_auth import DPoPToken
from tests.unit.client.fakes import Reply, Request, agent_at, granted, oauth
from tests.unit.client.fakes import log_in as log_in_for_real
from tests.unit.deputize.oauth.conftest import AuthServer, log_in


def read(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A proof, verified by the key in its own header."""
    header = json.loads(base64.urlsafe_b64decode(proof.split(".")[0] + "=="))
    found = jwt.decode(proof, jwk.ECKey.import_key(header["jwk"]), algorithms=["ES256"])
    return dict(found.header), dict(found.claims)


@pytest.fixture
def bound(auth_server: AuthServer) -> AuthServer:
    """An authorization server and a server that take part in DPoP."""
    auth_server.shop.metadata["dpop_signing_alg_values_supported"] = ["ES256"]
    auth_server.shop.resource["dpop_signing_alg_values_supported"] = ["ES256"]
    auth_server.shop.polls(granted(token_type="DPoP"))
    return auth_server


def test_a_proof_names_method_place_and_token_and_is_signed() -> None:
    proof = ProofKey.generate().proof("POST", "https://shop.example/mcp?a=1#b", token="abc")
    header, claims = read(proof)
    assert header["typ"] == "dpop+jwt"
    assert "d" not in header["jwk"], "the private key is in the proof"
    assert (claims["htm"], claims["htu"]) == ("POST", "https://shop.example/mcp")
    digest = hashlib.sha256(b"abc").digest()
    assert claims["ath"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_no_two_proofs_are_the_same() -> None:
    key = ProofKey.generate()
    seen = {read(key.proof("GET", "https://shop.example/"))[1]["jti"] for _ in range(20)}
    assert len(seen) == 20


def test_a_key_survives_the_store_and_is_the_same() -> None:
    key = ProofKey.generate()
    again = ProofKey.from_json(key.to_json())
    one, two = (read(each.proof("GET", "https://shop.example/"))[0]["jwk"] for each in (key, again))
    assert one == two


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"kty": "oct", "k": "AAAA"}'])
def test_what_is_no_private_key_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        ProofKey.from_json(text)


def test_the_token_is_asked_for_with_a_proof_and_presented_with_one(
    bound: AuthServer, agent: Agent, tmp_path: Path
) -> None:
    token = log_in(agent)
    (asked,) = bound.shop.fake.to("/token")
    assert read(asked.headers["dpop"])[1]["htu"] == f"{bound.base}/token"
    assert token.dpop_key is not None
    agent.call("listMcpShopInventory", {}, refresh=False)
    presented = bound.shop.fake.to("/mcp")[-1]
    assert presented.headers["authorization"] == f"DPoP {token.access_token}"
    assert "ath" in read(presented.headers["dpop"])[1]
    # After a restart the same key goes on, and renews.
    agent_at(bound.base, tmp_path, client_id=None).refresh()
    assert read(bound.shop.fake.to("/token")[-1].headers["dpop"])[0]["jwk"] == read(asked.headers["dpop"])[0]["jwk"]
    assert token.dpop_key not in repr(agent.recorder.exchanges)


def test_a_nonce_of_the_authorization_server_is_taken_up_once(bound: AuthServer, agent: Agent) -> None:
    wants = Reply(400, json={"error": "use_dpop_nonce"}, headers=(("dpop-nonce", "n-1"),))
    bound.shop.polls(wants, granted(token_type="DPoP"))
    log_in(agent)
    first, second = bound.shop.fake.to("/token")
    assert "nonce" not in read(first.headers["dpop"])[1]
    assert read(second.headers["dpop"])[1]["nonce"] == "n-1"


def test_an_authorization_server_that_is_never_content_with_its_nonce_is_asked_twice_at_most(
    bound: AuthServer, agent: Agent
) -> None:
    count = iter(range(100))

    def never(request: Request) -> Reply:
        return Reply(400, json={"error": "use_dpop_nonce"}, headers=(("dpop-nonce", f"n-{next(count)}"),))

    bound.shop.fake.on["/token"] = never
    with pytest.raises(Exception, match="no token for the code"):
        log_in(agent)
    assert len(bound.shop.fake.to("/token")) == 2


def test_a_nonce_of_the_server_is_taken_up_once(bound: AuthServer) -> None:
    refusal = (("www-authenticate", 'DPoP error="use_dpop_nonce"'), ("dpop-nonce", "rs-1"))
    bound.shop.fake.on["/mcp"] = [Reply(401, headers=refusal), Reply(200, json={})]
    with httpx2.Client(verify=False, auth=DPoPToken("abc", ProofKey.generate())) as http:
        assert http.post(f"{bound.base}/mcp").status_code == 200
    first, second = bound.shop.fake.to("/mcp")
    assert read(second.headers["dpop"])[1]["nonce"] == "rs-1"
    assert read(first.headers["dpop"])[1]["jti"] != read(second.headers["dpop"])[1]["jti"]


def test_where_only_one_side_takes_part_the_token_is_a_bearer_token(auth_server: AuthServer, agent: Agent) -> None:
    auth_server.shop.metadata["dpop_signing_alg_values_supported"] = ["ES256"]
    token = log_in(agent)
    assert token.dpop_key is None
    assert "dpop" not in auth_server.shop.fake.to("/token")[0].headers


def test_a_dpop_token_that_nobody_asked_for_is_not_used(auth_server: AuthServer, agent: Agent) -> None:
    auth_server.shop.polls(granted(token_type="DPoP"))
    with pytest.raises(Exception, match="cannot be used"):
        log_in(agent)
    assert agent.stored() is None
    auth_server.shop.polls(oauth("invalid_grant"))


def test_whatever_asks_with_a_bound_token_proves_the_key(bound: AuthServer, agent: Agent) -> None:
    """The look of `demo doctor`, userinfo, and a call with a token that is handed over: never as a bearer token."""
    from demo.client.capabilities import survey

    bound.shop.metadata["userinfo_endpoint"] = f"{bound.base}/userinfo"
    bound.shop.fake.on["/userinfo"] = Reply(json={"sub": "user-7"})
    bound.shop.polls(granted(token_type="DPoP", scope="openid"))
    token = log_in(agent)
    assert agent.userinfo(token) == {"sub": "user-7"}
    agent.call("x", {}, token=token)
    survey(agent)
    sent = [one.headers for one in bound.shop.fake.requests if one.headers.get("authorization")]
    assert len(sent) > 5
    assert {headers["authorization"].partition(" ")[0] for headers in sent} == {"DPoP"}
    assert all("ath" in read(headers["dpop"])[1] for headers in sent)


def test_a_token_that_is_bound_to_another_key_is_not_to_be_trusted(base_url: str, tmp_path: Path) -> None:
    agent = agent_at(base_url, tmp_path)
    log_in_for_real(agent)
    token = agent.token()
    seen = agent.view(token)
    assert token.dpop_key is not None and seen.holder == "key"
    assert seen.claim("cnf.jkt") == ProofKey.from_json(token.dpop_key).thumbprint
    assert not seen.problems
    for key in (ProofKey.generate().to_json(), None):
        assert agent.view(replace(token, dpop_key=key)).problems
