"""The authority's routes: which path answers by which module."""

from __future__ import annotations

from starlette.routing import BaseRoute

from demo.auth_server import AuthorityConfig
from demo.auth_server.pages import page_routes
from demo.workos_emulator.routes import workos_routes

from .context import Authority
from .endpoints.account import account_routes
from .endpoints.metadata import metadata_routes
from .endpoints.oauth import OAuthServer, oauth_routes
from .endpoints.registration import registration_routes
from .endpoints.security_events import SecurityEvents
from .endpoints.userinfo import userinfo_routes

REVOKING = ("/oauth2/token", "/oauth2/revoke", "/account/revoke")
"""Where something may be revoked; at the token endpoint by a code or refresh token that comes again."""


def create_routes(config: AuthorityConfig) -> list[BaseRoute]:
    """Open the authority's state and make its routes; see `demo.auth_server.create_authority`."""
    authority = Authority(config)
    server = OAuthServer(authority)
    routes = [
        *metadata_routes(authority),
        *oauth_routes(server),
        *registration_routes(authority),
        *userinfo_routes(authority),
        *page_routes(server),
        *account_routes(authority),
    ]
    of_workos = workos_routes(authority)
    events = SecurityEvents(authority)
    changing = [one for one in of_workos if "GET" not in (one.methods or ())]
    for route in [one for one in routes if one.path in REVOKING] + changing:
        events.before_answering(route)
    return [*routes, *of_workos]
