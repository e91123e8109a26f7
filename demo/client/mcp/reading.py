"""What a server tells in its results, read into evidence; what is malformed is left out, never guessed."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import fields
from typing import Any, cast

from demo.evidence.shop import Decision, LimitUse, ListedOrder, Order, Purchase, Tool
from deputize.http.sanitizing import safe_data, safe_text
from deputize.tokens.stored import money, number


def read_decision(given: Any) -> Decision | None:
    """A `Decision` as the shop sends it, None where it is none or is malformed."""
    if not isinstance(given, dict):
        return None
    shown = safe_data(given)
    optional = {f.name for f in fields(Decision)} - {"audit_id", "at", "verdict", "gate", "rule", "reason", "door"}
    shaped = (
        all(isinstance(shown.get(name), str) for name in ("audit_id", "gate", "rule", "reason"))
        and shown.get("verdict") in ("allow", "deny")
        and number(shown.get("at")) is not None
        and shown.get("door", "protected") in ("open", "protected")
        and all(shown.get(name) is None or isinstance(shown[name], str) for name in optional)
    )
    return Decision.from_dict(shown) if shaped else None


def read_limits(given: Any) -> tuple[LimitUse, ...]:
    """The limits as the shop sends them; malformed ones are left out."""
    found: list[LimitUse] = []
    for item in given if isinstance(given, list) else ():
        use = mapping(safe_data(item))
        counts = [use.get(key) for key in ("used", "limit")]
        if use.get("name") in ("rate", "purchases", "spending") and all(type(count) is int for count in counts):
            found.append(
                LimitUse(
                    name=use["name"],
                    used=use["used"],
                    limit=use["limit"],
                    unit=str(use.get("unit", "")),
                    window=number(use.get("window")),
                    resets_at=number(use.get("resets_at")),
                )
            )
    return tuple(found)


def read_order(given: Any) -> Order | None:
    """An order as the shop tells it (`docs/wire.md`), None where it is none."""
    order = mapping(given)
    price, at = money(order.get("price")), number(order.get("at"))
    if price is None or not isinstance(order.get("id"), str):
        return None

    def text(name: str) -> str:
        return str(order.get(name) or "")

    def maybe(name: str) -> str | None:
        return order[name] if isinstance(order.get(name), str) else None

    return Order(
        id=text("id"),
        item=text("item"),
        size=text("size"),
        company=text("company"),
        price=price,
        at=at or 0.0,
        user=maybe("user"),
        agent=maybe("agent"),
        consent=maybe("consent"),
        replayed=order.get("replayed") is True,
        cancelled=order.get("cancelled") is True,
        balance=money(order.get("balance")),
        spending_limit=money(order.get("spendingLimit")),
    )


def read_orders(given: Any) -> tuple[ListedOrder, ...] | None:
    """A list of orders with where they go, None where it is none; an entry that is no order is left out."""
    if not isinstance(given, list):
        return None
    found: list[ListedOrder] = []
    for item in given:
        address = mapping(item).get("mailingAddress")
        if (order := read_order(item)) is not None:
            found.append(ListedOrder(order, address if isinstance(address, str) else None))
    return tuple(found)


def read_tools(result: dict[str, Any] | None) -> tuple[Tool, ...]:
    """The tools of one page of `tools/list`."""
    listed = (result or {}).get("tools")
    found: list[Tool] = []
    for item in listed if isinstance(listed, list) else ():
        tool = mapping(safe_data(item))
        if not isinstance(tool.get("name"), str):
            continue
        scope = mapping(tool.get("_meta")).get("demo/scope")
        description = tool.get("description")
        found.append(
            Tool(
                name=safe_text(tool["name"], one_line=True),
                description=description if isinstance(description, str) else "",
                arguments=tuple(mapping(mapping(tool.get("inputSchema")).get("properties"))),
                scope=scope if isinstance(scope, str) else None,
            )
        )
    return tuple(found)


def listed(result: dict[str, Any] | None, *, without: Container[str] = ()) -> list[dict[str, Any]]:
    """The tools that have a name in a `tools/list` result, as the server sent them, `without` some."""
    tools = (result or {}).get("tools")
    named = (mapping(item) for item in (tools if isinstance(tools, list) else ()))
    return [tool for tool in named if isinstance(tool.get("name"), str) and tool["name"] not in without]


def mirroring(result: dict[str, Any] | None) -> set[str]:
    """The tools with an argument that goes into a header (`x-mcp-header`, SEP-2243): the list must be seen before they
    are called."""
    from mcp.shared.inbound import x_mcp_header_map

    wrong = misdeclared(result)
    return {tool["name"] for tool in listed(result, without=wrong) if x_mcp_header_map(tool.get("inputSchema"))}


def misdeclared(result: dict[str, Any] | None) -> dict[str, str]:
    """The tools that must be left out, each with the reason: what they say of their headers is invalid.

    MCP 2026-07-28, Server Features, Tools, "x-mcp-header": clients reject such a tool, and keep the others.
    """
    from mcp.shared.inbound import find_invalid_x_mcp_header

    found: dict[str, str] = {}
    for tool in listed(result):
        try:
            reason = find_invalid_x_mcp_header(tool.get("inputSchema"))
        except RecursionError:
            reason = "its schema is nested beyond reason"
        if reason is not None:
            found[tool["name"]] = reason
    return found


def mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def read_purchase(details: Any) -> Purchase | None:
    """The one purchase among authorization details (RFC 9396) that a human is asked for, or approved; None where there
    is none that can be read."""
    every = details if isinstance(details, list | tuple) else ()
    found = next((one for one in map(mapping, every) if one.get("type") == "shop_purchase"), None)
    price = money(found.get("price")) if found is not None else None
    if found is None or price is None:
        return None
    texts = [found.get(name) for name in ("item", "size", "company", "mailingAddress", "agent")]
    if not all(isinstance(one, str) for one in texts):
        return None
    item, size, company, address, agent = (safe_text(str(one), one_line=True) for one in texts)
    approval = found.get("approval")
    given = safe_text(approval, one_line=True) if isinstance(approval, str) else None
    return Purchase(item, size, company, address, price, agent, given, number(found.get("until")))
