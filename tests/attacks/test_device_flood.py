"""Device authorizations and registrations without end (RFC 8628 section 5.2 "Device Code Brute Forcing" and 5.6;
RFC 7591 section 5; CWE-770): what is kept of them is bounded, and who floods loses their own and nobody else's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.auth_server.clients import client as clients
from demo.auth_server.clients.metadata import read_metadata
from demo.auth_server.state import device_requests
from demo.auth_server.state.device_requests import find_request, poll, save_request
from demo.auth_server.state.store import Store

PUBLIC = "demo-agent"
"""Whose id anybody can send."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(device_requests, "MOST", 30)
    monkeypatch.setattr(device_requests, "MOST_OF_A_CLIENT", 12)
    monkeypatch.setattr(clients, "MOST_CLIENTS", 20)
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


class Devices:
    """Devices that ask, and wait, in a time of their own."""

    def __init__(self, store: Store) -> None:
        self.store, self.now, self.count = store, 1000.0, 0

    def ask(self, client_id: str) -> str:
        self.count += 1
        code = f"device-{self.count}"
        with self.store.transaction() as connection:
            save_request(
                connection,
                device_code=code,
                user_code=f"user-{self.count}",
                client_id=client_id,
                address="127.0.0.1",
                scope=("shop:read",),
                resources=(),
                authorization_details=(),
                now=self.now,
                seconds=600,
                interval=1,
            )
        return code

    def wait(self, code: str) -> bool:
        """Poll; whether the code is still known."""
        with self.store.transaction() as connection:
            found = find_request(connection, "device_code", code, self.now)
            if found is not None:
                poll(connection, found, tolerance=0.1, step=5)
        return found is not None

    def kept(self) -> int:
        with self.store.transaction() as connection:
            return int(connection.execute("SELECT count(*) FROM oauth_device_requests").fetchone()[0])


def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_requests, "_make_room", lambda *_: None)


def oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_requests, "_ACTIVE", "created_at")


@pytest.mark.parametrize("weaken", [None, unbounded, oldest_first], ids=lambda one: one.__name__ if one else "as it is")
def test_a_device_that_waits_for_its_human_outlasts_a_flood(
    store: Store, monkeypatch: pytest.MonkeyPatch, weaken: object
) -> None:
    if callable(weaken):
        weaken(monkeypatch)
    devices = Devices(store)
    honest = {client_id: devices.ask(client_id) for client_id in (PUBLIC, "client_b", "client_c")}
    known = []
    for second in range(40):
        devices.now += 1
        known += [devices.wait(code) for code in honest.values()]
        for _ in range(5):
            devices.ask(PUBLIC)  # under the honest one's own id
        devices.ask(f"client_flood_{second}")
    assert (devices.kept() <= 30, all(known)) == {
        None: (True, True),
        unbounded: (False, True),
        oldest_first: (True, False),
    }[weaken]  # type: ignore[index]


def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        clients,
        "_LEAST_USED",
        "SELECT client_id FROM oauth_clients WHERE source = :source AND client_id NOT IN (SELECT client_id FROM"
        " oauth_consents UNION SELECT client_id FROM oauth_device_requests WHERE expires_at > :now)"
        " ORDER BY created_at, rowid LIMIT :many",
    )


@pytest.mark.parametrize("weaken", [None, as_it_was], ids=["as it is", "as it was"])
def test_registrations_that_each_ask_for_a_device_code_shut_nobody_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, weaken: object
) -> None:
    if callable(weaken):
        weaken(monkeypatch)
    devices = Devices(store)
    given = {"redirect_uris": ["http://127.0.0.1/cb"]}
    metadata = read_metadata(given, supported=("authorization_code",), default_auth_method="none")

    def register(client_id: str) -> bool:
        with store.transaction() as connection:
            return clients.save_client(connection, client_id, metadata, source="registered", now=devices.now)

    def known(client_id: str) -> bool:
        with store.transaction() as connection:
            found = connection.execute("SELECT 1 FROM oauth_clients WHERE client_id = ?", (client_id,)).fetchone()
        return found is not None

    assert register("consented") and register("waiting")
    with store.transaction() as connection:
        connection.execute("INSERT INTO oauth_consents VALUES ('c', 'user', 'consented', '', '[]', '[]', 0)")
    code = devices.ask("waiting")
    admitted = []
    for number in range(50):
        devices.now += 1
        devices.wait(code)
        admitted.append(register(f"flood-{number}"))
        devices.ask(f"flood-{number}")
    assert all(admitted) is (weaken is None)
    assert known("consented") and known("waiting")
    with store.transaction() as connection:
        count = connection.execute("SELECT count(*) FROM oauth_clients").fetchone()[0]
    assert count <= 20


def test_a_session_remembers_only_so_many_used_refresh_tokens(store: Store) -> None:
    from demo.auth_server.state import credentials
    from demo.auth_server.state.sessions import find_session, open_session

    with store.transaction() as connection:
        id = open_session(
            connection,
            sub="user",
            client_id=PUBLIC,
            delegated=True,
            scope=(),
            resources=(),
            authorization_details=(),
            auth_time=0,
            now=0,
        )
        session = find_session(connection, id)
        assert session is not None
        for number in range(3 * credentials.USED_KEPT):
            credentials.save_refresh_token(connection, f"token-{number}", session, None, float(number))
            token = credentials.find_refresh_token(connection, f"token-{number}")
            assert token is not None
            if number < 3 * credentials.USED_KEPT - 1:
                credentials.mark_used(connection, token, float(number))
        assert credentials.find_refresh_token(connection, f"token-{3 * credentials.USED_KEPT - 1}") is not None
        assert credentials.find_refresh_token(connection, f"token-{3 * credentials.USED_KEPT - 50}") is not None
        assert _count(connection, "oauth_refresh_tokens") <= credentials.USED_KEPT + 2


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
