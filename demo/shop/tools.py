"""The seven tools, the same at both doors: names and arguments are those of this talk's public demo server.

Each runs inside the transaction that admitted its call, and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from demo.shop import arguments, catalog, ledger, policy
from demo.shop.admission import Acting, Failed, Stopped
from demo.shop.catalog import say
from demo.shop.jsonrpc import digest

Answer = dict[str, Any]
"""A tool's structured result, as its output schema has it."""
Arguments = dict[str, str | None]
"""As `arguments.read` gives them; what the schema requires is never None."""


def run(name: str, given: dict[str, Any], acting: Acting) -> Answer:
    """Run a tool of the catalog.

    Raises:
        Failed: it could not do it.
    """
    try:
        return _TOOLS[name](acting, arguments.read(catalog.TOOLS[name], given))
    except arguments.BadArguments as bad:
        raise Failed(str(bad)) from None


def _list_inventory(acting: Acting, _: Arguments) -> Answer:
    stock = ledger.stock_left(acting.connection, acting.door)
    told = ledger.description(acting.connection, acting.door)
    item = {"id": catalog.ITEM_ID, "name": catalog.ITEM_NAME, "description": told, "sizes": list(catalog.SIZES)}
    return {"items": [{**item, "price": vars(acting.house.config.price), "stock": stock}]}


def _buy(acting: Acting, given: Arguments) -> Answer:
    try:
        order = ledger.place(acting.connection, _purchase(acting, given))
    except ledger.PurchaseRefused as refused:
        if refused.fault == "sold_out" or refused.fault == "key_reused":
            raise Failed(say(refused.fault)) from None
        # The gate let it through and the ledger's guard did not: what is on record must not say that it was allowed.
        raise Stopped(policy.deny(refused.fault, "ledger")) from None
    return {"order": order.to_dict()}


def _list_orders(acting: Acting, _: Arguments) -> Answer:
    token = acting.token
    # What another agent of the same human bought, and where it goes, is theirs to see and not this one's.
    through = None if catalog.EVERY_ORDER_SCOPE in token.scopes or token.user is None else (token.agent, token.client)
    found = ledger.orders(acting.connection, user=token.user, through=through)
    theirs = acting.door == "protected"
    told = [(order, to if theirs or to in catalog.SAMPLE_ADDRESSES else say("withheld")) for order, to in found]
    return {"orders": [{**order.to_dict(), "mailingAddress": to} for order, to in told]}


def _user_info(acting: Acting, _: Arguments) -> Answer:
    token, standing = acting.token, acting.standing
    return {
        "user": token.user,
        "username": standing.username or "anonymous",
        "name": standing.name,
        "roles": list(standing.roles),
        "agent": token.agent,
        "client": token.client,
        "session": token.session,
        "scopes": sorted(token.scopes),
        "mode": "banned" if ledger.is_banned(acting.connection, token.caller) else "normal",
    }


def _set_mode(acting: Acting, given: Arguments) -> Answer:
    user = acting.token.user
    if user is None:
        raise Failed(say("nobody_to_ban"))
    if given["mode"] == "banned":
        ledger.ban(acting.connection, acting.token.caller, acting.house.config.clock())
    else:
        ledger.lift_ban(acting.connection, acting.token.caller)
    return {"user": user, "mode": given["mode"]}


def _clear_mode(acting: Acting, _: Arguments) -> Answer:
    user = acting.token.user
    if user is not None:
        ledger.lift_ban(acting.connection, acting.token.caller)
    return {"user": user, "mode": "normal"}


def _pretty_please(acting: Acting, _: Arguments) -> Answer:
    user = acting.token.user
    if user is None:
        return {"user": None, "mode": "normal", "message": say("nobody_banned")}
    lifted = ledger.lift_ban(acting.connection, acting.token.caller)
    return {"user": user, "mode": "normal", "message": say("welcome_back" if lifted else "not_banned")}


_TOOLS: Final[dict[str, Callable[[Acting, Arguments], Answer]]] = {
    catalog.LIST_INVENTORY: _list_inventory,
    catalog.BUY: _buy,
    catalog.LIST_ORDERS: _list_orders,
    catalog.USER_INFO: _user_info,
    catalog.SET_MODE: _set_mode,
    catalog.CLEAR_MODE: _clear_mode,
    catalog.PRETTY_PLEASE: _pretty_please,
}


def _purchase(acting: Acting, given: Arguments) -> ledger.Purchase:
    token, config, protected = acting.token, acting.house.config, acting.door == "protected"
    company, address, size = (given[name] or "" for name in ("company", "mailingAddress", "tshirtSize"))
    case, usage = acting.case, acting.usage
    approved = usage is not None and policy.needs_approval(case, usage)
    yes = policy.approval_of(case, usage) if usage is not None and approved else None
    return ledger.Purchase(
        audit_id=acting.audit_id,
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
        sub_agents=token.chain[:-1] if protected else (),
        quota=acting.house.policy.current().quota.purchases_per_consent if protected else None,
        spending_limits=token.spending_limits if protected else (),
        to_be_approved=approved,
        approval=None if yes is None else yes.id,
    )
