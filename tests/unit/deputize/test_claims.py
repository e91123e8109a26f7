"""What an agent may say of a token: verified means that a signature was checked, and nothing else does."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jws

from deputize.evidence import TokenView
from deputize.tokens.claim_meanings import parties
from deputize.tokens.claims import take_apart, view

NOW = 1_800_000_000.0
ISSUER = "https://authority.example"
SHOP = "https://shop.example/mcp"
JWKS_URL = f"{ISSUER}/oauth2/jwks"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "user_alice",
    "aud": SHOP,
    "client_id": "demo-agent",
    "act": {"sub": "agent_1"},
    "scope": "shop:read shop:buy",
    "jti": "token_1",
    "iat": NOW - 10,
    "exp": NOW + 290,
}
EC = jwk.ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
OTHER = jwk.ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def jwks(*keys: Any) -> dict[str, Any]:
    return {"keys": [key if isinstance(key, dict) else key.as_dict(private=False) for key in keys or (EC,)]}


def signed(
    claims: dict[str, Any] | None = None, key: Any = EC, header: dict[str, Any] | None = None, **changes: Any
) -> str:
    whole = {name: value for name, value in ((claims or CLAIMS) | changes).items() if value is not None}
    head = {"alg": "ES256", "typ": "at+jwt", "kid": "one"} | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    return jws.serialize_compact(head, json.dumps(whole), key, algorithms=[head["alg"]])


def test_a_claim_that_is_null_is_absent() -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"sub": "user_alice", "act": None, "scope": None}).encode())
    found = take_apart(f"eyJhbGciOiJub25lIn0.{payload.decode().rstrip('=')}.")
    assert found is not None and found.claims == {"sub": "user_alice"}


def seen(token: str, keys: dict[str, Any] | None = None, **more: Any) -> TokenView:
    given: dict[str, Any] = {"issuer": ISSUER, "audience": SHOP, "jwks_url": JWKS_URL, "now": NOW}
    return view(token, jwks=jwks() if keys is None else keys, **(given | more))


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def assert_not_verified(found: TokenView) -> None:
    assert found.signature is None
    assert not any(claim.verified for claim in found.claims)
    assert any("signature" in problem for problem in found.problems)


def test_a_good_token_is_verified_against_the_key_that_signed_it() -> None:
    found = seen(signed())
    assert found.signature == f"key kid=one of {JWKS_URL}"
    assert found.problems == ()
    assert all(claim.verified and claim.against for claim in found.claims)
    assert found.scopes == ("shop:read", "shop:buy")
    assert (found.claim("act.sub"), found.expires_at) == ("agent_1", NOW + 290)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_changed_in_one_character_is_not_verified(part: int) -> None:
    parts = signed().split(".")
    at = len(parts[part]) // 2
    parts[part] = parts[part][:at] + ("A" if parts[part][at] != "A" else "B") + parts[part][at + 1 :]
    found = seen(".".join(parts))
    assert found.signature is None
    assert not any(claim.verified for claim in found.claims)


def test_a_changed_payload_under_an_old_signature_is_not_verified() -> None:
    header, _, signature = signed().split(".")
    forged = f"{header}.{encoded(CLAIMS | {'sub': 'user_mallory'})}.{signature}"
    assert_not_verified(seen(forged))
    assert seen(forged).claim("sub") == "user_mallory"  # claimed, and said to be no more than that


def test_another_key_with_the_same_kid_does_not_verify() -> None:
    assert_not_verified(seen(signed(key=OTHER)))


def test_a_kid_that_the_authority_does_not_have_does_not_verify() -> None:
    assert_not_verified(seen(signed(header={"kid": "two"}), jwks(EC, RSA)))


def test_a_key_that_the_token_brings_along_is_no_proof() -> None:
    own = OTHER.as_dict(private=False)
    assert_not_verified(seen(signed(key=OTHER, header={"jwk": own, "jku": "https://mallory.example/jwks"})))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_a_token_that_says_it_needs_no_signature_is_not_verified(alg: str, signature: str) -> None:
    forged = f"{encoded({'alg': alg, 'typ': 'at+jwt'})}.{encoded(CLAIMS)}.{signature}"
    assert_not_verified(seen(forged))


@pytest.mark.parametrize("key", [EC, RSA])
def test_a_public_key_used_as_a_shared_secret_does_not_verify(key: Any) -> None:
    for secret in (
        key.as_pem(private=False),
        key.as_der(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
    ):
        signing = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': key.kid})}.{encoded(CLAIMS)}"
        forged = f"{signing}.{encoded(hmac.digest(secret, signing.encode(), 'sha256'))}"
        assert_not_verified(seen(forged, jwks(key)))


def test_a_shared_secret_published_as_a_key_verifies_nothing() -> None:
    shared = jwk.OctKey.generate_key(256, {"kid": "one"})
    published = {"keys": [shared.as_dict(private=True)]}
    assert_not_verified(seen(signed(key=shared, header={"alg": "HS256"}), published))


def by_hand(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token signed without the library, which would refuse to write such a header."""
    signing = f"{encoded(header)}.{encoded(claims)}"
    private = EC.private_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(private.sign(signing.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def test_a_critical_extension_that_is_not_understood_does_not_verify() -> None:
    assert_not_verified(seen(by_hand({"alg": "ES256", "kid": "one", "crit": ["x"], "x": 1}, CLAIMS)))


def test_a_header_parameter_of_the_issuers_own_hinders_nothing() -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "one", "org.example/x": 1, "x5c": ["A" * 1200]}
    assert seen(by_hand(header, CLAIMS)).problems == ()


def test_an_edwards_curve_verifies_and_says_nothing_on_the_terminal(recwarn: pytest.WarningsRecorder) -> None:
    edwards = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})
    for alg in ("EdDSA", "Ed25519"):
        token = signed(key=edwards, header={"alg": alg, "kid": "ed"})
        recwarn.clear()
        assert seen(token, jwks(edwards)).signature is not None
        assert list(recwarn) == []


