"""Device authorization requests on their way from the device's question to the human's answer (RFC 8628)."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from authlib.oauth2.rfc8628 import DeviceCredentialMixin

from .store import digest, new_id

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""Consonants only: no words by accident, nothing that looks like a digit (RFC 8628 section 6.1)."""
LETTERS = 8
MOST_WRONG_CODES = len(ALPHABET) ** LETTERS // 1_000_000
"""How many wrong user codes may be entered, by anybody anywhere, while one code can be guessed: one in a million of all
that there are (RFC 8628 section 5.1). Then the code is over, and the device asks for another. Who comes with the right
one is never turned away for what others typed: not by address, of which a machine has many."""
KEPT_SECONDS = 24 * 3600.0
"""An expired request is remembered this long, so that a late poll hears `expired_token` and not a riddle."""
MOST = 2000
"""Requests without an answer that are kept. Anybody may make them, and on loopback nobody can tell who. So beyond it
those go whose device has been silent for longest: one that waits for its human polls every few seconds, and who floods
would have to poll for thousands."""
MOST_OF_A_CLIENT = 500
"""The same of one client."""
_ACTIVE = "coalesce(polled_at, created_at)"


@dataclass(frozen=True)
class DeviceRequest(DeviceCredentialMixin):  # type: ignore[misc]  # Authlib ships no types
    """One request, as it stood when it was read at `read_at`. Its codes are kept as digests only."""

    id: str
    client_id: str
    address: str
    """Where the device asked from, by network address."""
    scope: tuple[str, ...]
    resources: tuple[str, ...]
    authorization_details: tuple[dict[str, Any], ...]
    created_at: float
    expires_at: float
    interval: float
    polled_at: float | None
    decision: Literal["approved", "denied"] | None
    decided_at: float | None
    session_id: str | None
    redeemed_at: float | None
    approval_id: str | None
    """The purchase that was approved, where no session was opened but one goes on (`approvals`)."""
    entered_at: float | None
    """When somebody entered its code first."""
    wrong_codes: int
    """How many wrong codes were entered since it was made."""
    read_at: float

    def get_client_id(self) -> str:
        """The client that asked."""
        return self.client_id

    def get_scope(self) -> str:
        """The scopes it asked for, space-separated."""
        return " ".join(self.scope)

    def get_user_code(self) -> str:
        """What Authlib asks the human's answer by: this request's id, since the code itself is not kept."""
        return self.id

    def is_expired(self) -> bool:
        """Whether its time was over when it was read, or too many codes had been tried before it was entered."""
        return self.read_at >= self.expires_at or (self.entered_at is None and self.was_guessed_at)

    @property
    def was_guessed_at(self) -> bool:
        """Whether so many codes were tried that the next right one may be a guess."""
        return self.decision is None and self.wrong_codes > MOST_WRONG_CODES


