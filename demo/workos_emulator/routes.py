"""The routes of WorkOS's API, what is kept of it, and the key that opens it.

The key is as good as an admin: with it every session can be ended. WorkOS keeps it in its dashboard; here it lies in
`workos.json` beside the database, for the owner of the folder alone.
"""

from __future__ import annotations

import json
import secrets

from starlette.routing import Route

from demo.auth_server.administration import Context
from deputize import private

from .agent_tokens import agent_token_routes
from .api import Api
from .audit_exports import export_routes
from .audit_logs import audit_log_routes, schema_routes
from .blueprints import blueprint_routes
from .connect import connect_routes
from .events import event_routes
from .organizations import membership_routes, organization_routes, permission_routes
from .shapes import CLIENT_ID, ORGANIZATION
from .users import user_routes

KEY_FILE = "workos.json"
KEY_PREFIX = "sk_local_"
GROUPS = (
    user_routes,
    organization_routes,
    membership_routes,
    permission_routes,
    connect_routes,
    event_routes,
    audit_log_routes,
    schema_routes,
    export_routes,
    blueprint_routes,
    agent_token_routes,
)
_TABLES = """
CREATE TABLE IF NOT EXISTS authority_workos_key (api_key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS authority_workos_permissions (
    id TEXT PRIMARY KEY, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL, description TEXT, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_workos_audit_schemas (
    action TEXT NOT NULL, version INTEGER NOT NULL, schema TEXT NOT NULL, created_at REAL NOT NULL,
    PRIMARY KEY (action, version));
CREATE TABLE IF NOT EXISTS authority_workos_audit_events (
    seq INTEGER PRIMARY KEY, idempotency_key TEXT UNIQUE, event TEXT NOT NULL, occurred_at REAL NOT NULL,
    created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_workos_audit_exports (
    id TEXT PRIMARY KEY, asked TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_workos_events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, event TEXT NOT NULL, data TEXT NOT NULL,
    created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_workos_blueprints (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT, permissions TEXT NOT NULL,
    invocable_by TEXT NOT NULL, invocable_as TEXT NOT NULL, session_settings TEXT NOT NULL, created_at REAL NOT NULL,
    updated_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_workos_instances (
    id TEXT PRIMARY KEY, blueprint_id TEXT NOT NULL REFERENCES authority_workos_blueprints (id) ON DELETE CASCADE,
    sub TEXT, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_workos_agent_sessions (
    id TEXT PRIMARY KEY, instance_id TEXT NOT NULL REFERENCES authority_workos_instances (id) ON DELETE CASCADE,
    parent_id TEXT, user_session_id TEXT, refresh_digest TEXT NOT NULL UNIQUE, intent TEXT, expires_at REAL NOT NULL,
    revoked_at REAL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS authority_workos_instances_of
    ON authority_workos_instances (blueprint_id, coalesce(sub, ''));
CREATE INDEX IF NOT EXISTS authority_workos_agent_sessions_of ON authority_workos_agent_sessions (instance_id);
"""
_RENAMED = """
ALTER TABLE authority_workos_key RENAME TO workos_key;
ALTER TABLE authority_workos_permissions RENAME TO workos_permissions;
ALTER TABLE authority_workos_audit_schemas RENAME TO workos_audit_schemas;
ALTER TABLE authority_workos_audit_events RENAME TO workos_audit_events;
ALTER TABLE authority_workos_audit_exports RENAME TO workos_audit_exports;
ALTER TABLE authority_workos_events RENAME TO workos_events;
ALTER TABLE authority_workos_blueprints RENAME TO workos_blueprints;
ALTER TABLE authority_workos_instances RENAME TO workos_instances;
ALTER TABLE authority_workos_agent_sessions RENAME TO workos_agent_sessions;
"""
_INDEXES = """
CREATE INDEX workos_audit_events_occurred ON workos_audit_events (occurred_at, seq);
CREATE INDEX workos_audit_events_keys ON workos_audit_events (created_at) WHERE idempotency_key IS NOT NULL;
CREATE INDEX workos_events_created ON workos_events (created_at);
CREATE INDEX workos_audit_exports_created ON workos_audit_exports (created_at);
CREATE INDEX workos_agent_sessions_expiry ON workos_agent_sessions (expires_at);
"""
STEPS = (_TABLES, _RENAMED, _INDEXES)
"""The history of the schema of what is put in through the API. To change it: append a step, never edit one."""


def workos_routes(context: Context) -> list[Route]:
    """Make the tables and the key where they are missing; the routes.

    Raises:
        OSError: `workos.json` cannot be written.
        NewerSchema: a newer version of this program wrote the tables.
    """
    context.store.migrate("WorkOS's API", STEPS)
    with context.store.transaction() as connection:
        row = connection.execute("SELECT api_key FROM workos_key").fetchone()
        key = KEY_PREFIX + secrets.token_urlsafe(32) if row is None else str(row["api_key"])
        if row is None:
            connection.execute("INSERT INTO workos_key (api_key) VALUES (?)", (key,))
    # The database is what counts. The file is written again at each start, so that one from another world cannot stay.
    content = {"api_key": key, "client_id": CLIENT_ID, "organization_id": ORGANIZATION}
    private.write(context.config.database.parent / KEY_FILE, json.dumps(content))
    api = Api(context, key)
    return [route for group in GROUPS for route in group(api)]