@pytest.mark.parametrize(
    "keys", [{}, {"keys": []}, {"keys": None}, {"keys": 7}, {"keys": [7, "x", None]}, {"keys": [{"kty": "EC"}]}]
)
def test_without_a_usable_key_nothing_is_verified(keys: dict[str, Any]) -> None:
    assert_not_verified(seen(signed(), keys))


def test_keys_of_kinds_to_come_do_not_spoil_the_set() -> None:
    strange = [{"kty": "AKP", "kid": "pq"}, {"kty": "EC", "crv": "P-9", "x": "a", "y": "b", "kid": "z"}, 7]
    assert seen(signed(), jwks(*[key for key in strange if isinstance(key, dict)], EC)).signature is not None
    assert seen(signed(), {"keys": [7, EC.as_dict(private=False)]}).signature is not None


def test_a_key_for_encryption_verifies_no_signature() -> None:
    assert_not_verified(seen(signed(), jwks(EC.as_dict(private=False) | {"use": "enc"})))


def test_rsa_signatures_verify_too() -> None:
    assert seen(signed(key=RSA, header={"alg": "RS256", "kid": "rsa"}), jwks(EC, RSA)).signature is not None


def test_without_the_keys_it_is_said_why() -> None:
    found = view(
        signed(), issuer=ISSUER, audience=SHOP, jwks=None, jwks_url=None, no_keys="the authority is silent", now=NOW
    )
    assert_not_verified(found)
    assert "the authority is silent" in found.problems[0]


