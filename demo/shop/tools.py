"""The seven tools, the same at both doors: names and arguments are those of this talk's public demo server."""

from __future__ import annotations

from typing import Any, Final

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from demo.evidence import Decision, Money, Order
from demo.shop import catalog, events, ledger, trail
from demo.shop.answers import (
    Address,
    Bought,
    Company,
    Inventory,
    Item,
    Key,
    ListedOrder,
    Mode,
    ModeAnswer,
    OrderAnswer,
    Orders,
    Pardon,
    Price,
    SizeArgument,
    UserInfo,
)
from demo.shop.config import ShopConfig
from demo.shop.database import Database
from demo.shop.gate import ADMISSION, TRIES, UNSETTLED, Admission
from demo.shop.jsonrpc import digest
from demo.shop.server import ShopServer

Ctx = Context[Any, Any]

REFUSALS: Final[dict[ledger.Fault, str]] = {
    "sold_out": "The shirt is sold out. Nothing was bought or charged.",
    "key_reused": "This idempotencyKey already stands for an order with other arguments. Nothing was bought.",
    "quota": "The purchases of this consent are used up. Nothing was bought.",
    "spending": "The human's spending limit does not allow this. Nothing was bought.",
    "consent": "The human consented to no spending limit. Nothing was bought.",
}


WITHHELD: Final = "(not shown at the open door)"
"""What stands in the place of an address at the open door: whoever asks there may be anybody."""


def register(server: ShopServer, config: ShopConfig, database: Database) -> None:
    """Give a server the seven tools."""

    def scope_of(tool: str) -> dict[str, Any]:
        return {"demo/scope": catalog.TOOL_SCOPES[tool]}

    reading = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    writing = ToolAnnotations(read_only_hint=False, open_world_hint=False)

    @server.tool(name=catalog.LIST_INVENTORY, annotations=reading, meta=scope_of(catalog.LIST_INVENTORY))
    async def list_inventory(ctx: Ctx) -> Inventory:
        """List what the shop sells: sizes, price, and how many are left."""
        stock = await database.read(ledger.stock_left, admission_of(ctx).door)
        return Inventory(
            items=[
                Item(
                    id=catalog.ITEM_ID,
                    name=catalog.ITEM_NAME,
                    sizes=list(catalog.SIZES),
                    price=_price(config.price),
                    stock=stock,
                )
            ]
        )

    @server.tool(name=catalog.BUY, annotations=writing, meta=scope_of(catalog.BUY))
    async def buy(
        company: Company, mailingAddress: Address, tshirtSize: SizeArgument, ctx: Ctx, idempotencyKey: Key | None = None
    ) -> Bought:
        """Buy one conference T-shirt. This spends real money of the human who consented to it."""
        admission = admission_of(ctx)
        wanted = _purchase(admission, config, company, mailingAddress, tshirtSize, idempotencyKey)
        try:
            order, admission.decision = await _placed(database, wanted, admission)
        except ledger.PurchaseRefused as refused:
            if refused.fault in ("quota", "spending", "consent"):
                # The gate let it through and the ledger's guard did not (another process was faster): what is on
                # record must not go on saying that the purchase was allowed.
                admission.decision = await database.write(
                    trail.amend,
                    admission.decision,
                    verdict="deny",
                    gate="limits",
                    rule=f"limits.{refused.fault}",
                    reason=REFUSALS[refused.fault],
                    remedy="Ask the human for a new consent.",
                )
            raise ToolError(REFUSALS[refused.fault]) from None
        return Bought(order=OrderAnswer(**_order(order)))

    @server.tool(name=catalog.LIST_ORDERS, annotations=reading, meta=scope_of(catalog.LIST_ORDERS))
    async def list_orders(ctx: Ctx) -> Orders:
        """List the orders placed for the calling user, with the addresses they go to."""
        admission = admission_of(ctx)
        found = await database.read(ledger.orders, user=admission.token.user)
        shown = admission.door == "protected"
        return Orders(
            orders=[
                ListedOrder(**_order(order), mailingAddress=address if shown else WITHHELD) for order, address in found
            ]
        )

    @server.tool(name=catalog.USER_INFO, annotations=reading, meta=scope_of(catalog.USER_INFO))
    async def user_info(ctx: Ctx) -> UserInfo:
        """Tell who is calling: the human, the agent, the session and its scopes."""
        admission = admission_of(ctx)
        token, standing = admission.token, admission.standing
        return UserInfo(
            user=token.user,
            username=standing.username or "anonymous",
            name=standing.name,
            roles=list(standing.roles),
            agent=token.agent,
            client=token.client,
            session=token.session,
            scopes=sorted(token.scopes),
            mode="banned" if await database.read(ledger.is_banned, token.user) else "normal",
        )

    @server.tool(name=catalog.SET_MODE, annotations=writing, meta=scope_of(catalog.SET_MODE))
    async def set_mode(mode: Mode, ctx: Ctx) -> ModeAnswer:
        """Switch the demo's mode for the calling user: `banned` shuts this user out of the shop."""
        user = admission_of(ctx).token.user
        if user is None:
            raise ToolError("There is nobody to ban: anonymous.")
        if mode == "banned":
            await database.write(ledger.ban, user, config.clock())
        else:
            await database.write(ledger.lift_ban, user)
        return ModeAnswer(user=user, mode=mode)

    @server.tool(name=catalog.CLEAR_MODE, annotations=writing, meta=scope_of(catalog.CLEAR_MODE))
    async def clear_mode(ctx: Ctx) -> ModeAnswer:
        """Switch the demo's mode for the calling user back to normal."""
        user = admission_of(ctx).token.user
        if user is not None:
            await database.write(ledger.lift_ban, user)
        return ModeAnswer(user=user, mode="normal")

    @server.tool(name=catalog.PRETTY_PLEASE, annotations=writing, meta=scope_of(catalog.PRETTY_PLEASE))
    async def pretty_please(ctx: Ctx) -> Pardon:
        """Ask nicely to be let back in: the one tool that a banned user's agent may call."""
        user = admission_of(ctx).token.user
        if user is None:
            return Pardon(user=None, mode="normal", message="Nobody is banned here, because nobody is known here.")
        lifted = await database.write(ledger.lift_ban, user)
        message = "Since you ask so nicely: welcome back." if lifted else "So polite, and not even banned."
        return Pardon(user=user, mode="normal", message=message)


