"""The audit trail's rows: repeats are one row with a count, and an order found again is no second purchase."""

from __future__ import annotations

import dataclasses

from demo import panels
from demo.evidence.audit import TrailEvent
from demo.evidence.shop import Decision
from demo.panels import theme
from demo.panels.fit import drawn


def entry(number: int, tool: str, order: str | None = None) -> Decision:
    return Decision(
        audit_id=f"audit_{number}",
        at=1_795_000_000.0 + number,
        verdict="allow",
        gate="limits",
        rule="allowed",
        reason="Every gate passed.",
        tool=tool,
        user="user_alice",
        username="alice@example.com",
        client="demo-agent",
        consent="consent_1",
        order_id=order,
    )


def test_an_order_found_again_is_not_shown_as_bought_again() -> None:
    bought = entry(1, "buyMcpShopItem", "order_1")
    again = entry(2, "buyMcpShopItem", "order_1")
    rows = [line for line in drawn(panels.audit((bought, again)), 80) if "buyMcpShopItem" in line]
    assert [row.split()[-1] for row in rows] == ["bought", "order"]
    assert rows[1].endswith("same order")


def test_repeats_share_a_row_and_are_counted() -> None:
    lines = drawn(panels.audit(tuple(entry(number, "listMcpShopInventory") for number in range(9))), 80)
    (row,) = [line for line in lines if "listMcpShopInventory" in line]
    assert row.endswith("allowed×9")


def test_a_purchase_that_the_gates_let_through_and_that_bought_nothing_says_both() -> None:
    """Sold out, or arguments that do not fit: the gates said yes, and there is no order."""
    nothing, bought = entry(1, "buyMcpShopItem"), entry(2, "buyMcpShopItem", "order_1")
    looked = entry(3, "listMcpShopInventory")
    assert [one.bought_nothing for one in (nothing, bought, looked)] == [True, False, False]
    refused = dataclasses.replace(nothing, verdict="deny", gate="limits", rule="limits.quota")
    assert not refused.bought_nothing
    mark = theme.glyphs("utf-8").allowed
    told = drawn(panels.audit((nothing, bought, looked)), 80)
    assert any(mark in line and line.endswith("no order") for line in told)
    assert len([line for line in told if "bought" in line]) == 1
    happened = tuple(
        TrailEvent(one.at, "decision", "allow", "shop", one.tool or "", decision=one) for one in (nothing, bought)
    )
    assert any(mark in line and line.endswith("allowed, no order") for line in drawn(panels.trail(happened), 80))


def test_a_row_of_many_does_not_hide_one_that_bought_nothing() -> None:
    entries = [entry(number, "listMcpShopInventory" if number % 2 else "buyMcpShopItem") for number in range(60)]
    told = "\n".join(drawn(panels.audit(tuple(entries)), 80))
    assert "no order" in told
