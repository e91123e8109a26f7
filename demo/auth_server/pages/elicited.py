"""The question of a resource server: one purchase to approve, for a client that could not ask itself (MCP 2026-07-28,
elicitation, URL mode). The link names a question that only the human of its grant can answer; it decides nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ..clients.client import find_client
from ..state.accounts import Account
from ..state.approvals import Asked, answer, find_asked
from ..state.sessions import find_session
from .question import Consented, Question, carried
from .rendering import message
from .visit import PageRefused, Visit


@dataclass(frozen=True, kw_only=True)
class ElicitedQuestion(Question):
    """A question that a resource server asks."""

    asked: Asked

    @property
    def waiting(self) -> str:
        """Who shows the link to the human."""
        return "your agent"

    @property
    def came(self) -> str:
        """When the shop asked."""
        seconds = max(0, round(self.visit.context.now() - self.asked.created_at))
        return f"{seconds} second{'' if seconds == 1 else 's'} ago, by the shop where your agent wants to buy"

    def settled(self) -> Response | None:
        """The outcome page of a question that is answered (409) or over (410)."""
        if self.asked.decision is not None:
            return self._outcome(f"already-{self.asked.decision}", 409)
        return self._outcome("expired", 410) if self.visit.context.now() >= self.asked.expires_at else None

    def approved(self, connection: sqlite3.Connection, account: Account, to: Consented) -> Response:
        """Never: nothing but a purchase is asked so.

        Raises:
            PageRefused: always.
        """
        raise PageRefused(message(400, "This cannot be approved", "Nothing was granted."))

    def approved_once(self, connection: sqlite3.Connection, account: Account, detail: dict[str, Any]) -> Response:
        """The shop hears of it when it asks about the grant."""
        self._approve(connection, detail)
        answer(connection, self.asked.id, "approved")
        return self._outcome("approved")

    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """The shop hears it when it asks again.

        Raises:
            PageRefused: only the human of the grant says no for it; it waits for them, and nothing is on record.
        """
        session = find_session(connection, self.asked.session_id)
        if session is None or session.sub != account.sub:
            text = "Nothing was decided. Close this page: the question waits for the human whose agent asks."
            raise PageRefused(message(403, "This is not yours to answer", text))
        answer(connection, self.asked.id, "denied")
        return self._outcome("denied")


def elicited_question(visit: Visit) -> ElicitedQuestion | None:
    """The question that this visit's link names; None where there is none.

    Raises:
        PageRefused: its client is not known any more, or it is over.
    """
    context = visit.context
    with context.store.transaction(write=False) as connection:
        asked = find_asked(connection, visit.fields.get("purchase", "")[:64])
    client = None
    if asked is not None:
        with context.store.transaction(write=False) as connection:
            session = find_session(connection, asked.session_id)
        client = None if session is None else find_client(context, session.client_id)
    if asked is None or client is None:
        text = "Nothing was bought. Have your agent try the purchase again."
        raise PageRefused(message(410, "This question is over", text))
    return ElicitedQuestion(
        visit=visit,
        client=client,
        scope=asked.scope,
        resources=(asked.detail["locations"][0],),
        details=(asked.detail,),
        carried=carried(visit),
        asked=asked,
    )
