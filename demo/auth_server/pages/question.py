"""What a human is asked, by whichever way the question came: a device's code, or a browser that a client sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Protocol

from starlette.responses import Response

from ..clients.client import Client
from ..state.accounts import Account
from .device_question import device_question
from .redirect_question import redirect_question
from .visit import Visit


class Question(Protocol):
    """One request that waits for a human's answer."""

    @property
    def client(self) -> Client:
        """Who asks."""

    @property
    def scope(self) -> tuple[str, ...]:
        """For which scopes."""

    @property
    def resources(self) -> tuple[str, ...]:
        """Where."""

    @property
    def details(self) -> tuple[dict[str, Any], ...]:
        """Within which limit (RFC 9396)."""

    @property
    def carried(self) -> Mapping[str, str]:
        """The form fields by which every page of this visit knows the question again."""

    @property
    def code(self) -> str | None:
        """The code to compare with the device's, None where no device is involved."""

    @property
    def redirect_uri(self) -> str | None:
        """Where the answer will be taken, None where a device polls for it."""

    def settled(self) -> Response | None:
        """The page to show when nothing is left to decide, or None."""

    def approved(
        self,
        connection: sqlite3.Connection,
        account: Account,
        scope: tuple[str, ...],
        details: tuple[dict[str, Any], ...],
    ) -> Response:
        """Write the yes down, to this scope within these details, and open its session; what the browser gets."""

    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """Write the no down; what the browser gets."""


def question_of(visit: Visit) -> Question | None:
    """The question that this visit is about; None when a code is of no request.

    Raises:
        PageRefused: too many wrong codes, or an authorization request that nobody can be asked about.
    """
    return redirect_question(visit) if "request" in visit.fields else device_question(visit)


def carried(visit: Visit) -> dict[str, str]:
    """The fields by which the question is known again, as they came and unchecked."""
    if "request" in visit.fields:
        return {"request": visit.fields["request"]}
    code = visit.fields.get("user_code", "")[:32]
    return {"user_code": code} if code else {}
