"""What the claims of a token mean: each in a sentence, and which name the human and the agent, for issuers differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MEANINGS = {
    "iss": "The server that issued it (RFC 7519 section 4.1.1).",
    "sub": "On whose behalf it is used (RFC 7519 section 4.1.2).",
    "aud": "The one resource it is good for (RFC 7519 section 4.1.3, RFC 8707).",
    "exp": "When it ends by itself (RFC 7519 section 4.1.4).",
    "nbf": "When it begins to be valid (RFC 7519 section 4.1.5).",
    "iat": "When it was issued (RFC 7519 section 4.1.6).",
    "jti": "This one token's own number (RFC 7519 section 4.1.7).",
    "client_id": "The software that asked for it (RFC 8693 section 4.3).",
    "act": "Who acts on the subject's behalf (RFC 8693 section 4.1).",
    "act.sub": "The agent that acts for the human (RFC 8693 section 4.1).",
    "act.act.sub": "The agent above it, which handed on what it had (RFC 8693 section 4.1).",
    "act.act.act.sub": "The agent above that one (RFC 8693 section 4.1).",
    "may_act": "Who may act for the subject (RFC 8693 section 4.4).",
    "scope": "What it may be used for (RFC 8693 section 4.2).",
    "authorization_details": "Finer limits that the human set, such as money (RFC 9396).",
    "auth_time": "When the human signed in (OpenID Connect, RFC 9068 section 2.2.1).",
    "acr": "How strongly the human signed in (RFC 9068 section 2.2.1).",
    "amr": "By which means the human signed in (RFC 8176).",
    "sid": "The session that consent opened (OpenID Connect).",
    "consent_id": "The human's consent behind it (this issuer's own claim).",
    "azp": "The client that it was issued to (OpenID Connect).",
    "nonce": "Ties it to one sign-in (OpenID Connect).",
    "cnf": "The key that its holder must prove (RFC 7800).",
    "cnf.jkt": "The key that its holder must prove, by its thumbprint (RFC 9449 section 6.1).",
    "roles": "The human's roles (RFC 9068 section 2.2.3.1).",
    "groups": "The human's groups (RFC 9068 section 2.2.3.1).",
    "entitlements": "What the human is entitled to (RFC 9068 section 2.2.3.1).",
    "permissions": "What the human may do (this issuer's own claim).",
    "role": "The human's role (this issuer's own claim).",
    "org_id": "The organization it belongs to (this issuer's own claim).",
    "email": "The human's email address (OpenID Connect).",
    "name": "The human's name (OpenID Connect).",
}

OTHER = "The issuer's own claim; no standard defines it."

MOST_ACTORS = 8
"""Of a token whose actors go deeper nobody reads more."""
_WORKOS_HOSTS = ("authkit.app", "workos.com")
_WORKOS = "WorkOS agent tokens: act.sub is the delegating human, sub the agent"
_WORKOS_ALONE = "WorkOS agent tokens: sub is the agent, which acts for itself; no human is in it"
_WORKOS_ADMIN = "WorkOS impersonation: sub is the human, act.sub the admin who acts as them"
_CONNECT = "WorkOS Connect: sub is the human, client_id the software, sid the consent; no agent instance is named"
_AGENT_PROFILE = "ai_agent"
"""What WorkOS says of an agent in `sub_profile`."""


@dataclass(frozen=True)
class Parties:
    """Who is who in a token, and by which convention; a party that the token does not name is empty."""

    human: str
    human_claim: str
    agent: str
    agent_claim: str
    convention: str
    consent_claim: str = "consent_id"
    """Which claim names the consent; where it is `sid`, the token names no session."""


def parties(claims: Mapping[str, Any]) -> Parties:
    """Read the human and the agent out of a token's claims."""
    subject = _text(claims.get("sub"))
    client = _text(claims.get("client_id")) or _text(claims.get("azp"))
    act = claims.get("act")
    actor = _text(act.get("sub")) if isinstance(act, Mapping) else ""
    if actor and _workos_agent(claims, subject, actor):
        return Parties(actor, "act.sub", subject, "sub", _WORKOS)
    if not actor and subject and _workos_alone(claims, subject):
        return Parties("", "", subject, "sub", _WORKOS_ALONE)
    if actor and _workos_admin(claims, subject, actor):
        return Parties(subject, "sub", actor, "act.sub", _WORKOS_ADMIN)
    if actor:
        nested = isinstance(act, Mapping) and isinstance(act.get("act"), Mapping)
        who = "act.sub the agent that acts, act.act.sub the one above it" if nested else "act.sub the agent"
        return Parties(subject, "sub", actor, "act.sub", f"RFC 8693 section 4.1: sub is the human, {who}")
    if subject and subject == client:
        return Parties("", "", subject, "sub", "RFC 9068 section 5: sub is the client itself, no human is in it")
    if subject.startswith("user_") and client and _of_workos(claims):
        return Parties(subject, "sub", client, "client_id", _CONNECT, consent_claim="sid")
    return Parties(subject, "sub", "", "", "RFC 9068 section 2.2: sub is the human, and no agent is named")


def above(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The actors within the one that acts, the nearest first: who handed on to it (RFC 8693 section 4.1)."""
    found: list[str] = []
    act = claims.get("act")
    while isinstance(act, Mapping) and isinstance(act := act.get("act"), Mapping) and len(found) < MOST_ACTORS:
        found.append(_text(act.get("sub")))
    return tuple(found)


def _workos_agent(claims: Mapping[str, Any], subject: str, actor: str) -> bool:
    """`sub_profile` decides, else identifiers that say what they are, else WorkOS's own issuers, known by name."""
    profile = _text(claims.get("sub_profile"))
    if profile:
        return profile == _AGENT_PROFILE
    if actor.startswith("user_") or subject.startswith("agent_"):
        return not subject.startswith("user_")
    if actor.startswith("agent_") or subject.startswith("user_"):
        return False
    return _of_workos(claims)


def _workos_admin(claims: Mapping[str, Any], subject: str, actor: str) -> bool:
    """A human's session token with an email address in `act.sub`: no agent, but somebody of the staff."""
    return subject.startswith("user_") and "@" in actor and _of_workos(claims)


def _of_workos(claims: Mapping[str, Any]) -> bool:
    try:
        host = urlsplit(_text(claims.get("iss"))).hostname or ""
    except ValueError:
        return False
    return any(host == known or host.endswith(f".{known}") for known in _WORKOS_HOSTS)


def _workos_alone(claims: Mapping[str, Any], subject: str) -> bool:
    """Without `act` only what names an agent in so many words is one: a `sub` is a human's unless it says otherwise."""
    return _text(claims.get("sub_profile")) == _AGENT_PROFILE or subject.startswith("agent_instance_")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def meaning(name: str) -> str:
    """One sentence on the claim called `name`."""
    return MEANINGS.get(name, OTHER)
