"""The tables of the shop, and their history."""

from __future__ import annotations

import sqlite3
from typing import Final

from demo.migrations import has_column
from demo.shop import outbox
from demo.shop.audit_chain import READING, chain_what_is_there


def _keys_by_caller(connection: sqlite3.Connection) -> None:
    """Files from before versions may have idempotency keys by consent; since then they are the caller's, over all its
    consents (`facts.TokenFacts.caller`)."""
    if not has_column(connection, "shop_keys", "account"):
        return
    connection.execute("ALTER TABLE shop_keys RENAME TO shop_keys_before")
    connection.execute(_KEYS)
    connection.execute(
        "INSERT OR IGNORE INTO shop_keys SELECT CASE WHEN o.door = 'open' THEN k.account"
        " WHEN o.agent IS NOT NULL THEN 'agent:' || o.agent ELSE 'client:' || o.user || ' ' || o.client END,"
        " k.key, k.arguments, k.order_id FROM shop_keys_before k JOIN shop_orders o ON o.id = k.order_id"
    )
    connection.execute("DROP TABLE shop_keys_before")


_KEYS: Final = """
CREATE TABLE IF NOT EXISTS shop_keys (
    caller TEXT NOT NULL, key TEXT NOT NULL, arguments TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES shop_orders (id), PRIMARY KEY (caller, key));
"""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS shop_stock (item TEXT PRIMARY KEY, left INTEGER NOT NULL CHECK (left >= 0));
CREATE TABLE IF NOT EXISTS shop_orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at REAL NOT NULL,
    door TEXT NOT NULL, account TEXT NOT NULL, user TEXT, agent TEXT, client TEXT, consent TEXT,
    item TEXT NOT NULL, size TEXT NOT NULL, company TEXT NOT NULL, address TEXT NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, audit_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_orders_account ON shop_orders (account);
CREATE INDEX IF NOT EXISTS shop_orders_user ON shop_orders (door, user);
CREATE TABLE IF NOT EXISTS shop_audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, audit_id TEXT NOT NULL UNIQUE, user TEXT, decision TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_audit_user ON shop_audit (user);
CREATE TABLE IF NOT EXISTS shop_bans (user TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shop_calls (key TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS shop_calls_key ON shop_calls (key, at);
CREATE TABLE IF NOT EXISTS shop_closed (door TEXT PRIMARY KEY);
DROP TABLE IF EXISTS shop_rates;
CREATE TABLE IF NOT EXISTS shop_revocations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, jti TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, subject TEXT NOT NULL,
    at REAL NOT NULL);
"""
_STANDING: Final = """
CREATE TABLE IF NOT EXISTS shop_lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), era TEXT NOT NULL, process TEXT NOT NULL, since REAL NOT NULL,
    asked_at REAL NOT NULL, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shop_standing (
    session TEXT PRIMARY KEY, user TEXT NOT NULL, agent TEXT, client TEXT, era TEXT NOT NULL, heard INTEGER NOT NULL,
    standing TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shop_standing_agent ON shop_standing (agent);
CREATE INDEX IF NOT EXISTS shop_standing_user ON shop_standing (user);
DELETE FROM shop_revocations;
"""
_CALLS_BY_AGE: Final = "CREATE INDEX IF NOT EXISTS shop_calls_at ON shop_calls (at);"
_BANS_BY_CALLER: Final = """
CREATE TABLE shop_banned (caller TEXT PRIMARY KEY, at REAL NOT NULL);
INSERT OR IGNORE INTO shop_banned
    SELECT 'agent:' || json_extract(a.decision, '$.agent'), b.at FROM shop_bans b JOIN shop_audit a ON a.user = b.user
    WHERE json_extract(a.decision, '$.agent') IS NOT NULL;
DROP TABLE shop_bans;
"""
"""Until then a ban was its user's: it goes on for each agent that had called for them."""
_PROOFS: Final = """
CREATE TABLE shop_proofs (id TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX shop_proofs_until ON shop_proofs (until);
"""
_REVOCATIONS_BY_AGE: Final = "CREATE INDEX shop_revocations_at ON shop_revocations (at);"
_POLICIES: Final = """
CREATE TABLE shop_policies (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, text TEXT NOT NULL, at REAL NOT NULL,
    in_force INTEGER NOT NULL DEFAULT 0);
"""
_LISTINGS: Final = "CREATE TABLE shop_listings (door TEXT PRIMARY KEY, description TEXT NOT NULL) WITHOUT ROWID;"
_SUB_AGENTS: Final = """
ALTER TABLE shop_orders ADD COLUMN sub_agents TEXT NOT NULL DEFAULT '[]';
DROP TABLE shop_standing;
CREATE TABLE shop_standing (
    session TEXT NOT NULL, agent TEXT NOT NULL, user TEXT NOT NULL, client TEXT, era TEXT NOT NULL,
    heard INTEGER NOT NULL, standing TEXT NOT NULL, PRIMARY KEY (session, agent));
CREATE INDEX shop_standing_agent ON shop_standing (agent);
CREATE INDEX shop_standing_user ON shop_standing (user);
"""
"""Sub-agents act in the session of the agent above them; what was kept of one lasts no longer than a process."""
_APPROVALS: Final = """
CREATE TABLE shop_approvals (id TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES shop_orders (id));
CREATE INDEX shop_approvals_order ON shop_approvals (order_id);
"""
"""Which approval of a single purchase was used, and for which order: for good, like the order."""
STEPS: Final = (
    _keys_by_caller,
    _TABLES,
    _KEYS,
    _STANDING,
    _CALLS_BY_AGE,
    _BANS_BY_CALLER,
    chain_what_is_there,
    _PROOFS,
    READING,
    _REVOCATIONS_BY_AGE,
    _POLICIES,
    _LISTINGS,
    _SUB_AGENTS,
    _APPROVALS,
    outbox.TABLE,
    outbox.SETTLED,
)
"""The schema's history. To change it: append a step, never edit one."""
