"""What a client does at an authority with a token it already has: renew, revoke, hand over, ask who it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.client.http.errors import OAuthRefused
from demo.client.http.fetch import fetch
from demo.client.http.sanitizing import safe_data
from demo.client.oauth.dpop import ProofKey
from demo.client.oauth.token_endpoint import ask, refused
from demo.client.tokens.stored import StoredToken, read_token_response

if TYPE_CHECKING:
    import httpx2


async def refresh(
    client: httpx2.AsyncClient,
    token: StoredToken,
    *,
    server: str,
    resource: str | None = None,
    requested_expires_in: int | None = None,
) -> StoredToken:
    """A fresh access token, and the refresh token that replaces the one just used (RFC 6749 section 6).

    Args:
        resource: another resource of those granted (RFC 8707 section 2.2); None for the one the token is for.
        requested_expires_in: a shorter life, in seconds, where the authority knows this parameter.

    Raises:
        OAuthRefused: there is nothing to refresh with, or the authority refuses.
        ServerUnreachable: it does not answer.
    """
    if token.refresh_token is None:
        raise OAuthRefused(
            "the token cannot be refreshed",
            oauth_error="not_logged_in",
            why="no refresh token came with it: offline_access was not granted",
            do="demo login",
        )
    target = resource or token.resource
    form = [("grant_type", "refresh_token"), ("refresh_token", token.refresh_token)]
    if target:
        form.append(("resource", target))
    if requested_expires_in is not None:
        form.append(("requested_expires_in", str(requested_expires_in)))
    answer = await ask(
        client,
        token.token_endpoint,
        form,
        server=server,
        issuer=token.issuer,
        identity=token.client,
        key=ProofKey.from_json(token.dpop_key) if token.dpop_key else None,
    )
    if not answer.granted or answer.json is None:
        raise refused(answer, f"{token.issuer} does not renew this login", "demo login")
    return read_token_response(answer.json, received_at=time.time(), asked=token, resource=target)


async def redeem(client: httpx2.AsyncClient, token: StoredToken, *, server: str, client_id: str) -> tuple[int, str]:
    """Try another client's refresh token as `client_id`: (HTTP status, OAuth error code, empty where there is none)."""
    form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.refresh_token or ""),
        ("client_id", client_id),
    ]
    answer = await fetch(client, "POST", token.token_endpoint, server=server, form=form)
    return answer.status, answer.oauth_error


async def revoke(client: httpx2.AsyncClient, token: StoredToken, endpoint: str, *, server: str) -> str | None:
    """Have the authority revoke the login (RFC 7009 section 2.1): None where it confirmed, else what it answered."""
    hint = "access_token" if token.refresh_token is None else "refresh_token"
    form = [
        ("token", token.refresh_token or token.access_token),
        ("token_type_hint", hint),
    ]
    answer = await ask(client, endpoint, form, server=server, issuer=token.issuer, identity=token.client)
    if answer.oauth_error == "invalid_request" and token.client.method != "client_secret_post":
        # MCP's Python SDK wants `client_secret` in this form whatever the client's method is. An empty parameter says
        # no more than none does (RFC 6749 section 3.2), so that nothing is told twice.
        form.append(("client_secret", ""))
        answer = await ask(client, endpoint, form, server=server, issuer=token.issuer, identity=token.client)
    if answer.status == 200:
        return None
    code = f"{answer.oauth_error}: " if answer.oauth_error else ""
    said = f" ({code}{answer.oauth_why})" if answer.json is not None else ""
    return f"its revocation endpoint answered HTTP {answer.status}{said}"


async def userinfo(client: httpx2.AsyncClient, token: StoredToken, endpoint: str, *, server: str) -> dict[str, Any]:
    """Who the human is (OpenID Connect Core section 5.3).

    Raises:
        OAuthRefused: the token does not open it.
    """
    from demo.client.oauth.presenting import presented  # it loads the HTTP library

    answer = await fetch(client, "GET", endpoint, server=server, auth=presented(token))
    if not answer.granted or answer.json is None:
        raise refused(answer, "the authority does not say who the human is", "log in with the scope openid")
    found: dict[str, Any] = safe_data(answer.json)
    return found
