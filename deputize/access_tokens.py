"""Is this JWT an access token? One policy for anyone who reads one: the agent and the shop here, and the Worker.

The Worker has the same policy in `worker/src/policy/token_type.ts`, with these very values (`make worker-data`); both
are held to the cases of `worker/test/token_types.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

ABSENT: Final = "absent"
"""A header without `typ`, which RFC 7515 section 4.1.9 leaves to the application."""
ID_TOKEN: Final = "ID token"
"""No type that a header could name (a media type has no space): what its own claims tell for an ID token."""

RFC_9068: Final = frozenset({"at+jwt"})
"""RFC 9068 section 2.1, where an access token says that it is one."""
AUTHKIT: Final = RFC_9068 | {ABSENT}
"""AuthKit's access tokens have a header of `alg` and `kid` alone: the one printed at
workos.com/docs/reference/workos-connect/token, "Access token"."""

AUTHKIT_HOSTS: Final = ("authkit.app", "workos.com")
AUTHKIT_CONSENT: Final = "app_consent_"
"""What `sid` begins with in AuthKit's access tokens (the same page, "Decoded access token"), at a custom domain too."""
LOGIN_CLAIMS: Final = ("nonce", "at_hash", "c_hash")
"""Claims of ID tokens alone (OpenID Connect Core 1.0 sections 2, 3.1.3.6 and 3.3.2.11). AuthKit requires a `nonce` of
each login (workos.com/docs/reference/workos-connect/authorize), so its ID tokens have one."""
OBJECTIONS: Final = {
    "id_token": "This is an ID token: it says who logged in, and opens nothing.",
    "absent": "The token does not say that it is an access token: it has no `typ` (RFC 9068 section 2.1).",
    "other": "A token of type '{type}' is no access token.",
}
"""Why a token of the wrong kind opens nothing."""


def type_of(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """What a JWT is, by its header and where that says nothing by its claims.

    Returns:
        the `typ` as it is written, `ABSENT`, or `ID_TOKEN`.
    """
    if "typ" not in header:
        return ID_TOKEN if any(name in claims for name in LOGIN_CLAIMS) else ABSENT
    told = header["typ"]
    # What is no text, or reads like one of our own words, is shown as JSON and is no type that anybody accepts.
    return told if isinstance(told, str) and normal(told) not in (ABSENT, normal(ID_TOKEN)) else json.dumps(told)


def normal(typ: str) -> str:
    """A type as it is compared: media types have no case, and `application/` may be left out (RFC 7515, 4.1.9)."""
    return typ.strip().lower().removeprefix("application/")


def accepted(issuer: str, session: str | None) -> frozenset[str]:
    """The types of an issuer's access tokens, where nothing else is configured.

    Args:
        issuer: who issued the token (`iss`).
        session: the token's `sid`.
    """
    return AUTHKIT if is_authkit(issuer) or (session or "").startswith(AUTHKIT_CONSENT) else RFC_9068


@lru_cache(maxsize=64)
def is_authkit(issuer: str) -> bool:
    """Whether an issuer is AuthKit or WorkOS itself, by its host; one at a custom domain is not known by it."""
    try:
        host = urlsplit(issuer).hostname or ""
    except ValueError:
        return False
    return any(host == one or host.endswith(f".{one}") for one in AUTHKIT_HOSTS)


def objection(kind: str, types: frozenset[str]) -> str | None:
    """Why a token of this kind opens nothing where these types are accepted; None where it is an access token.

    Args:
        kind: as `type_of` gave it; it may hold what an attacker wrote.
        types: what is accepted, each as `normal` gives it.
    """
    if kind == ID_TOKEN:
        return OBJECTIONS["id_token"]
    if normal(kind) in types:
        return None
    if kind == ABSENT:
        return OBJECTIONS["absent"]
    return OBJECTIONS["other"].replace("{type}", repr(kind)[1:-1])  # an attacker may have written it
