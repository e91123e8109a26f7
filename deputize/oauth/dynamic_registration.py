"""Dynamic client registration (RFC 7591): one request, and what may be read out of its response."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from deputize.errors import Remedy
from deputize.evidence import AuthorizationServerMetadata
from deputize.http.errors import GrantNotAllowed, OAuthRefused
from deputize.http.fetch import Answer, fetch
from deputize.http.sanitizing import safe_text
from deputize.oauth.login_flow import LoginFlow
from deputize.oauth.token_endpoint import refused
from deputize.tokens.identity import METHODS, AuthMethod, ClientIdentity
from deputize.tokens.stored import number

if TYPE_CHECKING:
    import httpx2

REFRESH = "refresh_token"
REGISTER: Final = Remedy("register_client")
BY_HAND = "register the client by hand there, and say who it is"


async def register(
    http: httpx2.AsyncClient,
    metadata: AuthorizationServerMetadata,
    flow: LoginFlow,
    *,
    server: str,
    name: str,
    redirect_uri: str | None,
    scopes: tuple[str, ...],
) -> ClientIdentity:
    """Register a client for one flow: for its grant types, and with its client authentication.

    A registration that is refused for its scopes, or for refresh tokens, is sent again without them: three requests at
    most, which share the one timeout of `Connection.http`.

    Args:
        metadata: the authorization server's; it names a registration endpoint.
        server: the MCP server on whose behalf it is.
        name: the client's, for the human at the consent page.
        redirect_uri: where the browser will come back to, for the flow that redirects.
        scopes: what it will ask for; some authorization servers refuse a client what it was not registered with.

    Raises:
        GrantNotAllowed: it is not registered for the flow's grant.
        OAuthRefused: the authorization server refuses the registration, or its response cannot be used.
        ServerUnreachable: it does not answer.
    """
    endpoint, grants = metadata.registration_endpoint, flow.grant_types
    assert endpoint is not None

    async def send() -> Answer:
        return await fetch(http, "POST", endpoint, server=server, body=asked)

    asked: dict[str, Any] = {
        "client_name": name,
        "application_type": "native",
        "grant_types": list(grants),
        "response_types": ["code"] if flow.redirects else [],
        "token_endpoint_auth_method": _method(metadata, confidential=flow.confidential),
    }
    if redirect_uri is not None:
        asked["redirect_uris"] = [redirect_uri]
    if scopes:
        asked["scope"] = " ".join(scopes)
    answer = await send()
    if answer.status == 400 and scopes and "scope" in answer.oauth_why.lower():
        # The resource may list more than its authorization server registers clients for; a registration that names
        # none gets those of its default (RFC 7591 section 2), and what is asked for is decided at the login.
        del asked["scope"]
        scopes, answer = (), await send()
    if (
        answer.status == 400
        and REFRESH in grants[1:]
        and REFRESH not in metadata.grant_types_supported
        and "grant" in answer.oauth_why.lower()
    ):
        # One that gives no refresh tokens may refuse a registration that names their grant type.
        grants = tuple(grant for grant in grants if grant != REFRESH)
        asked["grant_types"] = list(grants)
        answer = await send()
    if answer.status not in (200, 201) or answer.json is None:
        error = refused(answer, f"{metadata.issuer} does not register this client", BY_HAND, remedy=REGISTER)
        if flow.extension and isinstance(error, OAuthRefused) and answer.status not in (401, 403):
            # Many servers refuse a registration that names a grant type they do not give to everybody.
            raise GrantNotAllowed(
                error.what, oauth_error=error.oauth_error, why=error.why, do=error.do, remedy=error.remedy
            )
        raise error
    identity = _read(answer.json, metadata, redirect_uri, scopes)
    given = answer.json.get("grant_types")
    if isinstance(given, list) and given and grants[0] not in given:
        # What the client may do is what the answer says (RFC 7591 section 3.2.1).
        raise GrantNotAllowed(
            f"{metadata.issuer} registers this client without the grant type {grants[0]}",
            oauth_error="unauthorized_client",
            why="its registration names others: " + safe_text(", ".join(map(str, given)), one_line=True),
            do=BY_HAND,
            remedy=REGISTER,
        )
    return replace(identity, grants=grants)


def _method(metadata: AuthorizationServerMetadata, *, confidential: bool) -> AuthMethod:
    """What a native client asks for: no secret where that is possible (RFC 8252 section 8.4).

    Args:
        confidential: whether the flow needs credentials of the client's own (RFC 6749 section 4.4).
    """
    offered = metadata.token_endpoint_auth_methods_supported
    if not confidential and (not offered or "none" in offered):
        return "none"
    # The form holds both halves as they are; implementations differ in how they decode a Basic header.
    return "client_secret_post" if "client_secret_post" in offered else "client_secret_basic"


def _read(
    given: dict[str, Any],
    metadata: AuthorizationServerMetadata,
    redirect_uri: str | None,
    scopes: tuple[str, ...],
) -> ClientIdentity:
    client_id, secret = given.get("client_id"), given.get("client_secret")
    method = given.get("token_endpoint_auth_method") or None
    if method is None and secret:
        # The default of a client with a secret (RFC 7591 section 2), unless only the other way is offered.
        offered = metadata.token_endpoint_auth_methods_supported
        only_post = "client_secret_post" in offered and "client_secret_basic" not in offered
        method = "client_secret_post" if only_post else "client_secret_basic"
    elif method is None:
        method = "none"
    if not isinstance(client_id, str) or not client_id:
        raise _unusable("it names no client_id (RFC 7591 section 3.2.1)")
    if method not in METHODS or method == "private_key_jwt":
        raise _unusable(f"it wants {safe_text(str(method), one_line=True)}, which was not asked for")
    until = number(given.get("client_secret_expires_at"))
    has_secret = isinstance(secret, str) and bool(secret)
    if method != "none" and not has_secret:
        raise _unusable(f"it wants {method} and gives no client_secret")
    return ClientIdentity(
        client_id,
        secret=secret if method != "none" else None,
        method=cast(AuthMethod, method),
        issuer=metadata.issuer,
        redirect_uri=redirect_uri,
        scopes=scopes,
        secret_until=until or None,  # 0 means never (RFC 7591 section 3.2.1)
        source="dynamic registration",
    )


def _unusable(why: str) -> OAuthRefused:
    return OAuthRefused("the registration cannot be used", oauth_error="unsupported", why=why, do="ask its operator")
