"""Anybody's calls fill the audit trail (CWE-770, CWE-779): a person's own entries stay on the page that they see,
orders stay for good, the rest is bounded by number and age, and what goes is counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.evidence.shop import Decision
from demo.shop import audit_chain, audit_log
from demo.shop.audit_chain import NOBODY
from demo.shop.database import Database

ALICE = "user_alice"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(audit_log, "MOST_OF_NOBODY", 300)
    monkeypatch.setattr(audit_log, "MOST_OF_A_USER", 600)
    made = Database(tmp_path / "shop.sqlite3")
    yield made
    made.close()


def decision(user: str | None, at: float, order: str | None = None) -> Decision:
    return Decision(
        audit_id=audit_log.new_audit_id(),
        at=at,
        verdict="allow",
        gate="open" if user is None else "limits",
        rule="open.anonymous" if user is None else "allowed",
        reason="because",
        remedy=None,
        door="open" if user is None else "protected",
        order_id=order,
        user=user,
    )


def write(database: Database, entries: list[Decision]) -> None:
    with database.transaction() as connection:
        for entry in entries:
            audit_log.record(connection, entry)


def page(database: Database, *, admin: bool = False, limit: int = 200) -> list[Decision]:
    with database.transaction() as connection:
        return audit_log.entries(connection, reader=ALICE, everybody=admin, after=None, limit=limit)


def one(database: Database, sql: str, *given: Any) -> Any:
    with database.transaction() as connection:
        return connection.execute(sql, given).fetchone()[0]


def unfair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_fairly", lambda rows, limit, **_: rows[:limit])


def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_over", lambda *_: 0)


@pytest.mark.parametrize("weaken", [None, unfair, endless], ids=lambda one: one.__name__ if one else "as it is")
def test_a_flood_by_nobody_leaves_a_persons_own_on_the_page(
    database: Database, monkeypatch: pytest.MonkeyPatch, weaken: Any
) -> None:
    if weaken is not None:
        weaken(monkeypatch)
    own = [decision(ALICE, 1.0, order=f"order_{number}" if number == 3 else None) for number in range(20)]
    write(database, own)
    write(database, [decision(None, 2.0 + number) for number in range(2000)])
    for admin in (False, True):
        shown = page(database, admin=admin)
        assert len(shown) == 200
        assert [entry.audit_id for entry in shown if entry.user] == (
            [] if weaken is unfair else [entry.audit_id for entry in own]
        )
    kept = one(database, "SELECT count(*) FROM shop_audit WHERE owner = ''")
    counted = one(database, "SELECT coalesce(sum(entries), 0) FROM shop_audit_forgotten WHERE owner = ''")
    assert kept + counted == 2000
    assert (kept < 300 + audit_log.PRUNED_EVERY) is (weaken is not endless)
    with database.transaction() as connection:
        gone = audit_log.forgotten(connection, reader=ALICE)
    if weaken is not endless:
        assert [(entry.user, entry.rule, entry.entries) for entry in gone] == [(None, "open.anonymous", counted)]


def test_without_a_flood_the_page_is_the_last_of_all(database: Database) -> None:
    mixed = [decision(ALICE if number % 3 else None, float(number)) for number in range(50)]
    write(database, mixed)
    for limit in (1, 3, 10, 50, 200):
        assert [entry.audit_id for entry in page(database, limit=limit)] == [one.audit_id for one in mixed[-limit:]]


def test_an_agents_own_flood_takes_no_order_with_it_and_the_chain_still_holds(database: Database) -> None:
    orders = [f"order_{number}" for number in range(5)]
    write(database, [decision(ALICE, 1.0, order) for order in orders])
    for batch in range(30):
        write(database, [decision(ALICE, 2.0 + batch) for _ in range(100)])
    with database.transaction() as connection:
        log = audit_log.log_of(connection, ALICE)
        assert log is not None and log.size == 3005 and log.pruned >= 2300
        entries = audit_log.read_log(connection, ALICE, after=0, limit=5000)
    assert [item["entry"]["order_id"] for item in entries[:5]] == orders
    assert len(entries) < 600 + audit_log.PRUNED_EVERY + 5
    link = log.pruned_link
    for item in (item for item in entries if item["entry"]["seq"] > log.pruned):
        link = audit_chain.link(link, audit_chain.canonical(item["entry"]))
        assert link.hex() == item["link"]


def test_what_is_older_than_a_year_and_more_goes_and_orders_do_not(database: Database) -> None:
    write(database, [decision(None, 1.0) for _ in range(50)])
    write(database, [decision(None, 1.0, "order_of_nobody")])
    write(database, [decision(None, 1.0 + audit_log.KEPT_SECONDS + number) for number in range(2, 250)])
    with database.transaction() as connection:
        rows = connection.execute("SELECT decision FROM shop_audit WHERE owner = ?", (NOBODY,)).fetchall()
    old = [entry for row in rows if (entry := json.loads(row["decision"]))["at"] < 2]
    assert [entry["order_id"] for entry in old] == ["order_of_nobody"]
