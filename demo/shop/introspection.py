"""Whether a grant still stands: token introspection (RFC 7662) at the authorization server.

Nothing is kept here: revocation has to be instant, and a cache is a promise to be late. What may be relied on for how
long is `standing.py`'s to say.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from demo.shop import approval
from demo.shop.bearer import text
from demo.shop.bounded_http import AuthServerUnavailable
from demo.shop.catalog import say
from demo.shop.discovery import AuthServer
from demo.shop.facts import Standing, TokenFacts

REVOKED_KINDS = ("session", "agent", "user", "token")


async def ask(auth_server: AuthServer, credentials: tuple[str, str], token: str, facts: TokenFacts) -> Standing:
    """Ask the authorization server about a token. Never raises for what that server does: an answer that is not a
    clear yes or no is `known=False`.

    Args:
        credentials: this resource server's client id and secret at the authorization server.
        facts: what the token says, to see that the answer is about the same token.
    """
    try:
        await auth_server.before_asking()
        metadata = await auth_server.metadata()
        status, answer = 401, None
        # RFC 6749 section 2.3.1: in the header, or where that is not taken in the form, as WorkOS shows it
        # (workos.com/docs/reference/workos-connect/introspection); what was taken last comes first.
        for in_form in (auth_server.secret_in_form, not auth_server.secret_in_form):
            # The form names the client beside the header, too: MCP's Python SDK looks it up by that.
            form = {"token": token, "token_type_hint": "access_token", "client_id": credentials[0]}
            status, answer = await auth_server.ask(
                "POST",
                metadata.introspection_endpoint,
                data=form | ({"client_secret": credentials[1]} if in_form else {}),
                headers={} if in_form else {"authorization": basic(*credentials)},
            )
            if status not in (401, 403):
                auth_server.secret_in_form = in_form
                break
    except AuthServerUnavailable as unknown:
        return Standing(known=False, detail=str(unknown), lasting=unknown.lasting)
    if status in (401, 403):
        return Standing(known=False, detail=say("unknown_shop"), lasting=True)
    if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
        auth_server.forget()
        return Standing(known=False, detail=say("nonsense"))
    return judge(answer, facts)


def judge(answer: dict[str, Any], facts: TokenFacts) -> Standing:
    """An introspection response (RFC 7662 section 2.2) as standing."""
    if answer["active"] is not True:
        revoked = answer.get("revoked")
        return Standing(
            known=True,
            revoked=revoked if revoked in REVOKED_KINDS else None,
            username=_username(answer),
        )
    for claim, expected in (("sub", facts.user), ("jti", facts.token_id)):
        if answer.get(claim) is not None and answer[claim] != expected:
            return Standing(known=False, detail=say("other_token"))
    roles = answer.get("roles")
    return Standing(
        known=True,
        active=True,
        username=_username(answer),
        name=text(answer.get("name")),
        roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
        approvals=approval.read(answer.get("authorization_details")),
    )


def _username(answer: dict[str, Any]) -> str | None:
    """Who the human is. An address that is said not to be verified opens nothing (OpenID Connect Core 1.0, 5.1)."""
    email = None if answer.get("email_verified") is False else text(answer.get("email"))
    return text(answer.get("username")) or email


def basic(client_id: str, secret: str) -> str:
    """HTTP Basic credentials of an OAuth client: each part form-encoded first (RFC 6749 section 2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
