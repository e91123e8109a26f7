"""What the shop offers: one item, seven tools, and the scope that each tool needs."""

from __future__ import annotations

from typing import Final, Literal

ITEM_ID: Final = "conference-t-shirt"
ITEM_NAME: Final = "Conference T-shirt"

Size = Literal["S", "M", "L", "XL", "XXL"]
SIZES: Final[tuple[Size, ...]] = ("S", "M", "L", "XL", "XXL")

LIST_INVENTORY: Final = "listMcpShopInventory"
BUY: Final = "buyMcpShopItem"
LIST_ORDERS: Final = "listMcpShopOrders"
USER_INFO: Final = "getUserInfo"
SET_MODE: Final = "setDemoMode"
CLEAR_MODE: Final = "clearDemoMode"
PRETTY_PLEASE: Final = "prettyPlease"

TOOL_SCOPES: Final[dict[str, str]] = {
    LIST_INVENTORY: "shop:read",
    BUY: "shop:buy",
    LIST_ORDERS: "orders:read",
    USER_INFO: "user:read",
    SET_MODE: "demo:mode",
    CLEAR_MODE: "demo:mode",
    PRETTY_PLEASE: "shop:read",
}

AUDIT_SCOPE: Final = "audit:read"
MANAGE_SCOPE: Final = "sessions:manage"
"""Of the human's own routes; no tool needs it."""

DEFAULT_SCOPE: Final = "shop:read"
"""What a request needs that names no tool: the least that is of use here."""

SHOPPER_SCOPES: Final = ("shop:read", "orders:read", "shop:buy")
"""What it takes to shop here, from looking to the order."""

SCOPES: Final = tuple(dict.fromkeys([*TOOL_SCOPES.values(), AUDIT_SCOPE]))
"""Every scope that means something at this resource, for its metadata."""


def scope_to_log_in_for(needed: str | None) -> str:
    """The `scope` of a 401 challenge: what a shopper needs, and what this request needs beside it.

    Clients ask their authorization server for just what the first challenge names (MCP 2026-07-28, authorization, scope
    selection), and many never step up afterwards: from a challenge for `shop:read` alone they could never buy. The
    human can narrow it. What is no shopper's has a challenge that asks for nothing else.
    """
    if needed in (AUDIT_SCOPE, MANAGE_SCOPE):
        return needed
    return " ".join(dict.fromkeys((*SHOPPER_SCOPES, needed or DEFAULT_SCOPE)))


ADMIN_ROLE: Final = "admin"
