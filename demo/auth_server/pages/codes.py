"""Looking a user code up, with wrong ones counted: guessing is bounded (RFC 8628 section 5.1)."""

from __future__ import annotations

from ..state.device_requests import DeviceRequest, canonical_user_code, find_request
from .rendering import message
from .visit import PageRefused, Visit

WRONG_CODES = 10
WINDOW_SECONDS = 60.0


def request_of(visit: Visit) -> tuple[str, DeviceRequest] | None:
    """The user code of this visit, as it is written on the device, and its request; None when there is none such.

    Raises:
        PageRefused: 429, this address has been wrong too often of late. A right code is refused as well then,
            because its acceptance would tell a guesser that it was right.
    """
    authority, now = visit.authority, visit.authority.now()
    code = canonical_user_code(visit.fields.get("user_code", ""))
    with authority.store.transaction() as connection:
        connection.execute("DELETE FROM authority_wrong_codes WHERE at <= ?", (now - WINDOW_SECONDS,))
        wrong, oldest = connection.execute(
            "SELECT COUNT(*), MIN(at) FROM authority_wrong_codes WHERE address = ?", (visit.address,)
        ).fetchone()
        if wrong >= WRONG_CODES:
            wait = oldest + WINDOW_SECONDS - now
            text = f"Wait {max(1, round(wait))} seconds, then enter the code that your terminal shows."
            raise PageRefused(message(429, "Too many wrong codes", text, retry_after=wait))
        found = None if code is None else find_request(connection, "user_code", code, now)
        if code is not None and found is None:
            connection.execute("INSERT INTO authority_wrong_codes (address, at) VALUES (?, ?)", (visit.address, now))
    return None if code is None or found is None else (code, found)
