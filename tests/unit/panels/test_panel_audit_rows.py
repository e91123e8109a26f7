"""The audit trail's rows: repeats are one row with a count, and an order found again is no second purchase."""

from __future__ import annotations

from demo import panels
from demo.evidence.shop import Decision
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
