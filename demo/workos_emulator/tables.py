"""The tables of what is put in through WorkOS's API; what the authority itself knows stays in its own."""

from __future__ import annotations

from demo.auth_server.state.store import Store

TABLES = (
    "authority_workos_key (api_key TEXT NOT NULL)",
    "authority_workos_resources (id TEXT PRIMARY KEY, uri TEXT NOT NULL UNIQUE, is_default INTEGER NOT NULL,"
    " created_at REAL NOT NULL, updated_at REAL NOT NULL)",
    "authority_workos_permissions (id TEXT PRIMARY KEY, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " description TEXT, created_at REAL NOT NULL)",
    "authority_workos_audit_schemas (action TEXT NOT NULL, version INTEGER NOT NULL, schema TEXT NOT NULL,"
    " created_at REAL NOT NULL, PRIMARY KEY (action, version))",
    "authority_workos_audit_events (seq INTEGER PRIMARY KEY, idempotency_key TEXT UNIQUE, event TEXT NOT NULL,"
    " occurred_at REAL NOT NULL, created_at REAL NOT NULL)",
    "authority_workos_audit_exports (id TEXT PRIMARY KEY, asked TEXT NOT NULL, created_at REAL NOT NULL)",
    "authority_workos_events (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, event TEXT NOT NULL,"
    " data TEXT NOT NULL, created_at REAL NOT NULL)",
    "authority_workos_blueprints (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT,"
    " permissions TEXT NOT NULL, invocable_by TEXT NOT NULL, invocable_as TEXT NOT NULL,"
    " session_settings TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL)",
    "authority_workos_instances (id TEXT PRIMARY KEY, blueprint_id TEXT NOT NULL"
    " REFERENCES authority_workos_blueprints (id) ON DELETE CASCADE, sub TEXT, created_at REAL NOT NULL)",
    "authority_workos_agent_sessions (id TEXT PRIMARY KEY, instance_id TEXT NOT NULL"
    " REFERENCES authority_workos_instances (id) ON DELETE CASCADE, parent_id TEXT, user_session_id TEXT,"
    " refresh_digest TEXT NOT NULL UNIQUE, intent TEXT, expires_at REAL NOT NULL,"
    " revoked_at REAL, created_at REAL NOT NULL, updated_at REAL NOT NULL)",
)
INDEXES = (
    # One instance for each human a blueprint acts for, and one that acts for itself.
    "CREATE UNIQUE INDEX IF NOT EXISTS authority_workos_instances_of ON authority_workos_instances"
    " (blueprint_id, coalesce(sub, ''))",
    "CREATE INDEX IF NOT EXISTS authority_workos_agent_sessions_of ON authority_workos_agent_sessions (instance_id)",
)


def make_tables(store: Store) -> None:
    """Make those that are missing."""
    with store.transaction() as connection:
        for table in TABLES:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        for index in INDEXES:
            connection.execute(index)
