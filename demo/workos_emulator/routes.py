"""The routes of WorkOS's API, opened by the key that this authority made."""

from __future__ import annotations

from starlette.routing import Route

from demo.auth_server.context import Authority

from .agents.blueprints import blueprint_routes
from .agents.instances import instance_routes
from .agents.registrations import registration_routes
from .agents.session_routes import session_routes
from .agents.tokens import token_routes
from .api import Api
from .api_key import settle_api_key
from .audit_exports import export_routes
from .audit_logs import audit_log_routes
from .audit_schemas import schema_routes
from .authorized_applications import application_routes
from .events import event_routes
from .key_set import key_routes
from .memberships import membership_routes
from .oauth_resources import resource_routes
from .organizations import organization_routes
from .permissions import permission_routes
from .tables import make_tables
from .users import user_routes


def workos_routes(authority: Authority) -> list[Route]:
    """Make the tables and the key, and the routes."""
    make_tables(authority.store)
    key = settle_api_key(authority.store, authority.config.database.parent)
    api = Api(authority, key)
    groups = (
        user_routes,
        membership_routes,
        application_routes,
        resource_routes,
        organization_routes,
        permission_routes,
        event_routes,
        audit_log_routes,
        schema_routes,
        blueprint_routes,
        token_routes,
        instance_routes,
        session_routes,
        registration_routes,
    )
    return [*(route for group in groups for route in group(api)), *export_routes(api, key), *key_routes(authority)]
