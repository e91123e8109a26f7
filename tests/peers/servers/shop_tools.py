"""The tools of the talk's first edition, for a server on somebody else's SDK: the same names and arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

Size = Literal["S", "M", "L", "XL", "XXL"]


def add_shop_tools(server: Any, who: Callable[[], str | None]) -> None:
    """Give a server the shop's three tools.

    Args:
        server: an `MCPServer` of the Python SDK or a `FastMCP`: both have a `tool(name)` decorator.
        who: the human on whose behalf the request at hand is made, as the access token has it.
    """
    orders: list[dict[str, Any]] = []

    @server.tool("listMcpShopInventory")
    def inventory() -> dict[str, Any]:
        """List what the shop has."""
        return {"items": [{"name": "T-shirt", "sizes": list(Size.__args__), "price": "20.00 USD"}]}

    @server.tool("buyMcpShopItem")
    def buy(company: str, mailingAddress: str, tshirtSize: Size) -> dict[str, Any]:
        """Buy a shirt."""
        order = {"id": len(orders) + 1, "user": who(), "company": company, "size": tshirtSize}
        orders.append(order)
        return {"order": order}

    @server.tool("listMcpShopOrders")
    def listed() -> dict[str, Any]:
        """List the orders of whoever asks."""
        return {"orders": [order for order in orders if order["user"] == who()]}
