"""The consent page: the moment in which a human deputizes an agent, or does not."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from demo.scopes import SCOPES

from ..clients.client import Client
from ..grants.authorization_details import spending_up_to
from ..grants.money import BUY, CURRENCY
from ..grants.resources import shops_of
from ..state.accounts import Account, ordered
from ..state.answers import HumanAnswer, note_answer
from ..state.sessions import agent_of, find_session, revocation_of
from .device import device_question
from .elicited import elicited_question
from .purchase import purchase_page, why_not
from .question import Consented, Question, carried
from .redirect import redirect_question
from .rendering import page
from .terms import TICK, Terms, answered, as_text, filled_in
from .visit import PageRefused, Visit, onward


@dataclass(frozen=True)
class Offer:
    """What an approval would grant, and what not. With an `obstacle` there is nothing to approve."""

    scope: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    """(scope, why)"""
    asked: int | None
    """The spending limit that the request names, in minor units: the most that can be granted. None where it names
    none, as requests of clients do that do not know RFC 9396: then the human sets it."""
    shops: tuple[str, ...]
    """Where money could be spent; empty where the agent asks for no place at which anything is sold, or not to buy."""
    obstacle: str | None


def consent(visit: Visit) -> Response:
    """Who asks, for what, in whose name. Looking at it changes nothing."""
    return _page(visit, *_asked(visit))


def decide(visit: Visit) -> Response:
    """Approve or deny, once; the outcome page, or the way back to the client.

    What is granted is what the form says, and so what the human saw last. A form that cannot be granted as it stands
    comes again as it was filled in.
    """
    account, question = _asked(visit)
    decision = visit.fields.get("decision")
    if decision not in ("approve", "deny"):
        return _page(visit, account, question, status=400)
    terms = None
    with visit.context.store.transaction() as connection:
        # Read again under the write lock: of two windows that decide at once, one is the first.
        again = _question(visit)
        over = None if again is None else again.settled()
        if again is None or over is not None:
            return over or onward("/device")
        if decision == "deny":
            _note(visit, connection, account, again, "denied")
            return again.denied(connection, account)
        purchase = again.purchase
        if purchase is not None:
            if why_not(connection, account, purchase) is None:
                _note(visit, connection, account, again, "approved")
                return again.approved_once(connection, account, purchase)
            return purchase_page(visit, account, again, purchase, connection, status=409)
        offer = _offer(visit, connection, account, again)
        if offer.obstacle is None:
            terms = answered(visit.fields, offer.scope, asked=offer.asked, spends=bool(offer.shops))
            if terms.good:
                # RFC 9396 section 7: what is granted, which the token and its response carry.
                details = () if terms.amount is None else (spending_up_to(terms.amount, offer.shops),)
                return again.approved(connection, account, Consented(terms.ticked, details))
    return _page(visit, account, question, terms, status=409 if terms is None else 400)


def _note(
    visit: Visit,
    connection: sqlite3.Connection,
    account: Account,
    question: Question,
    said: Literal["denied", "approved"],
) -> None:
    """Keep an answer that opens no session."""
    client, asked = question.client, next(iter(question.details), {})
    agent = asked.get("agent") or (agent_of(connection, account.sub, client.client_id) if client.delegated else None)
    amount, session = asked.get("limit") or asked.get("price"), asked.get("session")
    granted = None if session is None else find_session(connection, session)
    if session is not None and (granted is None or granted.sub != account.sub):
        agent = session = None  # somebody else's are not theirs to know of
    whose, once = (client.client_id, client.name, agent, session), question.purchase is not None
    note_answer(connection, account.sub, HumanAnswer(said, *whose, question.scope, amount, visit.context.now(), once))


def _question(visit: Visit) -> Question | None:
    """The question that this visit is about; None when a code is of no request.

    Raises:
        PageRefused: too many wrong codes, or an authorization request that nobody can be asked about.
    """
    if "purchase" in visit.fields:
        return elicited_question(visit)
    return redirect_question(visit) if "request" in visit.fields else device_question(visit)


def _asked(visit: Visit) -> tuple[Account, Question]:
    """The human and the open question of this visit.

    Raises:
        PageRefused: the page to show where one of them is missing.
    """
    account = visit.browser.account
    if account is None:
        raise PageRefused(onward("/device/sign-in", **carried(visit)))
    question = _question(visit)
    if question is None:
        raise PageRefused(onward("/device"))
    over = question.settled()
    if over is not None:
        raise PageRefused(over)
    return account, question


def _offer(visit: Visit, connection: sqlite3.Connection, account: Account, question: Question) -> Offer:
    client = question.client
    scope = ordered(set(question.scope) & client.scopes & account.grantable)
    left_out = tuple((name, _why_left_out(name, client)) for name in question.scope if name not in scope)
    named = next(iter(question.details), None)
    shops = tuple(named["locations"]) if named is not None else shops_of(visit.context, question.resources)
    obstacle = None
    if not scope:
        obstacle = "Nothing of what it asks for can be granted by you."
    elif client.delegated:
        agent = agent_of(connection, account.sub, client.client_id)
        if agent is not None and revocation_of(connection, "agent", agent):
            obstacle = "You revoked this agent. Reinstate it first, if you want it to act again."
        elif revocation_of(connection, "user", account.sub):
            obstacle = "You revoked all that acts for you. Reinstate yourself first, if agents are to act again."
    asked = None if named is None else int(named["limit"]["amount"])
    # Where an authorization server knows no scope of the shop's, the named limit is all that speaks of buying.
    spends = BUY in scope or (named is not None and BUY not in question.scope)
    return Offer(scope, left_out, asked, shops if spends else (), obstacle)


def _why_left_out(scope: str, client: Client) -> str:
    if scope in client.scopes:
        return "Not yours to grant"
    if not client.delegated:
        return "For an agent, not for your own console"
    return "It registered no way to stay signed in" if scope == "offline_access" else "For your own console alone"


def _page(
    visit: Visit, account: Account, question: Question, terms: Terms | None = None, *, status: int = 200
) -> Response:
    context = visit.context
    if (purchase := question.purchase) is not None:
        with context.store.transaction(write=False) as connection:
            return purchase_page(visit, account, question, purchase, connection, status=status)
    with context.store.transaction(write=False) as connection:
        offer = _offer(visit, connection, account, question)
    if terms is None:
        terms = filled_in(offer.scope, context.config.suggested_limit if offer.asked is None else offer.asked)
    return page(
        "consent.html",
        status,
        redirect_uri=question.redirect_uri,
        csrf=visit.browser.csrf,
        question=question,
        client=question.client,
        account=account,
        offer=offer,
        obstacle=offer.obstacle,
        words=SCOPES,
        terms=terms,
        tick=TICK,
        device=context.config.device,
        limit=terms.typed if offer.shops else None,
        currency=CURRENCY,
        came=question.came,
        much=None if offer.asked is None else f"{offer.asked / 100:,.2f} {CURRENCY}",
        asked=None if offer.asked is None else f"{as_text(offer.asked)} {CURRENCY}",
        minutes=max(1, round(context.config.access_token_seconds / 60)),
    )
