"""A token that is bound to a key opens a shop for who proves that key, and for nobody else (RFC 9449, 7 and 9)."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from deputize.oauth.dpop import ProofKey
from tests.contract.shop import Shop, at_once, challenge_of, challenges_of, refusal, structured, wording

TOOL = "listMcpShopInventory"


class Holder:
    """Who has a token, and a key."""

    def __init__(self, shop: Shop, **changes: Any) -> None:
        self.shop, self.key = shop, ProofKey.generate()
        self.token = shop.token(cnf={"jkt": self.key.thumbprint}, **changes)

    def proof(self, method: str = "POST", path: str = "/mcp", token: str | None = None) -> str:
        return self.key.proof(method, self.shop.base + path, token=token or self.token)

    def call(self, proof: str | None = None, *, token: str | None = None, **headers: str) -> httpx2.Response:
        sent = {"authorization": f"DPoP {token or self.token}", "dpop": proof or self.proof(), **headers}
        return self.shop.call(TOOL, token=None, **sent)


@pytest.fixture
def holder(shop: Shop) -> Holder:
    return Holder(shop)


def refused(answer: httpx2.Response, rule: str, variant: str, error: str, scheme: str = "DPoP") -> None:
    decision = refusal(answer)
    assert (answer.status_code, decision["rule"], wording(decision)[0]) == (401, rule, variant)
    first, other = challenges_of(answer)
    assert first == scheme and other != scheme
    told = challenge_of(answer)
    assert told is not None and told["error"] == error
    assert "error" not in challenges_of(answer)[other]


def test_the_holder_of_the_key_is_served_and_the_shop_says_that_it_takes_proofs(shop: Shop, holder: Holder) -> None:
    structured(holder.call())
    structured(holder.call(proof=holder.key.proof("POST", f"{shop.base}/mcp?a=1#b", token=holder.token)))
    for path in ("mcp", "admin" if shop.name == "worker" else "account"):
        told = shop.http.get(f"{shop.base}/.well-known/oauth-protected-resource/{path}").json()
        assert told["dpop_signing_alg_values_supported"] == ["ES256"]
    anonymous = shop.call(TOOL, token=None)
    assert list(challenges_of(anonymous)) == ["Bearer", "DPoP"]
    assert challenges_of(anonymous)["DPoP"]["algs"] == "ES256"
    assert not {"error"} & {name for one in challenges_of(anonymous).values() for name in one}


def test_a_bound_token_is_no_bearer_token(shop: Shop, holder: Holder) -> None:
    refused(shop.call(TOOL, token=holder.token), "token.bound", "main", "invalid_token", "Bearer")
    # Nor with a proof beside it: by the scheme alone, so that nobody takes the one for the other (section 7.2).
    beside = shop.call(TOOL, token=holder.token, dpop=holder.proof())
    refused(beside, "token.bound", "main", "invalid_token", "Bearer")
    refused(holder.call(token=shop.token()), "token.bound", "unbound", "invalid_token")
    other = shop.token(cnf={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})
    refused(shop.call(TOOL, token=other), "token.bound", "unknown", "invalid_token", "Bearer")


def test_a_proof_of_anything_else_opens_nothing(shop: Shop, holder: Holder) -> None:
    thief = Holder(shop)
    for variant, proof in (
        ("key", thief.proof(token=holder.token)),
        ("method", holder.proof("GET")),
        ("url", holder.proof(path="/audit")),
        ("url", holder.key.proof("POST", "https://elsewhere.example/mcp", token=holder.token)),
        ("token", holder.proof(token=thief.token)),
        ("token", holder.key.proof("POST", f"{shop.base}/mcp")),
        ("malformed", "not a proof"),
        ("signature", holder.proof()[:-8] + "AAAAAAAA"),
        ("several", f"{holder.proof()}, {holder.proof()}"),
    ):
        answer = holder.call(proof)
        assert refusal(answer)["rule"] == "token.proof", variant
        refused(
            answer,
            "token.proof",
            variant,
            "invalid_dpop_proof",
        )
    alone = shop.call(TOOL, token=None, authorization=f"DPoP {holder.token}")
    refused(alone, "token.proof", "missing", "invalid_dpop_proof")
    structured(holder.call())


def test_a_proof_is_good_once(shop: Shop, holder: Holder) -> None:
    proof = holder.proof()
    structured(holder.call(proof))
    refused(holder.call(proof), "token.proof", "replayed", "invalid_dpop_proof")
    structured(holder.call())
    once = holder.proof()
    served = [answer.status_code for answer in at_once(8, lambda _: holder.call(once))]
    assert sorted(served) == [200, *[401] * 7]


def test_a_wrong_clock_is_made_good_by_a_nonce(shop: Shop, holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    for off in (-3600.0, 3600.0):
        clock = SimpleNamespace(time=lambda off=off: time.time() + off)
        monkeypatch.setattr("deputize.oauth.dpop.time", clock)
        late = holder.call()
        refused(late, "token.nonce", "time", "use_dpop_nonce")
        assert holder.key.heard(shop.base, late.headers["dpop-nonce"])
        structured(holder.call())
        holder.key._nonces.clear()
    monkeypatch.undo()
    holder.key.heard(shop.base, "1800000000.made-up")
    refused(holder.call(), "token.nonce", "nonce", "use_dpop_nonce")


def test_the_audit_log_wants_the_proof_too_and_has_each_refusal(shop: Shop, holder: Holder) -> None:
    url = f"{shop.base}/audit"
    refused(shop.audit(holder.token), "token.bound", "main", "invalid_token", "Bearer")

    def read(query: str = "") -> httpx2.Response:
        headers = {"authorization": f"DPoP {holder.token}", "dpop": holder.proof("GET", "/audit")}
        return shop.http.get(url + query, headers=headers)

    entries = read("?limit=50").json()["entries"]
    last = entries[-1]
    assert (last["rule"], last["verdict"]) == ("token.bound", "deny")


def test_a_revoked_grant_is_refused_with_the_best_of_proofs(shop: Shop) -> None:
    grant = shop.grant()
    key = ProofKey.generate()
    token = shop.token(grant, cnf={"jkt": key.thumbprint})

    def call() -> httpx2.Response:
        proof = key.proof("POST", f"{shop.base}/mcp", token=token)
        return shop.call(TOOL, token=None, authorization=f"DPoP {token}", dpop=proof)

    structured(call())
    shop.issuer.revoke("session", grant.session.id)
    assert refusal(call())["rule"] == "standing.session"
