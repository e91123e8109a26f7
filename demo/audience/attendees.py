"""The attendees: the sample accounts that are made for them, each known by its browser's cookie; kept in SQLite.

They are the directory of the attendees' own authorization server: it offers each browser its own account and no other.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo.audience import names
from demo.auth_server.administration import Account
from demo.migrations import migrate
from demo.scopes import SCOPES
from deputize import private

COOKIE: Final = "room_attendee"
MOST: Final = 600
"""Attendees of one room."""
MOST_OF_ONE_ADDRESS: Final = 30
"""Accounts that one network address may make in a session; a room behind one address (a tunnel) has no such bound."""
DOMAIN: Final = "room.example"
"""Of their email addresses, which nobody is asked for (RFC 2606 section 3)."""
_STEPS: Final = (
    "CREATE TABLE room_attendees (number INTEGER PRIMARY KEY, name TEXT NOT NULL, cookie TEXT NOT NULL UNIQUE,"
    " address TEXT NOT NULL, created_at REAL NOT NULL);",
    # From where somebody came is counted while the room is open, and written down nowhere.
    "ALTER TABLE room_attendees DROP COLUMN address;",
)


class NoRoom(Exception):
    """There is no place for another attendee; the message says why, for who asked."""


@dataclass(frozen=True)
class Attendee:
    """One attendee. `number` is how the presenter calls on them."""

    number: int
    name: str

    @property
    def sub(self) -> str:
        """The identifier that tokens carry."""
        return f"user_room_{self.number}"

    @property
    def account(self) -> Account:
        """The account at the attendees' authorization server; it may grant what a customer of the shop may."""
        about = f"Made for you: number {self.number} in this room"
        email, may = f"no{self.number}@{DOMAIN}", frozenset(SCOPES) - {"demo:mode", "audit:read"}
        return Account(self.sub, email, self.name, about, ("customer",), may)


class Attendees:
    """All attendees of one room.

    Args:
        database: the SQLite file, made when missing.

    Raises:
        OSError, sqlite3.Error: it cannot be opened.
    """

    def __init__(self, database: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        private.database(database)
        self._connection = sqlite3.connect(database, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            migrate(self._connection, "the room", _STEPS)
            rows = self._connection.execute("SELECT number, name, cookie FROM room_attendees").fetchall()
        except BaseException:
            self._connection.close()
            raise
        self._by_cookie = {row[2]: Attendee(row[0], row[1]) for row in rows}
        self._by_sub = {one.sub: one for one in self._by_cookie.values()}
        self._of_address: dict[str, int] = {}
        self._asked: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_sub)

    def join(self, name: str, address: str, *, shared: bool) -> tuple[Attendee, str]:
        """Make an account; the attendee, and the secret for their browser's cookie.

        Args:
            name: as they gave it; empty for none.
            address: the network address they come from.
            shared: whether that is the address of many.

        Raises:
            names.UnsuitableName: the name cannot be used.
            NoRoom: the room is full, or the address had its share.
            sqlite3.Error: it cannot be kept.
        """
        chosen = names.fit(name)
        with self._lock:
            if len(self._by_sub) >= MOST:
                raise NoRoom("Every place in this room is taken. You can watch all the same.")
            if not shared and self._of_address.get(address, 0) >= MOST_OF_ONE_ADDRESS:
                raise NoRoom("Too many accounts were made from your network address.")
            secret = secrets.token_urlsafe(32)
            cookie = _digest(secret)
            number = 1 + max((one.number for one in self._by_sub.values()), default=0)
            attendee = Attendee(number, chosen or f"Guest {number}")
            self._connection.execute(
                "INSERT INTO room_attendees (number, name, cookie, created_at) VALUES (?, ?, ?, ?)",
                (number, attendee.name, cookie, self._clock()),
            )
            self._by_cookie[cookie] = self._by_sub[attendee.sub] = attendee
            self._of_address[address] = self._of_address.get(address, 0) + 1
        return attendee, secret

    def of(self, cookies: Mapping[str, str]) -> Attendee | None:
        """The attendee with these cookies, or None."""
        secret = cookies.get(COOKIE, "")
        return self._by_cookie.get(_digest(secret)) if secret else None

    def numbered(self, number: int) -> Attendee | None:
        """The attendee with this number, or None."""
        return self._by_sub.get(f"user_room_{number}")

    def by_sub(self, sub: str) -> Account | None:
        """As `demo.auth_server`'s `Directory` has it."""
        found = self._by_sub.get(sub)
        return None if found is None else found.account

    def offered(self, cookies: Mapping[str, str]) -> tuple[Account, ...]:
        """As `demo.auth_server`'s `Directory` has it: a browser's own account alone."""
        found = self.of(cookies)
        return () if found is None else (found.account,)

    def asks(self, attendee: Attendee, user_code: str) -> None:
        """An attendee's agent asks, and their page shows them this code."""
        self._asked[attendee.sub] = user_code

    def started(self, cookies: Mapping[str, str]) -> str | None:
        """As `demo.auth_server`'s `Directory` has it: what the attendee's own page shows."""
        found = self.of(cookies)
        return None if found is None else self._asked.get(found.sub)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _digest(secret: str) -> str:
    import hashlib

    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
