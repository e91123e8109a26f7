"""The consent page: the moment in which a human deputizes an agent, or does not."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from starlette.responses import Response

from ..accounts import Account
from ..clients import Client
from ..scopes import SCOPES, ordered
from ..sessions import agent_of
from ..standing import standing_of
from .question import Question, carried, question_of
from .rendering import page
from .visit import PageRefused, Visit, onward


@dataclass(frozen=True)
class Offer:
    """What an approval would grant, and what not. With an `obstacle` there is nothing to approve."""

    granted: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    """(scope, why)"""
    obstacle: str | None


def consent(visit: Visit) -> Response:
    """Who asks, for what, in whose name. Looking at it changes nothing."""
    return _page(visit, *_asked(visit))


def decide(visit: Visit) -> Response:
    """Approve or deny, once; the outcome page, or the way back to the client."""
    account, question = _asked(visit)
    decision = visit.fields.get("decision")
    if decision not in ("approve", "deny"):
        return _page(visit, account, question, status=400)
    with visit.authority.store.transaction() as connection:
        # Read again under the write lock: of two windows that decide at once, one is the first.
        again = question_of(visit)
        over = None if again is None else again.settled()
        if again is None or over is not None:
            return over or onward("/device")
        if decision == "deny":
            return again.denied(connection)
        offer = _offer(connection, account, again)
        if offer.obstacle is None:
            return again.approved(connection, account, offer.granted)
    return _page(visit, account, question, status=409)


def _asked(visit: Visit) -> tuple[Account, Question]:
    """The human and the open question of this visit.

    Raises:
        PageRefused: the page to show where one of them is missing.
    """
    account = visit.browser.account
    if account is None:
        raise PageRefused(onward("/device/sign-in", **carried(visit)))
    question = question_of(visit)
    if question is None:
        raise PageRefused(onward("/device"))
    over = question.settled()
    if over is not None:
        raise PageRefused(over)
    return account, question


def _offer(connection: sqlite3.Connection, account: Account, question: Question) -> Offer:
    client = question.client
    granted = ordered(set(question.scope) & client.scopes & account.grantable)
    left_out = tuple((name, _why_left_out(name, client)) for name in question.scope if name not in granted)
    obstacle = None
    if not granted:
        obstacle = "Nothing of what it asks for can be granted by you."
    elif client.delegated:
        agent = agent_of(connection, account.sub, client.client_id)
        if agent is not None and standing_of(connection, "agent", agent):
            obstacle = "You took this agent's authority back. Reinstate the agent first, if you want it to act again."
        elif standing_of(connection, "user", account.sub):
            obstacle = "All that acts for you was stopped. Reinstate yourself first, if agents are to act again."
    return Offer(granted, left_out, obstacle)


def _why_left_out(scope: str, client: Client) -> str:
    if scope in client.scopes:
        return "Not yours to grant"
    return "It registered no way to stay signed in" if scope == "offline_access" else "For your own console alone"


def _page(visit: Visit, account: Account, question: Question, *, status: int = 200) -> Response:
    authority = visit.authority
    with authority.store.transaction(write=False) as connection:
        offer = _offer(connection, account, question)
    limit = next((detail["limit"] for detail in question.details), None)
    return page(
        "consent.html",
        status,
        redirect_uri=question.redirect_uri,
        csrf=visit.browser.csrf,
        question=question,
        client=question.client,
        account=account,
        offer=offer,
        words=SCOPES,
        limit=None if limit is None else f"{limit['amount'] / 100:.2f} {limit['currency']}",
        minutes=max(1, round(authority.config.access_token_seconds / 60)),
    )
