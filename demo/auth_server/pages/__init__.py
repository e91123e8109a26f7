"""The authority's pages: where a human types a code or is sent by a client, signs in, and decides.

They stand under `/device`, the path of the one cookie that they need (RFC 8628 section 3.3), and serve the browser flow
as well (OAuth 2.1 section 4.1).
"""

from __future__ import annotations

from starlette.routing import Route

from ..endpoints.oauth import OAuthServer
from .authorize import authorize_route
from .consent import consent, decide
from .rendering import stylesheet
from .sign_in import choose, sign_in
from .verification import ask, look_up
from .visit import page_route


def page_routes(server: OAuthServer) -> list[Route]:
    """The pages; each changes something by POST only."""
    return [
        authorize_route(server),
        page_route(server, "/device", get=ask, post=look_up),
        page_route(server, "/device/sign-in", get=choose, post=sign_in),
        page_route(server, "/device/consent", get=consent, post=decide),
        Route("/device/style.css", stylesheet, methods=["GET"]),
    ]
