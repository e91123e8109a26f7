"""What is said of a token: verified only where a check succeeded, and who is who by the issuer's own convention."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from demo.client.claims import view
from demo.client.convention import parties
from demo.evidence import TokenView

NOW = 1_800_000_000.0
ISSUER = "https://issuer.example"
SHOP = "https://shop.example/mcp"
KEY = jwk.ECKey.generate_key("P-256", parameters={"kid": "k1"})
JWKS = {"keys": [KEY.as_dict(private=False)]}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "user_alice",
    "aud": SHOP,
    "client_id": "demo-agent",
    "act": {"sub": "agent_1"},
    "sid": "session_1",
    "scope": "shop:read shop:buy",
    "jti": "t1",
    "iat": NOW - 10,
    "exp": NOW + 290,
}


def token(claims: dict[str, Any] | None = None, key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "ES256", "kid": "k1", "typ": "at+jwt"} | header, CLAIMS | (claims or {}), key)


def seen(raw: str, **given: Any) -> TokenView:
    known: dict[str, Any] = {"issuer": ISSUER, "audience": SHOP, "jwks": JWKS, "jwks_url": f"{ISSUER}/jwks", "now": NOW}
    return view(raw, **(known | given))


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}."


def verified(found: TokenView) -> set[str]:
    return {claim.name for claim in found.claims if claim.verified}


def test_a_good_token_is_verified_claim_by_claim_and_says_against_what() -> None:
    found = seen(token())
    assert found.problems == ()
    assert found.signature == f"key kid=k1 of {ISSUER}/jwks"
    assert verified(found) == {*CLAIMS, "act.sub"} - {"act"}
    assert all(claim.against and "signature" in claim.against for claim in found.claims)
    assert all(claim.meaning.endswith(".") for claim in found.claims)
    assert found.claim("act.sub") == "agent_1"
    assert (found.scopes, found.expires_at) == (("shop:read", "shop:buy"), NOW + 290)


def test_the_token_itself_is_in_no_part_of_what_is_shown() -> None:
    raw = token()
    shown = repr(seen(raw))
    assert raw not in shown
    assert all(part not in shown for part in raw.split("."))


def test_a_changed_claim_verifies_nothing() -> None:
    head, body, signature = token().split(".")
    changed = CLAIMS | {"sub": "user_grace"}
    body = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    found = seen(f"{head}.{body}.{signature}")
    assert found.signature is None
    assert verified(found) == set()
    assert all(claim.against is None for claim in found.claims)
    assert any("signature does not verify" in problem for problem in found.problems)
    assert found.claim("sub") == "user_grace"


def test_a_token_that_signs_itself_off_with_none_is_not_verified() -> None:
    found = seen(unsigned({"alg": "none", "typ": "at+jwt"}, CLAIMS))
    assert found.signature is None and verified(found) == set() and found.problems


def test_the_public_key_is_no_shared_secret() -> None:
    # The classic confusion (RFC 8725 section 2.1): HS256 with the public key's bytes as the secret.
    signed = unsigned({"alg": "HS256", "kid": "k1", "typ": "at+jwt"}, CLAIMS).rstrip(".")
    mac = hmac.digest(KEY.as_pem(private=False), signed.encode(), "sha256")
    found = seen(f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")
    assert found.kind == "jwt"
    assert found.signature is None and verified(found) == set()


def test_another_issuers_key_of_the_same_name_does_not_verify() -> None:
    other = jwk.ECKey.generate_key("P-256", parameters={"kid": "k1"})
    assert seen(token(key=other)).signature is None


@pytest.mark.parametrize(
    "broken", [{}, {"keys": None}, {"keys": [1, None, {"kty": "EC"}, {"kty": "hm", "kid": "k1"}]}, {"keys": {}}]
)
def test_broken_keys_verify_nothing_and_break_nothing(broken: dict[str, Any]) -> None:
    found = seen(token(), jwks=broken)
    assert found.signature is None and found.problems


def test_one_odd_key_does_not_spoil_the_others() -> None:
    assert seen(token(), jwks={"keys": [{"kty": "future", "kid": "x"}, *JWKS["keys"]]}).signature is not None


def test_without_keys_nothing_is_verified_and_the_reason_is_told() -> None:
    found = seen(token(), jwks=None, no_keys="they could not be fetched")
    assert verified(found) == set()
    assert found.problems == ("its signature was not checked: they could not be fetched",)


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        ({"aud": "https://other.example"}, "aud", "audience is https://other.example, this shop is"),
        ({"aud": ["https://other.example"]}, "aud", "audience is"),
        ({"iss": "https://evil.example"}, "iss", "issuer is https://evil.example"),
        ({"exp": NOW - 12}, "exp", "expired 12 s ago"),
        ({"exp": "soon"}, "exp", "it has no end"),
        ({"nbf": NOW + 60}, "nbf", "not valid for another 60 s"),
    ],
)
def test_a_claim_that_fails_its_check_is_not_verified_though_signed(
    change: dict[str, Any], name: str, says: str
) -> None:
    found = seen(token(change))
    assert found.signature is not None
    assert name not in verified(found) and "sub" in verified(found)
    assert any(says in problem for problem in found.problems)


def test_a_list_of_audiences_may_hold_this_one() -> None:
    assert seen(token({"aud": ["https://other.example", SHOP]})).problems == ()


def test_another_type_of_token_is_said_to_be_one() -> None:
    assert any("typ is JWT" in problem for problem in seen(token(typ="JWT")).problems)
    assert seen(token(typ="application/at+jwt")).problems == ()


@pytest.mark.parametrize(
    "raw", ["sk_opaque_0123456789", "a.b.c", "e30.e30.x", "eyJhbGciOiJub25lIn0.e30", "a.b.c.d.e", "...", ""]
)
def test_what_cannot_be_read_is_opaque_and_says_what_cannot_be_known(raw: str) -> None:
    found = seen(raw, expires_at=NOW - 9, scopes=("shop:read",))
    assert (found.kind, found.signature, found.header) == ("opaque", None, ())
    assert found.problems[0].startswith("it is opaque")
    assert "expired 9 s ago" in found.problems[1]
    assert verified(found) == set()
    assert not raw or raw == "..." or raw not in repr(found)


@given(st.text(max_size=80) | st.text("eyJ.-_=A", max_size=80))
def test_no_text_makes_the_reader_fail(raw: str) -> None:
    assert seen(raw).kind in ("jwt", "opaque")


def test_escapes_in_claims_reach_nobodys_terminal() -> None:
    found = seen(token({"sub": "\x1b[2Jalice\n\u202e", "odd\x07": "x"}))
    shown = "".join(claim.name + claim.value for claim in found.claims)
    assert not {"\x1b", "\n", "\u202e", "\x07"} & set(shown)
    assert found.claim("sub") == "\u241b[2Jalice\u240a<U+202E>"


@pytest.mark.parametrize(
    ("claims", "human", "agent", "named"),
    [
        ({"sub": "user_a", "act": {"sub": "agent_1"}, "client_id": "c"}, "user_a", "agent_1", "RFC 8693"),
        ({"sub": "agent_1", "act": {"sub": "user_a"}, "client_id": "c"}, "user_a", "agent_1", "WorkOS"),
        ({"sub": "x1", "act": {"sub": "y1"}, "iss": "https://acme.authkit.app"}, "y1", "x1", "WorkOS"),
        ({"sub": "x1", "act": {"sub": "y1"}, "iss": "https://authkit.app.evil.example"}, "x1", "y1", "RFC 8693"),
        (
            {"sub": "user_a", "act": {"sub": "agent_1"}, "iss": "https://api.workos.com"},
            "user_a",
            "agent_1",
            "RFC 8693",
        ),
        ({"sub": "user_a", "client_id": "c"}, "user_a", "", "no agent is named"),
        ({"sub": "c", "client_id": "c"}, "", "c", "no human is in it"),
        ({}, "", "", "no agent is named"),
        ({"sub": 7, "act": "agent", "client_id": None}, "", "", "no agent is named"),
    ],
)
def test_who_is_who_is_read_by_the_issuers_convention_and_told(
    claims: dict[str, Any], human: str, agent: str, named: str
) -> None:
    who = parties(claims)
    assert (who.human, who.agent) == (human, agent)
    assert named in who.convention


def test_the_claims_say_which_of_them_is_the_human() -> None:
    by_name = {claim.name: claim.meaning for claim in seen(token()).claims}
    assert "here the human" in by_name["sub"] and "here the agent" in by_name["act.sub"]
    swapped = seen(token({"sub": "agent_1", "act": {"sub": "user_alice"}}))
    by_name = {claim.name: claim.meaning for claim in swapped.claims}
    assert "here the agent" in by_name["sub"] and "here the human" in by_name["act.sub"]


def test_a_chain_of_actors_is_told_to_its_end_and_no_further() -> None:
    nested: dict[str, Any] = {"sub": "agent_9"}
    for number in range(20):
        nested = {"sub": f"agent_{number}", "act": nested}
    found = seen(token({"act": nested}))
    assert found.claim("act.act.sub") == "agent_18"
    assert len(found.claims) < 40
