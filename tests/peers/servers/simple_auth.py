"""A shop on the official Python SDK's server, and an authorization server on its `mcp.server.auth`, apart from it.

Built as the SDK's example `simple-auth` is: the authorization server has a page to sign in at, hands out opaque tokens
without a refresh token, offers no revocation, and the resource server asks it about each token (RFC 7662).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from html import escape

import httpx2
import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from shop_tools import add_shop_tools
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

SCOPE = "user"
HUMAN = "demo_user"


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """What the SDK leaves to its user: who the clients are, and what was granted."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._asked: dict[str, tuple[OAuthClientInformationFull, AuthorizationParams]] = {}
        self._codes: dict[str, AuthorizationCode] = {}
        self._tokens: dict[str, AccessToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id is not None
        self._clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        handle = secrets.token_urlsafe(16)
        self._asked[handle] = client, params
        return f"{self._issuer}/login?request={handle}"

    def decided(self, handle: str) -> str:
        """The human signed in: the URL that leads back to the client, with a code."""
        client, asked = self._asked.pop(handle)
        code = AuthorizationCode(
            code=secrets.token_urlsafe(16),
            client_id=str(client.client_id),
            redirect_uri=asked.redirect_uri,
            redirect_uri_provided_explicitly=asked.redirect_uri_provided_explicitly,
            expires_at=time.time() + 300,
            scopes=[SCOPE],
            code_challenge=asked.code_challenge,
            resource=asked.resource,
            subject=HUMAN,
        )
        self._codes[code.code] = code
        return construct_redirect_uri(str(asked.redirect_uri), code=code.code, state=asked.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self._codes[authorization_code.code]
        token = AccessToken(
            token=secrets.token_urlsafe(32),
            client_id=str(client.client_id),
            scopes=authorization_code.scopes,
            expires_at=int(time.time()) + 3600,
            resource=authorization_code.resource,
            subject=authorization_code.subject,
        )
        self._tokens[token.token] = token
        return OAuthToken(access_token=token.token, expires_in=3600, scope=" ".join(token.scopes))

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self._tokens.get(token)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        return None

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        raise NotImplementedError  # none was given out

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        raise NotImplementedError  # it is not offered


def authorization_server(issuer: str) -> Starlette:
    """The SDK's routes, a page to sign in at, and introspection."""
    provider = Provider(issuer)
    scopes = ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE], default_scopes=[SCOPE])

    async def page(request: Request) -> Response:
        handle = escape(request.query_params["request"])
        return HTMLResponse(
            f'<h1>Sign in</h1><form method="post" action="/login"><input type="hidden" name="request" value="{handle}">'
            f'<input name="username" value="{HUMAN}"><input type="password" name="password" value="demo_password">'
            '<button type="submit">Sign in</button></form>'
        )

    async def signed_in(request: Request) -> Response:
        form = await request.form()
        if (form.get("username"), form.get("password")) != (HUMAN, "demo_password"):
            return HTMLResponse("<h1>Wrong user name or password</h1>", 401)
        return RedirectResponse(provider.decided(str(form["request"])), 302)

    async def introspect(request: Request) -> Response:
        found = await provider.load_access_token(str((await request.form()).get("token")))
        if found is None:
            return JSONResponse({"active": False})
        named = {"client_id": found.client_id, "sub": found.subject, "aud": found.resource, "iss": issuer}
        return JSONResponse({"active": True, "scope": " ".join(found.scopes), "exp": found.expires_at} | named)

    routes = create_auth_routes(provider, AnyHttpUrl(issuer), client_registration_options=scopes)
    routes.append(Route("/login", page, methods=["GET"]))
    routes.append(Route("/login", signed_in, methods=["POST"]))
    routes.append(Route("/introspect", introspect, methods=["POST"]))
    return Starlette(routes=routes)


class Introspection:
    """Asks the authorization server about each token."""

    def __init__(self, issuer: str) -> None:
        self._endpoint = f"{issuer}/introspect"

    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as http:
            said = (await http.post(self._endpoint, data={"token": token})).json()
        if not said["active"]:
            return None
        return AccessToken(
            token=token,
            client_id=said["client_id"],
            scopes=said["scope"].split(),
            expires_at=said["exp"],
            resource=said["aud"],
            subject=said["sub"],
        )


def shop(url: str, issuer: str) -> Starlette:
    """The resource server."""
    server = MCPServer(
        "A shop on the Python SDK",
        token_verifier=Introspection(issuer),
        auth=AuthSettings(
            issuer_url=AnyHttpUrl(issuer),
            required_scopes=[SCOPE],
            resource_server_url=AnyHttpUrl(url),
            validate_token_resource=True,
        ),
    )

    def who() -> str | None:
        token = get_access_token()
        return token.subject if token is not None else None

    add_shop_tools(server, who)
    return server.streamable_http_app()


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as authority, socket.create_server(("127.0.0.1", 0)) as resource:
        issuer = f"http://127.0.0.1:{authority.getsockname()[1]}"
        url = f"http://127.0.0.1:{resource.getsockname()[1]}/mcp"
        apps = (authorization_server(issuer), authority), (shop(url, issuer), resource)
        servers = [(uvicorn.Server(uvicorn.Config(app, log_level="warning")), [bound]) for app, bound in apps]
        print(json.dumps({"ready": url}), flush=True)
        await asyncio.gather(*(server.serve(sockets=sockets) for server, sockets in servers))


asyncio.run(main())
