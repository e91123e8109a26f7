"""What a tool of another server answers in a form of its own is not checked; a refusal and a shop's own answer are."""

from __future__ import annotations

from typing import Any

import pytest

from demo.client.mcp.outcome import CallOutcome
from demo.client.mcp.reading import read_order
from talk.playing.observing import observe, unobservable

OWN = {"id": "o-1", "item": "T-shirt", "price": {"amount": 2500, "currency": "USD"}, "at": 1.0}


def answered(structured: dict[str, Any] | None, *, is_error: bool = False) -> CallOutcome:
    return CallOutcome(
        tool="buyMcpShopItem",
        status=200,
        is_error=is_error,
        decision=None,
        structured=structured,
        text="",
        challenge=None,
        retry_after=None,
        limits=(),
        order=None if is_error else read_order((structured or {}).get("order")),
        exchanges=(),
    )


@pytest.mark.parametrize(
    "structured",
    [
        None,
        {"orderId": "o-1"},
        {"order": "o-1"},
        {"order": None},
        {"order": {"id": 1, "user": "demo_user", "size": "L"}},
        {"order": {"id": "o-1", "price": "25.00 USD"}},
    ],
)
def test_an_order_in_a_form_of_its_own_is_not_checked(structured: dict[str, Any] | None) -> None:
    outcome = answered(structured)
    observed = observe(outcome)
    missing = unobservable(outcome, observed, tells=False)
    assert {"order", "replayed"} <= set(missing)
    assert observed["verdict"] == "allow"


def test_an_order_in_the_shops_form_is_checked() -> None:
    outcome = answered({"order": OWN})
    observed = observe(outcome)
    assert observed["order"] is True
    assert not {"order", "replayed"} & set(unobservable(outcome, observed, tells=False))


def test_a_call_that_failed_has_no_order_and_that_is_checked() -> None:
    outcome = answered({"order": OWN}, is_error=True)
    observed = observe(outcome)
    assert observed["order"] is False
    assert "order" not in unobservable(outcome, observed, tells=False)


def test_a_server_that_says_what_its_gates_decide_is_held_to_the_shops_form() -> None:
    outcome = answered({"order": {"id": 1}})
    assert unobservable(outcome, observe(outcome), tells=True) == {}
