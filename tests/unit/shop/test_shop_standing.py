"""What introspection said of a grant is relied on while a lease lasts, unless an event comes; never after a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.shop import standing
from demo.shop.database import Database
from demo.shop.facts import Reliance, Standing, TokenFacts

TOKEN = TokenFacts(user="user_alice", chain=("agent_1",), client="demo-agent", session="session_1")
SAID = Standing(known=True, active=True, username="alice@example.com", name="Alice", roles=("customer", "admin"))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    clock = [1000.0]
    monkeypatch.setattr(standing, "steady", lambda: clock[0])
    yield clock


@pytest.fixture
def connection(tmp_path: Path, now: list[float]) -> Iterator[sqlite3.Connection]:
    Database(tmp_path / "shop.db").close()
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


def test_a_grant_is_kept_while_the_lease_lasts_and_asked_about_again_after_it(
    connection: sqlite3.Connection, now: list[float]
) -> None:
    standing.keep(connection, TOKEN, SAID, Reliance(3, now[0]))
    assert standing.kept(connection, TOKEN) is None, "nobody vouches for it yet"
    standing.renew(connection, now[0], 5.0)
    standing.keep(connection, TOKEN, SAID, Reliance(3, now[0] + 1))
    assert standing.kept(connection, TOKEN) == standing.Kept(SAID, Reliance(3, now[0]))
    now[0] += 4
    standing.renew(connection, now[0] - 1, 5.0)
    now[0] += 3.5
    assert standing.kept(connection, TOKEN) is not None, "renewed before it was over"
    now[0] += 1
    assert standing.kept(connection, TOKEN) is None
    standing.renew(connection, now[0], 5.0)
    assert standing.kept(connection, TOKEN) is None, "an event may have been missed between two leases"


def test_an_answer_from_before_the_lease_and_a_no_are_not_kept(
    connection: sqlite3.Connection, now: list[float]
) -> None:
    standing.renew(connection, now[0], 5.0)
    standing.keep(connection, TOKEN, SAID, Reliance(0, now[0] - 0.1))
    standing.keep(connection, TOKEN, Standing(known=True, active=False), Reliance(0, now[0] + 0.1))
    standing.keep(connection, TokenFacts(user="user_alice"), SAID, Reliance(0, now[0] + 0.1))
    assert standing.kept(connection, TOKEN) is None


@pytest.mark.parametrize(("kind", "subject"), [("session", "session_1"), ("agent", "agent_1"), ("user", "user_alice")])
def test_an_event_takes_away_what_it_is_about(
    connection: sqlite3.Connection, now: list[float], kind: str, subject: str
) -> None:
    other = TokenFacts(user="user_grace", chain=("agent_2",), client="demo-agent", session="session_2")
    standing.renew(connection, now[0], 5.0)
    for one in (TOKEN, other):
        standing.keep(connection, one, SAID, Reliance(0, now[0]))
    standing.void(connection, kind, subject)
    assert standing.kept(connection, TOKEN) is None
    assert standing.kept(connection, other) is not None


def test_a_grant_is_its_own_humans_agents_and_clients(connection: sqlite3.Connection, now: list[float]) -> None:
    standing.renew(connection, now[0], 5.0)
    standing.keep(connection, TOKEN, SAID, Reliance(0, now[0]))
    for changed in ({"user": "user_grace"}, {"chain": ()}, {"client": "another"}):
        assert standing.kept(connection, TokenFacts(**{**vars(TOKEN), **changed})) is None


def test_a_verification_that_comes_late_or_again_begins_nothing(
    connection: sqlite3.Connection, now: list[float]
) -> None:
    standing.renew(connection, now[0] - 6, 5.0)
    standing.keep(connection, TOKEN, SAID, Reliance(0, now[0]))
    assert standing.kept(connection, TOKEN) is None
    standing.renew(connection, now[0], 5.0)
    standing.renew(connection, now[0] - 1, 50.0)
    now[0] += 5.1
    standing.keep(connection, TOKEN, SAID, Reliance(0, now[0]))
    assert standing.kept(connection, TOKEN) is None, "an older verification makes no lease longer"


def test_a_lease_ends_with_its_process(
    connection: sqlite3.Connection, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    standing.renew(connection, now[0], 5.0)
    standing.keep(connection, TOKEN, SAID, Reliance(0, now[0]))
    monkeypatch.setattr(standing, "_PROCESS", "another")
    assert standing.kept(connection, TOKEN) is None
    standing.renew(connection, now[0], 5.0)
    assert standing.kept(connection, TOKEN) is None


def test_the_oldest_grants_are_forgotten(
    connection: sqlite3.Connection, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "MOST_KEPT", 3)
    standing.renew(connection, now[0], 5.0)
    for number in range(10):
        one = TokenFacts(**{**vars(TOKEN), "session": f"session_{number}"})
        standing.keep(connection, one, SAID, Reliance(0, now[0]))
    assert connection.execute("SELECT count(*) FROM shop_standing").fetchone()[0] == 3
    assert standing.kept(connection, one) is not None
