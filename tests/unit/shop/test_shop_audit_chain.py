"""The audit log is a hash chain that its file keeps append-only, with signed checkpoints that only ever extend."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws

from demo.evidence.shop import Decision
from demo.shop import audit_chain, audit_log
from demo.shop.checkpoints import Checkpoints, own_key
from demo.shop.config import ShopConfig
from demo.shop.database import Database
from demo.shop.schema import STEPS
from tests.unit.test_migrations import OLD

BASE = "http://127.0.0.1:1"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "shop.sqlite3")
    yield opened
    opened.close()


def decision(user: str | None = "user_alice", **more: Any) -> Decision:
    given: dict[str, Any] = {
        "at": 1.5,
        "verdict": "allow",
        "gate": "limits",
        "rule": "allowed",
        "reason": "Ja: ž 🐎 \x7f",
    }
    return Decision(audit_id=audit_log.new_audit_id(), user=user, **given | more)


def fill(database: Database, *users: str | None, **more: Any) -> list[str]:
    with database.transaction() as connection:
        written = [decision(user, **more) for user in users]
        for one in written:
            audit_log.record(connection, one)
    return [one.audit_id for one in written]


def rows(database: Database, owner: str) -> list[dict[str, Any]]:
    with database.transaction() as connection:
        return audit_log.read_log(connection, owner, after=0, limit=1000)


def checkpoints(database: Database) -> Checkpoints:
    config = ShopConfig(base_url=BASE, database=Path(), issuer=BASE, introspection=("", ""), clock=lambda: 1000.0)
    with database.transaction() as connection:
        return Checkpoints(config, database, own_key(connection, 0.0))


def signed(database: Database, owner: str) -> dict[str, Any] | None:
    found = asyncio.run(checkpoints(database).of(owner))
    assert found is not None
    return None if found[1] is None else json.loads(jws.extract_compact(found[1].encode()).payload or b"")


def test_each_user_and_nobody_has_a_log_whose_links_follow_from_its_id_and_entries(database: Database) -> None:
    fill(database, "user_alice", None, "user_grace", "user_alice", None, "user_alice")
    with database.transaction() as connection:
        for owner, size in (("user_alice", 3), ("user_grace", 1), ("", 2)):
            log = audit_log.log_of(connection, owner)
            assert log is not None and (log.size, log.pruned, log.written_before) == (size, 0, 0)
            link = sha256(log.id.encode()).digest()
            found = audit_log.read_log(connection, owner, after=0, limit=10)
            for place, row in enumerate(found, 1):
                assert row["entry"]["seq"] == place
                text = json.dumps(row["entry"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
                link = sha256(link + text.encode()).digest()
                assert row["link"] == link.hex()
            assert log.link == link


def test_canonical_json_is_that_of_the_shared_vectors() -> None:
    vectors = json.loads((Path(__file__).parents[3] / "worker/test/audit_chain.json").read_text("utf-8"))
    link = audit_chain.first_link(vectors["log"])
    assert link.hex() == vectors["first_link"]
    for one in vectors["entries"]:
        assert audit_chain.canonical(one["entry"]) == one["canonical"]
        link = audit_chain.link(link, one["canonical"])
        assert link.hex() == one["link"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE shop_audit SET decision = '{}' WHERE place = 1",
        "UPDATE shop_audit SET place = 7 WHERE place = 2",
        "DELETE FROM shop_audit WHERE place = 2",
        "DELETE FROM shop_audit",
        "DELETE FROM shop_audit_logs",
        "UPDATE shop_audit_logs SET id = 'log_other'",
        "UPDATE shop_audit_logs SET pruned = 2, pruned_link = x'00'",
        "UPDATE shop_audit_logs SET pruned = 9, pruned_link = (SELECT link FROM shop_audit WHERE place = 1)",
        "INSERT INTO shop_audit (audit_id, owner, place, link, decision) VALUES ('x', 'user_alice', 2, x'00', '{}')",
    ],
)
def test_the_file_refuses_what_would_change_the_past(database: Database, statement: str) -> None:
    fill(database, *["user_alice"] * 3)
    before = rows(database, "user_alice")
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.execute(statement)
    assert rows(database, "user_alice") == before


def test_a_log_is_pruned_behind_a_kept_link_and_keeps_what_led_to_orders_and_its_last(database: Database) -> None:
    fill(database, *["user_alice"] * 2)
    fill(database, "user_alice", order_id="order_1")
    fill(database, *["user_alice"] * 3)
    whole = rows(database, "user_alice")
    signed(database, "user_alice")
    with database.transaction() as connection:
        assert audit_log.prune(connection, "user_alice", 4) == 3
        log = audit_log.log_of(connection, "user_alice")
        assert log is not None and (log.size, log.pruned, log.pruned_link.hex()) == (6, 4, whole[3]["link"])
    assert rows(database, "user_alice") == [whole[2], *whole[4:]]
    with database.transaction() as connection:
        assert audit_log.prune(connection, "user_alice", 1000) == 1
        assert audit_log.prune(connection, "user_nobody_knows", 1000) == 0
    fill(database, "user_alice")
    assert [row["entry"]["seq"] for row in rows(database, "user_alice")] == [3, 6, 7]
    assert (signed(database, "user_alice") or {})["size"] == 7, "what follows is still seen to follow"


def test_a_savepoint_that_is_rolled_back_leaves_no_gap_and_two_processes_share_one_chain(
    database: Database, tmp_path: Path
) -> None:
    other = Database(tmp_path / "shop.sqlite3")
    with closing(sqlite3.connect(tmp_path / "shop.sqlite3")):
        for opened in (database, other, database, other):
            with opened.transaction() as connection:
                connection.execute("SAVEPOINT one")
                audit_log.record(connection, decision())
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
                audit_log.record(connection, decision())
    other.close()
    assert [row["entry"]["seq"] for row in rows(database, "user_alice")] == [1, 2, 3, 4]
    assert (signed(database, "user_alice") or {})["size"] == 4


def test_a_file_from_before_is_chained_as_it_is_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((OLD / "last_without_versions.sql").read_text("utf-8"))
        for number, user in enumerate(["user_alice", None, "user_alice"], 1):
            entry = json.dumps(decision(user, at=float(number)).to_dict())
            values = (f"audit_{number}", user, entry)
            connection.execute("INSERT INTO shop_audit (audit_id, user, decision) VALUES (?, ?, ?)", values)
        connection.commit()
    for _ in range(2):
        opened = Database(file)
        fill(opened, "user_alice")
        told = signed(opened, "user_alice") or {}
        opened.close()
    assert (told["size"], told["written_before"]) == (4, 2)


def test_a_checkpoint_says_how_long_a_log_is_and_is_made_once_for_a_size(database: Database) -> None:
    fill(database, "user_alice", "user_alice")
    one = checkpoints(database)
    first = asyncio.run(one.of("user_alice"))
    assert first is not None and first[1] is not None and asyncio.run(one.of("user_alice")) == first
    told = json.loads(jws.deserialize_compact(first[1], own(database), algorithms=["ES256"]).payload or b"")
    last = rows(database, "user_alice")[-1]["link"]
    assert told == {
        "iss": BASE,
        "iat": 1000,
        "log": first[0].id,
        "size": 2,
        "link": last,
        "pruned": 0,
        "written_before": 0,
    }
    assert asyncio.run(one.of("user_unknown")) is None


def own(database: Database) -> Any:
    with database.transaction() as connection:
        return own_key(connection, 0.0)


def test_the_logs_that_have_grown_get_a_checkpoint_unasked(database: Database) -> None:
    fill(database, "user_alice", None)
    one = checkpoints(database)
    assert [asyncio.run(one.make()) for _ in range(2)] == [2, 0]
    fill(database, None)
    assert asyncio.run(one.make()) == 1
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM shop_audit_checkpoints").fetchone()[0] == 3


@pytest.mark.parametrize(
    "altered",
    [
        "UPDATE shop_audit SET decision = replace(decision, 'allow', 'deny') WHERE place = 3",
        "DELETE FROM shop_audit WHERE place = 3",
        "DELETE FROM shop_audit WHERE place >= 2",
        "UPDATE shop_audit SET link = zeroblob(32) WHERE place = 2",
    ],
)
def test_what_was_altered_since_a_checkpoint_gets_no_other(database: Database, altered: str) -> None:
    """By somebody who drops the triggers first."""
    fill(database, "user_alice", "user_alice")
    before = signed(database, "user_alice")
    fill(database, "user_alice", "user_alice")
    with database.transaction() as connection:
        connection.execute("DROP TRIGGER shop_audit_is_append_only")
        connection.execute("DROP TRIGGER shop_audit_is_pruned_behind_its_link")
        connection.execute(altered)
    assert signed(database, "user_alice") == before
    fill(database, "user_alice")
    assert signed(database, "user_alice") == before


def test_a_full_disk_in_the_middle_of_a_checkpoint_loses_nothing(database: Database) -> None:
    fill(database, "user_alice")
    one = checkpoints(database)
    full = "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
    with database.transaction() as connection:
        connection.execute(f"CREATE TRIGGER full BEFORE INSERT ON shop_audit_checkpoints {full}")
    with pytest.raises(sqlite3.Error):
        asyncio.run(one.of("user_alice"))
    fill(database, "user_alice")
    with database.transaction() as connection:
        connection.execute("DROP TRIGGER full")
    assert (signed(database, "user_alice") or {})["size"] == 2


def test_the_steps_leave_what_a_new_file_has(database: Database) -> None:
    with database.transaction() as connection:
        triggers = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert len(triggers) == len(audit_chain.TRIGGERS)
    assert audit_chain.chain_what_is_there in STEPS
