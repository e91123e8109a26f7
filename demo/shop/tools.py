"""The seven tools, the same at both doors: names and arguments are those of this talk's public demo server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from mcp.server.mcpserver.exceptions import ToolError

from demo.evidence import Decision, Order
from demo.shop import arguments, audit_log, catalog, events, ledger, policy
from demo.shop.catalog import say
from demo.shop.database import Database
from demo.shop.doors import TRIES, Admission
from demo.shop.jsonrpc import digest

Answer = dict[str, Any]
"""A tool's structured result, as its output schema has it."""


async def run(name: str, admission: Admission, given: dict[str, Any]) -> Answer:
    """Run a tool of the catalog.

    Raises:
        ToolError: it could not do it, in words that a model can act on.
    """
    try:
        return await _TOOLS[name](admission, arguments.read(catalog.TOOLS[name], given))
    except arguments.BadArguments as bad:
        raise ToolError(str(bad)) from None


Arguments = dict[str, str | None]
"""As `arguments.read` gives them; what the schema requires is never None."""


async def _list_inventory(admission: Admission, _: Arguments) -> Answer:
    house = admission.gatehouse
    stock = await house.database.read(ledger.stock_left, admission.door)
    item = {"id": catalog.ITEM_ID, "name": catalog.ITEM_NAME, "sizes": list(catalog.SIZES)}
    return {"items": [{**item, "price": vars(house.config.price), "stock": stock}]}


async def _buy(admission: Admission, given: Arguments) -> Answer:
    database = admission.gatehouse.database
    try:
        order, admission.decision = await _placed(database, _purchase(admission, given), admission)
    except ledger.PurchaseRefused as refused:
        if refused.fault == "sold_out" or refused.fault == "key_reused":
            raise ToolError(say(refused.fault)) from None
        # The gate let it through and the ledger's guard did not (another process was faster): what is on record must
        # not go on saying that the purchase was allowed.
        ruling = policy.deny(refused.fault, "ledger")
        admission.decision = await database.write(audit_log.amend, admission.decision, **vars(ruling))
        raise ToolError(ruling.reason) from None
    return {"order": order.to_dict()}


async def _list_orders(admission: Admission, _: Arguments) -> Answer:
    found = await admission.gatehouse.database.read(ledger.orders, user=admission.token.user)
    theirs = admission.door == "protected"
    told = [(order, to if theirs or to in catalog.SAMPLE_ADDRESSES else say("withheld")) for order, to in found]
    return {"orders": [{**order.to_dict(), "mailingAddress": to} for order, to in told]}


async def _user_info(admission: Admission, _: Arguments) -> Answer:
    token, standing = admission.token, admission.standing
    banned = await admission.gatehouse.database.read(ledger.is_banned, token.user)
    return {
        "user": token.user,
        "username": standing.username or "anonymous",
        "name": standing.name,
        "roles": list(standing.roles),
        "agent": token.agent,
        "client": token.client,
        "session": token.session,
        "scopes": sorted(token.scopes),
        "mode": "banned" if banned else "normal",
    }


async def _set_mode(admission: Admission, given: Arguments) -> Answer:
    house, user = admission.gatehouse, admission.token.user
    if user is None:
        raise ToolError(say("nobody_to_ban"))
    if given["mode"] == "banned":
        await house.database.write(ledger.ban, user, house.config.clock())
    else:
        await house.database.write(ledger.lift_ban, user)
    return {"user": user, "mode": given["mode"]}


async def _clear_mode(admission: Admission, _: Arguments) -> Answer:
    user = admission.token.user
    if user is not None:
        await admission.gatehouse.database.write(ledger.lift_ban, user)
    return {"user": user, "mode": "normal"}


async def _pretty_please(admission: Admission, _: Arguments) -> Answer:
    user = admission.token.user
    if user is None:
        return {"user": None, "mode": "normal", "message": say("nobody_banned")}
    lifted = await admission.gatehouse.database.write(ledger.lift_ban, user)
    return {"user": user, "mode": "normal", "message": say("welcome_back" if lifted else "not_banned")}


_TOOLS: Final[dict[str, Callable[[Admission, Arguments], Awaitable[Answer]]]] = {
    catalog.LIST_INVENTORY: _list_inventory,
    catalog.BUY: _buy,
    catalog.LIST_ORDERS: _list_orders,
    catalog.USER_INFO: _user_info,
    catalog.SET_MODE: _set_mode,
    catalog.CLEAR_MODE: _clear_mode,
    catalog.PRETTY_PLEASE: _pretty_please,
}


def _purchase(admission: Admission, given: Arguments) -> ledger.Purchase:
    token, config, protected = admission.token, admission.gatehouse.config, admission.door == "protected"
    company, address, size = (given[name] or "" for name in ("company", "mailingAddress", "tshirtSize"))
    return ledger.Purchase(
        audit_id=admission.decision.audit_id,
        account=token.account if protected else ledger.OPEN_ACCOUNT,
        caller=token.caller if protected else ledger.OPEN_ACCOUNT,
        size=size,
        company=company,
        address=address,
        arguments=digest([company, address, size]),
        price=config.price,
        at=config.clock(),
        key=given["idempotencyKey"],
        user=token.user,
        agent=token.agent,
        client=token.client,
        consent=token.consent,
        quota=config.purchases_per_consent if protected else None,
        spending_limit=token.spending_limit if protected else None,
    )


async def _placed(database: Database, wanted: ledger.Purchase, admission: Admission) -> tuple[Order, Decision]:
    """The order, placed while what admitted it holds.

    Raises:
        ToolError: what the human granted was revoked on the way; nothing was bought, and that is on record.
        PurchaseRefused: as `ledger.place`.
    """
    house = admission.gatehouse
    for _ in range(TRIES):
        try:
            order, decision = await database.write(_place, wanted, admission)
            if order.replayed or not house.outlived(admission.case):
                return order, decision
            # The process was stopped between the check and the end of its transaction, for so long that a revocation
            # may have been answered meanwhile. Nobody has seen the order yet.
            await database.write(_void, order, admission.decision)
            raise events.StandingChanged
        except events.StandingChanged:
            admission.case, ruling = await house.admit_again(admission.case, admission.bearer)
            if ruling.verdict == "deny":
                admission.decision = await database.write(audit_log.amend, admission.decision, **vars(ruling))
                raise ToolError(say("revoked", reason=ruling.reason)) from None
    raise ToolError(say("unsettled"))


def _place(connection: Any, wanted: ledger.Purchase, admission: Admission) -> tuple[Order, Decision]:
    """The order and its mark in the audit log, in one transaction, in which its grant is seen to stand, too."""
    admission.gatehouse.rely(connection, admission.case)
    order = ledger.place(connection, wanted)
    return order, audit_log.amend(connection, admission.decision, order_id=order.id)


def _void(connection: Any, order: Order, decision: Decision) -> None:
    """The order undone, and its mark in the audit log, in one transaction."""
    ledger.void(connection, order)
    audit_log.amend(connection, decision, order_id=None)
