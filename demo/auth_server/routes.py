"""One authorization server, put together: its state, and its routes for a Starlette app at the root of its origin."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route

from .context import AuthorizationServerConfig, Context
from .endpoints.account import account_routes, userinfo_routes
from .endpoints.metadata import metadata_routes
from .endpoints.oauth import ENDPOINTS, oauth_routes
from .endpoints.purchases import purchase_routes
from .endpoints.registration import registration_routes
from .endpoints.security_events import SecurityEvents
from .endpoints.streams import stream_routes
from .grants import GRANTS
from .grants.server import OAuthServer
from .pages.consent import consent, decide
from .pages.device import ask, look_up
from .pages.redirect import authorize_route
from .pages.rendering import stylesheet
from .pages.sign_in import choose, sign_in
from .pages.visit import page_route

REVOKING = ("/oauth2/token", "/oauth2/revoke")
"""Where something may be revoked, beside the account API; at the token endpoint by a code or refresh token that comes
again."""


@dataclass(frozen=True)
class AuthorizationServer:
    """What was opened: its state, its routes, and how a resource server hears of revocations, by other routes too."""

    context: Context
    routes: tuple[Route, ...]
    events: SecurityEvents


def create_authorization_server(config: AuthorizationServerConfig) -> AuthorizationServer:
    """Open an authorization server's state and make its routes.

    Raises:
        ValueError: the issuer is neither `https` nor on loopback, or ends in a slash.
        OSError, sqlite3.Error: the database cannot be opened.
    """
    context = Context(config)
    server, events = OAuthServer(context, GRANTS, ENDPOINTS), SecurityEvents(context)
    routes = (
        *metadata_routes(server),
        *oauth_routes(server),
        *registration_routes(server),
        *userinfo_routes(context),
        # The pages; each changes something by POST only.
        authorize_route(server),
        page_route(server, "/device", get=ask, post=look_up),
        Route("/device/style.css", stylesheet, methods=["GET"]),
        page_route(server, "/device/sign-in", get=choose, post=sign_in),
        page_route(server, "/device/consent", get=consent, post=decide),
        *purchase_routes(context),
        *account_routes(context, events),
        *stream_routes(context, events),
    )
    for route in routes:
        if route.path in REVOKING:
            events.before_answering(route)
    return AuthorizationServer(context, routes, events)
