"""What a proof of possession is worth (RFC 9449 section 4.3): the check of authorization server, shop and Worker, by
the same cases."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.jwk import ECKey

from demo.auth_server.grants import bound
from demo.proofs import LONGEST_ID, Nonces, Proof, ProofRefused, Received, check, digest, encoded
from demo.shop import proofs as shop_proofs
from demo.shop.facts import Case, Rules, TokenFacts
from deputize.oauth.dpop import ProofKey
from tests.conftest import ROOT

CASES: list[dict[str, Any]] = json.loads((ROOT / "worker" / "test" / "proofs.json").read_text("utf-8"))
NOW = 1_800_000_000.0
HERE = "https://shop.example/mcp"
TOKEN = "eyJ.eyJ.c2ln"
KEY, OTHER, NONCES = ECKey.generate_key("P-256"), ECKey.generate_key("P-256"), Nonces()


def made(case: dict[str, Any]) -> str:
    """The proof of a case: a good one, with what the case changes in it; None takes a member away."""
    named = OTHER if case.get("key") == "other" else KEY
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": named.as_dict(private=case.get("key") == "private")}
    claims: dict[str, Any] = {"jti": secrets.token_urlsafe(8), "htm": "POST", "htu": HERE, "ath": digest(TOKEN)}
    claims["iat"] = NOW - case.get("age", 0)
    if "nonce" in case:
        claims["nonce"] = NONCES.issue(NOW - case["nonce"])
    header, claims = (
        {name: value for name, value in {**one, **case.get(part, {})}.items() if value is not None}
        for part, one in (("header", header), ("claims", claims))
    )
    body = json.dumps(claims).encode()
    text = jws.serialize_compact({"alg": "ES256"}, body, KEY).split(".")
    text[0] = encoded(json.dumps(header).encode())
    text[2] = encoded(signature(f"{text[0]}.{text[1]}".encode()))
    if case.get("key") == "tampered":
        text[1] = encoded(json.dumps({**claims, "jti": "another"}).encode())
    return ".".join(text)


def signature(signed: bytes) -> bytes:
    """An ES256 signature over whatever the header says, also where it names another algorithm (RFC 7518, 3.4)."""
    r, s = decode_dss_signature(KEY.private_key.sign(signed, ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["what"]))
def test_a_proof_is_judged_as_the_worker_judges_it(case: dict[str, Any]) -> None:
    one = made(case)
    sent = tuple(one if text == "same" else text for text in case.get("raw", ["same"]))
    try:
        proof = check(Received(sent, "POST", (HERE,)), now=NOW, nonces=NONCES, token=TOKEN)
    except ProofRefused as refused:
        assert refused.fault == case["fault"]
        assert refused.wants_nonce is (case["fault"] in ("time", "nonce"))
    else:
        assert case["fault"] is None
        assert proof.key == KEY.thumbprint()
        assert NOW <= proof.until <= NOW + 300 and len(proof.id) < LONGEST_ID


def test_the_agents_own_proof_holds_and_no_other_proof_has_its_id() -> None:
    agent = ProofKey.generate()
    sent = [Received((agent.proof("POST", f"{HERE}?a=1", token=TOKEN),), "POST", (HERE,)) for _ in range(2)]
    one, two = (check(proof, now=time.time(), nonces=NONCES, token=TOKEN) for proof in sent)
    assert one.key == two.key and one.id != two.id
    assert check(sent[0], now=time.time(), nonces=NONCES, token=TOKEN) == one, "a replay is known by its id"


def test_a_nonce_of_another_process_is_none_of_ours() -> None:
    assert NONCES.made_at(NONCES.issue(NOW)) == NOW
    for made_up in (Nonces().issue(NOW), "", ".", "1800000000.", "\u0661.x", NONCES.issue(NOW).replace("18", "19")):
        assert NONCES.made_at(made_up) is None


@pytest.mark.parametrize("weakened", [False, True])
def test_a_proof_that_comes_again_as_it_ends_is_still_known(weakened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9449 section 11.1: checked just before its end, it is used up just after, when others have tidied up."""
    if weakened:
        monkeypatch.setattr(shop_proofs, "REMEMBERED_SECONDS", 0.0)
        monkeypatch.setattr(bound, "REMEMBERED_SECONDS", 0.0)
    mine, others = Proof("a key", "mine", until=100.0), Proof("another", "theirs", until=150.0)
    rules = Rules("r", "i", frozenset())
    with contextlib.closing(sqlite3.connect(":memory:")) as file:
        for table in ("shop_proofs", "oauth_proofs"):
            file.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, until REAL NOT NULL)")

        def at_the_shop(proof: Proof, now: float) -> bool:
            return shop_proofs.spend(file, Case(TokenFacts(), now, rules, proof=proof)).unproved is None

        def at_the_authorization_server(proof: Proof, now: float) -> bool:
            return bound.remember(file, proof, now)

        for take in (at_the_shop, at_the_authorization_server):
            assert take(mine, 50.0) and take(others, 100.1)
            assert take(mine, 99.9) is weakened
