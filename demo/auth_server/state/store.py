"""The authorization server's database: one SQLite file in WAL mode, short transactions, secrets only as digests."""

from __future__ import annotations

import base64
import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo.migrations import Step, has_column, migrate, write_ahead
from deputize import private

from . import answers

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's write before it gives up."""

_TABLES = """
CREATE TABLE IF NOT EXISTS authority_keys (
    kid TEXT PRIMARY KEY, jwk TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_agents (
    id TEXT PRIMARY KEY, sub TEXT NOT NULL, client_id TEXT NOT NULL, created_at REAL NOT NULL,
    UNIQUE (sub, client_id));
CREATE TABLE IF NOT EXISTS authority_consents (
    id TEXT PRIMARY KEY, sub TEXT NOT NULL, client_id TEXT NOT NULL, scope TEXT NOT NULL, resources TEXT NOT NULL,
    authorization_details TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_sessions (
    id TEXT PRIMARY KEY, consent_id TEXT NOT NULL REFERENCES authority_consents (id),
    agent_id TEXT REFERENCES authority_agents (id), auth_time REAL NOT NULL, created_at REAL NOT NULL,
    revoked_at REAL, revoked_by_kind TEXT, revoked_by TEXT);
CREATE INDEX IF NOT EXISTS authority_sessions_consent ON authority_sessions (consent_id);
CREATE TABLE IF NOT EXISTS authority_standing (
    kind TEXT NOT NULL, id TEXT NOT NULL, revoked_at REAL NOT NULL, revoked_by TEXT NOT NULL,
    PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS authority_refresh_tokens (
    digest TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES authority_sessions (id), client_id TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, used_at REAL);
CREATE INDEX IF NOT EXISTS authority_refresh_tokens_expiry ON authority_refresh_tokens (expires_at);
CREATE TABLE IF NOT EXISTS authority_device_requests (
    id TEXT PRIMARY KEY, device_code_digest TEXT NOT NULL UNIQUE, user_code_digest TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL, scope TEXT NOT NULL, resources TEXT NOT NULL, authorization_details TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, interval REAL NOT NULL, polled_at REAL,
    decision TEXT, decided_at REAL, session_id TEXT REFERENCES authority_sessions (id), redeemed_at REAL);
CREATE TABLE IF NOT EXISTS authority_authorization_codes (
    id TEXT PRIMARY KEY, code_digest TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL, nonce TEXT, session_id TEXT NOT NULL REFERENCES authority_sessions (id),
    expires_at REAL NOT NULL, redeemed_at REAL);
CREATE TABLE IF NOT EXISTS authority_clients (
    client_id TEXT PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, auth_method TEXT NOT NULL,
    secret_digest TEXT, redirect_uris TEXT NOT NULL, grant_types TEXT NOT NULL, scope TEXT NOT NULL,
    created_at REAL NOT NULL, fresh_until REAL);
CREATE TABLE IF NOT EXISTS authority_workos_resources (
    id TEXT PRIMARY KEY, uri TEXT NOT NULL UNIQUE, is_default INTEGER NOT NULL, created_at REAL NOT NULL,
    updated_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_browser_sessions (
    digest TEXT PRIMARY KEY, sub TEXT NOT NULL, signed_in_at REAL NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_assertions (name TEXT PRIMARY KEY, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_events (
    jti TEXT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS authority_wrong_codes (address TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS authority_wrong_codes_address ON authority_wrong_codes (address, at);
"""


def _scope_of_clients(connection: sqlite3.Connection) -> None:
    """Files from before versions may have clients without the scope that they registered."""
    if not has_column(connection, "authority_clients", "scope"):
        connection.execute("ALTER TABLE authority_clients ADD COLUMN scope TEXT NOT NULL DEFAULT ''")


