"""Which scopes to ask for (MCP 2026-07-28, authorization: scope selection and step-up)."""

from __future__ import annotations

from collections.abc import Iterable

from demo.evidence import AuthorityMetadata, Challenge

OFFLINE = "offline_access"


def wanted(challenge: Challenge | None, authority: AuthorityMetadata) -> tuple[str, ...]:
    """What a first login asks for: the challenge's scopes, else all that the resource names, else none at all.

    `offline_access` (a refresh token) is added where the authority lists it, and only there.

    Args:
        challenge: the server's, with the resource's metadata filled in where it is published.
    """
    named = scopes_of(challenge)
    if not named and challenge is not None and challenge.resource is not None:
        named = challenge.resource.scopes_supported
    if OFFLINE in authority.scopes_supported and named:
        named = union(named, (OFFLINE,))
    return named


def scopes_of(challenge: Challenge | None) -> tuple[str, ...]:
    """The `scope` parameter of a challenge (RFC 6750 section 3)."""
    return tuple((challenge.get("scope") or "").split()) if challenge is not None else ()


def union(held: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Both, each once, in the order in which they came."""
    return tuple(dict.fromkeys((*held, *more)))
