"""The question of a device (RFC 8628): found by its user code, answered on the device."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ..clients.client import Client
from ..state.accounts import Account
from ..state.device_requests import DeviceRequest, decide
from ..state.sessions import open_session
from .codes import request_of
from .outcome import outcome, settled
from .rendering import message
from .visit import PageRefused, Visit


@dataclass(frozen=True)
class DeviceQuestion:
    """A `question.Question` by code."""

    visit: Visit
    code: str
    request: DeviceRequest
    client: Client
    redirect_uri: None = None

    @property
    def scope(self) -> tuple[str, ...]:
        """The scopes it asks for."""
        return self.request.scope

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources it asks for."""
        return self.request.resources

    @property
    def details(self) -> tuple[dict[str, Any], ...]:
        """The limit it names."""
        return self.request.authorization_details

    @property
    def carried(self) -> dict[str, str]:
        """The code."""
        return {"user_code": self.code}

    def settled(self) -> Response | None:
        """The outcome page of a request that is decided or over."""
        return settled(self.client, self.request)

    def approved(
        self,
        connection: sqlite3.Connection,
        account: Account,
        scope: tuple[str, ...],
        details: tuple[dict[str, Any], ...],
    ) -> Response:
        """The session opens now; the device gets its tokens when it polls next."""
        session_id = open_session(
            connection,
            account=account,
            client=self.client,
            scope=scope,
            resources=self.resources,
            authorization_details=details,
            auth_time=self.visit.browser.signed_in_at,
            now=self.visit.authority.now(),
        )
        decide(connection, self.request, "approved", session_id)
        return outcome(self.client, "approved")

    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """The device hears it when it polls next."""
        decide(connection, self.request, "denied", None)
        return outcome(self.client, "denied")


def device_question(visit: Visit) -> DeviceQuestion | None:
    """The question with the user code of this visit, or None when there is none such.

    Raises:
        PageRefused: wrong codes were entered too often, or the client is not known any more.
    """
    found = request_of(visit)
    if found is None:
        return None
    code, request = found
    client = visit.authority.client(request.client_id)
    if client is None:
        raise PageRefused(message(410, "This client is gone", "Start again in your terminal.", again=True))
    return DeviceQuestion(visit, code, request, client)