@pytest.mark.parametrize(
    ("changes", "words", "claim"),
    [
        ({"aud": "https://other.example"}, f"audience is https://other.example, this shop is {SHOP}", "aud"),
        ({"aud": ["a", "b"]}, 'audience is ["a", "b"]', "aud"),
        ({"iss": "https://mallory.example"}, "issuer is https://mallory.example", "iss"),
        ({"exp": NOW - 12}, "expired 12 s ago", "exp"),
        ({"exp": None}, "no end", None),
        ({"exp": "soon"}, "no end", "exp"),
        ({"nbf": NOW + 60}, "not valid for another 60 s", "nbf"),
        ({"aud": None}, "audience", None),
    ],
)
def test_a_claim_that_does_not_hold_is_said_in_words(changes: dict[str, Any], words: str, claim: str | None) -> None:
    found = seen(signed(**changes))
    assert any(words in problem for problem in found.problems), found.problems
    assert found.signature is not None  # it was signed all the same
    if claim is not None:
        assert next(one for one in found.claims if one.name == claim).verified is False
    assert next(one for one in found.claims if one.name == "sub").verified is True


def test_an_audience_among_several_is_one() -> None:
    assert seen(signed(aud=["https://other.example", SHOP])).problems == ()


def test_clocks_may_differ_by_a_moment() -> None:
    assert seen(signed(exp=NOW - 1)).problems == ()


def test_an_id_token_is_no_access_token() -> None:
    assert any("typ is JWT" in problem for problem in seen(signed(header={"typ": "JWT"})).problems)
    assert seen(signed(header={"typ": "application/at+jwt"})).problems == ()


def test_an_opaque_token_is_told_for_what_it_is() -> None:
    found = view("opaque-0123456789", issuer=ISSUER, audience=SHOP, jwks=None, jwks_url=None, now=NOW, scopes=("a",))
    assert (found.kind, found.signature, found.masked) == ("opaque", None, "[masked]")
    assert "RFC 7662" in found.problems[0]
    assert not any(claim.verified for claim in found.claims)


def test_an_opaque_token_ends_when_the_response_said_so() -> None:
    found = view("opaque", issuer=ISSUER, audience=None, jwks=None, jwks_url=None, now=NOW, expires_at=NOW - 30)
    assert any("expired 30 s ago" in problem for problem in found.problems)


def test_rfc_8693_names_the_human_in_sub_and_the_agent_in_act() -> None:
    who = parties(CLAIMS)
    assert (who.human, who.agent) == ("user_alice", "agent_1")
    assert "RFC 8693" in who.convention and "act.act" not in who.convention
    nested = parties({"sub": "user_1", "act": {"sub": "agent_2", "act": {"sub": "agent_1"}}})
    assert nested.agent == "agent_2" and "act.act.sub" in nested.convention


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://x.authkit.app", "sub": "agent_1", "act": {"sub": "user_1"}},
        {"iss": "https://api.workos.com/x", "sub": "client_1", "act": {"sub": "someone"}},
        {"iss": "https://own.example", "sub": "agent_1", "act": {"sub": "user_1"}},
        {"iss": "https://own.example", "sub": "one", "sub_profile": "ai_agent", "act": {"sub": "two"}},
    ],
)
def test_workos_names_the_human_in_act_and_the_agent_in_sub(claims: dict[str, Any]) -> None:
    who = parties(claims)
    assert (who.human, who.agent) == (claims["act"]["sub"], claims["sub"])
    assert "WorkOS" in who.convention


@pytest.mark.parametrize("issuer", ["https://authkit.app.mallory.example", "https://notauthkit.app", "https://[", 7])
def test_an_issuer_that_only_looks_like_workos_is_not(issuer: Any) -> None:
    assert "RFC 8693" in parties({"iss": issuer, "sub": "a", "act": {"sub": "b"}}).convention


def test_identifiers_that_say_what_they_are_go_before_the_issuers_habit() -> None:
    who = parties({"iss": "https://x.authkit.app", "sub": "user_1", "act": {"sub": "agent_1"}})
    assert (who.human, who.agent) == ("user_1", "agent_1")


