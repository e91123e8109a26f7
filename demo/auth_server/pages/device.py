"""The question of a device (RFC 8628): found by the code that it shows, typed on the verification page (section 3.3),
and answered on the device.

Only that page looks a code up, and counts wrong ones: guessing is bounded (section 5.1), and no link or picture of
another site can have a browser guess. The pages behind it want the mark that this browser was given there.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from deputize.net import is_loopback

from ..clients.client import find_client
from ..state.accounts import Account
from ..state.device_requests import (
    DeviceRequest,
    canonical_user_code,
    count_wrong_code,
    decide,
    find_request,
    note_entered,
)
from .question import Consented, Question, carried
from .rendering import message, page
from .visit import ENTERED, PageRefused, Visit, onward


def ask(visit: Visit) -> Response:
    """The form. A code in the link is only filled in (section 3.3.1): nothing is looked up or decided by it."""
    return _form(visit, visit.fields.get("user_code", "")[:32])


def look_up(visit: Visit) -> Response:
    """To the request with this code, by way of signing in."""
    typed = visit.fields.get("user_code", "")[:32]
    code = canonical_user_code(typed)
    question = None if code is None else _question(visit, code, count=True)
    if code is None or question is None:
        return _form(visit, typed, wrong=True)
    over = question.settled()
    if over is not None:
        return over
    if question.request.was_guessed_at:
        return question.over()
    if code == canonical_user_code(visit.fields.get("filled", "")) and question.to_be_typed:
        return _form(visit, "", to_be_typed=True)
    with visit.context.store.transaction() as connection:
        note_entered(connection, question.request)
    question.carried[ENTERED] = visit.browser.mark(ENTERED, code)
    return onward("/device/consent" if visit.browser.account else "/device/sign-in", **question.carried)


@dataclass(frozen=True, kw_only=True)
class DeviceQuestion(Question):
    """A question by code."""

    code: str
    request: DeviceRequest

    @property
    def came(self) -> str:
        """When the device asked, and from which machine."""
        request = self.request
        seconds = max(0, round(request.read_at - request.created_at))
        ago, unit = (seconds, "second") if seconds < 100 else (round(seconds / 60), "minute")
        at = datetime.fromtimestamp(request.created_at, UTC).strftime("%H:%M:%S UTC")
        where = "this server's own machine" if is_loopback(request.address) else request.address
        return f"{ago} {unit}{'' if ago == 1 else 's'} ago ({at}), from {where}"

    @property
    def to_be_typed(self) -> bool:
        """Whether its code has to be typed, and is not taken from a link, which anybody may have sent: unless this very
        browser started the request, or a client did that nobody else can be."""
        return self.client.delegated and self.visit.started != self.code

    def over(self) -> Response:
        """The outcome page of a request whose code is good for nothing any more."""
        return self._outcome("expired", 410)

    def settled(self) -> Response | None:
        """The outcome page of a request that is decided (409) or expired (410)."""
        if self.request.decision is not None:
            return self._outcome(f"already-{self.request.decision}", 409)
        return self.over() if self.request.is_expired() else None

    def approved(self, connection: sqlite3.Connection, account: Account, to: Consented) -> Response:
        """The session opens now; the device gets its tokens when it polls next."""
        decide(connection, self.request, "approved", self._open_session(connection, account, to))
        return self._outcome("approved")

    def approved_once(self, connection: sqlite3.Connection, account: Account, detail: dict[str, Any]) -> Response:
        """The device gets a token for this purchase when it polls next."""
        yes = self._approve(connection, detail)
        decide(connection, self.request, "approved", yes.session_id, yes.id)
        return self._outcome("approved")

    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """The device hears it when it polls next."""
        decide(connection, self.request, "denied", None)
        return self._outcome("denied")


def device_question(visit: Visit) -> DeviceQuestion | None:
    """The question with the user code of this visit, which this browser entered; or None when there is none such.

    Raises:
        PageRefused: the code was not entered here, or the client is not known any more.
    """
    code = canonical_user_code(visit.fields.get("user_code", ""))
    if code is None:
        return None
    if not visit.browser.bears(visit.fields.get(ENTERED, ""), ENTERED, code):
        raise PageRefused(onward("/device", user_code=code))
    return _question(visit, code)


def _question(visit: Visit, code: str, *, count: bool = False) -> DeviceQuestion | None:
    """The question with this code; None when there is none such, and then it may `count` as a wrong one.

    Raises:
        PageRefused: the client is not known any more.
    """
    context = visit.context
    with context.store.transaction(write=count) as connection:
        request = find_request(connection, "user_code", code, context.now())
        if request is None and count:
            count_wrong_code(connection)
    if request is None:
        return None
    client = find_client(context, request.client_id)
    if client is None:
        raise PageRefused(message(410, "This client is gone", f"Start again in {context.config.device}.", again=True))
    return DeviceQuestion(
        visit=visit,
        client=client,
        scope=request.scope,
        resources=request.resources,
        details=request.authorization_details,
        carried={**carried(visit), "user_code": code},
        code=code,
        request=request,
    )


def _form(visit: Visit, code: str, *, wrong: bool = False, to_be_typed: bool = False) -> Response:
    return page(
        "verification.html",
        400 if wrong else 200,
        csrf=visit.browser.csrf,
        tab=carried(visit).get("tab"),
        code=code,
        wrong=wrong,
        to_be_typed=to_be_typed,
        device=visit.context.config.device,
    )
