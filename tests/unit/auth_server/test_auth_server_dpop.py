"""Tokens bound to a key (RFC 9449): at the token endpoint, in what it issues, and at the server's own resources."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import httpx2
import pytest

from deputize.oauth.dpop import ProofKey
from tests.unit.auth_server.conftest import CALLBACK, DEVICE_CODE, VERIFIER, House


class Holder:
    """A client with a key, which takes up the nonce that the server asks it for: its clock is not the server's."""

    def __init__(self, house: House) -> None:
        self.house, self.key = house, ProofKey.generate()
        self.jkt = self.key.thumbprint

    def proof(self, method: str, path: str, token: str | None = None) -> str:
        return self.key.proof(method, self.house.base + path, token=token)

    def post(self, path: str, **fields: str) -> httpx2.Response:
        for _ in range(2):
            headers = {"dpop": self.proof("POST", path)}
            answer = self.house.http.post(path, data=fields, headers=headers)
            if not self.key.heard(self.house.base, answer.headers.get("dpop-nonce")):
                break
        return answer

    def refresh(self, token: str, **fields: str) -> httpx2.Response:
        return self.post(
            "/oauth2/token", grant_type="refresh_token", refresh_token=token, client_id="demo-agent", **fields
        )

    def get(self, path: str, token: str, *, scheme: str = "DPoP", proof: str | None = None) -> httpx2.Response:
        for _ in range(2):
            headers = {"authorization": f"{scheme} {token}", "dpop": proof or self.proof("GET", path, token)}
            answer = self.house.http.get(path, headers=headers)
            if not self.key.heard(self.house.base, answer.headers.get("dpop-nonce")):
                break
        return answer


@pytest.fixture
def holder(house: House) -> Holder:
    return Holder(house)


