"""The shop: an MCP server with two doors, one open and one an OAuth 2.1 resource server.

Importing this package is light; `create_shop` is what brings in the MCP SDK and the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.shop.config import ShopConfig

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["Shop", "ShopConfig", "create_shop"]


@dataclass(frozen=True)
class Shop:
    """A shop that is ready to be routed to: `routes` for the application, `lifespan()` around its serving."""

    config: ShopConfig
    routes: list[BaseRoute]
    lifespan: Callable[[], AbstractAsyncContextManager[None]]
    """Opens the MCP session managers and the connection to the authority; to be entered once."""


def create_shop(config: ShopConfig) -> Shop:
    """Make a shop from its settings, creating or reading its ledger.

    Raises:
        sqlite3.Error: the ledger cannot be opened or is not one.
    """
    from demo.shop.app import build

    return build(config)
