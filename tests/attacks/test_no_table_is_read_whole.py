"""What one caller does costs no more the more rows others have made (CWE-407, CWE-770): every statement of a whole
round of the demo finds its rows by an index, and sorts none of them again.

The statements are those that SQLite ran, and the plans SQLite's own (sqlite.org/eqp.html), which go by the schema and
not by the number of rows. So no million of rows has to be made to see what a million would cost.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.shop import audit_log
from tests.attacks.rounds import a_whole_round
from tests.conftest import serving
from tests.unit.workos.conftest import Clock, World

SMALL = frozenset(
    {
        *(
            "schema_versions",
            "world",
            "console_key",
            "oauth_keys",
            "oauth_resources",
            "shop_audit_keys",
            "oauth_wrong_codes",
            "shop_stock",
            "shop_closed",
            "shop_listings",
        ),
        *("workos_key", "workos_permissions", "workos_blueprints", "workos_audit_schemas", "sqlite_master"),
        # These see themselves to that they stay small: some hundreds of browsers, the events of a few seconds.
        *("oauth_browser_sessions", "oauth_security_events", "oauth_event_streams", "oauth_event_acknowledgements"),
        *("shop_lease", "shop_policies", "shop_listings"),
        "oauth_purchases",  # the questions of a few minutes, some of a session
        "pragma_table_info",
        # No table: of an audit log, so many entries (`audit_log.LOOKED_AT`) in which a filter seeks.
        "looked_at",
    }
)
"""A row for each thing that an administrator set up, or that the program has; and what is as small."""
BOUNDED = (
    "SELECT COUNT(*) FROM oauth_clients",
    "DELETE FROM oauth_device_requests WHERE id IN",
    "INSERT INTO shop_audit_forgotten",
)
"""How statements begin that read what is never more than some hundreds of rows, for it is these that see to that."""


class Traced(sqlite3.Connection):
    """A connection whose statements are noted."""

    seen: dict[str, str] = {}  # noqa: RUF012 - one for all, which the fixture clears

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.set_trace_callback(lambda sql: self.seen.setdefault(re.sub(r"'[^']*'|\b\d[\d.e+-]*", "?", sql), sql))


@pytest.fixture
def statements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, dict[str, str]]]:
    """A running local server, and what its databases were asked so far."""
    honest = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: honest(*given, factory=Traced, **named))
    monkeypatch.setattr(audit_log, "PRUNED_EVERY", 2)
    monkeypatch.setattr(audit_log, "MOST_OF_NOBODY", 1)
    clock = Clock()
    with serving(tmp_path / "server.sqlite3", clock=clock) as url:
        Traced.seen.clear()  # what a start does is done once
        yield World(url, tmp_path, clock), Traced.seen


def read_whole(file: Path, asked: dict[str, str]) -> list[str]:
    """The statements that read a table whole, or sort what they found, each with what it does."""
    found = []
    with sqlite3.connect(file) as connection:
        for sql in list(asked.values()):  # the server goes on meanwhile
            if not re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)", sql, re.I) or sql.startswith(BOUNDED):
                continue
            named = {alias: table for table, alias in re.findall(r"\b(?:FROM|JOIN)\s+(\w+)\s+(?:AS\s+)?(\w+)", sql)}
            tables = set(re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)", sql))
            plans = connection.execute(f"EXPLAIN QUERY PLAN {sql}".replace("Inf", "9e999")).fetchall()
            bad = [plan for *_, plan in plans if re.match(r"SCAN (?!.*CONSTANT ROW)|USE TEMP B-TREE", plan)]
            bad = (
                []
                if tables <= SMALL
                else [plan for plan in bad if {(name := plan.split()[1]), named.get(name)}.isdisjoint(SMALL)]
            )
            if "WHERE" not in sql and "LIMIT" in sql and not any("TEMP" in plan for plan in bad):
                continue  # the first few of an index
            if bad and not tables <= SMALL:
                found.append(f"{bad}: {sql}")
    return found


def test_every_statement_of_a_whole_round_goes_by_an_index(statements: tuple[World, dict[str, str]]) -> None:
    world, asked = statements
    a_whole_round(world)
    file = world.state / "server.sqlite3"
    with sqlite3.connect(file) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    written = [sql for sql in asked if re.match(r"\s*(INSERT|UPDATE|DELETE)", sql)]
    touched = {table for table in tables if any(re.search(rf"\b{table}\b", sql) for sql in written)}
    assert tables - touched <= SMALL | {"sqlite_sequence"}, "the round must reach what grows"
    assert "\n".join(read_whole(file, asked)) == ""
    # It bites: the same statements without what was made for them.
    with sqlite3.connect(file) as connection:
        made = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT NULL").fetchall()
        for (index,) in made:
            connection.execute(f"DROP INDEX {index}")
    assert len(read_whole(file, asked)) > 10
