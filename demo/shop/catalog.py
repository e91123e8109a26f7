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

DEFAULT_SCOPE: Final = "shop:read"
"""What a challenge asks for when the request names no tool: the least that is of use here."""

SCOPES: Final = tuple(dict.fromkeys([*TOOL_SCOPES.values(), AUDIT_SCOPE]))
"""Every scope that means something at this resource, for its metadata."""

ADMIN_ROLE: Final = "admin"
