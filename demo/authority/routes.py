"""The authority's routes: which path answers by which module."""

from __future__ import annotations

from starlette.routing import BaseRoute

from . import AuthorityConfig
from .account import account_routes
from .authority import Authority
from .metadata import metadata_routes
from .oauth import OAuthServer, oauth_routes
from .pages import page_routes
from .registration import registration_routes
from .userinfo import userinfo_routes
from .workos.routes import workos_routes


def create_routes(config: AuthorityConfig) -> list[BaseRoute]:
    """Open the authority's state and make its routes; see `demo.authority.create_authority`."""
    authority = Authority(config)
    server = OAuthServer(authority)
    return [
        *metadata_routes(authority),
        *oauth_routes(server),
        *registration_routes(authority),
        *userinfo_routes(authority),
        *page_routes(server),
        *account_routes(authority),
        *workos_routes(authority),
    ]
