"""A token read honestly: what it says, what of that was checked, and what cannot be known."""

from __future__ import annotations

import base64
import binascii
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deputize import access_tokens
from deputize.evidence import Claim, TokenView
from deputize.http.exchange import parse_object
from deputize.http.redaction import MASK, mask_token
from deputize.http.sanitizing import safe_text
from deputize.tokens.claim_meanings import MOST_ACTORS, meaning, parties
from deputize.tokens.stored import number, scope_list

if TYPE_CHECKING:
    from joserfc import jwk

ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
"""Signatures by a key pair. A shared-secret one (HS256) proves nothing to those who lack the secret, "none" nothing."""

LEEWAY = 2.0
"""Seconds by which two clocks may differ before a token counts as expired or not yet valid."""


@dataclass(frozen=True)
class Jwt:
    """A JWS compact token taken apart; nothing of it is verified."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def take_apart(token: str) -> Jwt | None:
    """The token as a JWT, None where it is opaque to us (another format, or encrypted)."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (parse_object(_decode(part)) for part in parts[:2])
    except (ValueError, binascii.Error):
        return None
    if header is None or claims is None or not isinstance(header.get("alg"), str):
        return None
    # A claim that is null is absent, as every other member of what is read here.
    return Jwt(header, {name: value for name, value in claims.items() if value is not None})


def verify_signature(token: str, jwks: Mapping[str, Any]) -> str:
    """Verify a JWT's signature against a JSON Web Key Set (RFC 7515 section 5.2, RFC 7517).

    Returns:
        the `kid` of the key that verified it, or "(the only key)" where the token names none.

    Raises:
        ValueError: it does not verify; the message says why.
    """
    from joserfc import jwk, jws
    from joserfc.errors import JoseError

    try:
        keys = jwk.KeySet(list(_understood(jwks)))
        # A header parameter that is not understood is ignored, unless it is critical (RFC 7515 section 4).
        rules = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        rules.max_header_length = 16 * 1024  # a certificate chain may stand in it (RFC 7515 section 4.1.6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an algorithm has a newer name is no news for the stage
            jws.deserialize_compact(token, keys, algorithms=ALGORITHMS, registry=rules)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(safe_text(str(error) or type(error).__name__, one_line=True)) from None
    parsed = take_apart(token)
    kid = parsed.header.get("kid") if parsed else None
    return safe_text(kid, one_line=True) if isinstance(kid, str) else "(the only key)"


def thumbprint(jwks: Mapping[str, Any], kid: str) -> str:
    """The thumbprint (RFC 7638) of the key that a set calls `kid`: the same, whatever it is called.

    Raises:
        ValueError: there is no such key.
    """
    known = list(_understood(jwks))
    found = next((one for one in known if one.kid == kid), known[0] if len(known) == 1 else None)
    if found is None:
        raise ValueError(f"there is no key {kid}")
    return str(found.thumbprint())


def _understood(jwks: Mapping[str, Any]) -> Iterator[jwk.Key]:
    """The keys of a set that this client can verify with; others must not spoil the set (RFC 7517 section 5)."""
    from joserfc import jwk
    from joserfc.errors import JoseError

    listed = jwks.get("keys")
    for given in listed if isinstance(listed, list) else ():
        with suppress(JoseError, ValueError, TypeError, KeyError):
            if isinstance(given, dict) and given.get("use", "sig") == "sig" and given.get("kty") != "oct":
                yield jwk.import_key(given)


def view(
    token: str,
    *,
    issuer: str,
    audience: str | None,
    jwks: Mapping[str, Any] | None,
    jwks_url: str | None,
    no_keys: str | None = None,
    now: float | None = None,
    expires_at: float | None = None,
    scopes: tuple[str, ...] = (),
) -> TokenView:
    """What can be said about an access token.

    Args:
        token: the token itself; it is in no part of the result.
        issuer: the authorization server that the agent logged in at.
        audience: what it ought to be for, None where nothing in particular is expected.
        jwks, jwks_url: the authorization server's keys and where they came from, None where there are none;
            `no_keys` then says why.
        now: POSIX seconds, our clock by default.
        expires_at, scopes: what the token response said, for a token that does not say it itself.
    """
    now = time.time() if now is None else now
    jwt = take_apart(token)
    if jwt is None:
        return _opaque(token, expires_at, scopes, now)
    problems: list[str] = []
    signature: str | None = None
    if jwks is None:
        problems.append(f"its signature was not checked: {no_keys or 'the authorization server names no keys'}")
    else:
        try:
            signature = f"key kid={verify_signature(token, jwks)} of {jwks_url}"
        except ValueError as error:
            problems.append(f"its signature does not verify against {jwks_url}: {error}")
    failed = _check(jwt, issuer, audience, now, problems)
    ends = number(jwt.claims.get("exp"))
    scope = jwt.claims.get("scope")
    return TokenView(
        kind="jwt",
        masked=mask_token(token),
        length=len(token),
        header=tuple((_line(name), _line(_shown(value))) for name, value in jwt.header.items()),
        claims=tuple(_claims(jwt, signature, failed, issuer, audience)),
        signature=signature,
        problems=tuple(problems),
        scopes=scope_list(scope) if isinstance(scope, str) else scopes,
        expires_at=ends if ends is not None else expires_at,
    )


