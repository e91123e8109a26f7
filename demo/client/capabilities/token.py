"""The authority's keys and the format of its tokens (RFC 7517, RFC 9068, RFC 8707)."""

from __future__ import annotations

from typing import Any

from demo.client.capabilities.survey import Survey
from demo.client.http.sanitizing import safe_text
from demo.client.tokens import claims
from demo.evidence import Capability

Row = tuple[bool | None, str]
"""Whether it is supported, and what in the response says so."""


def rows(seen: Survey) -> list[Capability]:
    """The published keys, and of the stored token what can be read; without one that is not known."""
    jwks = seen.jwks
    uri = seen.authority.jwks_uri if seen.authority else None
    keys = (jwks.json or {}).get("keys") if jwks is not None and jwks.status == 200 else None
    if isinstance(keys, list):
        kinds = sorted({_kind(key) for key in keys})
        row: Row = (bool(keys), f"200, {len(keys)} keys: {', '.join(kinds)}" if keys else "200, no keys")
    elif uri is None:
        row = (False if seen.authority and seen.authority.url else None, "no jwks_uri")
    else:
        row = (None if jwks is None else False, seen.failure("jwks") or f"{jwks.status if jwks else ''}, no key set")
    found = [Capability("RFC 7517", "published signing keys", row[0], f"GET {uri}" if uri else "", row[1])]
    parsed = claims.take_apart(seen.token.access_token) if seen.token is not None else None
    none = "no token at hand: log in first (demo login)"
    if seen.token is None:
        return [
            *found,
            Capability("RFC 9068", "access tokens that can be read", None, "", none),
            Capability("RFC 8707", "a token bound to this server", None, "", f"not told by metadata; {none}"),
        ]
    says = f"typ {parsed.header.get('typ', 'absent')}" if parsed else "opaque"
    readable = parsed is not None and claims.is_access_token(parsed)
    audience = parsed.claims.get("aud") if parsed else None
    audiences = audience if isinstance(audience, list) else [audience]
    resource = seen.resource.resource if seen.resource else seen.endpoint
    bound: Row = (
        (resource in audiences, f"aud {', '.join(map(str, audiences))}")
        if parsed
        else (None, "not told by metadata, and the token is opaque")
    )
    held = "the stored token"
    return [
        *found,
        Capability("RFC 9068", "access tokens that can be read", readable, held, safe_text(says, one_line=True)),
        Capability("RFC 8707", "a token bound to this server", bound[0], held, safe_text(bound[1], one_line=True)),
    ]


def _kind(key: Any) -> str:
    if not isinstance(key, dict):
        return "?"
    return safe_text(str(key.get("alg") or key.get("kty") or "?"), one_line=True)[:16]
