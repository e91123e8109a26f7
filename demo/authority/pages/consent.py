"""The consent page: the moment in which a human deputizes an agent, or does not."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from starlette.responses import Response

from ..accounts import Account
from ..clients import Client
from ..device_requests import DeviceRequest
from ..device_requests import decide as write_decision
from ..scopes import SCOPES, ordered
from ..sessions import agent_of, open_session
from ..standing import standing_of
from .codes import request_of
from .outcome import outcome, settled
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
    """Approve or deny, once; the outcome page."""
    account, code, request = _asked(visit)
    decision = visit.fields.get("decision")
    if decision not in ("approve", "deny"):
        return _page(visit, account, code, request, status=400)
    authority, client = visit.authority, visit.authority.clients[request.client_id]
    with authority.store.transaction() as connection:
        # Read again under the write lock: of two windows that decide at once, one is the first.
        again = request_of(visit)
        over = None if again is None else settled(visit, again[1])
        if again is None or over is not None:
            return over or onward("/device")
        if decision == "deny":
            write_decision(connection, again[1], "denied", None)
            return outcome(visit, request, "denied")
        offer = _offer(connection, account, client, request)
        if offer.obstacle is None:
            session_id = open_session(
                connection,
                account=account,
                client=client,
                scope=offer.granted,
                resources=request.resources,
                authorization_details=request.authorization_details,
                auth_time=visit.browser.signed_in_at,
                now=authority.now(),
            )
            write_decision(connection, again[1], "approved", session_id)
            return outcome(visit, request, "approved")
    return _page(visit, account, code, request, status=409)


def _asked(visit: Visit) -> tuple[Account, str, DeviceRequest]:
    """The human, the code and the open request of this visit.

    Raises:
        PageRefused: the page to show where one of them is missing.
    """
    account = visit.browser.account
    if account is None:
        raise PageRefused(onward("/device/sign-in", user_code=visit.fields.get("user_code", "")[:32]))
    found = request_of(visit)
    if found is None:
        raise PageRefused(onward("/device"))
    over = settled(visit, found[1])
    if over is not None:
        raise PageRefused(over)
    return account, *found


def _offer(connection: sqlite3.Connection, account: Account, client: Client, request: DeviceRequest) -> Offer:
    granted = ordered(set(request.scope) & client.scopes & account.grantable)
    left_out = tuple(
        (name, "For your own console alone" if name not in client.scopes else "Not yours to grant")
        for name in request.scope
        if name not in granted
    )
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


def _page(visit: Visit, account: Account, code: str, request: DeviceRequest, *, status: int = 200) -> Response:
    authority = visit.authority
    client = authority.clients[request.client_id]
    with authority.store.transaction(write=False) as connection:
        offer = _offer(connection, account, client, request)
    limit = next((detail["limit"] for detail in request.authorization_details), None)
    return page(
        "consent.html",
        status,
        csrf=visit.browser.csrf,
        code=code,
        client=client,
        account=account,
        offer=offer,
        words=SCOPES,
        limit=None if limit is None else f"{limit['amount'] / 100:.2f} {limit['currency']}",
        resources=request.resources,
        minutes=max(1, round(authority.config.access_token_seconds / 60)),
    )