def test_workos_connect_names_the_software_and_the_consent_and_no_instance() -> None:
    claims = {"iss": "https://shop.authkit.app", "sub": "user_1", "client_id": "client_1", "sid": "app_consent_1"}
    who = parties(claims)
    assert (who.human, who.agent, who.agent_claim, who.consent_claim) == ("user_1", "client_1", "client_id", "sid")
    assert "WorkOS Connect" in who.convention
    elsewhere = parties(claims | {"iss": "https://own.example"})
    assert (elsewhere.agent, elsewhere.consent_claim) == ("", "consent_id")


def test_an_admin_who_impersonates_a_user_is_no_agent() -> None:
    claims = {"iss": "https://api.workos.com", "sub": "user_1", "act": {"sub": "admin@example.com"}}
    who = parties(claims)
    assert (who.human, who.agent) == ("user_1", "admin@example.com")
    assert "impersonation" in who.convention
    assert "RFC 8693" in parties(claims | {"iss": "https://own.example"}).convention


def test_workos_says_of_a_subject_that_it_is_a_user_and_is_believed() -> None:
    who = parties({"iss": "https://x.authkit.app", "sub": "one", "sub_profile": "user", "act": {"sub": "two"}})
    assert (who.human, who.agent) == ("one", "two")


@pytest.mark.parametrize(
    "claims", [{"sub": "one", "sub_profile": "ai_agent"}, {"sub": "agent_instance_1", "client_id": "client_1"}]
)
def test_a_workos_agent_that_acts_for_itself_has_no_human_in_it(claims: dict[str, Any]) -> None:
    who = parties(claims)
    assert (who.human, who.agent, who.agent_claim) == ("", claims["sub"], "sub")
    assert "WorkOS" in who.convention


def test_a_token_of_a_client_for_itself_has_no_human_in_it() -> None:
    who = parties({"sub": "client_1", "client_id": "client_1"})
    assert (who.human, who.agent) == ("", "client_1")


def test_escapes_in_a_token_reach_nobodys_terminal() -> None:
    header = {"alg": "ES256", "kid": "one", "x\x1b": "\x9b", "typ": "\x1b]0;x\x07"}
    found = seen(by_hand(header, CLAIMS | {"sub": "\x1b[2Juser", "cl\x1baim": "\u202e", "iss": "\x1bc"}))
    assert found.signature is not None
    shown = [*found.problems, *(text for pair in found.header for text in pair)]
    shown += [text for claim in found.claims for text in (claim.name, claim.value, claim.against or "")]
    assert not set("\x1b\x9b\x07\u202e") & set("".join(shown))


@given(st.text() | st.text("eyJ.-_A0", max_size=40))
def test_no_token_makes_the_reader_fail(token: str) -> None:
    seen(token)


@given(JSON, st.sampled_from(sorted(CLAIMS)))
def test_no_claim_makes_the_reader_fail(value: Any, name: str) -> None:
    header = encoded({"alg": "ES256", "typ": value, "kid": value})
    found = seen(f"{header}.{encoded(CLAIMS | {name: value})}.AAAA")
    assert found.signature is None


def test_a_token_nested_beyond_reason_is_read_or_called_opaque() -> None:
    for depth in (100, 500, 990, 5000, 100_000):
        deep = b'{"alg":"ES256","exp":1,"act":' + b'{"act":' * depth + b"1" + b"}" * depth + b"}"
        found = seen(f"{encoded({'alg': 'ES256'})}.{encoded(deep)}.AAAA")
        assert found.signature is None


def test_only_three_parts_of_base64_and_json_are_a_jwt() -> None:
    assert take_apart("a.b") is None
    assert take_apart("a.b.c.d.e") is None
    assert take_apart(f"{encoded({'alg': 'x'})}.{encoded([])}.a") is None
    assert take_apart(f"{encoded({'typ': 'x'})}.{encoded({})}.a") is None
