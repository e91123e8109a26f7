"""A file of an earlier schema is brought up to date, with what is in it; one of a later schema is refused untouched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from demo.auth_server.state import store
from demo.local_server import local, world
from demo.local_server.app import create_app
from demo.migrations import NewerSchema, migrate
from demo.preflight.doctor import examine
from demo.settings import Settings
from demo.shop import database as shop
from demo.warehouse import shelves
from demo.workos_emulator import routes as workos
from deputize.errors import EnvironmentNotReady
from tests.conftest import serving
from tests.unit.workos.conftest import Clock, World, claim

OLD = Path(__file__).parent / "old_schemas"
"""What local servers made before there were versions, taken from this project's history."""
HISTORIES: tuple[ModuleType, ...] = (store, shop, workos, world, shelves)


def columns(file: Path) -> dict[str, list[tuple[str, str]]]:
    """The columns of each table, by name."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: sorted(connection.execute(f"SELECT name, type FROM pragma_table_info('{table}')"))
            for table in tables
        }


@pytest.mark.parametrize("old", sorted(file.stem for file in OLD.glob("*.sql")))
def test_an_older_file_becomes_what_a_new_one_is_and_one_buys_in_it(tmp_path: Path, old: str) -> None:
    file, fresh = tmp_path / "server.sqlite3", tmp_path / "fresh" / "server.sqlite3"
    fresh.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((OLD / f"{old}.sql").read_text("utf-8"))
        connection.execute("INSERT INTO authority_agents VALUES ('agent_old', 'user_alice', 'demo-agent', 0)")
        connection.commit()
    with serving(fresh), serving(file) as url:
        there = World(url, tmp_path, Clock())
        agent = there.agent()
        there.buy(agent)
        assert claim(agent, "act.sub") == "agent_old", "what was there is kept"
    new = columns(fresh)
    assert {name: held for name, held in columns(file).items() if name in new} == new


def test_an_idempotency_key_of_a_consent_becomes_its_agents(tmp_path: Path) -> None:
    file = tmp_path / "server.sqlite3"
    order = (
        "INSERT INTO shop_orders VALUES (?, ?, 0, ?, 'a', 'user_alice', ?, 'c', 'x', 's', 'M', 'A', 'B', 1, 'USD', '')"
    )
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((OLD / "keys_by_consent.sql").read_text("utf-8"))
        connection.execute(order, (1, "order_1", "protected", "agent_1"))
        connection.execute(order, (2, "order_2", "protected", None))
        connection.execute(order, (3, "order_3", "open", None))
        kept = [
            ("consent:x", "k", "args", "order_1"),
            ("grant:y", "k", "args", "order_2"),
            ("open", "k", "args", "order_3"),
        ]
        connection.executemany("INSERT INTO shop_keys VALUES (?, ?, ?, ?)", kept)
        connection.commit()
    opened = shop.Database(file)
    with opened.transaction() as connection:
        found = [tuple(row) for row in connection.execute("SELECT caller, order_id FROM shop_keys ORDER BY order_id")]
    opened.close()
    assert found == [("agent:agent_1", "order_1"), ("client:user_alice c", "order_2"), ("open", "order_3")]


def test_a_step_that_is_added_is_done_once_and_nothing_is_lost(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x", isolation_level=None)) as connection:
        first = "CREATE TABLE IF NOT EXISTS orders (id TEXT);\nINSERT INTO orders VALUES ('order_1');"
        migrate(connection, "a", (first,))
        migrate(connection, "b", ("CREATE TABLE others (id TEXT);",))
        for _ in range(2):
            migrate(connection, "a", (first, "ALTER TABLE orders ADD COLUMN gift TEXT"))
        assert connection.execute("SELECT * FROM orders").fetchall() == [("order_1", None)]
        versions = dict(connection.execute("SELECT room, version FROM schema_versions").fetchall())
        assert versions == {"a": 2, "b": 1}


def test_a_step_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x", isolation_level=None)) as connection:
        first, broken = (
            "CREATE TABLE orders (id TEXT);",
            "CREATE TABLE half (id TEXT);\nINSERT INTO nowhere VALUES (1);",
        )
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, "a", (first, broken))
        assert not connection.in_transaction
        assert connection.execute("SELECT version FROM schema_versions").fetchall() == [(1,)]
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert "orders" in names and "half" not in names


def test_a_file_of_a_newer_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x", isolation_level=None)) as connection:
        migrate(connection, "a", ("CREATE TABLE orders (id TEXT);", "CREATE TABLE more (id TEXT);"))
        before = columns(tmp_path / "x")
        with pytest.raises(NewerSchema) as refused:
            migrate(connection, "a", ("CREATE TABLE orders (id TEXT);",))
        assert (refused.value.exit_code, str(tmp_path / "x") in refused.value.what) == (3, True)
        assert columns(tmp_path / "x") == before


@pytest.mark.parametrize("room", ["the authorization server", "WorkOS's API", "the shop", "the warehouse"])
def test_a_server_that_refuses_its_data_leaves_no_file_open(tmp_path: Path, room: str) -> None:
    file = tmp_path / "newer.sqlite3"
    with serving(tmp_path / "server.sqlite3"):
        pass
    with closing(sqlite3.connect(tmp_path / "server.sqlite3")) as connection:
        connection.execute("VACUUM INTO ?", (str(file),))  # one that nobody in this process has ever had open
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("UPDATE schema_versions SET version = 999 WHERE room = ?", (room,)).rowcount == 1
        connection.commit()
    with pytest.raises(NewerSchema) as refused:
        create_app("http://127.0.0.1:1", file)
    held = [one.path for one in psutil.Process().open_files() if one.path.startswith(str(file))]
    assert held == [], refused  # whose traceback holds whatever was not closed


def test_the_doctor_and_every_command_say_that_a_newer_version_wrote_the_data(tmp_path: Path) -> None:
    file = tmp_path / "server.sqlite3"
    with serving(file):
        pass
    with closing(sqlite3.connect(file)) as connection:
        rooms = [row[0] for row in connection.execute("SELECT room FROM schema_versions ORDER BY room")]
        assert len(rooms) == len(HISTORIES)
        connection.execute("UPDATE schema_versions SET version = 999 WHERE room = 'the shop'")
        connection.commit()
    with pytest.raises(EnvironmentNotReady) as refused:
        local.ensure(tmp_path, port=0)
    assert "newer version" in refused.value.why and "update" in refused.value.do
    finding = next(one for one in examine(Settings(state=tmp_path, port=0)).findings if one.name == "server")
    assert (finding.mark, "newer version" in finding.detail, "update" in finding.fix) == ("bad", True, True)