_RENAMED = """
ALTER TABLE authority_keys RENAME TO oauth_keys;
ALTER TABLE authority_agents RENAME TO oauth_agents;
ALTER TABLE authority_consents RENAME TO oauth_consents;
ALTER TABLE authority_sessions RENAME TO oauth_sessions;
ALTER TABLE authority_standing RENAME TO oauth_revocations;
ALTER TABLE authority_refresh_tokens RENAME TO oauth_refresh_tokens;
ALTER TABLE authority_device_requests RENAME TO oauth_device_requests;
ALTER TABLE authority_authorization_codes RENAME TO oauth_authorization_codes;
ALTER TABLE authority_clients RENAME TO oauth_clients;
ALTER TABLE authority_workos_resources RENAME TO oauth_resources;
ALTER TABLE authority_browser_sessions RENAME TO oauth_browser_sessions;
ALTER TABLE authority_assertions RENAME TO oauth_assertions;
ALTER TABLE authority_events RENAME TO oauth_security_events;
ALTER TABLE authority_wrong_codes RENAME TO oauth_wrong_codes;
"""
_PROOFS = """
CREATE TABLE oauth_proofs (id TEXT PRIMARY KEY, until REAL NOT NULL);
CREATE INDEX oauth_proofs_until ON oauth_proofs (until);
ALTER TABLE oauth_refresh_tokens ADD COLUMN key TEXT;
ALTER TABLE oauth_authorization_codes ADD COLUMN key TEXT;
"""
_SEEDS = """
ALTER TABLE oauth_refresh_tokens ADD COLUMN seed TEXT NOT NULL DEFAULT '';
UPDATE oauth_refresh_tokens SET seed = lower(hex(randomblob(32)));
"""
_INDEXES = """
CREATE INDEX oauth_consents_sub ON oauth_consents (sub, created_at);
CREATE INDEX oauth_consents_client ON oauth_consents (client_id);
CREATE INDEX oauth_sessions_created ON oauth_sessions (created_at);
CREATE INDEX oauth_sessions_agent ON oauth_sessions (agent_id);
CREATE INDEX oauth_refresh_tokens_session ON oauth_refresh_tokens (session_id, expires_at);
CREATE INDEX oauth_codes_session ON oauth_authorization_codes (session_id);
CREATE INDEX oauth_codes_expiry ON oauth_authorization_codes (expires_at);
CREATE INDEX oauth_codes_challenge ON oauth_authorization_codes (code_challenge);
CREATE INDEX oauth_device_requests_session ON oauth_device_requests (session_id);
CREATE INDEX oauth_device_requests_expiry ON oauth_device_requests (expires_at);
CREATE INDEX oauth_device_requests_client
    ON oauth_device_requests (client_id, coalesce(polled_at, created_at)) WHERE decision IS NULL;
CREATE INDEX oauth_device_requests_active
    ON oauth_device_requests (coalesce(polled_at, created_at)) WHERE decision IS NULL;
CREATE INDEX oauth_clients_source ON oauth_clients (source, created_at);
CREATE INDEX oauth_browser_sessions_expiry ON oauth_browser_sessions (expires_at);
CREATE INDEX oauth_assertions_expiry ON oauth_assertions (expires_at);
CREATE INDEX oauth_wrong_codes_at ON oauth_wrong_codes (at);
"""
"""For what is looked up, counted or pruned otherwise than by its id, so that no table is read whole."""
_STREAMS = """
CREATE TABLE IF NOT EXISTS oauth_event_streams (
    id TEXT PRIMARY KEY, client_id TEXT NOT NULL, resource TEXT NOT NULL, origin TEXT NOT NULL UNIQUE,
    endpoint_url TEXT NOT NULL, events_requested TEXT NOT NULL, used_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS oauth_event_acknowledgements (
    jti TEXT NOT NULL, stream TEXT NOT NULL, PRIMARY KEY (jti, stream));
CREATE INDEX IF NOT EXISTS oauth_event_streams_client ON oauth_event_streams (client_id);
"""
_GUESSES = """
DROP TABLE oauth_wrong_codes;
CREATE TABLE oauth_wrong_codes (one INTEGER PRIMARY KEY CHECK (one = 1), so_far INTEGER NOT NULL);
INSERT INTO oauth_wrong_codes VALUES (1, 0);
ALTER TABLE oauth_device_requests ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_device_requests ADD COLUMN wrong_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE oauth_device_requests ADD COLUMN entered_at REAL;
DELETE FROM oauth_browser_sessions;
"""
_BOUND_CLIENTS = "ALTER TABLE oauth_clients ADD COLUMN bound INTEGER NOT NULL DEFAULT 0;"
_SUB_AGENTS = """
CREATE TABLE oauth_sub_agents (
    id TEXT PRIMARY KEY, parent TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, sub TEXT NOT NULL,
    client_id TEXT NOT NULL, session_id TEXT NOT NULL REFERENCES oauth_sessions (id), scope TEXT NOT NULL,
    spending_limit TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL, UNIQUE (parent, key));
CREATE INDEX oauth_sub_agents_session ON oauth_sub_agents (session_id, created_at);
"""
_APPROVALS = """
CREATE TABLE oauth_approvals (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES oauth_sessions (id), scope TEXT NOT NULL,
    detail TEXT NOT NULL, created_at REAL NOT NULL, until REAL NOT NULL);
CREATE INDEX oauth_approvals_session ON oauth_approvals (session_id);
CREATE INDEX oauth_approvals_until ON oauth_approvals (until);
ALTER TABLE oauth_device_requests ADD COLUMN approval_id TEXT;
ALTER TABLE oauth_authorization_codes ADD COLUMN approval_id TEXT;
"""
_PURCHASES = """
CREATE TABLE oauth_purchases (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES oauth_sessions (id), scope TEXT NOT NULL,
    detail TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL, decision TEXT);
CREATE INDEX oauth_purchases_session ON oauth_purchases (session_id, created_at);
CREATE INDEX oauth_purchases_expiry ON oauth_purchases (expires_at);
"""
_SUB_AGENTS_OF_SESSIONS = """
ALTER TABLE oauth_sub_agents RENAME TO oauth_sub_agents_once;
DROP INDEX oauth_sub_agents_session;
CREATE TABLE oauth_sub_agents (
    id TEXT NOT NULL, parent TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, sub TEXT NOT NULL,
    client_id TEXT NOT NULL, session_id TEXT NOT NULL REFERENCES oauth_sessions (id), scope TEXT NOT NULL,
    spending_limit TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (id, session_id));
INSERT INTO oauth_sub_agents SELECT id, parent, key, name, sub, client_id, session_id, scope, spending_limit,
    created_at, expires_at FROM oauth_sub_agents_once;
DROP TABLE oauth_sub_agents_once;
CREATE INDEX oauth_sub_agents_session ON oauth_sub_agents (session_id, created_at);
CREATE INDEX oauth_sub_agents_key ON oauth_sub_agents (parent, key);
"""
"""What was handed on to a sub-agent in one session, and what in another."""
_UNTIL = """
ALTER TABLE oauth_sub_agents ADD COLUMN until REAL NOT NULL DEFAULT 0;
UPDATE oauth_sub_agents SET until = expires_at;
"""
"""When what was handed on last ends, which may be before an earlier token does."""
_KEYS_OF_SESSIONS = """
ALTER TABLE oauth_sessions ADD COLUMN key TEXT;
UPDATE oauth_sessions SET key = (SELECT r.key FROM oauth_refresh_tokens r
    WHERE r.session_id = oauth_sessions.id AND r.key IS NOT NULL LIMIT 1);
"""
"""By which key the agent of a session is known."""
STEPS = (
    _TABLES,
    _scope_of_clients,
    _RENAMED,
    _PROOFS,
    _SEEDS,
    _INDEXES,
    _STREAMS,
    _GUESSES,
    _BOUND_CLIENTS,
    _SUB_AGENTS,
    _APPROVALS,
    answers.TABLES,
    _PURCHASES,
    _SUB_AGENTS_OF_SESSIONS,
    _UNTIL,
    _KEYS_OF_SESSIONS,
    answers.OF_PURCHASES,
)
"""The schema's history. To change it: append a step, never edit one."""


