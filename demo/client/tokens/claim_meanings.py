"""What each claim of a token means, in one short sentence with the standard that defines it."""

from __future__ import annotations

MEANINGS = {
    "iss": "The authority that issued it (RFC 7519 section 4.1.1).",
    "sub": "Whose authority this is (RFC 7519 section 4.1.2).",
    "aud": "The one resource it is good for (RFC 7519 section 4.1.3, RFC 8707).",
    "exp": "When it ends by itself (RFC 7519 section 4.1.4).",
    "nbf": "When it begins to be valid (RFC 7519 section 4.1.5).",
    "iat": "When it was issued (RFC 7519 section 4.1.6).",
    "jti": "This one token's own number (RFC 7519 section 4.1.7).",
    "client_id": "The software that asked for it (RFC 8693 section 4.3).",
    "act": "Who acts on the subject's behalf (RFC 8693 section 4.1).",
    "act.sub": "The agent that acts for the human (RFC 8693 section 4.1).",
    "may_act": "Who may act for the subject (RFC 8693 section 4.4).",
    "scope": "What it may be used for (RFC 8693 section 4.2).",
    "authorization_details": "Finer limits that the human set, such as money (RFC 9396).",
    "auth_time": "When the human signed in (OpenID Connect, RFC 9068 section 2.2.1).",
    "acr": "How strongly the human signed in (RFC 9068 section 2.2.1).",
    "amr": "By which means the human signed in (RFC 8176).",
    "sid": "The session that the human's consent opened (OpenID Connect).",
    "consent_id": "The human's consent behind it (this issuer's own claim).",
    "azp": "The client that it was issued to (OpenID Connect).",
    "nonce": "Ties it to one sign-in (OpenID Connect).",
    "cnf": "The key that its holder must prove (RFC 7800).",
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


def meaning(name: str) -> str:
    """One sentence on the claim called `name`."""
    return MEANINGS.get(name, OTHER)
