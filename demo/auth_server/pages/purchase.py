"""The page on which a human approves one purchase, at the moment of spending: what, where to, and how much, in figures
and in words. There is nothing to fill in: it is this purchase or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from demo.scopes import SCOPES

from ..grants.money import CURRENCY
from ..state.accounts import Account
from ..state.approvals import APPROVAL_SECONDS
from ..state.sessions import find_session, session_revocation
from ..state.sub_agents import SubAgent, line_of
from .question import Question
from .rendering import page
from .terms import as_text
from .visit import Visit
from .words import dollars


def why_not(connection: sqlite3.Connection, account: Account, purchase: dict[str, Any]) -> str | None:
    """Why this human cannot approve this purchase, in a sentence for them; None where they can.

    The grant must be theirs. Else who is lured to the page would pay for somebody else's agent.
    """
    session = find_session(connection, purchase["session"])
    if session is None or session.sub != account.sub:
        return "It is asked for in a grant that is not yours. Switch to the account that the agent acts for, or deny."
    line = line_of(connection, session, purchase["agent"])
    if line is None:
        return "Who asks for it does not act for you any more."
    if (revoked := session_revocation(connection, session, [one.id for one in line])) is not None:
        return f"You revoked this {revoked.kind}. What was granted before does not hold any more."
    return None


def purchase_page(
    visit: Visit,
    account: Account,
    question: Question,
    purchase: dict[str, Any],
    connection: sqlite3.Connection,
    *,
    status: int = 200,
) -> Response:
    """The page. Where it goes is for the human of the grant alone: a link may be opened by somebody else."""
    session = find_session(connection, purchase["session"])
    theirs = session is not None and session.sub == account.sub
    line: tuple[SubAgent, ...] = ()
    limits: list[Mapping[str, Any] | None] = []
    if session is not None and theirs:
        line = line_of(connection, session, purchase["agent"]) or ()
        limits = [*(one.spending_limit for one in line), session.spending_limit]
    amount = int(purchase["price"]["amount"])
    return page(
        "purchase.html",
        status,
        redirect_uri=question.redirect_uri,
        csrf=visit.browser.csrf,
        question=question,
        client=question.client,
        account=account,
        purchase=purchase,
        figures=f"{as_text(amount)} {CURRENCY}",
        words=dollars(amount),
        allowed=" ".join(question.scope),
        scope_words=SCOPES,
        theirs=theirs,
        line=line,
        limits=[f"{as_text(int(one['amount']))} {CURRENCY}" for one in limits if one is not None],
        obstacle=why_not(connection, account, purchase),
        device=visit.context.config.device,
        came=question.came,
        minutes=round(APPROVAL_SECONDS / 60),
    )
