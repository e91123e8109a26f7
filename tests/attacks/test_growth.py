"""A file that has grown for long (CWE-770): 10^5 sessions and 10^6 entries of the audit trail, most of them long over.
Everybody is served from it as from a new one, and it grows no more: what is over goes, a little with each call.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from demo.auth_server.state import sessions
from demo.auth_server.state.store import Store
from demo.shop import audit_log
from demo.shop.database import Database
from tests.attacks.rounds import a_whole_round
from tests.attacks.test_a_flooded_trail import decision
from tests.conftest import serving
from tests.unit.workos.conftest import Clock, World

SESSIONS, ENTRIES = 100_000, 1_000_000
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)"
"""Rows are made in bulk, by SQLite itself: what is claimed is claimed of what comes after them."""
OVER = 500 * 24 * 3600.0


def fill(file: Path) -> None:
    """Years of use: sessions that are over and that last, codes, requests, tokens, calls, and a long trail."""
    now = time.time()
    given = {"many": SESSIONS, "now": now, "old": now - OVER, "entries": ENTRIES}
    kinds = {
        "oauth_agents (id, sub, client_id, created_at)": "'agent_' || i, 'user_alice', 'client_' || i, :old",
        "oauth_consents (id, sub, client_id, scope, resources, authorization_details, created_at)": (
            "'consent_' || i, 'user_alice', 'client_' || i, 'shop:read', '[]', '[]',"
            " CASE WHEN i % 2 THEN :old ELSE :now - i END"
        ),
        "oauth_sessions (id, consent_id, agent_id, auth_time, created_at)": (
            "'session_' || i, 'consent_' || i, 'agent_' || i, :old, CASE WHEN i % 2 THEN :old ELSE :now - i END"
        ),
        "oauth_refresh_tokens (digest, session_id, client_id, created_at, expires_at)": (
            "'digest_' || i, 'session_' || i, 'client_' || i, :old, CASE WHEN i % 4 THEN :old ELSE :now + 1e6 END"
        ),
        "oauth_authorization_codes (id, code_digest, client_id, redirect_uri, code_challenge, session_id,"
        " expires_at)": ("'code_' || i, 'code_' || i, 'client_' || i, 'x', 'c' || i, 'session_' || i, :old"),
        "oauth_device_requests (id, device_code_digest, user_code_digest, client_id, scope, resources,"
        " authorization_details, created_at, expires_at, interval)": (
            "'device_' || i, 'd' || i, 'u' || i, 'client_' || i, '', '[]', '[]', :old, :old, 1"
        ),
        "oauth_assertions (name, expires_at)": "'assertion_' || i, :old",
        "oauth_proofs (id, until)": "'proof_' || i, :old",
        "shop_proofs (id, until)": "'proof_' || i, :old",
        "shop_calls (key, at)": "'key_' || i, :old",
        "workos_events (id, event, data, created_at)": "'event_' || i, 'session.created', '{}', :old",
        "workos_audit_exports (id, asked, created_at)": "'export_' || i, '{}', :old",
        "workos_audit_events (idempotency_key, event, occurred_at, created_at)": "'key_' || i, '{}', :old, :old",
    }
    entry = (
        "json_object('audit_id', 'audit_old_' || i, 'at', :now - 1000, 'verdict', 'allow', 'gate', 'limits', 'rule',"
        " 'allowed', 'reason', 'because', 'remedy', NULL, 'door', 'protected', 'order_id', NULL, 'seq', place)"
    )
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table, values in kinds.items():
            connection.execute(f"INSERT INTO {table} {NUMBERS} SELECT {values} FROM n", given)
        for owner in ("", "user_alice"):
            connection.execute("INSERT INTO shop_audit_logs VALUES (?, ?, 0, x'00', 0)", (owner, f"log_{owner}"))
            connection.execute(
                f"INSERT INTO shop_audit (audit_id, owner, place, link, decision) {NUMBERS}, e(i, place) AS"
                " (SELECT i, i FROM n) SELECT 'audit_old_' || :owner || i, :owner, place, zeroblob(32),"
                f" {entry} FROM e",
                {**given, "many": ENTRIES // 2, "owner": owner},
            )


def count(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.long
def test_after_years_everybody_is_served_and_what_is_over_goes(tmp_path: Path) -> None:
    file = tmp_path / "server.sqlite3"
    with serving(file):
        pass
    fill(file)
    with serving(file, clock=(clock := Clock())) as url:
        a_whole_round(World(url, tmp_path, clock))
    for table in ("oauth_authorization_codes", "oauth_device_requests", "oauth_assertions", "oauth_proofs"):
        assert count(file, table) < 200, table
    for table in ("workos_events", "workos_audit_exports", "workos_audit_events"):
        assert 0 < count(file, table) < 200, table
    assert count(file, "shop_proofs") < 200 and count(file, "shop_calls") < 200
    assert SESSIONS / 4 <= count(file, "oauth_refresh_tokens") < SESSIONS / 4 + 200, "those that last stay"
    sessions_go(Store(file))
    entries_go(Database(file))


def sessions_go(store: Store) -> None:
    """With each new session a few of those that are over; none that lasts, or that was revoked a moment ago."""
    now, last = time.time(), "SELECT count(*) FROM oauth_sessions WHERE created_at > ?"
    with store.transaction() as connection:
        before = connection.execute(last, (now - OVER / 2,)).fetchone()[0]
        opened = SESSIONS // 2 // sessions._PRUNED_AT_ONCE + 10
        for _ in range(opened):
            sessions.open_session(
                connection,
                sub="user_grace",
                client_id="demo-agent",
                delegated=True,
                scope=(),
                resources=(),
                authorization_details=(),
                auth_time=now,
                now=now,
            )
        assert connection.execute(last, (now - OVER / 2,)).fetchone()[0] == before + opened
        for table in ("oauth_sessions", "oauth_consents"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == before + opened
        assert connection.execute("SELECT count(*) FROM oauth_agents").fetchone()[0] <= before + 2
    store.close()


def entries_go(database: Database) -> None:
    """With each hundredth entry a thousand of a log that is too long; its orders stay."""
    calls = 3000
    with database.transaction() as connection:
        kept = connection.execute("SELECT count(*) FROM shop_orders").fetchone()[0]
        for number in range(2 * calls):
            user = "user_alice" if number % 2 else None
            audit_log.record(connection, decision(user, time.time()))
        for owner in ("", "user_alice"):
            size = connection.execute("SELECT count(*) FROM shop_audit WHERE owner = ?", (owner,)).fetchone()[0]
            assert size < ENTRIES // 2 + calls - (calls // audit_log.PRUNED_EVERY - 1) * audit_log.PRUNED_AT_ONCE + 100
        gone = connection.execute("SELECT sum(entries) FROM shop_audit_forgotten").fetchone()[0]
        total = connection.execute("SELECT count(*) FROM shop_audit").fetchone()[0]
        size = connection.execute("SELECT sum(place) FROM (SELECT max(place) AS place FROM shop_audit GROUP BY owner)")
        assert gone + total == size.fetchone()[0], "each is there, or counted"
        assert kept == connection.execute("SELECT count(*) FROM shop_orders").fetchone()[0] > 0
    database.close()