def login(holder: Holder, **values: str) -> dict[str, str]:
    asked = holder.house.ask(**values).json()
    holder.house.browser().decide(asked["user_code"])
    answer = holder.post(
        "/oauth2/token", grant_type=DEVICE_CODE, device_code=asked["device_code"], client_id="demo-agent"
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


def test_a_token_for_who_proves_a_key_is_bound_to_it(house, holder, read_claims):
    assert house.http.get("/.well-known/oauth-authorization-server").json()["dpop_signing_alg_values_supported"] == [
        "ES256"
    ]
    token = login(holder)
    assert token["token_type"] == "DPoP"
    assert read_claims(token["access_token"])["cnf"] == {"jkt": holder.jkt}
    told = house.introspect(token["access_token"])
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": holder.jkt})
    plain = house.login()
    assert plain["token_type"] == house.introspect(plain["access_token"])["token_type"] == "Bearer"
    assert "cnf" not in read_claims(plain["access_token"])


def test_a_refresh_token_of_a_public_client_is_good_for_its_key_alone(house, holder, read_claims):
    first = login(holder)["refresh_token"]
    thief = Holder(house)
    for after in (0, 60):  # nor can the thief end the session with it, once it was used
        house.clock.forward(after)
        assert (house.refresh(first).status_code, house.refresh(first).json()["error"]) == (400, "invalid_dpop_proof")
        stolen = thief.refresh(first)
        assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
        if not after:
            second = holder.refresh(first).json()
    assert read_claims(second["access_token"])["cnf"] == {"jkt": holder.jkt}
    assert holder.refresh(second["refresh_token"]).status_code == 200


def test_a_bearer_clients_refresh_becomes_bound_when_it_proves_a_key(house, holder):
    fresh = holder.refresh(house.login()["refresh_token"]).json()
    assert fresh["token_type"] == "DPoP"
    assert house.refresh(fresh["refresh_token"]).json()["error"] == "invalid_dpop_proof"


def test_a_code_is_redeemed_with_the_key_that_its_request_named(house, holder):
    code = house.code(dpop_jkt=holder.jkt)
    fields = {"grant_type": "authorization_code", "code": code, "client_id": "demo-agent", "code_verifier": VERIFIER}
    assert house.exchange(code).json()["error"] == "invalid_dpop_proof"
    assert Holder(house).post("/oauth2/token", **fields, redirect_uri=CALLBACK).json()["error"] == "invalid_grant"
    token = holder.post("/oauth2/token", **fields, redirect_uri=CALLBACK)
    assert (token.status_code, token.json()["token_type"]) == (200, "DPoP")
    assert house.authorize(dpop_jkt="no thumbprint").told["error"] == "invalid_request"


@pytest.mark.parametrize(
    "wrong", ["GET", "https://other.example/oauth2/token", "two", "garbage"], ids=["method", "url", "several", "text"]
)
def test_a_proof_of_anything_else_gets_no_token(house, holder, wrong):
    refresh = house.login()["refresh_token"]
    holder.refresh("unknown")  # for a nonce
    method, url = ("GET", f"{house.base}/oauth2/token") if wrong == "GET" else ("POST", wrong)
    proofs = [holder.proof("POST", "/oauth2/token")] * 2 if wrong == "two" else [holder.key.proof(method, url)]
    answer = house.http.post(
        "/oauth2/token",
        data={"grant_type": "refresh_token", "refresh_token": refresh, "client_id": "demo-agent"},
        headers=[("dpop", proof) for proof in (["garbage"] if wrong == "garbage" else proofs)],
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert house.refresh(refresh).status_code == 200, "it used nothing up"


def test_a_clock_that_is_off_is_made_good_by_a_nonce_and_a_proof_is_good_once(house, holder):
    refresh = house.login()["refresh_token"]
    data = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": "demo-agent"}

    def send(proof: str) -> httpx2.Response:
        return house.http.post("/oauth2/token", data=data, headers={"dpop": proof})

    first = send(holder.proof("POST", "/oauth2/token"))  # the test's clock is months ahead
    assert (first.status_code, first.json()["error"]) == (400, "use_dpop_nonce")
    holder.key.heard(house.base, first.headers["dpop-nonce"])
    proof = holder.proof("POST", "/oauth2/token")
    assert send(proof).status_code == 200
    assert (send(proof).status_code, send(proof).json()["error"]) == (400, "invalid_dpop_proof")
    house.clock.forward(301)
    assert send(holder.proof("POST", "/oauth2/token")).json()["error"] == "use_dpop_nonce", "a nonce gets old"

    def kept() -> int:
        with closing(sqlite3.connect(house.database)) as connection:
            found: tuple[int] = connection.execute("SELECT count(*) FROM oauth_proofs").fetchone()
            return found[0]

    # Proofs of those who get nothing are not kept, or anybody could fill the table; and none longer than it is good.
    assert [Holder(house).refresh("unknown").status_code, kept()] == [400, 1]
    house.clock.forward(301)
    assert [holder.refresh(house.login()["refresh_token"]).status_code, kept()] == [200, 1]


def test_userinfo_takes_a_bound_token_with_a_proof_alone(house, holder):
    place = "/oauth2/userinfo"
    first = login(holder)
    token = holder.refresh(first["refresh_token"], resource=house.base + place).json()["access_token"]
    assert holder.get(place, token).json()["email"] == "alice@example.com"

    def refused(answer: httpx2.Response, scheme: str, error: str) -> None:
        challenges = answer.headers.get_list("www-authenticate")
        assert answer.status_code == 401
        assert challenges[0].startswith(f"{scheme} ") and f'error="{error}"' in challenges[0], challenges
        assert {one.split()[0] for one in challenges} == {"DPoP", "Bearer"}

    refused(holder.get(place, token, scheme="Bearer"), "Bearer", "invalid_token")
    refused(house.http.get(place, headers={"authorization": f"DPoP {token}"}), "DPoP", "invalid_dpop_proof")
    thief = Holder(house)
    refused(thief.get(place, token), "DPoP", "invalid_dpop_proof")
    refused(
        holder.get(place, token, proof=holder.proof("GET", "/account/sessions", token)), "DPoP", "invalid_dpop_proof"
    )
    refused(holder.get(place, token, proof=holder.proof("GET", place, "another")), "DPoP", "invalid_dpop_proof")
    used = holder.proof("GET", place, token)
    assert holder.get(place, token, proof=used).status_code == 200
    refused(holder.get(place, token, proof=used), "DPoP", "invalid_dpop_proof")
    unbound = house.refresh(house.login()["refresh_token"], resource=house.base + place).json()["access_token"]
    refused(holder.get(place, unbound), "DPoP", "invalid_token")
    assert house.http.get(place, headers={"authorization": f"Bearer {unbound}"}).status_code == 200


def test_a_client_that_always_proves_a_key_gets_no_bearer_token(house, holder):
    """Section 5.2."""
    told = house.register(dpop_bound_access_tokens=True)
    assert (told.status_code, told.json()["dpop_bound_access_tokens"]) == (201, True)
    client = told.json()["client_id"]
    code = house.code(client_id=client, redirect_uri="http://127.0.0.1:49152/callback")
    assert house.exchange(code, client_id=client).json()["error"] == "invalid_dpop_proof"
    fields = {"grant_type": "authorization_code", "code": code, "client_id": client, "code_verifier": VERIFIER}
    assert holder.post("/oauth2/token", **fields, redirect_uri=CALLBACK).json()["token_type"] == "DPoP"
    assert "dpop_bound_access_tokens" not in house.register(dpop_bound_access_tokens=False).json()
    assert house.register(dpop_bound_access_tokens="yes").json()["error"] == "invalid_client_metadata"