def admission_of(ctx: Ctx) -> Admission:
    """What the door in front decided about the request that a tool runs for."""
    request = ctx.request_context.request
    admission = request.scope.get(ADMISSION) if request is not None else None
    if not isinstance(admission, Admission):
        raise RuntimeError("a tool was reached without passing a door")
    return admission


def _purchase(
    admission: Admission, config: ShopConfig, company: str, address: str, size: str, key: str | None
) -> ledger.Purchase:
    token, protected = admission.token, admission.door == "protected"
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
        key=key,
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
        ToolError: the authority behind it was revoked on the way; nothing was bought, and that is on record.
        PurchaseRefused: as `ledger.place`.
    """
    house = admission.gatehouse
    for _ in range(TRIES):
        try:
            order, decision = await database.write(_place, wanted, admission)
            if admission.case is None or order.replayed or not house.outlived(admission.case):
                return order, decision
            # The process was stopped between the check and the end of its transaction, for so long that a revocation
            # may have been answered meanwhile. Nobody was told of the order yet.
            await database.write(_void, order, admission.decision)
            raise events.StandingChanged
        except events.StandingChanged:
            assert admission.case is not None, "the open door relies on nothing"
            admission.case, ruling = await house.admit_again(admission.case, admission.bearer)
            if ruling.verdict == "deny":
                admission.decision = await database.write(
                    trail.amend,
                    admission.decision,
                    verdict="deny",
                    gate=ruling.gate,
                    rule=ruling.rule,
                    reason=ruling.reason,
                    remedy=ruling.remedy,
                )
                raise ToolError(f"{ruling.reason} Nothing was bought.") from None
    raise ToolError(UNSETTLED)


def _place(connection: Any, wanted: ledger.Purchase, admission: Admission) -> tuple[Order, Decision]:
    """The order and its mark in the audit trail, in one transaction, in which also its authority is seen to stand."""
    if admission.case is not None:
        admission.gatehouse.rely(connection, admission.case)
    order = ledger.place(connection, wanted)
    return order, trail.amend(connection, admission.decision, order_id=order.id)


def _void(connection: Any, order: Order, decision: Decision) -> None:
    """The order undone, and its mark in the audit trail, in one transaction."""
    ledger.void(connection, order)
    trail.amend(connection, decision, order_id=None)


def _price(money: Money) -> Price:
    return Price(amount=money.amount, currency=money.currency)


def _order(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "item": order.item,
        "size": order.size,
        "company": order.company,
        "price": _price(order.price),
        "at": order.at,
        "user": order.user,
        "agent": order.agent,
        "consent": order.consent,
        "replayed": order.replayed,
        "balance": _price(order.balance) if order.balance else None,
        "spendingLimit": _price(order.spending_limit) if order.spending_limit else None,
    }
