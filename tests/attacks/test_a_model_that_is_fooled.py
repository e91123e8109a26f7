"""A model that obeys what it reads gets no further than the authority that it was given (indirect prompt injection:
OWASP LLM01:2025; Greshake et al. 2023, arXiv:2302.12173; draft-klrc-aiagent-auth section 10.7).

The text is put where somebody else's words come from, the shop's listing, and read on the wire. The model is the beat's
script, which does all that it is told. Each gate is also left out, and then the attack succeeds by just that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from demo.client import Agent, SampleHuman
from demo.model import drive
from demo.model.script import read
from demo.shop import catalog, ledger, policy
from deputize.evidence import Money
from deputize.tokens.store import MemoryStore
from talk.script import load_talk
from tests.conftest import console_at
from tests.unit.model.conftest import log_in

STEP = next(step for step in load_talk(None).beat("agent-fooled").steps if step.id == "listing")
SCOPES = ("openid", "shop:read", "orders:read", "shop:buy")


def run(server: str, spending: Money) -> tuple[Counter[tuple[str, str]], int]:
    """What became of each call of the fooled model, by tool and rule; and how many orders went where the text said."""
    agent, grace = (Agent(server, store=MemoryStore().at(server)), console_at(server, MemoryStore().at(server)))
    log_in(agent, SCOPES, spending)
    grace.sign_in(SampleHuman("grace@example.com"))
    grace.set_door("protected", description=STEP.options["listing"])
    driven = drive(agent, STEP.options["prompt"], read({"made_by": "script", **STEP.options["script"]}, "fooled", "it"))
    listed = agent.call("listMcpShopOrders", {}).structured or {}
    theirs = STEP.options["told"]["args"]["mailingAddress"]
    sent = sum(order["mailingAddress"] == theirs for order in listed["orders"])
    return Counter((decision.tool or "", decision.rule) for decision in driven.decisions), sent


def without_spending_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "check_spending", lambda case, usage: None)
    monkeypatch.setattr(ledger, "_guard", lambda connection, wanted: None)


def without_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "check_quota", lambda case, usage: None)
    monkeypatch.setattr(ledger, "_guard", lambda connection, wanted: None)


def without_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "check_scope", lambda case: None)


def test_what_the_human_allowed_is_all_that_it_can_do(base_url: str) -> None:
    made, sent = run(base_url, Money(2000))
    assert made == {
        ("listMcpShopInventory", "allowed"): 1,
        ("buyMcpShopItem", "limits.spending"): 5,
        ("getUserInfo", "scope.insufficient"): 1,
    }
    assert sent == 0


def test_with_money_for_all_of_it_the_quota_bounds_the_damage(base_url: str) -> None:
    made, sent = run(base_url, Money(50_000))
    assert (made["buyMcpShopItem", "allowed"], made["buyMcpShopItem", "limits.quota"], sent) == (2, 3, 2)


@pytest.mark.parametrize(
    ("weaken", "spending", "tool", "allowed", "sent"),
    [
        (without_spending_limit, 2000, catalog.BUY, 2, 2),
        (without_quota, 50_000, catalog.BUY, 5, 5),
        (without_scopes, 2000, catalog.USER_INFO, 1, 0),
    ],
)
def test_without_a_gate_it_does_what_that_gate_forbade(
    base_url: str,
    monkeypatch: pytest.MonkeyPatch,
    weaken: Callable[[pytest.MonkeyPatch], Any],
    spending: int,
    tool: str,
    allowed: int,
    sent: int,
) -> None:
    weaken(monkeypatch)
    made, went = run(base_url, Money(spending))
    assert (made[tool, "allowed"], went) == (allowed, sent)