def digest(secret: str) -> str:
    """The SHA-256 of a token, code or cookie. Fast is right here: they are random, not chosen by people."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_id(kind: str) -> str:
    """A fresh identifier, `kind_` and 80 random bits; not a secret."""
    return f"{kind}_{base64.b32encode(secrets.token_bytes(10)).decode().lower()}"


class Store:
    """The database. One connection, one user of it at a time; other processes wait their turn.

    Raises:
        OSError, sqlite3.Error: the file cannot be made or opened.
        NewerSchema: a newer version of this program wrote it.
    """

    def __init__(self, path: Path) -> None:
        private.database(path)  # it holds the signing key
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._connection.row_factory = sqlite3.Row
            write_ahead(self._connection)
            self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection, "the authorization server", STEPS)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """Everything inside happens or nothing does. Nested ones belong to the outermost.

        A write takes the write lock at once (`BEGIN IMMEDIATE`): two that read before they write, such as two
        redemptions of one code, must not both read the state before either has changed it.
        """
        with self._lock:
            if self._depth:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            self._depth = 1
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0

    def migrate(self, package: str, steps: Sequence[Step]) -> None:
        """Bring further tables in the same file up to date, those of a package beside the authorization server.

        Raises:
            NewerSchema: a newer version of this program wrote them.
        """
        with self._lock:
            migrate(self._connection, package, steps)

    def close(self) -> None:
        """Close the file; used by nobody afterwards."""
        with self._lock:
            self._connection.close()