def _check(jwt: Jwt, issuer: str, audience: str | None, now: float, problems: list[str]) -> set[str]:
    """Check the claims that can be (RFC 9068 section 4); the names of those that failed."""
    failed: set[str] = set()
    claims = jwt.claims

    def fail(name: str, why: str) -> None:
        failed.add(name)
        problems.append(why)

    if claims.get("iss") != issuer:
        fail("iss", f"issuer is {_line(_shown(claims.get('iss')))}, the login was at {issuer}")
    told = claims.get("aud")
    audiences = told if isinstance(told, list) else [told]
    if audience is not None and audience not in audiences:
        fail("aud", f"audience is {_line(_shown(told))}, this shop is {audience}")
    ends, begins = number(claims.get("exp")), number(claims.get("nbf"))
    if ends is None:
        fail("exp", "it has no end (exp is required, RFC 9068 section 2.2)")
    elif now > ends + LEEWAY:
        fail("exp", f"expired {now - ends:.0f} s ago")
    if begins is not None and now < begins - LEEWAY:
        fail("nbf", f"not valid for another {begins - now:.0f} s")
    kind = access_tokens.type_of(jwt.header, claims)
    if access_tokens.objection(kind, _types(claims)) is not None:
        shown = kind if kind == access_tokens.ID_TOKEN else _shown(jwt.header.get("typ", access_tokens.ABSENT))
        problems.append(f"typ is {_line(shown)}, an access token's is at+jwt (RFC 9068 section 4)")
    return failed


def _types(claims: Mapping[str, Any]) -> frozenset[str]:
    issuer, session = claims.get("iss"), claims.get("sid")
    return access_tokens.accepted(
        issuer if isinstance(issuer, str) else "", session if isinstance(session, str) else None
    )


def is_access_token(jwt: Jwt) -> bool:
    """Whether a JWT says that it is an access token, or its issuer's never do; nothing of it is verified."""
    return access_tokens.objection(access_tokens.type_of(jwt.header, jwt.claims), _types(jwt.claims)) is None


def _claims(jwt: Jwt, signature: str | None, failed: set[str], issuer: str, audience: str | None) -> list[Claim]:
    special = {"iss": f"signature, and {issuer} where the login was", "exp": "signature, and our clock"}
    special["nbf"] = special["exp"]
    if audience is not None:
        special["aud"] = f"signature, and {audience} where it is used"
    who = parties(jwt.claims)
    roles = {who.human_claim: "the human", who.agent_claim: "the agent"}
    found: list[Claim] = []
    for name, value in _flat(jwt.claims):
        text = meaning(name)
        if name in roles and name:
            text = f"{text.rstrip('.')}; here {roles[name]}."
        verified = signature is not None and name not in failed
        found.append(
            Claim(
                name=_line(name),
                value=_line(_shown(value)),
                meaning=text,
                verified=verified,
                against=special.get(name, f"signature, {signature}") if verified else None,
            )
        )
    return found


def _flat(claims: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Claims in their order, those of `act` dotted: `act.sub`, and `act.act.sub` for an actor's actor; `cnf.jkt`."""
    found: list[tuple[str, Any]] = []
    for name, value in claims.items():
        if name == "cnf" and isinstance(value, dict):
            found += [(f"{name}.{key}", item) for key, item in value.items()]
            continue
        at, depth = name, 0
        while name == "act" and isinstance(value, dict) and depth < MOST_ACTORS:
            found += [(f"{at}.{key}", item) for key, item in value.items() if key != "act"]
            value, at, depth = value.get("act"), f"{at}.act", depth + 1
        if value is not None:
            found.append((at, value))
    return found


def _opaque(token: str, expires_at: float | None, scopes: tuple[str, ...], now: float) -> TokenView:
    problems: tuple[str, ...] = ("it is opaque: only its issuer can say what it means (RFC 7662)",)
    if expires_at is not None and now > expires_at + LEEWAY:
        problems = (*problems, f"expired {now - expires_at:.0f} s ago, by what the token response said")
    told = "Told by the token response, not by the token (RFC 6749 section 5.1)."
    claims = [Claim("scope", _line(" ".join(scopes)), told, False)] if scopes else []
    if expires_at is not None:
        claims.append(Claim("exp", f"{expires_at:.0f}", told, False))
    return TokenView(
        kind="opaque",
        masked=MASK,
        length=len(token),
        claims=tuple(claims),
        problems=problems,
        scopes=scopes,
        expires_at=expires_at,
    )


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(text: str) -> str:
    return safe_text(text, one_line=True)
