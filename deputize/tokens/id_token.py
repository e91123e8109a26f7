"""Who said yes, by the ID token beside an access token (OpenID Connect Core section 2).

It comes from the token endpoint itself, over TLS or loopback, so that its signature need not be looked at (section
3.1.3.7); it has to be this issuer's, for this client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deputize.http.sanitizing import safe_text
from deputize.tokens.claims import take_apart


def names(answer: Mapping[str, Any], *, issuer: str, client_id: str) -> tuple[str, ...]:
    """The email address, unless it is said not to be verified, and the `sub` that a token response's ID token tells;
    empty where there is none, or one for somebody else."""
    token = answer.get("id_token")
    jwt = take_apart(token) if isinstance(token, str) else None
    if jwt is None or jwt.claims.get("iss") != issuer:
        return ()
    audience = jwt.claims.get("aud")
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        return ()
    told = (None if jwt.claims.get("email_verified") is False else jwt.claims.get("email"), jwt.claims.get("sub"))
    return tuple(safe_text(one, one_line=True)[:320] for one in told if isinstance(one, str) and one)