def new_user_code() -> str:
    """A fresh user code, `XXXX-XXXX`: 34 bits, enough where guesses are bounded (RFC 8628 section 5.1)."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
    return f"{letters[:4]}-{letters[4:]}"


def canonical_user_code(typed: str) -> str | None:
    """What a person typed as `XXXX-XXXX`, whatever the case, dashes and spaces; None when it cannot be a code."""
    letters = "".join(character for character in typed.upper() if character.isalnum())
    if len(letters) != LETTERS or any(letter not in ALPHABET for letter in letters):
        return None
    return f"{letters[:4]}-{letters[4:]}"


def save_request(
    connection: sqlite3.Connection,
    *,
    device_code: str,
    user_code: str,
    client_id: str,
    address: str,
    scope: tuple[str, ...],
    resources: tuple[str, ...],
    authorization_details: tuple[dict[str, Any], ...],
    now: float,
    seconds: float,
    interval: float,
) -> None:
    """Remember a request, and forget those that are long over.

    Raises:
        sqlite3.IntegrityError: one of the codes is taken.
    """
    connection.execute("DELETE FROM oauth_device_requests WHERE expires_at < ?", (now - KEPT_SECONDS,))
    connection.execute(
        "INSERT INTO oauth_device_requests (id, device_code_digest, user_code_digest, client_id, address, scope,"
        " resources, authorization_details, created_at, expires_at, interval, wrong_before)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT so_far FROM oauth_wrong_codes))",
        (
            new_id("device"),
            digest(device_code),
            digest(user_code),
            client_id,
            address,
            " ".join(scope),
            json.dumps(resources),
            json.dumps(authorization_details),
            now,
            now + seconds,
            interval,
        ),
    )
    _make_room(connection, client_id)


def _make_room(connection: sqlite3.Connection, client_id: str) -> None:
    """Forget what is too many. The device that polls for it hears that its code is unknown, and asks for another."""
    for where, most in ((" AND client_id = :client_id", MOST_OF_A_CLIENT), ("", MOST)):
        connection.execute(
            "DELETE FROM oauth_device_requests WHERE id IN (SELECT id FROM oauth_device_requests"
            f" WHERE decision IS NULL{where} ORDER BY {_ACTIVE} DESC LIMIT -1 OFFSET :most)",
            {"client_id": client_id, "most": most},
        )


def find_request(
    connection: sqlite3.Connection, by: Literal["id", "device_code", "user_code"], value: str, now: float
) -> DeviceRequest | None:
    """The request with this id, device code or (canonical) user code, or None."""
    column = {"id": "id", "device_code": "device_code_digest", "user_code": "user_code_digest"}[by]
    row = connection.execute(
        "SELECT *, (SELECT so_far FROM oauth_wrong_codes) - wrong_before AS wrong_codes FROM oauth_device_requests"
        f" WHERE {column} = ?",
        (value if by == "id" else digest(value),),
    ).fetchone()
    if row is None:
        return None
    left_out = ("device_code_digest", "user_code_digest", "wrong_before")
    given = {name: row[name] for name in row.keys() if name not in left_out}  # noqa: SIM118 - a Row, not a dict
    given["scope"] = tuple(given["scope"].split())
    given["resources"] = tuple(json.loads(given["resources"]))
    given["authorization_details"] = tuple(json.loads(given["authorization_details"]))
    return DeviceRequest(**given, read_at=now)


def count_wrong_code(connection: sqlite3.Connection) -> None:
    """Somebody entered a code that no request has."""
    connection.execute("UPDATE oauth_wrong_codes SET so_far = so_far + 1")


def note_entered(connection: sqlite3.Connection, request: DeviceRequest) -> None:
    """Somebody entered the code of this request."""
    connection.execute(
        "UPDATE oauth_device_requests SET entered_at = ? WHERE id = ? AND entered_at IS NULL",
        (request.read_at, request.id),
    )


def poll(connection: sqlite3.Connection, request: DeviceRequest, *, tolerance: float, step: float) -> bool:
    """Note that the device polled; whether it was too fast, and then its interval has grown by `step` seconds."""
    too_fast = request.polled_at is not None and request.read_at - request.polled_at < request.interval - tolerance
    connection.execute(
        "UPDATE oauth_device_requests SET polled_at = ?, interval = interval + ? WHERE id = ?",
        (request.read_at, step if too_fast else 0.0, request.id),
    )
    return too_fast


def decide(
    connection: sqlite3.Connection,
    request: DeviceRequest,
    decision: Literal["approved", "denied"],
    session_id: str | None,
    approval_id: str | None = None,
) -> None:
    """Write the human's answer; the caller has seen in this transaction that there is none yet."""
    connection.execute(
        "UPDATE oauth_device_requests SET decision = ?, decided_at = ?, session_id = ?, approval_id = ?"
        " WHERE id = ? AND decision IS NULL",
        (decision, request.read_at, session_id, approval_id, request.id),
    )


def redeem(connection: sqlite3.Connection, request: DeviceRequest) -> None:
    """Mark the device code as used up."""
    connection.execute("UPDATE oauth_device_requests SET redeemed_at = ? WHERE id = ?", (request.read_at, request.id))
