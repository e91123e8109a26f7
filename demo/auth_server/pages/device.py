"""The question of a device (RFC 8628): found by the code that it shows, typed on the verification page (section 3.3),
and answered on the device. Wrong codes are counted: guessing is bounded (section 5.1)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ..clients.client import find_client
from ..state.accounts import Account
from ..state.device_requests import DeviceRequest, canonical_user_code, decide, find_request
from .question import Question
from .rendering import message, page
from .visit import PageRefused, Visit, onward

WINDOW_SECONDS = 60.0


def ask(visit: Visit) -> Response:
    """The form. A code in the link is only filled in (section 3.3.1): nothing is looked up or decided by it."""
    return _form(visit, visit.fields.get("user_code", "")[:32])


def look_up(visit: Visit) -> Response:
    """To the request with this code, by way of signing in."""
    question = device_question(visit)
    if question is None:
        return _form(visit, visit.fields.get("user_code", "")[:32], wrong=True)
    over = question.settled()
    if over is not None:
        return over
    return onward("/device/consent" if visit.browser.account else "/device/sign-in", user_code=question.code)


@dataclass(frozen=True, kw_only=True)
class DeviceQuestion(Question):
    """A question by code."""

    code: str
    request: DeviceRequest

    def settled(self) -> Response | None:
        """The outcome page of a request that is decided (409) or expired (410)."""
        if self.request.decision is not None:
            return self._outcome(f"already-{self.request.decision}", 409)
        return self._outcome("expired", 410) if self.request.is_expired() else None

    def approved(
        self,
        connection: sqlite3.Connection,
        account: Account,
        scope: tuple[str, ...],
        details: tuple[dict[str, Any], ...],
    ) -> Response:
        """The session opens now; the device gets its tokens when it polls next."""
        decide(connection, self.request, "approved", self._open_session(connection, account, scope, details))
        return self._outcome("approved")

    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """The device hears it when it polls next."""
        decide(connection, self.request, "denied", None)
        return self._outcome("denied")

    def _outcome(self, state: str, status: int = 200) -> Response:
        """What became of the request. `state`: approved, denied, already-approved, already-denied, expired."""
        config = self.visit.context.config
        where, back = config.device, config.way_back
        return page("outcome.html", status, client=self.client, state=state, device=where, way_back=back)


def device_question(visit: Visit) -> DeviceQuestion | None:
    """The question with the user code of this visit, or None when there is none such.

    Raises:
        PageRefused: wrong codes were entered too often, or the client is not known any more.
    """
    found = _request_of(visit)
    if found is None:
        return None
    code, request = found
    client = find_client(visit.context, request.client_id)
    if client is None:
        raise PageRefused(
            message(410, "This client is gone", f"Start again in {visit.context.config.device}.", again=True)
        )
    return DeviceQuestion(
        visit=visit,
        client=client,
        scope=request.scope,
        resources=request.resources,
        details=request.authorization_details,
        carried={"user_code": code},
        code=code,
        request=request,
    )


def _request_of(visit: Visit) -> tuple[str, DeviceRequest] | None:
    """The user code of this visit, as it is written on the device, and its request; None when there is none such.

    Raises:
        PageRefused: 429, this address has been wrong too often of late. A right code is refused as well then,
            because its acceptance would show a guesser that it was right.
    """
    context, now = visit.context, visit.context.now()
    code = canonical_user_code(visit.fields.get("user_code", ""))
    with context.store.transaction() as connection:
        connection.execute("DELETE FROM oauth_wrong_codes WHERE at <= ?", (now - WINDOW_SECONDS,))
        wrong, oldest = connection.execute(
            "SELECT COUNT(*), MIN(at) FROM oauth_wrong_codes WHERE address = ?", (visit.address,)
        ).fetchone()
        if wrong >= context.config.wrong_codes:
            wait = oldest + WINDOW_SECONDS - now
            text = f"Wait {max(1, round(wait))} seconds, then enter the code that {context.config.device} shows."
            raise PageRefused(message(429, "Too many wrong codes", text, retry_after=wait))
        found = None if code is None else find_request(connection, "user_code", code, now)
        if code is not None and found is None:
            connection.execute("INSERT INTO oauth_wrong_codes (address, at) VALUES (?, ?)", (visit.address, now))
    return None if code is None or found is None else (code, found)


def _form(visit: Visit, code: str, *, wrong: bool = False) -> Response:
    csrf, device = visit.browser.csrf, visit.context.config.device
    return page("verification.html", 400 if wrong else 200, csrf=csrf, code=code, wrong=wrong, device=device)
